"""Whether a figure is within its limits, beyond them, or not known well enough.

A figure is within its limits if its interval is, with `LEVEL` on each side, or `REPEATED_LEVEL` for a comparison that is repeated
at each training. It is beyond them if the whole interval is, with `LEVEL` shared among all criteria that are evaluated together. A
version that violates a limit therefore passes with a probability of at most `LEVEL`, however many criteria there are: it must pass
all of them. And a version that violates none fails any of them with a probability of at most `LEVEL`. Sources: R. Berger,
Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (1982), for the first; C. Bonferroni's inequality for
the second.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from risk_assets.domain.governance.artifacts import FAILED, PASSED, UNDECIDED, Gate, Status

LEVEL = 0.05
REPEATED_LEVEL = 0.001  # for a comparison that is repeated at each training: about `LEVEL` in a year of weekly ones
MAX_TIMES = 1000.0  # more data than this many times those at hand is not a plan
STEPS = 24  # of the bisection: the factor is then exact to a millionth of its logarithm
_WORST_FIRST: tuple[Status, ...] = (FAILED, UNDECIDED, PASSED)
Interval = tuple[float, float]


@dataclass(frozen=True)
class Criterion:
    """A figure and its limits.

    Attributes
    ----------
    subject
        What is measured, with its figures, for people.
    low, high
        The limits, inclusive.
    interval
        Returns the interval of the figure for a tail on each side, as so many times the groups would give it.
    bads
        The number of bad groups on which the figure rests.
    level
        The probability with which a version at a limit passes.
    """

    subject: str
    value: float
    low: float
    high: float
    interval: Callable[[float, float], Interval]
    bads: int = 0
    level: float = LEVEL

    def status(self, together: int, times: float = 1.0) -> Status:
        """Return whether the figure is within its limits; `together` is the number of criteria that are evaluated together."""
        low, high = self.interval(self.level, times)
        if self.low <= low and high <= self.high:
            return PASSED
        low, high = self.interval(LEVEL / together, times)
        return FAILED if high < self.low or self.high < low else UNDECIDED

    def more_bads(self, together: int) -> int | None:
        """Return how many more bad groups would decide if the figure stayed the same; None if too many, or if it is at a limit."""
        if not self.bads or self.status(together, MAX_TIMES) == UNDECIDED:
            return None
        low, high = 0.0, math.log(MAX_TIMES)
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.status(together, math.exp(middle)) == UNDECIDED else (low, middle)
        return math.ceil(self.bads * (math.exp(high) - 1))

    @property
    def excess(self) -> float:
        """How far the interval goes beyond the limits; negative if it is within them."""
        low, high = self.interval(self.level, 1.0)
        return max(self.low - low, high - self.high)


def gate(name: str, criteria: Sequence[Criterion], together: int, note: str) -> Gate:
    """Return the gate of one or more criteria: failed if one is, else undecided if one is. Its figures are those of the worst one.

    `note` follows the evidence, such as where the figures are measured.
    """
    found = [(_WORST_FIRST.index(criterion.status(together)), -criterion.excess, at) for at, criterion in enumerate(criteria)]
    rank, _, at = min(found)
    status, worst = _WORST_FIRST[rank], criteria[at]
    undecided = [criterion for (rank, _, _), criterion in zip(found, criteria, strict=True) if _WORST_FIRST[rank] == UNDECIDED]
    needed = [criterion.more_bads(together) for criterion in undecided]
    interval = worst.interval(worst.level, 1.0)
    return Gate(
        name=name,
        status=status,
        value=worst.value,
        limit=_limit(worst, interval),
        interval=interval,
        evidence=f"{worst.subject}, {100 - 200 * worst.level:g} % interval {interval[0]:.4f} to {interval[1]:.4f}, {_limits(worst)}{note}",
        more_bads=None if status != UNDECIDED or None in needed else max(n for n in needed if n is not None),
    )


def impossible(name: str, why: str, more_bads: int | None = None) -> Gate:
    """Return an undecided gate that has no figure."""
    return Gate(name, UNDECIDED, evidence=why, more_bads=more_bads)


def _limit(criterion: Criterion, interval: Interval) -> float:
    """Return the limit that the interval comes closest to, or exceeds most."""
    return float(criterion.high if _is_high(criterion, interval) else criterion.low)


def _is_high(criterion: Criterion, interval: Interval) -> bool:
    if math.isinf(criterion.low):
        return True
    return not math.isinf(criterion.high) and interval[1] - criterion.high >= criterion.low - interval[0]


def _limits(criterion: Criterion) -> str:
    if math.isinf(criterion.low):
        return f"at most {criterion.high:.4g}"
    return f"at least {criterion.low:.4g}" if math.isinf(criterion.high) else f"allowed {criterion.low:.4g} to {criterion.high:.4g}"
