"""Performance reports: one JSON file for each date, with its seal, and its earlier revisions: what was known, and when.

A report is revised when what it was made from changes: when outcomes become known or are restated, the date is scored again, or
another policy comes into force.
"""

from importlib.metadata import version

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout, sealed_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.manifests import Provenance, find_readable
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.store import Store


class StoredPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `monitoring/performance_{date}.json`: the report, the number of its revision, its origin, and its seal."""

    report: PerformanceReport
    revision: int
    made_at: str
    code_version: str
    made_from: Provenance
    seal: str | None = None


def write(store: Store, report: PerformanceReport, made_from: Provenance, guard: Guard = no_guard) -> int:
    """Write the report of a date and return the number of its revision, from 1 on.

    A report that was made from the same tables, outcomes, policy and contract by the same release keeps its number. Any other one is the
    next revision, and the earlier one is kept.

    Parameters
    ----------
    guard
        Keeps other writers out while the report is replaced; raises if one has taken over.
    """
    path, earlier, release = layout.performance(report.date), _find(store, report.date), version("risk-lakehouse")
    if earlier is None:
        number = len(_revision_paths(store, report.date)) + 1
    elif _made_of(earlier.report, earlier.made_from, earlier.code_version) == _made_of(report, made_from, release):
        number = earlier.revision
    else:
        store.create(layout.performance_revision(report.date, earlier.revision), store.get(path))
        number = earlier.revision + 1
    stored = StoredPerformance(report=report, revision=number, made_at=utc_now(), code_version=release, made_from=made_from)
    sealed_files.write(store, path, stored, guard)
    return number


def read(store: Store, date: str) -> StoredPerformance:
    """Return the report of a date; raises `LakeError` if there is none, or it was changed or is another release's."""
    return sealed_files.read(store, layout.performance(date), StoredPerformance, f"Compute it: risk monitor {date}.")


def read_revisions(store: Store, date: str) -> tuple[StoredPerformance, ...]:
    """Return the earlier revisions of a date's report, oldest first; raises `LakeError` if one was changed."""
    step = "Restore it from a backup: the report of today does not depend on it."
    return tuple(sealed_files.decode(store.get(path), path, StoredPerformance, step) for path in _revision_paths(store, date))


def is_current(store: Store, date: str, policy: str, today: str) -> bool:
    """Return whether a date's report can be read, and is of its predictions, of all outcomes known today, and of the policy."""
    stored, predictions = _find(store, date), find_readable(store, layout.predictions(date))
    if stored is None or predictions is None:
        return False
    report, made_from, due = stored.report, stored.made_from, due_on(store, date)
    if made_from.policy != policy or made_from.inputs.get(layout.predictions(date)) != predictions.identity or (due and due <= today):
        return False
    return not report.matured or made_from.inputs.get(layout.curated_outcomes(date)) == outcomes_identity(store, date)


def due_on(store: Store, date: str) -> str | None:
    """Return the date from which more is known than in a date's report; None if there is no such date, or no report."""
    stored = _find(store, date)
    if stored is None:
        return None
    report = stored.report
    return report.more_known_on if report.matured else min(report.more_known_on or report.matures_on, report.matures_on)


def outcomes_identity(store: Store, date: str) -> str | None:
    """Return the identity of a date's outcomes; None if they are not in the lake."""
    found = find_readable(store, layout.curated_outcomes(date))
    return found.identity if found else None


def dates_to_measure(store: Store, policy: str, today: str, most: int) -> tuple[str, ...]:
    """Return the dates without a current report, oldest first: of the newest `most` scored dates, and of as many with outcomes."""
    scored = committed_dates(store, PREDICTIONS)
    with_outcomes = sorted({*scored} & {*committed_dates(store, OUTCOMES)})
    looked_up = sorted({*scored[-most:], *with_outcomes[-most:]})
    return tuple(date for date in looked_up if not is_current(store, date, policy, today))


def problems(store: Store, date: str) -> list[str]:
    """Return a message for the report of a date, and for each earlier revision, that is missing, was changed or cannot be read."""
    found = []
    try:
        stored = read(store, date)
        expected = [layout.performance_revision(date, number) for number in range(1, stored.revision)]
        found = [f"{path} is missing" for path in expected if store.size(path) is None]
    except LakeError as error:
        found = [str(error)]
    try:
        read_revisions(store, date)
    except LakeError as error:
        found.append(str(error))
    return found


def _find(store: Store, date: str) -> StoredPerformance | None:
    try:
        return read(store, date)
    except LakeError:
        return None


def _revision_paths(store: Store, date: str) -> tuple[str, ...]:
    return tuple(sorted(store.list(layout.performance_revisions(date))))


def _made_of(report: PerformanceReport, made_from: Provenance, release: str) -> tuple[object, ...]:
    """Return all that decides the figures of a report: the outcomes that are known follow from the table and `more_known_on`."""
    return made_from.inputs, made_from.policy, made_from.contract, release, report.matured, report.more_known_on
