"""Random draws and arithmetic that every platform reproduces to the last bit.

Only PCG64 uniforms, addition, multiplication, division and square roots are used. IEEE 754 defines these exactly, unlike
logarithms or sines, which depend on the platform. Every draw has a stream of its own, named by the seed, a text and a number
such as a day, so a draw does not depend on the draws made before it. Changing the name of a stream changes the draws.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
KEPT_NUMBER = 512  # draws are cached in multiples of it, so that a few new accounts do not draw all of them again


@dataclass(frozen=True)
class Streams:
    """The random streams of a seed."""

    seed: int

    def uniforms(self, stream: str, period: int, *shape: int) -> Floats:
        """Return uniform draws in [0, 1). A larger first dimension appends draws and keeps the others."""
        bits = np.random.PCG64([self.seed, crc32(stream.encode()), period])
        return np.random.Generator(bits).random(shape)

    def normals(self, stream: str, period: int, number: int) -> Floats:
        """Return approximately normal draws as a read-only array, shape (number,). A larger `number` appends draws and keeps the others.

        They are cached: the next days use most of them again.
        """
        return _normals(self.seed, stream, period, -(-number // KEPT_NUMBER) * KEPT_NUMBER)[:number]


@lru_cache(maxsize=64)  # the draws of a day
def _normals(seed: int, stream: str, period: int, number: int) -> Floats:
    drawn = normal(Streams(seed).uniforms(stream, period, number, 4).T)
    drawn.flags.writeable = False
    return drawn


def normal(four_uniforms: Floats) -> Floats:
    """Return approximately normal draws of mean 0 and variance 1 from four uniforms each; shape (4, n) to (n,)."""
    first, second, third, fourth = four_uniforms
    return np.asarray((first + second + third + fourth - 2) * math.sqrt(3))


def drifting(draw: Callable[[int], Floats], elapsed: int, period_days: int) -> Floats:
    """Return normal draws that move slowly, with variance 1 on every day.

    Parameters
    ----------
    draw : function of period to draws
        Independent normal draws of a period.
    elapsed : int
        The day, counted from 0.
    period_days : int
        The days from one independent draw to the next; between them the draws are interpolated.
    """
    period, day = divmod(elapsed, period_days)
    share = day / period_days
    interpolated = (1 - share) * draw(period) + share * draw(period + 1)
    return interpolated / math.sqrt((1 - share) * (1 - share) + share * share)


def correlated(load: float, common: Floats, own: Floats) -> Floats:
    """Return draws of variance 1 whose correlation with the common draws is `load`."""
    return load * common + math.sqrt(1 - load * load) * own


def exp(values: Floats) -> Floats:
    """Approximate the exponential by (1 + x / 8) ** 8, with three squarings."""
    power = np.maximum(1 + values / 8, 0)
    for _ in range(3):
        power = power * power
    return np.asarray(power)


def whole(values: Floats, low: float, high: float) -> Floats:
    """Round down and clip."""
    return np.asarray(np.clip(np.floor(values), low, high), dtype=np.float64)
