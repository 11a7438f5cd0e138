"""Drift reports: one JSON file for each date, with its seal, and what the report was made from."""

from importlib.metadata import version

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, layout, registry, sealed_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.manifests import Provenance, find_readable, require_manifest
from risk_assets.lake.online_files import count_files, is_over
from risk_assets.lake.store import Store

PREDICTIONS = "curated/predictions"
LOGGED_DATES = 2  # newest scored dates whose prediction log is still compared with what their report has seen


class StoredDrift(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `monitoring/drift_{date}.json`: the report, its origin, and its seal."""

    report: DriftReport
    made_at: str
    code_version: str
    made_from: Provenance
    seal: str | None = None


def write(store: Store, report: DriftReport, made_from: Provenance) -> None:
    """Write the report of a date; replaces an earlier one."""
    stored = StoredDrift(report=report, made_at=utc_now(), code_version=version("risk-lakehouse"), made_from=made_from)
    sealed_files.write(store, layout.drift(report.date), stored)


def read(store: Store, date: str) -> StoredDrift:
    """Return the report of a date; raises `LakeError` if there is none, or it was changed or is another release's."""
    return sealed_files.read(store, layout.drift(date), StoredDrift, f"Compute it: risk monitor {date}.")


def require_scored(store: Store, date: str) -> None:
    """Verify that a date was scored.

    Raises
    ------
    ModelError
        If it was not, and no version is live.
    LakeError
        If it was not, or its predictions are damaged.
    """
    path = layout.predictions(date)
    if store.size(layout.manifest(path)) is None:
        registry.bound(store, binding_log.live(store))
    require_manifest(store, path)


def is_current(store: Store, date: str, policy: str) -> bool:
    """Return whether the report of a date can be read, and is of its predictions and of the policy with this digest.

    The report of one of the newest two scored dates must also be of all files that the prediction log has of the date, once it is over in
    UTC. Before, each write of the service would make it outdated.
    """
    return _is_current(store, date, policy, date in committed_dates(store, PREDICTIONS)[-LOGGED_DATES:])


def dates_to_monitor(store: Store, policy: str, most: int) -> tuple[str, ...]:
    """Return those of the newest `most` scored dates that have no current report, oldest first."""
    dates = committed_dates(store, PREDICTIONS)[-most:]
    return tuple(date for date in dates if not _is_current(store, date, policy, date in dates[-LOGGED_DATES:]))


def logged_files(store: Store, date: str) -> int | None:
    """Return the number of files that the prediction log has of a date, None as long as it is not over in UTC."""
    return count_files(store, date) if is_over(date) else None


def _is_current(store: Store, date: str, policy: str, is_newest: bool) -> bool:
    try:
        stored = read(store, date)
    except LakeError:
        return False
    path = layout.predictions(date)
    predictions, made_from = find_readable(store, path), stored.made_from
    if predictions is None or made_from.inputs.get(path) != predictions.identity or made_from.policy != policy:
        return False
    return not is_newest or logged_files(store, date) in (None, stored.report.online.files if stored.report.online else 0)


def problems(store: Store, date: str) -> list[str]:
    """Return a message if the report of a date is missing, was changed or cannot be read."""
    try:
        read(store, date)
    except LakeError as error:
        return [str(error)]
    return []
