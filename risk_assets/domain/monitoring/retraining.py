"""Whether a model is due for retraining: drift, or performance, exceeded a limit on several of the newest dates.

Drift that a retraining cannot correct is not a reason. A column that is blank, has another unit, or has renamed levels shows as missing
values, numbers out of range or unseen levels. A model that is trained on such rows learns the fault, and one that is trained on earlier
rows has the same fault tomorrow: the source has to be corrected. So a feature beyond one of these three limits is at fault, and none of
its figures counts. The shift of the mean score counts without the points of the features at fault, because the points of an additive
model add up; its PSI counts only if no feature is at fault. Nor does performance count on a date on which a feature at fault shifted
the mean score beyond its limit. The drift report and its check show faults, and if such a change is permanent, a person starts the
training with a reason.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from risk_assets.domain.contract.policy import Checks, Retraining
from risk_assets.domain.monitoring.performance_report import ALL, RANKING, ModelPerformance
from risk_assets.domain.monitoring.report import MISSING, OUT_OF_RANGE, POINTS, PSI, SCORE, UNSEEN, Drift, DriftReport, Statistic
from risk_assets.domain.wording import counted

Kind: TypeAlias = Literal["drift", "performance"]
FAULTS = (MISSING, UNSEEN, OUT_OF_RANGE)
NAMED = 3  # figures in the text of a reason
DATES: dict[Kind, str] = {"drift": "scored date", "performance": "matured date"}


class Exceeded(msgspec.Struct, frozen=True):
    """A figure beyond a limit; `limit` is the limit that it is beyond."""

    name: str
    value: float
    limit: float

    @property
    def text(self) -> str:
        """The figure in words."""
        return f"{self.name} {self.value:.3f} (limit {self.limit:.3f})"


class RetrainingReason(msgspec.Struct, frozen=True):
    """Why a model is due for retraining.

    Attributes
    ----------
    version
        The live version.
    dates
        The dates on which a limit was exceeded, oldest first.
    of_dates
        The number of newest dates that were looked at.
    figures
        The figures beyond their limits on the newest date.
    """

    kind: Kind
    version: str
    dates: tuple[str, ...]
    of_dates: int
    figures: tuple[Exceeded, ...]

    @property
    def text(self) -> str:
        """The reason in one sentence."""
        found = "; ".join(figure.text for figure in self.figures[:NAMED])
        more = f"; and {len(self.figures) - NAMED} more" if len(self.figures) > NAMED else ""
        of = counted(self.of_dates, f"newest {DATES[self.kind]}")
        return f"{self.kind} of {self.version} beyond a limit on {len(self.dates)} of {of}, on {self.dates[-1]}: {found}{more}"


def due(kind: Kind, version: str, found: Sequence[tuple[str, tuple[Exceeded, ...]]], rule: Retraining) -> RetrainingReason | None:
    """Return the reason to train again, or None if enough dates are within their limits.

    Parameters
    ----------
    found
        The newest dates, oldest first, each with the figures beyond a limit; at most `rule.of_dates` count.
    """
    newest = found[-rule.of_dates :]
    exceeded = [date for date, figures in newest if figures]
    if len(exceeded) < rule.exceeded or not newest[-1][1]:
        return None
    return RetrainingReason(kind, version, tuple(exceeded), len(newest), newest[-1][1])


def drift_exceeded(report: DriftReport) -> tuple[Exceeded, ...]:
    """Return the drift beyond a limit that a retraining can correct, that of the score first."""
    faulty = _faulty(report)
    sound = [each for each in report.features if each not in faulty]
    score = _without(report.score, faulty) if faulty else report.score
    return tuple(
        Exceeded(_name(each, name), figure.value, figure.limit)
        for each in (score, *sound)
        if each
        for name, figure in each.exceeded.items()
    )


def performance_exceeded(model: ModelPerformance, checks: Checks) -> tuple[Exceeded, ...]:
    """Return the calibration and the ranking of a model that are beyond a limit; nothing if its bad rate is not within the checks' limits.

    Such outcomes are wrong rather than the model: they have to be corrected.
    """
    whole = model.overall
    if whole is not None and not checks.min_bad_rate <= whole.observed / whole.rows <= checks.max_bad_rate:
        return ()
    parts = [part for part in (model.overall, *model.bands.shown) if part is not None and part.exceeded]
    found = [
        Exceeded(f"observed / expected bads of {_part(part.name)}", part.ratio, high if part.ratio > high else low)
        for part in parts
        if (low := part.lowest) is not None and (high := part.highest) is not None
    ]
    ranking = model.ranking
    if ranking is not None and ranking.lowest is not None and ranking.exceeded:
        found.append(Exceeded(RANKING, ranking.roc_auc, ranking.lowest))
    return tuple(found)


def is_misled(report: DriftReport) -> bool:
    """Return whether a feature at fault shifted the mean score of a date beyond its limit."""
    return any(POINTS in each.exceeded for each in _faulty(report))


def _faulty(report: DriftReport) -> list[Drift]:
    """Return the features at fault."""
    return [each for each in report.features if any(name in each.exceeded for name in FAULTS)]


def _without(score: Drift, faulty: Sequence[Drift]) -> Drift:
    """Return the drift of the score without the features at fault, whose PSI is not known."""
    points = None if score.points is None else score.points - sum(each.points or 0.0 for each in faulty)
    return Drift(score.name, Statistic(0.0, 0.0, score.psi.limit), points=points, max_points=score.max_points)


def _name(drift: Drift, name: str) -> str:
    if name == POINTS:
        return "points by which " + ("the mean score shifted" if drift.name == SCORE else f"{drift.name} shifted the mean score")
    assert name == PSI
    return f"{name} of {drift.name}"


def _part(name: str) -> str:
    return name if name == ALL else f"band {name}"
