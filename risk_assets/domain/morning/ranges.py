"""Usual ranges: what a figure usually is, from its values on earlier dates."""

import math
import statistics
from collections.abc import Sequence

from risk_assets.domain.morning.facts import Range

MIN_DATES = 6  # earlier dates from which a range is computed
WHISKER = 1.5  # interquartile ranges beyond the quartiles, of many values
FEW_VALUES = 10  # the whiskers of so many values are twice as long: quartiles of few values are uncertain
LEAST_SHARE = 0.01  # of the median: a smaller difference from it is never unusual


def normal_range(values: Sequence[float]) -> Range | None:
    """Return the usual range of a figure that is not negative; None if there are too few values.

    It reaches from the quartiles as far as the whiskers of a box plot (J. W. Tukey, Exploratory Data Analysis, 1977), which are longer for
    few values: of independent normal values, 1.9 % are outside after 6 dates, and 0.8 % after 28. It reaches at least 1 % from the median.
    A few days with wrong data do not widen it.
    """
    if len(values) < MIN_DATES:
        return None
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    reach, least = WHISKER * (1 + FEW_VALUES / len(values)) * (third - first), LEAST_SHARE * median
    return Range(max(min(first - reach, median - least), 0.0), max(third + reach, median + least), len(values))


def normal_counts(values: Sequence[int]) -> Range | None:
    """Return the usual range of a number of rows or accounts, whose ends are whole; a difference of one is never unusual."""
    found = normal_range(values)
    if found is None:
        return None
    median = statistics.median(values)
    low, high = math.ceil(min(found.low, median - 1)), math.floor(max(found.high, median + 1))
    return Range(float(max(low, 0)), float(high), found.dates)
