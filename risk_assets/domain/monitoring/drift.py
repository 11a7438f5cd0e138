"""Measures how far a date is from the training rows of the version that scored it: of the score and of each feature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from risk_assets.domain.contract.policy import Monitoring, Points
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile, Range
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE
from risk_assets.domain.monitoring.counts import Tallies, Tally
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.limits import Limits
from risk_assets.domain.monitoring.report import SCORE, Drift, DriftReport, OnlineShift, Parity, Statistic
from risk_assets.domain.monitoring.tally import Bins, tally_rows, unseen_levels
from risk_assets.domain.scorecard.scorecard import Scorecard, Term
from risk_assets.domain.scorecard.scoring import feature_points
from risk_assets.domain.training.stability import psi, trained_shares

SINGLE = 1.5  # a level with fewer independent training rows was seen once
SHOWN_LEVELS = 3


@dataclass(frozen=True)
class Reference:
    """A version: its name, scorecard, profile, and the number of its independent training rows."""

    version: str
    card: Scorecard
    profile: Profile
    independent: float


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
    new_levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def count(date: str, features: pl.LazyFrame, probability: pl.LazyFrame, reference: Reference, independent: float | None = None) -> Snapshot:
    """Return what is counted of a date, or of any other rows that a version scored, such as those of an online log.

    Parameters
    ----------
    features
        The features of the rows that were scored.
    probability
        The column `probability` of the rows that the version scored.
    independent
        How many independent rows they are worth; None if each row is independent.
    """
    tallies = tally_rows(features, probability, reference.version, reference.profile, reference.card)
    return snapshot_of(date, tallies, reference.profile, lambda: features, independent)


def snapshot_of(
    date: str, tallies: Tallies, profile: Profile, features: Callable[[], pl.LazyFrame], independent: float | None = None
) -> Snapshot:
    """Return what `count` returns, from tallies in the bins of a profile.

    Parameters
    ----------
    features
        Returns the features of the rows that were scored. It is called only if there are unseen levels that can be shown.
    independent
        As of `count`.
    """
    return Snapshot(
        date=date,
        rows=tallies.rows,
        independent=float(tallies.rows) if independent is None else independent,
        score=tallies.score,
        features=tallies.features,
        new_levels={name: _new_levels(features, name, tally, profile.features[name]) for name, tally in tallies.features.items()},
    )


def measure(
    snapshot: Snapshot,
    reference: Reference,
    policy: Monitoring,
    scale: Points,
    flagged: FlaggedChange | None = None,
    notes: tuple[str, ...] = (),
    online: OnlineShift | None = None,
) -> DriftReport:
    """Return the drift of a date with at least one row that the version scored."""
    score, features = _drifts(snapshot, reference, policy, scale)
    profile = reference.profile
    return DriftReport(
        date=snapshot.date,
        version=reference.version,
        rows=snapshot.rows,
        independent=snapshot.independent,
        training_rows=profile.rows,
        training_independent=reference.independent,
        score=score,
        features=features,
        flagged=flagged,
        notes=(*_unmeasured(profile), *notes),
        online=online,
    )


def measure_online(
    snapshot: Snapshot | None,
    reference: Reference,
    policy: Monitoring,
    scale: Points,
    files: int,
    parity: Parity,
    notes: tuple[str, ...] = (),
) -> OnlineShift:
    """Return the drift of requests to the service; without figures if the version scored none of them.

    No level is shown: several requests can be of one customer, so a level in many rows can be the value of one.
    """
    if snapshot is None or not snapshot.score.rows:
        return OnlineShift(files, parity, notes=notes)
    score, features = _drifts(replace(snapshot, new_levels={}), reference, policy, scale)
    return OnlineShift(files, parity, snapshot.rows, snapshot.independent, score, features, notes)


def _drifts(snapshot: Snapshot, reference: Reference, policy: Monitoring, scale: Points) -> tuple[Drift, tuple[Drift, ...]]:
    """Return the drift of the score, and of each feature, the largest shift of the score first."""
    profile, statistics = reference.profile, _count_statistics(reference.profile)
    limits = Limits(policy, reference.independent, snapshot.independent, statistics)
    part = snapshot.score.rows / snapshot.rows  # a challenger may have scored the others
    of_score = Limits(policy, reference.independent, snapshot.independent * part, statistics)
    found = _features(snapshot, reference, limits, scale)
    score = Drift(
        SCORE,
        psi=_psi(snapshot.score, profile.score, of_score),
        points=sum(drift.points or 0.0 for drift in found),
        max_points=_max_points(profile.spreads.score if profile.spreads else None, limits, scale),
    )
    return score, tuple(sorted(found, key=lambda drift: -abs(drift.points or 0.0)))


def _new_levels(features: Callable[[], pl.LazyFrame], name: str, tally: Tally, bins: Bins) -> Mapping[str, int]:
    if isinstance(bins, NumberBins) or tally.unseen < MIN_CELL_SIZE:
        return {}
    return unseen_levels(features(), name, bins, MIN_CELL_SIZE, SHOWN_LEVELS)


def _count_statistics(profile: Profile) -> int:
    """Return the number of statistics that are evaluated together: of the score two, of each feature up to four."""
    more = sum(isinstance(bins, LevelBins) or name in profile.ranges for name, bins in profile.features.items())
    shifts = 1 + len(profile.spreads.features) if profile.spreads else 0
    return 1 + 2 * len(profile.features) + more + shifts


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
            max_points=_max_points(profile.spreads.features.get(name) if profile.spreads else None, limits, scale),
            new_levels=dict(snapshot.new_levels.get(name, {})),
        )
        for name, tally in snapshot.features.items()
    ]


def _psi(tally: Tally, bins: Bins, limits: Limits) -> Statistic:
    trained, found = trained_shares(bins), tally.shares
    used = (trained > 0) | (found > 0)
    return Statistic(psi(trained[used] * limits.trained, found[used] * limits.found), 0.0, limits.psi(int(used.sum())))


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
    return Statistic(tally.unseen / tally.rows, 0.0, limit)


def _out_of_range(tally: Tally, usual: Range | None, limits: Limits) -> Statistic | None:
    if usual is None or tally.outside is None:
        return None
    return _share(tally.outside, tally, usual.outside, limits, limits.policy.max_out_of_range_increase)


def _points(tally: Tally, term: Term | None, scale: Points) -> float | None:
    if term is None or tally.log_odds is None:
        return None
    return feature_points(tally.log_odds / tally.rows - term.mean, scale)


def _max_points(spread: float | None, limits: Limits, scale: Points) -> float | None:
    return None if spread is None else limits.points(abs(feature_points(spread, scale)))


def _unmeasured(profile: Profile) -> tuple[str, ...]:
    if profile.spreads is not None:
        return ()
    return ("the version is of an earlier release, whose profile has no ranges and spreads: shares out of range and points have no limit",)
