"""Maps numbers to the coordinates of a plot, and chooses the numbers at its axis."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps the numbers from `low` to `high` to the coordinates from `start` to `end`; numbers beyond are at the ends."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the coordinate of a number; the middle if `low` and `high` are equal."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


@dataclass(frozen=True)
class RootScale:
    """Maps shares from 0 to `high` by their square roots, which separates small shares from each other."""

    high: float
    start: float
    end: float

    def at(self, share: float) -> float:
        """Return the coordinate of a share."""
        return Scale(0.0, math.sqrt(self.high), self.start, self.end).at(math.sqrt(max(share, 0.0)))


def ticks(low: float, high: float, most: int = 5, smallest: float = 0.0) -> list[float]:
    """Return at most `most` + 1 round numbers that cover `low` to `high`.

    They are multiples of 1, 2 or 5 times a power of ten, and of `smallest` if the numbers are multiples of it.
    """
    if high <= low:
        return [low]
    step = max(_round_step((high - low) / max(most - 1, 1)), smallest)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 10) for at in range(first, last + 1)]


def _round_step(rough: float) -> float:
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
