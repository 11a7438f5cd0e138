"""Verified reads: nothing is read from the lake before its content is compared with the hashes in its manifest.

A content is hashed once for each version of a file (its ETag; on disk its inode, size and modification time) in a process.
On Azure a file is copied to this machine while it is hashed, pinned to its ETag, and read from there. On disk a further name pins
it: files are never changed in place, only replaced.
"""

import atexit
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.disk import version_of
from risk_assets.lake.hashing import HashedChunks, Segment, sha256
from risk_assets.lake.manifests import Manifest, entries, named
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.store import Entry, Store

MAX_REMEMBERED = 100_000

_pins: list[Path] = []  # further names of verified files on disk

_known: dict[tuple[str, str], tuple[str, str]] = {}  # address and part: version and SHA-256


def problems(store: Store, manifest: Manifest) -> list[str]:
    """Return a message for each part that is missing or whose content is not the one in the manifest."""
    found = entries(store, manifest)
    missing = [f"{part} is missing" for part in manifest.parts if part not in found]
    intact = _intact(store, manifest, found.values())
    return [*missing, *(_changed(part) for part in found if part not in intact)]


def require_intact(store: Store, manifest: Manifest) -> None:
    """Verify the content of a table.

    Raises
    ------
    LakeError
        With the parts that are missing or were changed since they were written.
    """
    _raise(problems(store, manifest), manifest)


def verified_files(store: Store, manifest: Manifest) -> list[Path]:
    """Return files on this machine with the verified content of each part; raises `LakeError` as `require_intact`.

    They stay as they are when a part is replaced: on disk they are further names of its file, on Azure copies. They are kept
    until `remove_copies`.
    """
    if store.folder is None:
        _copy_all(store, manifest)
        return [_copy(manifest, part) for part in manifest.parts]
    require_intact(store, manifest)
    return [_pinned(store, manifest, part) for part in manifest.parts]


def read_range(store: Store, manifest: Manifest, start: int, length: int) -> bytes:
    """Return whole segments of a table of one file after comparing each with the manifest, or from a verified copy if there is one.

    Parameters
    ----------
    start, length
        Where the segments are in the file, in bytes; at least one byte.

    Raises
    ------
    LakeError
        If the file is missing, or these segments were changed since they were written.
    """
    path = manifest.path
    if store.folder is None and _copies.cache_info().currsize and _copy(manifest, path).exists():
        with _copy(manifest, path).open("rb") as copied:
            copied.seek(start)
            return copied.read(length)
    try:
        content = store.get_range(path, start, length)
    except FileNotFoundError:
        raise LakeError(f"{path} is missing. {layout.how_to_make(path)}") from None
    segments = manifest.segments.get(path) or (Segment(manifest.parts[path], manifest.sha256[path]),)
    starts = accumulate((segment.bytes for segment in segments), initial=-start)
    own = [(begin, segment) for begin, segment in zip(starts, segments, strict=False) if 0 <= begin < length]
    if any(sha256(content[begin : begin + segment.bytes]) != segment.sha256 for begin, segment in own):
        _raise([_changed(path)], manifest)
    return content


def remember(store: Store, manifest: Manifest) -> None:
    """Remember that the parts of a table have just been written with the content in the manifest."""
    for part, entry in entries(store, manifest).items():
        if entry.size == manifest.parts[part]:
            _remember(store, entry, manifest.sha256[part])


def remove_copies() -> None:
    """Remove the copies of files on Azure and the further names of files on disk, at the end of a run."""
    while _pins:
        _pins.pop().unlink(missing_ok=True)
    if _copies.cache_info().currsize:
        for path in Path(_copies().name).glob("*"):  # the folder is gone if the interpreter has removed it already
            path.unlink()


def _pinned(store: Store, manifest: Manifest, part: str) -> Path:
    """Return a further name of the file that was verified."""
    file = store.pin(part)
    if file != store.file(part):
        _pins.append(file)
    if _known.get((store.url, store.actual(part)), ("", ""))[0] != version_of(file):
        raise LakeError(f"{part} was written again while it was read. Run again.")
    return file


def _changed(part: str) -> str:
    return f"{part} was changed since it was written"


def _raise(found: list[str], manifest: Manifest) -> None:
    if found:
        raise LakeError(f"{named(found)}. {layout.how_to_make(manifest.path)}")


def _intact(store: Store, manifest: Manifest, found: Iterable[Entry]) -> set[str]:
    """Return the parts with the content in the manifest. Those whose content is not known are read, several at a time.

    A part that was written while it was read does not count: its version is compared afterwards, by one listing for all of them.
    """
    complete = [entry for entry in found if entry.size == manifest.parts[entry.path]]
    unknown = [entry for entry in complete if not _is_known(store, manifest, entry)]
    same = in_threads(lambda entry: _has_content(store, manifest, entry.path), unknown)
    after = entries(store, manifest) if any(same) else {}
    for entry, is_same in zip(unknown, same, strict=True):
        if is_same and after.get(entry.path) == entry:
            _remember(store, entry, manifest.sha256[entry.path])
    return {entry.path for entry in complete if _is_known(store, manifest, entry)}


def _is_known(store: Store, manifest: Manifest, entry: Entry) -> bool:
    return _known.get((store.url, store.actual(entry.path))) == (entry.version, manifest.sha256[entry.path])


def _has_content(store: Store, manifest: Manifest, part: str) -> bool:
    try:
        return store.content(part, manifest.lengths(part)).sha256 == manifest.sha256[part]
    except FileNotFoundError:
        return False


def _remember(store: Store, entry: Entry, digest: str) -> None:
    if len(_known) >= MAX_REMEMBERED:
        _known.clear()
    _known[store.url, store.actual(entry.path)] = entry.version, digest


def _copy_all(store: Store, manifest: Manifest) -> None:
    wanted = [part for part in manifest.parts if not _copy(manifest, part).exists()]
    copied = in_threads(lambda part: _copy_part(store, manifest, part), wanted)
    _raise([_changed(part) for part, done in zip(wanted, copied, strict=True) if not done], manifest)


def _copy_part(store: Store, manifest: Manifest, part: str) -> bool:
    """Copy a part to this machine; return whether it has the content in the manifest."""
    target = _copy(manifest, part)
    unfinished = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    chunks = HashedChunks(store.chunks(part), manifest.lengths(part))
    try:
        with _writable(unfinished) as file:
            file.writelines(chunks)
        if chunks.content.sha256 == manifest.sha256[part]:
            unfinished.rename(target)
    except FileNotFoundError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    return target.exists()


@contextmanager
def _writable(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file; raises `LakeError` if the disk of this machine does not accept it."""
    try:
        with path.open("wb") as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LakeError(
            f"a copy of a file of the lake cannot be written to {path.parent} ({error.strerror}). "
            "Free some space there, or set TMPDIR to a larger disk, and run again."
        ) from error


def _copy(manifest: Manifest, part: str) -> Path:
    """Return the path of the copy of a part: copies are named by content, so one is never outdated."""
    return Path(_copies().name) / f"{manifest.sha256[part]}{Path(part).suffix}"


@cache
def _copies() -> "tempfile.TemporaryDirectory[str]":
    """Return the folder of the copies; it is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="risk-")


atexit.register(remove_copies)
