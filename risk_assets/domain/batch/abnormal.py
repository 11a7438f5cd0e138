"""Compares a night's features with training: missing shares and unseen levels beyond what sampling explains."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from risk_assets.domain.governance.artifacts import LevelBins, Profile
from risk_assets.domain.ingest.population import is_eligible

STANDARD_ERRORS = 4.0  # a normal night exceeds this once in 30,000 comparisons
RULE_OF_THREE = 3.0  # an event that was never seen in n rows still has a share of up to 3/n, with 95 % confidence


@dataclass(frozen=True)
class Shift:
    """A feature's share on a date, its share in training, and the largest share that counts as normal."""

    feature: str
    share: float
    training: float
    limit: float

    @property
    def abnormal(self) -> bool:
        """Whether the share exceeds its limit."""
        return self.share > self.limit

    def __str__(self) -> str:
        """The figures in words."""
        return f"{self.feature} {self.share:.1%} (in training {self.training:.1%}, limit {self.limit:.1%})"


def missing_shifts(missing: Mapping[str, int], rows: int, profile: Profile, increase: float) -> tuple[Shift, ...]:
    """Return each feature's missing share, largest excess first.

    Parameters
    ----------
    missing : mapping of str to int
        Missing values in eligible rows, by feature.
    rows : int
        Eligible rows of the date. Without any, there is nothing to compare.
    increase : float
        How far above its share in training a feature's missing share may be, besides sampling noise.
    """
    if not rows:
        return ()
    known = ((name, bins.missing) for name, bins in profile.features.items() if name in missing)
    return _ordered(Shift(name, missing[name] / rows, share, _limit(share, rows, profile.rows, increase)) for name, share in known)


def unseen_shifts(features: pl.LazyFrame, rows: int, profile: Profile, limit: float) -> tuple[Shift, ...]:
    """Return each category's share of eligible rows with a level that training did not see, largest excess first.

    Parameters
    ----------
    features : pl.LazyFrame
        All rows of the date.
    rows : int
        Eligible rows of the date. Without any, there is nothing to compare.
    limit : float
        The largest normal share, besides sampling noise.
    """
    columns = features.collect_schema().names()
    levels = {name: bins.shares for name, bins in profile.features.items() if isinstance(bins, LevelBins) and name in columns}
    if not levels or not rows:
        return ()
    unseen = [(pl.col(name).is_not_null() & ~pl.col(name).is_in(list(seen))).sum().alias(name) for name, seen in levels.items()]
    counts = features.filter(is_eligible()).select(unseen).collect(engine="streaming").row(0, named=True)
    return _ordered(Shift(name, counts[name] / rows, 0.0, _limit(0.0, rows, profile.rows, limit)) for name in levels)


def _limit(share: float, rows: int, training_rows: int, increase: float) -> float:
    noise = STANDARD_ERRORS * math.sqrt(share * (1 - share) * (1 / rows + 1 / training_rows))
    return min(1.0, share + increase + max(noise, RULE_OF_THREE / rows))


def _ordered(shifts: Iterable[Shift]) -> tuple[Shift, ...]:
    return tuple(sorted(shifts, key=lambda shift: shift.limit - shift.share))
