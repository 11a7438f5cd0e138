"""Run records on local disk, for the time in which the lake cannot be reached."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from risk_assets.lake.disk import DiskObjects
from risk_assets.lake.hashing import sha256
from risk_assets.lake.run_log import RunRecord

DAMAGED = ".damaged"


@dataclass(frozen=True)
class Spool:
    """A folder of run records, one file each, which are uploaded and deleted when the lake can be reached again."""

    folder: Path

    def put(self, record: RunRecord) -> Path:
        """Store a record atomically and durably, and return its path; raises `OSError`."""
        name = f"{record.run_id}.json"
        DiskObjects(self.folder).put(name, msgspec.json.encode(record))
        return self.folder / name

    def paths(self) -> tuple[Path, ...]:
        """Return the files that wait to be uploaded, by name."""
        return tuple(sorted(self.folder.glob("*.json")))

    def upload(self, add: Callable[[RunRecord], object]) -> tuple[str, ...]:
        """Add each record and delete its file; return what happened, for people.

        A damaged file is kept under another name. An error of `add` ends the upload, and the files that are left stay.
        """
        notes = []
        for path in self.paths():
            content = _content(path)
            record = _decode(content)
            if record is not None:
                add(record)
                path.unlink(missing_ok=True)
                notes.append(f"the row of the run {record.run_id} ({record.date}), which waited in {self.folder}, is in the run log now.")
            elif content is not None:
                aside = path.with_name(path.name + DAMAGED)
                path.replace(aside)
                notes.append(f"{path} is damaged: kept as {aside.name}. Materialize logs/batch_runs for its date to add the row.")
        return tuple(notes)


def open_spool(home: Path, lake: str) -> Spool:
    """Return the spool of a lake, by its address, in the folder of the run history."""
    return Spool(home.absolute() / "spool" / lake_name(lake))


def lake_name(lake: str) -> str:
    """Return the name of a lake's folder on local disk, from its address."""
    return sha256(lake.encode())[:12]


def _content(path: Path) -> bytes | None:
    """Return the content of a file, or None if another process has uploaded it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _decode(content: bytes | None) -> RunRecord | None:
    try:
        return msgspec.json.decode(content or b"", type=RunRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
