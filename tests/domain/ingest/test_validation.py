"""Validation of a snapshot: every row is kept, issues name column and rule, and no issue contains a value."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import EXCLUDED, GROUP, ISSUES, Contract
from risk_assets.domain.contract.text import WHITESPACE
from risk_assets.domain.ingest.validation import RAGGED, count_issues, feature_facts, repeated_ids, validate

Texts = Sequence[str | None]

NUMBER = {"type": "number", "reason": "r"}
CATEGORY = {"type": "category", "reason": "r"}


def contract(features: Mapping[str, Mapping[str, Any]], **more: Any) -> Contract:
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features, **more})


def snapshot(columns: Mapping[str, Texts], ragged: Texts | None = None) -> pl.LazyFrame:
    rows = len(next(iter(columns.values())))
    ids = {"id": [f"a{row}" for row in range(rows)]}
    return pl.LazyFrame(ids | dict(columns) | {RAGGED: ragged or [None] * rows}, schema_overrides={RAGGED: pl.String})


def run(frame: pl.LazyFrame, how: Contract) -> pl.DataFrame:
    found = validate(frame, how, repeated_ids(frame, how)).collect(engine="streaming")
    types = {name: pl.Float64 if feature.type == "number" else pl.String for name, feature in how.features.items()}
    assert found.schema == {"account_id": pl.String, **types, GROUP: pl.String, EXCLUDED: pl.String, ISSUES: pl.String}
    return found


def number(texts: Texts, decimal: str = ".", missing: Sequence[str] = ("", "NA"), **feature: Any) -> list[tuple[float | None, str | None]]:
    how = contract({"x": NUMBER | feature}, decimal=decimal, missing=missing)
    return run(snapshot({"x": texts}), how).select("x", ISSUES).rows()


def category(texts: Texts, **feature: Any) -> list[tuple[str | None, str | None]]:
    how = contract({"k": CATEGORY | feature}, missing=["", "NA"])
    return run(snapshot({"k": texts}), how).select("k", ISSUES).rows()


def ids(names: Texts) -> list[tuple[str | None, str | None]]:
    how = contract({"x": NUMBER}, missing=["", "NA"])
    return run(snapshot({"id": names, "x": ["1"] * len(names)}), how).select("account_id", ISSUES).rows()


def test_columns_are_the_id_the_features_and_the_status_of_the_row() -> None:
    how = contract({"b": NUMBER, "a": CATEGORY})
    found = run(snapshot({"a": ["u"], "other": ["?"], "b": ["1"]}), how)
    assert found.columns == ["account_id", "b", "a", "group", "excluded", "issues"]
    assert found.rows() == [("a0", 1.0, "u", "a0", None, None)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-2.5", -2.5), ("+4", 4), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("2E-2", 0.02), ("007", 7), ("0.1", 0.1), ("1e-400", 0)],
)
def test_numbers_are_parsed_exactly(text: str, value: float) -> None:
    assert number([text]) == [(value, None)]


@pytest.mark.parametrize("text", [" 1.5", "1.5 ", "  1.5\t ", *(f"{space}1.5{space}" for space in WHITESPACE)])
def test_whitespace_around_a_number_is_ignored(text: str) -> None:
    assert number([text, "2"]) == [(1.5, None), (2, None)]
    assert number([text.replace("1.5", "NA"), "2"]) == [(None, None), (2, None)]


@pytest.mark.parametrize(
    "text",
    ["x", "#VALUE!", "1,5", "1 000", "1_000", "0x10", "--1", "1e", "12%", "inf", "-inf", "Infinity", "nan", "NaN", "1e400", "-1e999", "-"],
)
def test_anything_but_a_finite_number_is_unreadable(text: str) -> None:
    assert number(["1", text, "2"]) == [(1, None), (None, "x: unreadable"), (2, None)]
    assert number([text], required=True, min=0, max=1) == [(None, "x: unreadable")]


def test_a_decimal_comma_is_parsed_if_the_contract_sets_it() -> None:
    assert number(["1,5", "-0,25", " 3,0 ", "7", ",5", "1,5e1"], decimal=",") == [
        (1.5, None),
        (-0.25, None),
        (3, None),
        (7, None),
        (0.5, None),
        (15, None),
    ]


@pytest.mark.parametrize("text", ["1,2,3", "1.234,5", "1,234.5", "1.234"])
def test_thousands_separators_are_unreadable(text: str) -> None:
    assert number([text, "1,5"], decimal=",") == [(None, "x: unreadable"), (1.5, None)]


def test_bounds_are_inclusive_and_named_in_the_issue() -> None:
    assert number(["0", "-0.001", "10", "10.001", "5"], min=0, max=10) == [
        (0, None),
        (-0.001, "x: below 0"),
        (10, None),
        (10.001, "x: above 10"),
        (5, None),
    ]
    assert number(["-1e308", "1e308"]) == [(-1e308, None), (1e308, None)]


@pytest.mark.parametrize("bound", [5_000_000, 0.1234567, 16_777_217, 1234567.5, -0.5, 1e-9])
def test_the_issue_has_the_bound_of_the_contract(bound: float) -> None:
    ((_, above),) = number(["1e300"], max=bound)
    ((_, below),) = number(["-1e300"], min=bound)
    assert above is not None
    assert below is not None
    assert (float(above.removeprefix("x: above ")), float(below.removeprefix("x: below "))) == (bound, bound)


def test_a_missing_optional_value_is_not_an_issue() -> None:
    assert number(["", "NA", " ", " NA ", "1"]) == [(None, None)] * 4 + [(1, None)]
    assert category(["", "NA", " ", " NA ", "u"]) == [(None, None)] * 4 + [("u", None)]


def test_a_missing_required_value_is_an_issue() -> None:
    assert number(["", "NA", " ", "1"], required=True) == [(None, "x: missing")] * 3 + [(1, None)]
    assert category(["", "NA", " ", "u"], required=True) == [(None, "k: missing")] * 3 + [("u", None)]


def test_missing_tokens_are_case_sensitive() -> None:
    assert number(["na"]) == [(None, "x: unreadable")]
    assert category(["na"]) == [("na", None)]


def test_an_empty_field_is_missing_without_any_token() -> None:
    assert number(["", "1"], missing=()) == [(None, None), (1, None)]


@pytest.mark.parametrize("text", ["-9", "-9.0", "-9.00", " -9 ", "-09", "-0.9e1"])
def test_missing_codes_match_by_value(text: str) -> None:
    assert number([text, "-8", "9"], missing=("", "-9")) == [(None, None), (-8, None), (9, None)]
    assert number([text], min=0, required=True, max=9) == [(-9, "x: below 0")]


def test_a_column_s_code_applies_there_only_and_before_the_range() -> None:
    how = contract({"x": NUMBER | {"missing": [-9, 999], "min": 0}, "y": NUMBER, "z": NUMBER | {"missing": ["-9"], "required": True}})
    found = run(snapshot({"x": ["-9", "999.0", "5"], "y": ["-9", "999", "5"], "z": ["1", "-9.0", "5"]}), how)
    assert found["x"].to_list() == [None, None, 5]
    assert found["y"].to_list() == [-9, 999, 5]
    assert found["issues"].to_list() == [None, "z: missing", None]


def test_a_missing_code_can_have_a_decimal_comma() -> None:
    how = contract({"x": NUMBER | {"missing": ["-9,5"]}}, decimal=",")
    assert run(snapshot({"x": ["-9,5", "-9,50", "9,5"]}), how)["x"].to_list() == [None, None, 9.5]


def test_levels_are_stripped_and_otherwise_unchanged() -> None:
    assert category(["u", " u", "u\t", "U", "u v", "1", "1.0"]) == [(level, None) for level in ["u", "u", "u", "U", "u v", "1", "1.0"]]
    assert category(["-9", "-9.0", "?"], missing=[-9, "?"]) == [(None, None), ("-9.0", None), (None, None)]


@pytest.mark.parametrize("space", WHITESPACE)
def test_whitespace_around_a_level_is_ignored(space: str) -> None:
    assert category([f"u{space}", f"{space}u", space, f"{space}NA{space}"]) == [("u", None)] * 2 + [(None, None)] * 2


def test_levels_and_missing_tokens_are_in_normal_form() -> None:
    composed, decomposed = "\xe9t\xe9", "e\u0301te\u0301"
    assert category([composed, decomposed, f" {decomposed}\xa0", None]) == [(composed, None)] * 3 + [(None, None)]
    assert category([composed, decomposed], missing=[f" {decomposed}"]) == [(None, None)] * 2


def test_characters_without_width_are_not_whitespace() -> None:
    texts = [f"{mark}u" for mark in "\u200b\u200c\u200d\u2060\ufeff"]
    assert category(texts) == [(text, None) for text in texts]
    assert number(["\u200b1"]) == [(None, "x: unreadable")]


def test_ids_are_stripped_and_compared_without_whitespace() -> None:
    repeated = ("a", "account_id: repeated")
    assert ids(["a", "a ", "\xa0a", "b\u3000", "\ufeffb", " NA\t"]) == [
        repeated,
        repeated,
        repeated,
        ("b", None),
        ("\ufeffb", None),
        ("NA", "account_id: missing"),
    ]


def test_ids_are_not_normalised() -> None:
    assert ids(["\xe9", "e\u0301"]) == [("\xe9", None), ("e\u0301", None)]


CELLS = st.text(st.sampled_from([*"u1.e-9", " ", "\t", "\xa0", "\x1c", "\u3000", "\u200b", "\xe9", "\u0301"]), max_size=4)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12, unique_by=lambda row: row[0].strip()))
def test_a_cell_is_read_the_same_whatever_other_cells_hold(rows: list[tuple[str, str]]) -> None:
    how = contract({"x": NUMBER, "k": CATEGORY | {"required": True}}, missing=["-9"])
    frame = snapshot({"id": [name for name, _ in rows], "x": [cell for _, cell in rows], "k": [cell for _, cell in rows]})
    alone = [run(frame.slice(at, 1), how) for at in range(len(rows))]
    assert run(frame, how).equals(pl.concat(alone))


def test_rows_with_a_repeated_id_are_kept_with_an_issue() -> None:
    repeated = ("a", "account_id: repeated")
    assert ids(["a", "b", "a", "c", "a"]) == [repeated, ("b", None), repeated, ("c", None), repeated]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_id_with_a_line_end_is_an_issue(end: str) -> None:
    assert [issue for _, issue in ids([f"a{end}b", f"c{end}", "d"])] == ["account_id: has a line end", None, None]


def test_rows_with_a_missing_id_are_kept_and_not_repeated() -> None:
    found = ids(["", "a", " ", "NA", "", "NA"])
    assert [issue for _, issue in found] == ["account_id: missing", None, *["account_id: missing"] * 4]


def test_ids_are_compared_as_exact_text() -> None:
    assert ids(["1", "01", "1.0", "A", "a"]) == [(name, None) for name in ["1", "01", "1.0", "A", "a"]]


def test_a_line_with_an_issue_has_no_other() -> None:
    how = contract({"x": NUMBER | {"required": True}})
    frame = snapshot({"x": ["1", "", "2"]}, ragged=["line: too many fields", "line: too few fields", None])
    assert run(frame, how)["issues"].to_list() == ["line: too many fields", "line: too few fields", None]


def test_a_short_line_is_kept_with_an_issue() -> None:
    how = contract({"x": NUMBER | {"required": True}, "k": CATEGORY | {"required": True}})
    found = run(snapshot({"id": [None, "b"], "x": [None, "1"], "k": [None, "u"]}, ragged=["line: too few fields", None]), how)
    assert found["issues"].to_list() == ["line: too few fields", None]
    assert found["x"].to_list() == [None, 1]


def test_issues_are_joined_in_column_order() -> None:
    how = contract({"x": NUMBER, "y": NUMBER | {"max": 1}, "k": CATEGORY | {"required": True}})
    frame = snapshot({"id": ["a", "a", "b"], "x": ["?", "1", "1"], "y": ["2", "1", "2"], "k": ["", "u", "u"]}, ragged=[None, None, None])
    assert run(frame, how)["issues"].to_list() == [
        "account_id: repeated; x: unreadable; y: above 1; k: missing",
        "account_id: repeated",
        "y: above 1",
    ]


def test_an_empty_snapshot_gives_no_rows() -> None:
    empty = pl.LazyFrame(schema={"id": pl.String, "x": pl.String, RAGGED: pl.String})
    assert run(empty, contract({"x": NUMBER})).height == 0


def test_many_batches_keep_the_rows_in_order() -> None:
    rows, every = 300_000, 997
    how = contract({"x": NUMBER | {"min": 0}, "k": CATEGORY})
    row = pl.int_range(rows)
    frame = pl.LazyFrame().select(
        id=pl.when(row == rows - 1).then(pl.lit("A0")).otherwise("A" + row.cast(pl.String)),
        x=pl.when(row % every == 1).then(pl.lit("?")).when(row % every == 2).then("-" + row.cast(pl.String)).otherwise(row.cast(pl.String)),
        k=pl.lit(" u "),
    )
    found = run(frame.with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED)), how)
    expected = [None] * rows
    expected[1::every] = ["x: unreadable"] * len(expected[1::every])
    expected[2::every] = ["x: below 0"] * len(expected[2::every])
    expected[0], expected[-1] = "account_id: repeated", ";".join(filter(None, ["account_id: repeated", expected[-1]]))
    assert found.height == rows
    assert found["account_id"].to_list() == [*(f"A{position}" for position in range(rows - 1)), "A0"]
    assert found["issues"].to_list() == expected
    assert found["x"].null_count() == len(expected[1::every])
    assert found["k"].unique().to_list() == ["u"]


# Text of a number from 0 to 100 with the missing code -9: its value and its issue.
NUMBERS: Mapping[str, tuple[float | None, str | None]] = {
    "0": (0, None),
    " 7.5 ": (7.5, None),
    "100": (100, None),
    "1e2": (100, None),
    "-0": (0, None),
    "100.5": (100.5, "above 100"),
    "1e300": (1e300, "above 100"),
    "-1": (-1, "below 0"),
    "-9": (None, "missing"),
    "-9.0": (None, "missing"),
    "": (None, "missing"),
    " NA": (None, "missing"),
    "SECRET": (None, "unreadable"),
    "inf": (None, "unreadable"),
    "1e999": (None, "unreadable"),
    "12,5": (None, "unreadable"),
}
LEVELS: Mapping[str, tuple[str | None, str | None]] = {
    "u": ("u", None),
    " v ": ("v", None),
    "": (None, "missing"),
    "NA ": (None, "missing"),
}
IDS = st.sampled_from(["", " ", "NA", "SECRET1", "SECRET1\xa0", "SECRET2", "SECRET3", "SECRET4", "SECRET5", "SECRET6"])
ROW = st.tuples(
    IDS,
    st.sampled_from([*NUMBERS]),
    st.sampled_from([*NUMBERS]),
    st.sampled_from([*LEVELS]),
    st.sampled_from([None, "line: too many fields"]),
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=25))
def test_each_row_gives_one_row_with_exactly_its_issues(rows: list[tuple[str, ...]]) -> None:
    bounded = NUMBER | {"min": 0, "max": 100, "missing": [-9]}
    how = contract({"x": bounded | {"required": True}, "y": bounded, "k": CATEGORY | {"required": True}}, missing=["NA"])
    names, xs, ys, ks, ragged = (list(column) for column in zip(*rows, strict=True))
    found = run(snapshot({"id": names, "x": xs, "y": ys, "k": ks}, ragged), how)

    times = Counter(name.strip() for name in names)
    expected = []
    for name, x, y, k, line in rows:
        is_missing = name.strip() in {"", "NA"}
        issues = [
            "account_id: missing" if is_missing else "account_id: repeated" if times[name.strip()] > 1 else None,
            f"x: {NUMBERS[x][1]}" if NUMBERS[x][1] else None,
            f"y: {NUMBERS[y][1]}" if NUMBERS[y][1] not in {None, "missing"} else None,
            f"k: {LEVELS[k][1]}" if LEVELS[k][1] else None,
        ]
        expected.append((name.strip(), NUMBERS[x][0], NUMBERS[y][0], LEVELS[k][0], line or "; ".join(filter(None, issues)) or None))
    assert found.drop(GROUP, EXCLUDED).rows() == expected
    assert not any("SECRET" in (issue or "") for issue in found[ISSUES])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).map(repr), min_size=1, max_size=20))
def test_any_python_float_is_parsed_to_the_bit(texts: list[str]) -> None:
    read = [value for value, issue in number(texts) if issue is None]
    assert [value.hex() for value in read if value is not None] == [float(text).hex() for text in texts]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(["", "a", "b", " a", "A"]), st.text(max_size=2)), max_size=30))
def test_repeated_ids_are_distinct_ids_of_several_rows(names: list[str]) -> None:
    frame = pl.LazyFrame({"id": names, "x": ["1"] * len(names)}, schema={"id": pl.String, "x": pl.String})
    found = repeated_ids(frame, contract({"x": NUMBER}))
    assert found.dtype == pl.String
    counts = Counter(name.strip() for name in names)
    assert sorted(found.to_list()) == sorted(name for name, times in counts.items() if times > 1 and name)


def test_repeated_ids_are_found_in_distant_rows() -> None:
    rows = 300_000
    row = pl.int_range(rows)
    frame = pl.LazyFrame().select(id=pl.when(row % 100_000 == 99_999).then(pl.lit("twice")).otherwise(row.cast(pl.String)))
    assert repeated_ids(frame, contract({"x": NUMBER})).to_list() == ["twice"]


def test_facts_count_rows_issues_and_missing_values() -> None:
    how = contract({"x": NUMBER, "k": CATEGORY | {"required": True}})
    frame = run(snapshot({"x": ["1", "", "?", "2"], "k": ["", "u", "", "u"]}), how)
    facts = frame.select(feature_facts(how)).row(0, named=True)
    kinds = {kind[ISSUES]: kind["count"] for kind in facts.pop("issue_counts")}
    assert facts == {"rows": 4, "with_issues": 2, "not_eligible": 0, "excluded_counts": [], "missing.x": 2, "missing.k": 2}
    assert kinds == {"k: missing": 1, "x: unreadable; k: missing": 1}
    assert count_issues(kinds) == {"k: missing": 2, "x: unreadable": 1}


def test_issue_counts_are_sorted_by_frequency() -> None:
    counted = count_issues({"b: missing": 2, "a: missing; b: missing": 3, "c: missing; a: missing": 4, "d: missing": 5})
    assert list(counted.items()) == [("a: missing", 7), ("b: missing", 5), ("d: missing", 5), ("c: missing", 4)]
    assert count_issues({}) == {}


def test_a_sample_snapshot_keeps_its_rows(contract: Contract, sample: Any) -> None:
    raw = pl.read_csv(sample("accounts_2026-01-03.csv"), infer_schema=False, empty_string_is_null=False)
    found = run(raw.lazy().with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED)), contract)
    assert found["account_id"].to_list() == raw["account_id"].to_list()
    kinds = Counter(found["issues"].drop_nulls().to_list())
    assert kinds == {
        "annual_income: unreadable": 1,
        "utilisation: below 0": 1,
        "credit_limit: missing": 1,
        "account_id: missing": 1,
        "account_id: repeated": 2,
    }
    assert math.isclose(found["bureau_score"].drop_nulls().max() or 0, max(float(text) for text in raw["bureau_score"] if text))
