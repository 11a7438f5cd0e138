"""Keys of accounts: equal in Python and in tables, and divided into parts."""

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from risk_assets.domain.morning.account_index import keys_of
from risk_assets.domain.morning.account_key import account_key, first_key, key_text, part_of

LONGEST = 10_000
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def in_table(ids: list[str | None]) -> list[int | None]:
    return pl.select(pl.Series("account_id", ids, dtype=pl.String)).select(keys_of())["key"].to_list()


@given(st.lists(TEXTS, min_size=1))
@example([""])
@example(["x" * LONGEST, "Ä" * LONGEST, "\N{GRINNING FACE}" * LONGEST])
@example(["a\0b", "\u202eabc", "e\u0301", "é"])
def test_tables_have_the_keys_of_python(ids: list[str]) -> None:
    assert in_table([*ids]) == [account_key(account) for account in ids]


@pytest.mark.parametrize("length", [*range(260), 1023, 1024, 1025, LONGEST])
def test_keys_agree_for_each_length(length: int) -> None:  # the algorithm has several branches by length
    assert in_table(["x" * length]) == [account_key("x" * length)]


def test_a_missing_id_has_no_key() -> None:
    assert in_table([None, "a"]) == [None, account_key("a")]


def test_a_key_is_xxh3_with_64_bits() -> None:
    assert key_text(account_key("")) == "2d06800538d394c2"  # of the reference implementation


@given(st.integers(0, 2**64 - 1), st.integers(1, 10_000))
@example(2**64 - 1, 3)
@example(0, 1)
def test_a_part_has_the_keys_from_its_first_one_on(key: int, parts: int) -> None:
    part = part_of(key, parts)
    assert 0 <= part < parts
    assert first_key(part, parts) <= key < first_key(part + 1, parts)
