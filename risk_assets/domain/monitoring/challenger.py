"""Whether a challenger is better or worse than the champion, on all dates that both scored and whose outcomes have matured.

The figure is the difference of the AUCs of all rows together. A shadow scores the champion's rows, so what both have in common cancels;
a challenger that decides for some accounts is compared on other ones. The unit of evidence is the account or the customer: it is on many
dates, with much the same outcome. Calibration is shown next to it and decides nothing: a challenger can be recalibrated, and the
performance of each date has limits for it.

Every report is a look at the same growing data. An interval of 95 % at each look would sooner or later exclude a difference of zero,
and a decision at the first look that does is wrong far more often than in 5 % of the challenges. The interval here holds at all looks
together, however many: a challenger that is as good as the champion is ever called better or worse in at most 5 % of the challenges. It
is as wide as an interval of about 99.8 % for one look.

Notes
-----
The interval is the confidence sequence of a normal mixture. Sources: H. Robbins, Statistical methods related to the law of the iterated
logarithm, Annals of Mathematical Statistics 41 (1970); I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy and A. Ramdas, Time-uniform
central limit theory and asymptotic confidence sequences, Annals of Statistics 52 (2024). It is exact for sums of independent increments
and large samples; `tests/domain/monitoring/test_challenger.py` simulates the same accounts on many dates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from scipy.special import ndtr

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import GROUP, OUTCOME
from risk_assets.domain.monitoring.performance_report import Interval, PooledModel, Result, Role, Verdict
from risk_assets.domain.scorecard.arrays import Integers
from risk_assets.domain.training.intervals import TAIL, Estimate, auc, auc_gain
from risk_assets.domain.training.rates import Rows, design_effect, jeffreys

CHAMPION, RIVAL, SNAPSHOT = "champion", "rival", "date"
ERROR = 0.05  # of the challenges without a difference, those that are ever decided
TIGHTEST_BADS = 200  # bad accounts or customers at which the interval is tightest in relation to one look
TIGHTEST_RATIO = 8.2  # of information to that of the mixture: the minimum of `looks`
MAX_TIMES = 1000.0  # more data than this many times those at hand is not a plan
HORIZON_DAYS = 730  # a later decision is not expected
STEPS = 24


@dataclass(frozen=True)
class Pair:
    """The champion and its challenger, or the shadow: their versions and the rows that they scored.

    `rows` has the columns `date`, `group` (the account or customer), `bad` (1 or 0), and the probabilities `champion` and `rival`: both of
    a shadow, one of them if the challenger decides for some accounts. `window` is the performance window in days.
    """

    champion: str
    rival: str
    role: Role
    rows: pl.DataFrame
    window: int


@dataclass(frozen=True)
class _Side:
    """The rows of a model."""

    version: str
    frame: pl.DataFrame
    rows: Rows

    @property
    def has_both_classes(self) -> bool:
        return 0 < int(self.rows.bad.sum()) < len(self.rows.bad)


def verdict(pair: Pair) -> Verdict | None:
    """Return the verdict on a challenger; None if one of the two models has no row with an outcome."""
    champion, rival = _side(pair, pair.champion, CHAMPION), _side(pair, pair.rival, RIVAL)
    if champion is None or rival is None:
        return None
    gain, dates = _gain(pair, champion, rival), [str(date) for date in pair.rows[SNAPSHOT].unique().sort()]
    interval = looked_at_interval(gain) if gain else (-1.0, 1.0)
    result = _result(interval)
    rarer = min(champion, rival, key=lambda side: side.rows.bads)
    return Verdict(
        role=pair.role,
        result=result,
        dates=len(dates),
        first=dates[0],
        last=dates[-1],
        champion=_pooled(champion),
        challenger=_pooled(rival),
        gain=gain.value if gain else None,
        interval=interval,
        decision_on=_decision_on(gain, rarer, dates, pair.window) if gain and result == "undecided" else None,
    )


def looks(bads: int) -> float:
    """Return the standard errors of the interval that holds at all looks, given the bad accounts or customers at this one."""
    ratio = TIGHTEST_RATIO * bads / TIGHTEST_BADS
    return math.sqrt((1 + 1 / ratio) * math.log((1 + ratio) / ERROR**2))


def looked_at_interval(found: Estimate) -> Interval:
    """Return the interval of a difference of two AUCs that holds at all looks together; from -1 to 1 if a class has one group."""
    if found.smaller < 2:
        return -1.0, 1.0
    width = _width(found)
    return max(found.value - width, -1.0), min(found.value + width, 1.0)


def _width(found: Estimate) -> float:
    return found.width(float(ndtr(-looks(found.smaller))))


def _result(interval: Interval) -> Result:
    low, high = interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def _side(pair: Pair, version: str, column: str) -> _Side | None:
    frame = pair.rows.filter(pl.col(column).is_not_null())
    if frame.is_empty():
        return None
    return _Side(version, frame, Rows(frame[OUTCOME].cast(pl.Int64).to_numpy(), frame[column].to_numpy(), _codes(frame[GROUP])))


def _codes(groups: pl.Series) -> Integers:
    return groups.rank("dense").cast(pl.Int64).to_numpy() - 1


def _gain(pair: Pair, champion: _Side, rival: _Side) -> Estimate | None:
    """Return the AUC of the challenger minus that of the champion; None if a model has bad accounts only, or good ones only."""
    if not (champion.has_both_classes and rival.has_both_classes):
        return None
    ours, theirs = champion.rows, rival.rows
    if pair.role == "shadow":
        return auc_gain(ours.bad, theirs.probability, ours.probability, ours.groups)
    before, after = (auc(rows.bad, rows.probability, rows.groups) for rows in (ours, theirs))
    return Estimate(after.value - before.value, before.variance + after.variance, min(before.smaller, after.smaller))


def _pooled(side: _Side) -> PooledModel:
    rows, count = side.rows, len(side.rows.bad)
    observed, expected = int(rows.bad.sum()), float(rows.probability.sum())
    effect = design_effect(rows) if count > 1 else 1.0
    low, high = jeffreys(observed / count, count / effect, TAIL)
    return PooledModel(
        version=side.version,
        rows=count,
        bad_groups=rows.bads,
        expected=expected,
        observed=observed,
        interval=(low * count, high * count),
        roc_auc=auc(rows.bad, rows.probability, rows.groups).value if side.has_both_classes else None,
    )


def _decision_on(gain: Estimate, side: _Side, dates: Sequence[str], window: int) -> str | None:
    """Return the date on which the difference would be decided if it stayed the same, from the rate at which bad accounts accrue.

    None if the rate is not known yet, or the decision is more than `HORIZON_DAYS` away.
    """
    on_first = side.frame.filter(pl.col(SNAPSHOT) == dates[0], pl.col(OUTCOME) == 1)[GROUP].n_unique()
    days, accrued, times = len(date_range(dates[0], dates[-1])) - 1, side.rows.bads - on_first, _times_to_decide(gain)
    if not days or not accrued or times is None:
        return None
    wait = math.ceil((times - 1) * side.rows.bads * days / accrued)
    return shift(dates[-1], wait + window) if wait <= HORIZON_DAYS else None


def _times_to_decide(gain: Estimate) -> float | None:
    """Return how many times the groups at hand would decide a difference; None if too many."""

    def is_decided(times: float) -> bool:
        return abs(gain.value) > _width(gain.times(times))

    if gain.smaller < 2 or not is_decided(MAX_TIMES):
        return None
    low, high = 0.0, math.log(MAX_TIMES)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_decided(math.exp(middle)) else (middle, high)
    return math.exp(high)
