"""The content of a lake without what differs from run to run: ids, instants, addresses, and the hashes of such files."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk_assets.lake import binding_log, layout
from risk_assets.lake.run_log import BLOCKED, FAILED, SUCCESS, WARNING
from tests.faults.places import Place

IGNORED = ("leases/", ".tmp/")
VOLATILE = frozenset(
    (
        *("run_id", "made_at", "registered_at", "claimed_at", "recorded_at", "effective_from", "timestamp"),
        *("seconds", "previous", "seal", "salt", "epoch", "output"),
    )
)
METADATA = f"/{layout.METADATA}"
MANIFEST = ".manifest.json"
_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION = re.compile(rf"{layout.REGISTRY}/(model_v\d+)/")

Rows = Counter[str]


@dataclass(frozen=True)
class Content:
    """What is stored at a place.

    Attributes
    ----------
    files
        The contents by path, both without what differs from run to run.
    rows
        The rows of the run log: status first, without what differs.
    problems
        What no lake may have: a manifest without matching parts, a broken chain, a lost or doubled row of the run log.
    """

    files: Mapping[str, tuple[str, ...]]
    rows: Rows
    problems: tuple[str, ...]


def read(place: Place) -> Content:
    """Return the content of a place."""
    lake, landing = place.objects(place.lake), place.objects(place.landing)
    lake = {path: content for path, content in lake.items() if not path.startswith(IGNORED) and f"/{IGNORED[1]}" not in path}
    found: dict[str, list[str]] = {}
    replaced = _replacements(place, lake)
    for path, content in lake.items():
        if not _is_log(path) and not _is_unfinished(path, lake):
            found.setdefault(_plain(path, replaced), []).append(_normalise(path, content, replaced))
    for path, content in landing.items():
        if not path.startswith(IGNORED):
            found.setdefault(f"landing: {path}", []).append(_digest(content))
    files = {path: tuple(sorted(_kept(path, contents))) for path, contents in found.items()}
    rows, lost = _log(lake, replaced)
    return Content(files, rows, (*_unmatched(lake), *binding_log.verify(place.lake), *lost))


def differences(expected: Content, found: Content, *, completed: bool) -> list[str]:
    """Return how a lake differs from the expected one; nothing if only a row of the killed run, and one of the success after it, was added.

    Parameters
    ----------
    completed
        Whether the killed run had stored everything, so that its row may be a `success` too. Repeating a complete training
        measures its model against itself, because it is live: its metrics and impact may differ, not its version.
    """
    problems = list(found.problems)
    for path in sorted({*expected.files, *found.files}):
        before, after = expected.files.get(path), found.files.get(path)
        if before is None or after is None:
            problems.append(f"{path} is {'left over' if before is None else 'missing'}")
        elif before != after and not (completed and ("/impact" in path or path.startswith("training/"))):
            number = f" {len(after)} instead of {len(before)} times" if len(before) != len(after) else ""
            problems.append(f"{path} differs{number}{_first_difference(before[0], after[0])}")
    problems += [f"the run log lacks a row: {row[:60]}" for row in (expected.rows - found.rows).elements()]
    more = list((found.rows - expected.rows).elements())
    if not _is_of_kill(more, completed):
        problems.append(f"the run log has more rows: {', '.join(json.loads(row)['status'] for row in more)}")
    return problems


def _is_of_kill(more: Sequence[str], completed: bool) -> bool:
    """Return whether rows are those of one killed run, and of the first success of its job after it, which has a row for that reason."""
    rows = [json.loads(row) for row in more]
    if len(rows) == 2 and sorted(row["status"] for row in rows) == [FAILED, SUCCESS]:
        return len({(row["job"], row.get("date")) for row in rows}) == 1
    allowed = (FAILED, SUCCESS, WARNING, BLOCKED) if completed else (FAILED,)
    return len(rows) <= 1 and all(row["status"] in allowed for row in rows)


def _first_difference(before: str, after: str) -> str:
    at = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
    if at is None or not before.startswith(("{", "[")):
        return ""
    return f": {before[max(0, at - 40) : at + 30]!r} is now {after[max(0, at - 40) : at + 30]!r}"


def _replacements(place: Place, lake: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return the texts to replace: addresses, and the names of complete versions by their rank, because a crash may leave a gap."""
    complete = sorted({match[1] for path in lake if path.endswith(METADATA) and (match := _VERSION.match(path))})
    ranks = [(name, f"version-{rank}") for rank, name in enumerate(complete, start=1)]
    return [*((address, "{place}") for address in place.addresses), *ranks]


def _plain(text: str, replaced: list[tuple[str, str]]) -> str:
    for name, value in replaced:
        text = text.replace(name, value)
    return _RUN.sub("{run}", text)


def _normalise(path: str, content: bytes, replaced: list[tuple[str, str]]) -> str:
    if not path.endswith(".json"):
        return _digest(_plain(content.decode(), replaced).encode()) if path.endswith(".csv") else _digest(content)
    try:
        return _plain(json.dumps(_stable(json.loads(content)), sort_keys=True), replaced)
    except ValueError:
        return "not JSON"


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _stable(each) for name, each in value.items() if name not in VOLATILE}
        return kept | ({"inputs": sorted(value["inputs"])} if isinstance(value.get("inputs"), dict) else {})
    return [_stable(each) for each in value] if isinstance(value, list) else value


def _kept(path: str, contents: list[str]) -> list[str]:
    """Return the contents to compare: a killed training may leave its artifacts, equal to those of the next one."""
    return sorted(set(contents)) if path.startswith(f"{layout.TRAINING}/") else contents


def _is_unfinished(path: str, lake: Mapping[str, bytes]) -> bool:
    """Return whether a file is in the folder of a version or of a trained model that has no metadata, and so does not count."""
    folder = path.rpartition("/")[0]
    return path.startswith((f"{layout.TRAINING}/", f"{layout.REGISTRY}/model_v")) and f"{folder}{METADATA}" not in lake


def _is_log(path: str) -> bool:
    return path == layout.RUN_LOG or path.startswith((f"{layout.RUN_RECORDS}/", f"{layout.LOGS}/pending/"))


def _log(lake: Mapping[str, bytes], replaced: list[tuple[str, str]]) -> tuple[Rows, list[str]]:
    """Return the rows of the run log, and which are lost or doubled."""
    rows = list(csv.DictReader(io.StringIO(lake.get(layout.RUN_LOG, b"").decode(), newline="")))
    keys = Counter((row["date"], row["run_id"]) for row in rows)
    records = {key for path in lake if (key := layout.run_record_key(path))}
    problems = [f"{layout.RUN_LOG} has a row {number} times" for number in keys.values() if number > 1]
    problems += [f"{layout.RUN_LOG} lacks the row of a record"] * len(records - keys.keys())
    plain = ({name: value for name, value in row.items() if name not in VOLATILE and value} for row in rows)
    return Counter(_plain(json.dumps({"status": row["status"], **row}), replaced) for row in plain), problems


def _unmatched(lake: Mapping[str, bytes]) -> list[str]:
    """Return the manifests whose parts are missing or differ from their size or SHA-256."""
    problems = []
    for path, content in lake.items():
        if not path.endswith(MANIFEST):
            continue
        try:
            manifest = json.loads(content)
        except ValueError:
            problems.append(f"{path} is not JSON")
            continue
        here = path.removesuffix(MANIFEST)
        for part, digest in manifest["sha256"].items():
            stored = lake.get(here if part == manifest["path"] else part)
            if path.startswith("raw/revisions/"):  # superseded, or still the part of a later revision
                stored = lake.get(layout.superseded(part, digest), lake.get(part))
            if stored is None or _digest(stored) != digest or len(stored) != manifest["parts"][part]:
                problems.append(f"{path} does not match its part {part}")
    return problems


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
