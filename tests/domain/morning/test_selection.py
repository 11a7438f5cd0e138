"""Selections of a work list: filtered, searched, sorted, on pages, and as the fields of a query."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_assets.domain.morning.facts import Category, WorkItem
from risk_assets.domain.morning.selection import (
    LONGEST_SEARCH,
    PAGE_SIZE,
    Choice,
    Selection,
    Shown,
    SortKey,
    from_query,
    select,
    selected_items,
    to_query,
)
from risk_assets.errors import SelectionError

ALL = Selection(shown="all")
SELECTIONS = st.builds(
    Selection,
    shown=st.sampled_from(get_args(Shown)),
    category=st.none() | st.sampled_from(get_args(Category)),
    reason=st.none() | st.text(min_size=1, max_size=40),
    band=st.none() | st.text(min_size=1, max_size=40),
    search=st.text(max_size=40).map(str.strip),
    sort=st.sampled_from(get_args(SortKey)),
    descending=st.booleans(),
    page=st.integers(1, 999),
)


def item(rank: int, **more: Any) -> WorkItem:
    usual = {
        "account": f"AC{rank:03d}",
        "exposure": 100.0,
        "probability": 0.9 - rank / 1000,
        "points": 400,
        "band": "F",
        "flagged": True,
        "last_snapshot": "2026-01-27",
        "points_before": 400,
        "band_before": "F",
        "days_listed": 3,
        "categories": (),
        "changes": (),
        "reasons": ("Arrears",),
    }
    return WorkItem(rank=rank, **usual | more)


def ranks(items: tuple[WorkItem, ...]) -> list[int]:
    return [item.rank for item in items]


LIST = (
    item(1, categories=("worse",), points_before=420, exposure=None, account="ab-1"),
    item(2, reasons=("Arrears", "Limit"), exposure=50.0),
    item(3, categories=("newly flagged", "worse"), points_before=412, band="E", reasons=("Limit",), account="AB-2"),
    item(4, categories=("new account",), last_snapshot=None, points_before=None, band="E", days_listed=1),
)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [1, 3, 4]),
        (ALL, [1, 2, 3, 4]),
        (Selection(category="worse"), [1, 3]),
        (Selection(shown="all", reason="Limit"), [2, 3]),
        (Selection(shown="all", band="E"), [3, 4]),
        (Selection(shown="all", search="aB-"), [1, 3]),
        (Selection(category="worse", band="E", search="2"), [3]),
        (Selection(shown="all", reason="unknown"), []),
        (Selection(shown="all", sort="exposure"), [2, 3, 4, 1]),
        (Selection(shown="all", sort="exposure", descending=True), [3, 4, 2, 1]),
        (Selection(shown="all", sort="change"), [1, 3, 2, 4]),
        (Selection(shown="all", sort="change", descending=True), [2, 3, 1, 4]),
        (Selection(shown="all", sort="days listed"), [4, 1, 2, 3]),
        (Selection(shown="all", sort="rank", descending=True), [4, 3, 2, 1]),
        (Selection(shown="all", sort="probability"), [4, 3, 2, 1]),
        (Selection(shown="all", sort="points", descending=True), [1, 2, 3, 4]),
    ],
)
def test_the_selected_accounts_are_in_order(selection: Selection, expected: list[int]) -> None:
    assert ranks(selected_items(LIST, selection)) == expected


def test_counts_are_those_of_the_other_conditions() -> None:
    page = select(LIST, Selection(category="worse", reason="Limit"))
    assert (page.found, page.found_in_all, page.listed) == (1, 1, 4)
    assert page.categories == (Choice("newly flagged", 1), Choice("worse", 1))
    assert page.reasons == (Choice("Arrears", 1), Choice("Limit", 1))
    assert page.bands == (Choice("E", 1),)
    assert select(LIST, Selection()).shown == (Choice("new and worse", 3), Choice("all", 4))
    assert select(LIST, Selection()).bands == (Choice("F", 1), Choice("E", 2))


def test_what_is_selected_can_be_chosen_without_accounts() -> None:
    page = select(LIST, Selection(category="new on the list", reason="gone", band="Z"))
    assert (page.found, page.page, page.pages) == (0, 1, 1)
    assert page.categories == (Choice("new on the list", 0),)
    assert (page.reasons, page.bands) == ((Choice("gone", 0),), (Choice("Z", 0),))


def test_a_reason_that_an_account_has_twice_counts_once() -> None:
    assert select((item(1, reasons=("A", "A")),), ALL).reasons == (Choice("A", 1),)


def test_a_text_that_is_too_long_for_an_address_cannot_be_chosen() -> None:
    page = select((item(1, reasons=("R" * 5000,), band="B" * 5000),), ALL)
    assert (page.found, page.reasons, page.bands) == (1, (), ())


def test_pages_have_all_accounts_once() -> None:
    items = tuple(item(rank) for rank in range(1, 2 * PAGE_SIZE + 2))
    pages = [select(items, Selection(shown="all", page=number)) for number in (1, 2, 3)]
    assert [len(page.items) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 1]
    assert ranks(tuple(each for page in pages for each in page.items)) == list(range(1, 2 * PAGE_SIZE + 2))
    assert {page.pages for page in pages} == {3}


def test_a_page_after_the_last_one_is_the_last() -> None:
    page = select(LIST, Selection(shown="all", page=999))
    assert (page.page, page.pages, len(page.items)) == (1, 1, 4)


def test_an_empty_list_has_one_page() -> None:
    assert select((), Selection()).pages == 1


@given(SELECTIONS)
def test_a_selection_is_read_as_it_was_written(selection: Selection) -> None:
    assert from_query(to_query(selection)) == selection


def test_a_query_has_no_default_values() -> None:
    assert to_query(Selection()) == {}
    assert to_query(Selection(shown="all", sort="points", descending=True, page=2)) == {
        "shown": "all",
        "sort": "points",
        "order": "desc",
        "page": "2",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"shown": "everything", "category": "odd", "sort": "name", "order": "up", "page": "x", "other": "1"},
        {"page": "-1"},
        {"page": "9" * 5000},
        {"page": "²"},
        {"category": "", "reason": "", "band": "", "search": " ", "page": ""},
    ],
)
def test_unknown_values_are_ignored(fields: dict[str, str]) -> None:
    assert from_query(fields) == Selection()


@pytest.mark.parametrize("name", ["search", "reason", "band"])
def test_a_long_text_is_an_error_without_it(name: str) -> None:
    assert len(from_query({"search": "A" * LONGEST_SEARCH}).search) == LONGEST_SEARCH
    with pytest.raises(SelectionError, match=f"{name} has more than [0-9]+ characters") as raised:
        from_query({name: "A" * 10_000})
    assert "AAAA" not in str(raised.value)


def test_page_zero_is_the_first() -> None:
    assert select(LIST, msgspec.structs.replace(ALL, page=0)).page == 1
