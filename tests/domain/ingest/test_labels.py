"""Converting outcomes to labels."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.labels import OutcomeCounts, count_outcomes, labels
from risk_assets.errors import ContractError


def contract(bad: object, good: object = None, missing: Sequence[str] = ("", "NA")) -> Contract:
    target = {"column": "outcome", "bad": bad, "good": good}
    features = {"x": {"type": "number", "reason": "r"}}
    return Contract.model_validate({"id": "id", "target": target, "missing": missing, "features": features})


def table(rows: Sequence[tuple[str | None, str | None]], ragged: Sequence[int] = ()) -> pl.LazyFrame:
    frame = pl.LazyFrame(rows, schema={"id": pl.String, "outcome": pl.String}, orient="row")
    marks = ["line: too few fields" if row in ragged else None for row in range(len(rows))]
    return frame.with_columns(pl.Series(RAGGED, marks, dtype=pl.String))


def labelled(rows: Sequence[tuple[str | None, str | None]], how: Contract) -> list[tuple[str, int | None]]:
    found = labels(table(rows), how).collect(engine="streaming")
    assert found.schema == {"account_id": pl.String, "bad": pl.Int8}
    return found.rows()


def of(tokens: Sequence[str | None], how: Contract) -> list[int | None]:
    rows = labelled([(f"a{row}", token) for row, token in enumerate(tokens)], how)
    assert [account for account, _ in rows] == [f"a{row}" for row in range(len(tokens))]
    return [label for _, label in rows]


def test_numeric_tokens_match_by_value() -> None:
    assert of(["1", "1.0", "1.000", "+1", " 1 ", "1e0"], contract(bad=1, good=0)) == [1] * 6
    assert of(["0", "0.0", "-0", " 0", "0e5"], contract(bad=1, good=0)) == [0] * 5
    assert of(["1", "1.0", "2", "2.0"], contract(bad="2.0", good="1")) == [0, 0, 1, 1]


def test_text_tokens_are_stripped_and_case_sensitive() -> None:
    assert of(["Good", "Bad", " Bad ", "bad", "GOOD", "G"], contract(bad="Bad", good="Good")) == [0, 1, 1, None, None, None]


def test_an_unknown_token_has_no_label() -> None:
    assert of(["0", "1", "2", "x", "", "NA", "nan", "inf", None], contract(bad=1, good=0)) == [0, 1] + [None] * 7


def test_without_a_good_token_all_other_tokens_are_good() -> None:
    assert of(["D", "C", "B", "x", "1", "", " ", "NA", " NA", None], contract(bad="D")) == [1, 0, 0, 0, 0] + [None] * 5


def test_an_empty_field_can_be_the_good_token() -> None:
    assert of(["1", "", " ", "2"], contract(bad=1, good="")) == [1, 0, 0, None]


def test_numeric_tokens_match_exactly() -> None:
    assert of(["10", "1", "01", "11"], contract(bad=10, good=1)) == [1, 0, 0, None]


def test_repeated_outcomes_of_an_account_count_once() -> None:
    assert labelled([("a", "1"), ("b", "0"), ("a", "1.0"), ("a", " 1")], contract(1, 0)) == [("a", 1), ("b", 0)]


def test_contradictory_outcomes_give_no_label() -> None:
    rows = [("a", "1"), ("b", "0"), ("a", "0"), ("c", "0"), ("c", "?")]
    assert labelled(rows, contract(1, 0)) == [("a", None), ("b", 0), ("c", None)]


def test_rows_with_an_empty_id_are_dropped() -> None:
    assert labelled([("", "1"), ("a", "1"), (None, "0"), ("", "0")], contract(1, 0)) == [("a", 1)]


def test_rows_with_a_missing_id_are_dropped() -> None:
    rows = [(" ", "1"), ("NA", "1"), (" NA\u3000", "0"), ("na", "1"), (" a", "1"), ("b", "0")]
    assert labelled(rows, contract(1, 0)) == [("na", 1), ("a", 1), ("b", 0)]


@pytest.mark.parametrize("padding", [" ", "\t", "\xa0", "\u3000", "\x1f"])
def test_ids_are_compared_without_whitespace(padding: str) -> None:
    rows = [("a" + padding, "1"), (padding + "a", "1"), ("b", "1"), ("b" + padding, "0")]
    assert labelled(rows, contract(1, 0)) == [("a", 1), ("b", None)]


def test_tokens_are_compared_in_normal_form() -> None:
    composed, decomposed = "pay\xe9", "paye\u0301"
    assert of([composed, decomposed, "x", "\xa0x"], contract(bad="x\u2003", good=decomposed)) == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="different tokens"):
        contract(bad=composed, good=decomposed)


def test_other_columns_are_ignored() -> None:
    frame = table([("a", "1")]).select(pl.lit("x").alias("note"), "outcome", "id", RAGGED)
    assert labels(frame, contract(1, 0)).collect().rows() == [("a", 1)]


@pytest.mark.parametrize("column", ["id", "outcome"])
def test_a_missing_column_is_reported(column: str) -> None:
    with pytest.raises(ContractError, match=f"no column {column}"):
        labels(table([("a", "1")]).drop(column), contract(1, 0))


def test_all_missing_columns_are_reported() -> None:
    with pytest.raises(ContractError, match="id, outcome"):
        labels(pl.LazyFrame({"other": ["1"], RAGGED: [None]}), contract(1, 0))


@pytest.mark.parametrize("column", ["id", "outcome"])
def test_a_repeated_column_is_rejected(column: str) -> None:
    repeated = table([("a", "1")]).with_columns(pl.lit("0").alias(f"{column}#2"))
    for read in (labels, count_outcomes):
        with pytest.raises(ContractError, match=f"the column {column} appears twice in the outcomes"):
            read(repeated, contract(1, 0))


def test_lines_with_issues_give_no_label() -> None:
    rows = [("a", "1"), ("b", "0"), ("c", "0"), ("a", "0")]
    assert labels(table(rows, ragged=(1, 3)), contract(1, 0)).collect().rows() == [("a", 1), ("c", 0)]


def counted(rows: Sequence[tuple[str | None, str | None]], ragged: Sequence[int] = ()) -> OutcomeCounts:
    return count_outcomes(table(rows, ragged), contract(1, 0))


NONE = OutcomeCounts(known=0, bad=0, unlabelled=0, contradictory=0, repeated=0, unknown_labels=0, missing_ids=0, line_issues=0)


@pytest.mark.parametrize(
    ("rows", "ragged", "counts"),
    [
        ([], (), {}),
        ([("a", "1"), ("b", "0")], (), {"known": 2, "bad": 1}),
        ([("a", "1"), ("b", "?"), ("c", "")], (), {"known": 1, "bad": 1, "unlabelled": 2, "unknown_labels": 1}),
        ([("a", "1"), ("a", "1.0")], (), {"known": 1, "bad": 1, "repeated": 1}),
        ([("a", "1"), ("a", "0"), ("b", "0")], (), {"known": 1, "contradictory": 1, "repeated": 1}),
        ([("a", "?"), ("a", "1")], (), {"unknown_labels": 1, "contradictory": 1, "repeated": 1}),
        ([("a", "?"), ("a", "!")], (), {"unknown_labels": 2, "unlabelled": 1, "repeated": 1}),
        ([("", "1"), (None, "0"), (" NA ", "0"), ("a", "0")], (), {"known": 1, "missing_ids": 3}),
        ([("a", "1"), ("b", "0"), ("", "1")], (0, 2), {"known": 1, "line_issues": 2}),
        ([("a", "?"), ("", "?"), ("b", "NA"), ("c", None)], (0,), {"unlabelled": 2, "missing_ids": 1, "line_issues": 1}),
        ([("a", "1"), ("a", "0")], (1,), {"known": 1, "bad": 1, "line_issues": 1}),
    ],
)
def test_outcomes_are_counted_by_reason(
    rows: Sequence[tuple[str | None, str | None]], ragged: Sequence[int], counts: dict[str, int]
) -> None:
    assert counted(rows, ragged) == replace(NONE, **counts)


def test_an_empty_table_gives_no_labels() -> None:
    assert labelled([], contract(1, 0)) == []


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "0", "1.0", "?", ""])), max_size=12))
def test_the_label_of_an_account_is_common_to_all_its_rows(rows: list[tuple[str, str]]) -> None:
    meaning = {"1": 1, "1.0": 1, "0": 0}
    expected: dict[str, int | None] = {}
    for account in dict.fromkeys(account for account, _ in rows):
        found = {meaning.get(token) for name, token in rows if name == account}
        expected[account] = found.pop() if len(found) == 1 else None
    assert labelled(rows, contract(1, 0)) == list(expected.items())
