"""The alerts of a date, from the reports and the runs of the lake."""

from collections.abc import Iterator, Sequence

from risk_assets.domain.monitoring.performance_report import RANKING
from risk_assets.domain.monitoring.report import SCORE
from risk_assets.errors import LakeError
from risk_assets.lake import drift_files, performance_files
from risk_assets.lake.store import Store
from risk_assets.rehearsal.records import OPENED, REPEATED, RESOLVED


def statuses(before: Sequence[str], causes: Sequence[str]) -> dict[str, str]:
    """Return the status of each cause, given the causes that were open before."""
    now = {cause: REPEATED if cause in before else OPENED for cause in dict.fromkeys(causes)}
    return now | {cause: RESOLVED for cause in before if cause not in now}


def drift_causes(store: Store, date: str) -> Iterator[str]:
    """Yield the causes of the drift report of a date."""
    try:
        report = drift_files.read(store, date).report
    except LakeError:
        return
    for name in dict.fromkeys(name for name, _, _ in report.exceeded):
        yield f"drift:{'score' if name == SCORE else name}"


def performance_causes(store: Store, date: str) -> Iterator[str]:
    """Yield the causes of the performance report of a date."""
    try:
        report = performance_files.read(store, date).report
    except LakeError:
        return
    for model in report.models:
        kinds = {"ranking" if name == RANKING else "calibration" for name in model.exceeded}
        yield from (f"performance:{model.role}:{kind}" for kind in sorted(kinds))


def check_cause(warning: str) -> str:
    """Return the cause of a check that warned."""
    check, asset = warning.split(":", maxsplit=1)[0].split(" of ")
    return f"check:{asset}.{check}"
