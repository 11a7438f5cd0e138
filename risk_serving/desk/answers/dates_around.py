"""The dates next to a date."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from risk_assets.pages.served import Served


def served_around(dates: Sequence[str], date: str) -> Served:
    """Return the links of a page of a date, of all dates with a report, oldest first; of these only the first and the last are kept."""
    before, after = bisect_left(dates, date), bisect_right(dates, date)
    return Served(
        previous=dates[before - 1] if before else None,
        following=dates[after] if after < len(dates) else None,
        dates=(dates[0], dates[-1]) if dates else (),
    )
