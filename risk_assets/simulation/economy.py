"""The economy: how hard it is to pay, by date."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Protocol

from risk_assets.simulation.draws import Floats, Streams, drifting, normal

PERIOD_DAYS = 120  # from one independent draw to the next
STREAM = "economy"


class Stress(Protocol):
    """An economy."""

    def stress(self, day: date) -> float:
        """Return the stress of a day, 0 in an average economy and positive in a bad one."""


@dataclass(frozen=True)
class Economy:
    """A slow factor that moves the probability of a missed payment.

    Parameters
    ----------
    seed : int
        The seed of its random stream.
    """

    seed: int

    def stress(self, day: date) -> float:
        """Return the stress of a day: about normal over many years, 0 in an average economy and positive in a bad one."""
        return float(drifting(partial(_draw, Streams(self.seed)), day.toordinal(), PERIOD_DAYS)[0])


def _draw(streams: Streams, period: int) -> Floats:
    return normal(streams.uniforms(STREAM, period, 4, 1))
