"""How far a date is from the training rows of the version that scored it: of the score and of each feature."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from risk_assets.domain.contract.policy import Monitoring, Points
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile, Range
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.limits import Limits
from risk_assets.domain.monitoring.tally import Bins, Tally
from risk_assets.domain.scorecard.scorecard import Scorecard, Term
from risk_assets.domain.scorecard.scoring import feature_points
from risk_assets.domain.training.stability import psi, trained_shares

SCORE = "the score"
PSI, MISSING, UNSEEN, OUT_OF_RANGE = "PSI", "missing share", "share of unseen levels", "share out of range"
SINGLE = 1.5  # a level of fewer independent training rows was seen once: any other such level is as likely to be unseen


class Statistic(msgspec.Struct, frozen=True):
    """A figure of a date, the same figure in training, and its limit."""

    value: float
    training: float
    limit: float

    @property
    def exceeded(self) -> bool:
        """Whether the figure is beyond its limit."""
        return self.value > self.limit


class Drift(msgspec.Struct, frozen=True, omit_defaults=True):
    """The drift of a feature, or of the score.

    Attributes
    ----------
    name
        The feature; `SCORE` for the score.
    psi, missing
        The population stability index, and the share of rows without a value; None for the score, which always has one.
    unseen
        The share of rows with a level that training did not see; None for numbers.
    out_of_range
        The share of rows outside the usual range of training; None for categories, and if the profile has no range.
    points
        The points by which the feature shifted the mean score: positive points are safer. None if the model does not use it.
    new_levels
        The most frequent levels that training did not see, with their rows; none that is too rare to be shown.
    """

    name: str
    psi: Statistic
    missing: Statistic | None = None
    unseen: Statistic | None = None
    out_of_range: Statistic | None = None
    points: float | None = None
    new_levels: dict[str, int] = {}

    @property
    def statistics(self) -> dict[str, Statistic]:
        """All figures by name."""
        found = {PSI: self.psi, MISSING: self.missing, UNSEEN: self.unseen, OUT_OF_RANGE: self.out_of_range}
        return {name: figure for name, figure in found.items() if figure is not None}

    @property
    def exceeded(self) -> dict[str, Statistic]:
        """The figures beyond their limits."""
        return {name: figure for name, figure in self.statistics.items() if figure.exceeded}


class DriftReport(msgspec.Struct, frozen=True):
    """A date compared with the training rows of the version that scored it.

    Attributes
    ----------
    rows, independent
        The rows that were scored, and how many independent rows they are worth.
    training_rows, training_independent
        The same of the training rows.
    score
        The drift of the version's probabilities.
    features
        The drift of each feature, the largest shift of the score first.
    points
        The points by which all features together shifted the mean score.
    flagged
        Why the number of accounts that are predicted bad changed since the previous scored date; None if it cannot be split.
    notes
        What could not be measured, and why.
    """

    date: str
    version: str
    rows: int
    independent: float
    training_rows: int
    training_independent: float
    score: Drift
    features: tuple[Drift, ...]
    points: float
    flagged: FlaggedChange | None = None
    notes: tuple[str, ...] = ()

    @property
    def exceeded(self) -> tuple[tuple[str, str, Statistic], ...]:
        """The feature, the name and the figure of each statistic beyond its limit, those of the score first."""
        return tuple((each.name, name, figure) for each in (self.score, *self.features) for name, figure in each.exceeded.items())


@dataclass(frozen=True)
class Snapshot:
    """What was counted on a date.

    Attributes
    ----------
    rows, independent
        The rows that were scored, and how many independent rows they are worth.
    score
        The probabilities of the version that is compared.
    features
        The tally of each feature.
    new_levels
        The levels of each category that training did not see and that can be shown.
    """

    date: str
    rows: int
    independent: float
    score: Tally
    features: Mapping[str, Tally]
    new_levels: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Reference:
    """A version: its name, scorecard, profile, and the number of its independent training rows."""

    version: str
    card: Scorecard
    profile: Profile
    independent: float


def measure(
    snapshot: Snapshot,
    reference: Reference,
    policy: Monitoring,
    scale: Points,
    flagged: FlaggedChange | None = None,
    notes: tuple[str, ...] = (),
) -> DriftReport:
    """Return the drift of a date with at least one row that the version scored."""
    profile, statistics = reference.profile, _count_statistics(reference.profile)
    limits = Limits(policy, reference.independent, snapshot.independent, statistics)
    part = snapshot.score.rows / snapshot.rows  # a challenger may have scored the others
    of_score = Limits(policy, reference.independent, snapshot.independent * part, statistics)
    found = _features(snapshot, reference, limits, scale)
    return DriftReport(
        date=snapshot.date,
        version=reference.version,
        rows=snapshot.rows,
        independent=snapshot.independent,
        training_rows=profile.rows,
        training_independent=reference.independent,
        score=Drift(SCORE, _psi(snapshot.score, profile.score, of_score)),
        features=tuple(sorted(found, key=lambda drift: -abs(drift.points or 0.0))),
        points=sum(drift.points or 0.0 for drift in found),
        flagged=flagged,
        notes=(*_unmeasured(profile), *notes),
    )


def _count_statistics(profile: Profile) -> int:
    """Return the number of statistics that are evaluated together: of the score one, of each feature two or three."""
    more = sum(isinstance(bins, LevelBins) or name in profile.ranges for name, bins in profile.features.items())
    return 1 + 2 * len(profile.features) + more


def _features(snapshot: Snapshot, reference: Reference, limits: Limits, scale: Points) -> list[Drift]:
    profile, terms = reference.profile, {term.feature: term for term in reference.card.terms}
    return [
        Drift(
            name=name,
            psi=_psi(tally, profile.features[name], limits),
            missing=_share(tally.missing, tally, profile.features[name].missing, limits, limits.policy.max_missing_increase),
            unseen=_unseen(tally, profile.features[name], limits),
            out_of_range=_out_of_range(tally, profile.ranges.get(name), limits),
            points=_points(tally, terms.get(name), scale),
            new_levels=dict(snapshot.new_levels.get(name, {})),
        )
        for name, tally in snapshot.features.items()
    ]


def _psi(tally: Tally, bins: Bins, limits: Limits) -> Statistic:
    trained, found = trained_shares(bins), tally.shares
    used = int(((trained > 0) | (found > 0)).sum())
    return Statistic(psi(trained * limits.trained, found * limits.found), 0.0, limits.psi(used))


def _share(rows: int, tally: Tally, trained: float, limits: Limits, increase: float) -> Statistic:
    return Statistic(rows / tally.rows, trained, limits.share(trained, increase))


def _unseen(tally: Tally, bins: Bins, limits: Limits) -> Statistic | None:
    """Return the share of rows with an unseen level.

    Without drift it is about the share of training rows whose level was seen once. Source: I. Good, The population frequencies of
    species and the estimation of population parameters, Biometrika 40 (1953).
    """
    if isinstance(bins, NumberBins):
        return None
    once = sum(share for share in bins.shares.values() if share * limits.trained < SINGLE)
    limit = max(limits.policy.max_unseen_share, limits.share(once, 0.0))
    return Statistic(tally.bins[-2] / tally.rows, 0.0, limit)


def _out_of_range(tally: Tally, usual: Range | None, limits: Limits) -> Statistic | None:
    if usual is None or tally.outside is None:
        return None
    return _share(tally.outside, tally, usual.outside, limits, limits.policy.max_out_of_range_increase)


def _points(tally: Tally, term: Term | None, scale: Points) -> float | None:
    if term is None or tally.log_odds is None:
        return None
    return feature_points(tally.log_odds / tally.rows - term.mean, scale)


def _unmeasured(profile: Profile) -> tuple[str, ...]:
    if profile.independent is not None:
        return ()
    return (
        "the version is of an earlier release, whose profile has no ranges of numbers: train a version to measure the share out of range",
    )
