"""A selection of a work list: filtered, searched, sorted and on pages."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, get_args

import msgspec

from risk_assets.domain.morning.facts import Category, WorkItem
from risk_assets.errors import SelectionError

Shown = Literal["new and worse", "all"]
SortKey = Literal["rank", "exposure", "probability", "points", "change", "days listed"]
PAGE_SIZE = 50
LONGEST_SEARCH = 300  # characters
LONGEST_CHOICE = 1000  # characters of a reason or a band by which a list can be filtered

T = TypeVar("T", bound=str)
Field: TypeAlias = Literal["shown", "category", "reason", "band", "search"]

_PAGE = re.compile("[0-9]{1,6}")


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


@dataclass(frozen=True)
class Choice:
    """A value by which a list can be filtered, and the accounts that have it and meet the other conditions."""

    value: str
    count: int


@dataclass(frozen=True)
class SelectedPage:
    """A page of the selected accounts.

    Attributes
    ----------
    items
        The accounts of the page.
    found, found_in_all, listed
        The selected accounts, those that would be if `shown` was "all", and all accounts of the work list.
    page, pages
        The number of the page, and of all pages; 1 of 1 if no account is selected.
    shown, categories, reasons, bands
        What can be chosen, with counts. What is selected is among it, even if no account has it.
    """

    items: tuple[WorkItem, ...]
    found: int
    found_in_all: int
    listed: int
    page: int
    pages: int
    shown: tuple[Choice, ...]
    categories: tuple[Choice, ...]
    reasons: tuple[Choice, ...]
    bands: tuple[Choice, ...]


def from_query(fields: Mapping[str, str]) -> Selection:
    """Return the selection in the fields of a query. Unknown fields and values are ignored: the default is selected.

    Raises
    ------
    SelectionError
        If a text is too long.
    """
    return Selection(
        shown=_known(fields.get("shown"), get_args(Shown)) or "new and worse",
        category=_known(fields.get("category"), get_args(Category)),
        reason=_bounded(fields, "reason", LONGEST_CHOICE) or None,
        band=_bounded(fields, "band", LONGEST_CHOICE) or None,
        search=_bounded(fields, "search", LONGEST_SEARCH).strip(),
        sort=_known(fields.get("sort"), get_args(SortKey)) or "rank",
        descending=fields.get("order") == "desc",
        page=int(fields["page"]) if _PAGE.fullmatch(fields.get("page", "")) else 1,
    )


def to_query(selection: Selection) -> dict[str, str]:
    """Return the fields of a selection that are not the default ones; `from_query` reads them."""
    order = {"order": "desc"} if selection.descending else {}
    page = {"page": str(selection.page)} if selection.page != 1 else {}
    default = Selection()
    texts = {name: getattr(selection, name) for name in ("shown", "category", "reason", "band", "search", "sort")}
    return {name: value for name, value in texts.items() if value and value != getattr(default, name)} | order | page


def selected_items(items: Iterable[WorkItem], selection: Selection) -> tuple[WorkItem, ...]:
    """Return all accounts of a selection, in its order; accounts without the value by which they are sorted are last."""
    conditions = _conditions(selection)
    found = [item for item in items if all(condition(item) for condition in conditions.values())]
    value = _SORTED_BY[selection.sort]
    known = sorted((item for item in found if value(item) is not None), key=lambda item: item.rank)
    known.sort(key=lambda item: value(item) or 0, reverse=selection.descending)
    return (*known, *sorted((item for item in found if value(item) is None), key=lambda item: item.rank))


def select(items: Sequence[WorkItem], selection: Selection) -> SelectedPage:
    """Return the page of a selection; the last page if it has fewer pages."""
    found = selected_items(items, selection)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(max(selection.page, 1), pages)
    shown = {name: len(_others(items, msgspec.structs.replace(selection, shown=name))) for name in get_args(Shown)}
    return SelectedPage(
        items=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
        found=len(found),
        found_in_all=shown["all"],
        listed=len(items),
        page=page,
        pages=pages,
        shown=tuple(Choice(name, count) for name, count in shown.items()),
        categories=_categories(_others(items, selection, "category"), selection.category),
        reasons=_reasons(_others(items, selection, "reason"), selection.reason),
        bands=_bands(_others(items, selection, "band"), selection.band),
    )


_SORTED_BY: dict[SortKey, Callable[[WorkItem], float | None]] = {
    "rank": lambda item: item.rank,
    "exposure": lambda item: item.exposure,
    "probability": lambda item: item.probability,
    "points": lambda item: item.points,
    "change": lambda item: item.points_change,
    "days listed": lambda item: item.days_listed,
}


def _conditions(selection: Selection) -> dict[Field, Callable[[WorkItem], bool]]:
    """Return what each field of a selection requires of an account."""
    search = selection.search.casefold()
    found: dict[Field, Callable[[WorkItem], bool]] = {}
    if selection.shown == "new and worse":
        found["shown"] = lambda item: bool(item.categories)
    if selection.category:
        found["category"] = lambda item: selection.category in item.categories
    if selection.reason:
        found["reason"] = lambda item: selection.reason in item.reasons
    if selection.band:
        found["band"] = lambda item: selection.band == item.band
    if search:
        found["search"] = lambda item: search in item.account.casefold()
    return found


def _others(items: Iterable[WorkItem], selection: Selection, omitted: Field | None = None) -> list[WorkItem]:
    """Return the accounts that meet all conditions of a selection but the omitted one."""
    conditions = [condition for name, condition in _conditions(selection).items() if name != omitted]
    return [item for item in items if all(condition(item) for condition in conditions)]


def _categories(items: Iterable[WorkItem], chosen: str | None) -> tuple[Choice, ...]:
    counts = Counter(category for item in items for category in item.categories)
    return tuple(Choice(name, counts[name]) for name in get_args(Category) if counts[name] or name == chosen)


def _reasons(items: Iterable[WorkItem], chosen: str | None) -> tuple[Choice, ...]:
    """Return the reasons, the most frequent one first."""
    counts = Counter(reason for item in items for reason in set(item.reasons) if len(reason) <= LONGEST_CHOICE)
    counts.update({chosen: 0} if chosen else {})
    return tuple(Choice(*each) for each in sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _bands(items: Iterable[WorkItem], chosen: str | None) -> tuple[Choice, ...]:
    """Return the bands, that of the riskiest account first."""
    counts = Counter(item.band for item in items if len(item.band) <= LONGEST_CHOICE)
    counts.update({chosen: 0} if chosen else {})
    return tuple(Choice(*each) for each in counts.items())


def _known(value: str | None, values: tuple[T, ...]) -> T | None:
    return next((each for each in values if each == value), None)


def _bounded(fields: Mapping[str, str], name: str, longest: int) -> str:
    """Return the text of a field; raises `SelectionError` if it is too long."""
    text = fields.get(name, "")
    if len(text) > longest:
        raise SelectionError(f"{name} has more than {longest} characters. Use a part of it.")
    return text
