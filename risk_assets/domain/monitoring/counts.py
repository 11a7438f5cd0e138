"""What is counted of a scored date in the bins of a profile. Counts of pieces of a date add up to those of the date."""

from collections.abc import Iterable
from math import fsum

import msgspec
import numpy as np

from risk_assets.domain.scorecard.arrays import Floats


class Tally(msgspec.Struct, frozen=True):
    """The rows of a feature, or of the score, on a date.

    Attributes
    ----------
    bins
        The rows in each bin of the profile, then with a level that training did not see (categories only), then without a value.
    outside
        The rows outside the usual range of a number; None if the profile has none.
    log_odds
        The sum of the feature's contributions; None if the model does not use it.
    """

    bins: tuple[int, ...]
    outside: int | None = None
    log_odds: float | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(self.bins)

    @property
    def missing(self) -> int:
        """The rows without a value."""
        return self.bins[-1]

    @property
    def unseen(self) -> int:
        """The rows of a category with a level that training did not see."""
        return self.bins[-2]

    @property
    def shares(self) -> Floats:
        """The share of the rows in each of `bins`."""
        return np.array(self.bins) / max(self.rows, 1)


class Tallies(msgspec.Struct, frozen=True):
    """What is counted of rows in the bins of a version's profile.

    Attributes
    ----------
    version
        The version. Its profile and its scorecard never change.
    score
        The probabilities of the rows that the version scored.
    features
        Each feature of the profile, over all rows that were scored; a challenger may have scored some of them.
    """

    version: str
    score: Tally
    features: dict[str, Tally]

    @property
    def rows(self) -> int:
        """The number of rows that were scored."""
        return next(iter(self.features.values())).rows


def joined_tallies(pieces: Iterable[Tallies | None]) -> Tallies | None:
    """Return the tallies of a date from those of all its pieces; None if a piece was not counted."""
    found: list[Tallies] = []
    for piece in pieces:
        if piece is None:
            return None
        found.append(piece)
    if not found:
        return None
    features = {name: _joined([piece.features[name] for piece in found]) for name in found[0].features}
    return Tallies(found[0].version, _joined([piece.score for piece in found]), features)


def _joined(pieces: list[Tally]) -> Tally:
    outside = [piece.outside for piece in pieces if piece.outside is not None]
    log_odds = [piece.log_odds for piece in pieces if piece.log_odds is not None]
    bins = tuple(map(sum, zip(*(piece.bins for piece in pieces), strict=True)))
    return Tally(bins, sum(outside) if outside else None, fsum(log_odds) if log_odds else None)
