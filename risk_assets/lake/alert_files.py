"""Reports of alerts: one JSON file for each date, with its seal, and what the report was made from."""

from importlib.metadata import version

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.monitoring.alerts import AlertReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout, sealed_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.store import Store

LOOKED_UP = 7  # earlier reports, if the newest ones cannot be read


class StoredAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `monitoring/alerts_{date}.json`: the report, the hash of its evidence, its origin, and its seal."""

    report: AlertReport
    evidence: str
    made_at: str
    code_version: str
    made_from: Provenance
    seal: str | None = None


def write(store: Store, report: AlertReport, evidence: str, made_from: Provenance, guard: Guard = no_guard) -> None:
    """Write the report of a date; replaces an earlier one.

    Parameters
    ----------
    evidence
        The digest of what it was made from.
    guard
        Keeps other writers out while the report is replaced; raises if one has taken over.
    """
    stored = StoredAlerts(report=report, evidence=evidence, made_at=utc_now(), code_version=version("risk-lakehouse"), made_from=made_from)
    sealed_files.write(store, layout.alerts(report.date), stored, guard)


def read(store: Store, date: str) -> StoredAlerts:
    """Return the report of a date; raises `LakeError` if there is none, or it was changed or is another release's."""
    return sealed_files.read(store, layout.alerts(date), StoredAlerts, f"Evaluate it: risk alerts {date}.")


def find(store: Store, date: str) -> AlertReport | None:
    """Return the report of a date; None if there is none or it cannot be read."""
    try:
        return read(store, date).report
    except LakeError:
        return None


def earlier(store: Store, date: str) -> AlertReport | None:
    """Return the report of the newest earlier date that has one that can be read; None if there is none."""
    dates = [other for other in committed_dates(store, layout.ALERTS) if other < date]
    found = (find(store, other) for other in reversed(dates[-LOOKED_UP:]))
    return next((report for report in found if report is not None), None)


def is_current(store: Store, date: str, evidence: str) -> bool:
    """Return whether the report of a date can be read and was made from this evidence."""
    try:
        return read(store, date).evidence == evidence
    except LakeError:
        return False


def problems(store: Store, date: str) -> list[str]:
    """Return a message if the report of a date is missing, was changed or cannot be read."""
    try:
        read(store, date)
    except LakeError as error:
        return [str(error)]
    return []
