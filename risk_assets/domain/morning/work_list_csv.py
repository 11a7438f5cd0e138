"""The accounts of a work list as a CSV file for a spreadsheet, each with what was done about it last."""

from collections.abc import Sequence

from risk_assets.domain.contract.field_rules import SEPARATOR, plain
from risk_assets.domain.morning.dispositions import Disposition, Dispositions
from risk_assets.domain.morning.facts import FeatureChange, WorkItem
from risk_assets.domain.spreadsheet import Cell, csv_file

COLUMNS = (
    "rank",
    "account_id",
    "exposure",
    "probability",
    "points",
    "band",
    "flagged",
    "new",
    "last_snapshot",
    "points_before",
    "points_change",
    "band_before",
    "days_listed",
    "changes",
    "reasons",
)
DONE = ("done", "promised_on", "note", "done_by", "done_at")


def work_list_csv(items: Sequence[WorkItem], dispositions: Dispositions) -> bytes:
    """Return the accounts in their order; `dispositions` can be of other accounts too."""
    return csv_file((*COLUMNS, *DONE), ((*_account(item), *_done(dispositions.get(item.account, ()))) for item in items))


def _account(item: WorkItem) -> tuple[Cell, ...]:
    return (
        item.rank,
        item.account,
        item.exposure,
        item.probability,
        item.points,
        item.band,
        "yes" if item.flagged else "no",
        SEPARATOR.join(item.categories),
        item.last_snapshot,
        item.points_before,
        item.points_change,
        item.band_before,
        item.days_listed,
        SEPARATOR.join(map(_change, item.changes)),
        SEPARATOR.join(item.reasons),
    )


def _change(change: FeatureChange) -> str:
    return f"{change.label} {_shown(change.now)}, was {_shown(change.before)}: {change.points:+d} points"


def _shown(value: float | str | None) -> str:
    if value is None:
        return "missing"
    return value if isinstance(value, str) else plain(value)


def _done(entries: Sequence[Disposition]) -> tuple[Cell, ...]:
    if not entries:
        return (None,) * len(DONE)
    last = entries[-1]
    return (last.kind, last.promised_on, last.note, last.by, last.recorded_at)
