"""Morning reports: the facts of each date as JSON with a seal, next to the page and the text that are made of them."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import msgspec

from risk_assets.clock import shift
from risk_assets.domain.morning.facts import MorningReport, Verdict
from risk_assets.errors import LakeError
from risk_assets.lake import layout, sealed_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.seals import has_seal, sealed
from risk_assets.lake.store import Store

VERDICTS_READ = 14  # newest dates whose verdicts are read from their reports each time; as many of those that are not known yet
DAYS_LOOKED_UP = 7  # days before a date in which its last earlier report is looked up


class StoredMorning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of `reports/morning_{date}.json`: the report, the run that made it, what it was made from, and its seal.

    `inputs` are the identities of tables, the seals of reports, and the names of bindings and of records of runs, by path.
    """

    report: MorningReport
    code_version: str
    run_id: str
    inputs: dict[str, str] = {}
    seal: str | None = None


class StoredVerdicts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of `reports/index.json`: the verdicts of dates without their details, and its seal."""

    verdicts: dict[str, Verdict] = {}
    seal: str | None = None


def write(store: Store, report: MorningReport, inputs: Mapping[str, str], run_id: str) -> None:
    """Write the facts of a date's report; replaces earlier ones."""
    stored = StoredMorning(report=report, code_version=version("risk-lakehouse"), run_id=run_id, inputs=dict(inputs))
    sealed_files.write(store, layout.morning(report.date), stored)


def read(store: Store, date: str) -> StoredMorning:
    """Return the report of a date; raises `LakeError` if there is none, or it was changed or is another release's."""
    return sealed_files.read(store, layout.morning(date), StoredMorning, f"Make it: risk report {date}.")


def find(store: Store, date: str) -> MorningReport | None:
    """Return the report of a date, or None if there is none or it cannot be read."""
    try:
        return read(store, date).report
    except LakeError:
        return None


def find_before(store: Store, date: str) -> MorningReport | None:
    """Return the newest report of the days before a date, or None if there is none that can be read."""
    earlier = (find(store, shift(date, -back)) for back in range(1, DAYS_LOOKED_UP + 1))
    return next((report for report in earlier if report is not None), None)


def update_verdicts(store: Store, report: MorningReport, dates: Sequence[str]) -> dict[str, Verdict]:
    """Return the verdicts of dates with a report, oldest first, as far as they are known; stores them for the next report.

    At most `2 * VERDICTS_READ` reports are read, whatever the number of dates.

    Parameters
    ----------
    report
        The report that has just been written.
    """
    known = stored_verdicts(store)
    unknown = [date for date in dates if date not in known]
    wanted = dict.fromkeys((*unknown[-VERDICTS_READ:], *dates[-VERDICTS_READ:]))
    read = {date: found.verdict if (found := find(store, date)) else None for date in wanted} | {report.date: report.verdict}
    verdicts = {date: msgspec.structs.replace(said, details=()) for date in dates if (said := (known | read).get(date))}
    store.put(layout.MORNING_VERDICTS, msgspec.json.encode(sealed(StoredVerdicts(verdicts=verdicts))))
    return verdicts


def stored_verdicts(store: Store) -> dict[str, Verdict]:
    """Return the verdicts of dates as they were listed last; none if the list is missing or damaged: the next report makes it again."""
    try:
        stored = msgspec.json.decode(store.find(layout.MORNING_VERDICTS) or b"", type=StoredVerdicts)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return stored.verdicts if has_seal(stored) else {}


def made_of(store: Store, date: str) -> dict[str, str]:
    """Return what a report says of its own date, which can appear or change after the report: identities of tables, hashes of reports."""
    tables = {path: find_readable(store, path) for path in (layout.predictions(date), layout.review(date))}
    reports = {path: store.find(path) for path in _own_reports(date)}
    found = {path: manifest.identity for path, manifest in tables.items() if manifest}
    return found | {path: sha256(content) for path, content in reports.items() if content is not None}


def outdated_dates(store: Store, most: int) -> tuple[str, ...]:
    """Return those of the newest `most` dates with a report whose tables or reports have changed since it was made, oldest first."""
    return tuple(date for date in committed_dates(store, layout.MORNING)[-most:] if _is_outdated(store, date))


def _is_outdated(store: Store, date: str) -> bool:
    """Return whether a report is not of what the lake has of its date; also if it cannot be read."""
    try:
        inputs = read(store, date).inputs
    except LakeError:
        return True
    return made_of(store, date) != {path: inputs[path] for path in _own_paths(date) if path in inputs}


def _own_paths(date: str) -> tuple[str, ...]:
    return (layout.predictions(date), layout.review(date), *_own_reports(date))


def _own_reports(date: str) -> tuple[str, ...]:
    return (layout.drift(date), layout.performance(date), layout.alerts(date))


def problems(store: Store, date: str) -> list[str]:
    """Return a message if the report of a date is missing, was changed or cannot be read."""
    try:
        read(store, date)
    except LakeError as error:
        return [str(error)]
    return []
