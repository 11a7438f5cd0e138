"""The served work list: filtered, sorted and on pages, with what was done about each account and a form to record more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import msgspec

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import Disposition, Dispositions
from risk_assets.domain.morning.facts import MorningReport, WorkItem
from risk_assets.domain.morning.selection import LONGEST_SEARCH, SelectedPage, Selection, SortKey, to_query
from risk_assets.pages import addresses
from risk_assets.pages.environment import environment
from risk_assets.pages.morning_plots import band_names
from risk_assets.pages.served import Served

NEIGHBOURS = 2  # pages before and after the shown one that have a link of their own

_HEADS: dict[str, tuple[SortKey | None, bool]] = {  # the column, and whether its first order is descending
    "Exposure": ("exposure", True),
    "Probability": ("probability", True),
    "Band": (None, False),
    "Points": ("points", False),
    "Change": ("change", False),
}


@dataclass(frozen=True)
class Head:
    """The head of a column: the address that sorts by it, if it can, and the direction in which the list is sorted by it."""

    label: str
    sort: SortKey | None
    address: str | None
    direction: str | None


@dataclass(frozen=True)
class Row:
    """A row: the account, its key, what was done about it, and the name of the row, which only the first with its key has."""

    item: WorkItem
    key: str
    entries: Sequence[Disposition]
    name: str | None


def render_work_list(
    report: MorningReport,
    selected: SelectedPage,
    selection: Selection,
    dispositions: Dispositions,
    served: Served,
    damaged: Sequence[str] = (),
) -> str:
    """Return the page of a selection of a report's work list.

    Parameters
    ----------
    dispositions
        Of the accounts of the page, at least; their instants in the team's time zone.
    damaged
        Messages about dispositions that cannot be read.
    """
    shown = msgspec.structs.replace(selection, page=selected.page)
    address = partial(_address, report.date, shown)
    facts = {
        "report": report,
        "selected": selected,
        "selection": selection,
        "served": served,
        "damaged": damaged,
        "rows": _rows(selected.items, dispositions),
        "heads": _heads(report.date, selection),
        "band_names": band_names(report.series),
        "query": to_query(msgspec.structs.replace(selection, page=1)),
        "address": address(),
        "all_address": address(shown="all", page=1),
        "file_address": addresses.work_list_file(report.date, to_query(msgspec.structs.replace(selection, page=1))),
        "page_address": lambda page: address(page=page),
        "page_numbers": page_numbers(selected.page, selected.pages),
        "sort_keys": get_args(SortKey),
        "longest_search": LONGEST_SEARCH,
    }
    return environment().get_template("desk/work_list.html").render(facts)


def page_numbers(page: int, pages: int) -> tuple[int | None, ...]:
    """Return the pages that have a link: the first, the last, and those next to the shown one; None for those left out between them."""
    near = sorted({1, *range(max(1, page - NEIGHBOURS), min(pages, page + NEIGHBOURS) + 1), pages})
    shown: list[int | None] = []
    for number in near:
        if shown and shown[-1] is not None and number > shown[-1] + 1:
            shown.append(None)
        shown.append(number)
    return tuple(shown)


def _rows(items: Sequence[WorkItem], dispositions: Mapping[str, Sequence[Disposition]]) -> list[Row]:
    rows: list[Row] = []
    named: set[str] = set()
    for item in items:
        key = key_text(account_key(item.account))
        rows.append(Row(item, key, dispositions.get(item.account, ()), None if key in named else addresses.row(key)))
        named.add(key)
    return rows


def _heads(date: str, selection: Selection) -> list[Head]:
    return [_head(date, selection, label, *how) for label, how in _HEADS.items()]


def _head(date: str, selection: Selection, label: str, sort: SortKey | None, first: bool) -> Head:
    """Return the head of a column, which reverses the order if the list is sorted by it."""
    if sort is None:
        return Head(label, None, None, None)
    is_sorted = selection.sort == sort
    descending = not selection.descending if is_sorted else first
    direction = ("descending" if selection.descending else "ascending") if is_sorted else None
    return Head(label, sort, _address(date, selection, sort=sort, descending=descending, page=1), direction)


def _address(date: str, selection: Selection, **changes: object) -> str:
    return addresses.work_list(date, to_query(msgspec.structs.replace(selection, **changes)))
