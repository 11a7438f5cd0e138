"""The points of one account, feature by feature, by the rules that score it; without a table library."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from risk_assets.domain.contract.column_names import reason_text
from risk_assets.domain.contract.field_rules import MISSING_ISSUE, SEPARATOR
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import EXCLUDED, ISSUES
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.morning.account_facts import BandArea, Contributions, FeatureDifference, FeaturePoints
from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.reasons import reference
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.scoring import base_points, feature_points, points

Value = float | str | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class ScoredRow:
    """The score of an account, and what each feature contributes to it."""

    probability: float
    flagged: bool
    points: int
    band: str
    reasons: tuple[str, ...]
    contributions: Contributions


def deciding(arms: Arms, group: Value) -> VersionedScorecard:
    """Return the model that decides for the accounts of a group."""
    (challenged,) = arms.challenged([group if isinstance(group, str) else None])
    return arms.challenger if challenged and arms.challenger else arms.champion


def issues_of(row: Row, arms: Arms) -> tuple[str, ...]:
    """Return why a row of features cannot be scored: its issues, and each feature that a model requires and that is missing."""
    if row[EXCLUDED] is not None:
        return ()
    found = tuple(str(row[ISSUES]).split(SEPARATOR)) if row[ISSUES] is not None else ()
    missing = (name for name in arms.required if row[name] is None and not any(issue.startswith(f"{name}: ") for issue in found))
    return (*found, *(f"{name}: {MISSING_ISSUE}" for name in missing))


def score_row(card: Scorecard, policy: Policy, row: Row) -> ScoredRow:
    """Return the score of a row of features that can be scored."""
    values = [row[term.feature] for term in card.terms]
    probability, flagged, shown, band, reasons = single_row.scorer(card, policy)(values)
    return ScoredRow(probability, flagged, shown, list(policy.bands)[band], reasons, _contributions(card, policy, row, flagged))


def _contributions(card: Scorecard, policy: Policy, row: Row, flagged: bool) -> Contributions:
    gained, base = _points(card, policy, row), base_points(card, policy.points)
    reasons = _reasons(card, policy, row) if flagged else {}
    found = [
        FeaturePoints(term.feature, reason_text(term.feature), row[term.feature], part, reasons.get(at))
        for at, (term, part) in enumerate(zip(card.terms, gained, strict=True))
    ]
    return Contributions(base, base + math.fsum(gained), tuple(found))


def _reasons(card: Scorecard, policy: Policy, row: Row) -> dict[int, int]:
    """Return the number of each reason by the position of its term."""
    parts = single_row.contributions(card)([row[term.feature] for term in card.terms])
    positions = single_row.reason_positions(parts, [reference(term, policy) for term in card.terms], policy.reasons)
    return {at: rank for rank, at in enumerate(positions, start=1)}


def differences(card: Scorecard, policy: Policy, now: Row, before: Row, *, comparable: bool) -> tuple[FeatureDifference, ...]:
    """Return the features of a card on two dates, those that change the points most first; ties in the card's order.

    Parameters
    ----------
    before
        The other snapshot; it may lack features, which are left out.
    comparable
        Whether both rows can be scored, so that changes have points.
    """
    names = [term.feature for term in card.terms if term.feature in before]
    gained: Mapping[str, float | None] = dict.fromkeys(names)
    if comparable and len(names) == len(card.terms):
        pairs = zip(names, _points(card, policy, now), _points(card, policy, before), strict=True)
        gained = {name: current - earlier for name, current, earlier in pairs}
    found = [FeatureDifference(name, reason_text(name), before[name], now[name], gained[name]) for name in names]
    return tuple(sorted(found, key=lambda each: (-abs(each.points or 0.0), not each.is_change)))


def band_of(policy: Policy, probability: float, shown: int) -> str:
    """Return the band of a probability and its points."""
    cuts = policy.cuts
    return list(policy.bands)[bisect_right(cuts.bounds, -shown if cuts.by_points else probability)]


def band_areas(policy: Policy) -> tuple[BandArea, ...]:
    """Return the bands of a policy in points, from the safest to the riskiest."""
    cuts = policy.cuts
    edges = [-bound for bound in cuts.bounds] if cuts.by_points else [_points_of(bound, policy) for bound in cuts.bounds]
    lows, highs = [*edges, None], [None, *edges]
    return tuple(BandArea(name, low, high) for name, low, high in zip(policy.bands, lows, highs, strict=True))


def _points(card: Scorecard, policy: Policy, row: Row) -> list[float]:
    """Return the points of each feature, compared with its mean in training."""
    parts = single_row.contributions(card)([row[term.feature] for term in card.terms])
    return [feature_points(part - term.mean, policy.points) for part, term in zip(parts, card.terms, strict=True)]


def _points_of(probability: float, policy: Policy) -> float:
    with np.errstate(divide="ignore"):
        log_odds = np.log(np.array([probability])) - np.log1p(-np.array([probability]))
    return float(points(log_odds, policy.points)[0])
