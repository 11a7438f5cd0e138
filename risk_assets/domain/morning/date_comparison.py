"""Two morning reports next to each other: what one has and the other has not, and what differs."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.facts import ColumnIssues, Day, Figure, FigureName, MorningReport, MovedFeature, Verdict, WorkItem

T = TypeVar("T")


class ComparedDate(msgspec.Struct, frozen=True):
    """One of the two dates.

    Attributes
    ----------
    shown_date
        The date whose figures and list its report shows; None if no date was scored.
    version, policy
        The version and the hash of the policy that scored it; None if they are not known.
    listed, flagged
        The accounts on the review list, and all flagged accounts.
    """

    date: str
    verdict: Verdict
    shown_date: str | None
    version: str | None
    policy: str | None
    exposure: str | None
    listed: int
    flagged: int


class FigurePair(msgspec.Struct, frozen=True):
    """A key figure of both dates; None where it is not known."""

    name: FigureName
    now: float | None
    other: float | None

    @property
    def difference(self) -> float | None:
        """The figure minus that of the other date."""
        return None if self.now is None or self.other is None else self.now - self.other


class BandPair(msgspec.Struct, frozen=True):
    """The accounts in a band on both dates; None if the date has no such band, or its bands are not known."""

    name: str
    now: int | None
    other: int | None


class ListedPair(msgspec.Struct, frozen=True):
    """An account that is on at least one of the two review lists, and its key."""

    key: str
    now: WorkItem | None
    other: WorkItem | None

    @property
    def account(self) -> str:
        """The id of the account."""
        found = self.now or self.other
        assert found is not None
        return found.account

    @property
    def points_change(self) -> int | None:
        """The points minus those of the other date, each as stored by the model of its date; None if one is not known."""
        return None if self.now is None or self.other is None else self.now.points - self.other.points


class MovedPair(msgspec.Struct, frozen=True):
    """A feature compared with training on both dates; None where its report does not have it."""

    label: str
    now: MovedFeature | None
    other: MovedFeature | None


class IssuesPair(msgspec.Struct, frozen=True):
    """The rows with an issue of a column on both dates; None if the rows of a date were not checked."""

    column: str
    now: int | None
    other: int | None


class DateComparison(msgspec.Struct, frozen=True):
    """Two morning reports next to each other.

    Attributes
    ----------
    only_now, only_other
        The accounts on the review list of one date only, riskiest first.
    both
        The accounts on both lists, those that lost most points first.
    bands
        From the safest to the riskiest.
    moved, issues
        Those with the largest numbers on either date first.
    unchecked
        The dates whose rows were not checked, so that their issues are not known.
    """

    now: ComparedDate
    other: ComparedDate
    figures: tuple[FigurePair, ...]
    only_now: tuple[ListedPair, ...]
    only_other: tuple[ListedPair, ...]
    both: tuple[ListedPair, ...]
    bands: tuple[BandPair, ...]
    moved: tuple[MovedPair, ...]
    issues: tuple[IssuesPair, ...]
    unchecked: tuple[str, ...]

    @property
    def same_model(self) -> bool | None:
        """Whether one version scored both dates; None if it is not known."""
        return _same(self.now.version, self.other.version)

    @property
    def same_policy(self) -> bool | None:
        """Whether one policy scored both dates; None if it is not known."""
        return _same(self.now.policy, self.other.policy)


def compare_dates(now: MorningReport, other: MorningReport) -> DateComparison:
    """Return two reports next to each other, in either order of time."""
    pairs = _listed(now.work_list.items, other.work_list.items)
    both = [pair for pair in pairs if pair.now and pair.other]
    return DateComparison(
        now=_date(now),
        other=_date(other),
        figures=_figures(now, other),
        only_now=tuple(pair for pair in pairs if pair.other is None),
        only_other=tuple(pair for pair in pairs if pair.now is None),
        both=tuple(sorted(both, key=lambda pair: pair.points_change or 0)),
        bands=_bands(_shown_day(now), _shown_day(other)),
        moved=_moved(now.data.moved, other.data.moved),
        issues=_issues(now, other),
        unchecked=tuple(dict.fromkeys(report.date for report in (now, other) if report.data.with_issues is None)),
    )


def _same(now: str | None, other: str | None) -> bool | None:
    return None if now is None or other is None else now == other


def _shown_day(report: MorningReport) -> Day | None:
    return next((day for day in report.series if day.date == report.shown_date), None)


def _date(report: MorningReport) -> ComparedDate:
    day = _shown_day(report)
    return ComparedDate(
        report.date,
        report.verdict,
        report.shown_date,
        day.version if day else None,
        day.policy if day else None,
        report.figures.exposure if report.figures else None,
        len(report.work_list.items),
        report.work_list.flagged,
    )


def _names(*groups: Iterable[T]) -> list[T]:
    """Return the distinct names in groups, in the order of the first group, then of the next one."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _figures(now: MorningReport, other: MorningReport) -> tuple[FigurePair, ...]:
    ours, theirs = (_by_name(report) for report in (now, other))
    values = [(name, ours.get(name), theirs.get(name)) for name in _names(ours, theirs)]
    pairs = [FigurePair(name, left.value if left else None, right.value if right else None) for name, left, right in values]
    return tuple(pair for pair in pairs if pair.now is not None or pair.other is not None)


def _by_name(report: MorningReport) -> dict[FigureName, Figure]:
    return {figure.name: figure for figure in report.figures.shown} if report.figures else {}


def _listed(now: Sequence[WorkItem], other: Sequence[WorkItem]) -> list[ListedPair]:
    """Return the accounts of two review lists, in the order of the first one, then of the other one."""
    ours, theirs = ({item.account: item for item in items} for items in (now, other))
    return [ListedPair(key_text(account_key(name)), ours.get(name), theirs.get(name)) for name in _names(ours, theirs)]


def _bands(now: Day | None, other: Day | None) -> tuple[BandPair, ...]:
    ours, theirs = ((day.bands if day else None) or {} for day in (now, other))
    return tuple(BandPair(name, ours.get(name), theirs.get(name)) for name in _names(ours, theirs))


def _moved(now: Sequence[MovedFeature], other: Sequence[MovedFeature]) -> tuple[MovedPair, ...]:
    ours, theirs = ({each.feature: each for each in features} for features in (now, other))
    labels = {each.feature: each.label for each in (*other, *now)}
    pairs = [MovedPair(labels[name], ours.get(name), theirs.get(name)) for name in _names(ours, theirs)]
    return tuple(sorted(pairs, key=lambda pair: -max(_size(pair.now), _size(pair.other))))


def _size(moved: MovedFeature | None) -> float:
    return abs(moved.points or 0.0) if moved else 0.0


def _issues(now: MorningReport, other: MorningReport) -> tuple[IssuesPair, ...]:
    ours, theirs = (_rows(report.data.issues) for report in (now, other))
    left, right = (None if report.data.with_issues is None else 0 for report in (now, other))
    pairs = [IssuesPair(name, ours.get(name, left), theirs.get(name, right)) for name in _names(ours, theirs)]
    return tuple(sorted(pairs, key=lambda pair: -max(pair.now or 0, pair.other or 0)))


def _rows(issues: Sequence[ColumnIssues]) -> dict[str, int]:
    return {each.column: each.rows for each in issues}
