"""A selection of a work list: filtered, searched, sorted and on pages."""

from typing import Literal

import msgspec

from risk_assets.domain.morning.facts import Category

Shown = Literal["new and worse", "all"]
SortKey = Literal["rank", "exposure", "probability", "points", "change", "days listed"]
PAGE_SIZE = 50


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which accounts of a work list are shown, in which order.

    Attributes
    ----------
    shown
        The accounts about which something is new, or all.
    category, reason, band
        Only accounts with it; None for all.
    search
        Only accounts whose id contains it, in any case; empty for all.
    sort, descending
        The order; ties by rank.
    page
        1 for the first.
    """

    shown: Shown = "new and worse"
    category: Category | None = None
    reason: str | None = None
    band: str | None = None
    search: str = ""
    sort: SortKey = "rank"
    descending: bool = False
    page: int = 1
