"""The review list: order, earlier scores, changes, and escaped formulas."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from risk_assets.domain.batch.predictions import prediction_schema, predictions
from risk_assets.domain.batch.review_list import (
    SNAPSHOT,
    escape_formulas,
    review_descriptions,
    review_facts,
    review_list,
    review_schema,
    riskiest,
)
from risk_assets.domain.contract.policy import Policy, Review
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term, VersionedScorecard
from risk_assets.errors import LakeError

# With 600 points at odds of 50 to 1 and 20 points to double the odds, log-odds of ln 2 cost 20 points.
TWENTY_POINTS = math.log(2)
STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]

Row = Mapping[str, object]


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.125, "B": 0.5, "C": 1}, "reasons": 2} | more)


def card(*terms: tuple[str, Line | Steps | Levels], worse_by: float = 0.0) -> Scorecard:
    """Return a card that gives 600 points minus `worse_by` to an account with zero contributions."""
    found = tuple(Term(name, shape, 0.0, 0.0, f"why {name}") for name, shape in terms)
    return Scorecard("logistic", worse_by / 20 * TWENTY_POINTS - math.log(50), found)


def per_unit(points: float, missing: float = 0.0) -> Line:
    """Return a line that costs `points` for each unit, and `missing` points for a missing value."""
    return Line(points / 20 * TWENTY_POINTS, 0.0, missing / 20 * TWENTY_POINTS)


KINDS = Levels(("rent", "own"), (2 * TWENTY_POINTS, 0.0), missing=TWENTY_POINTS, unseen=3 * TWENTY_POINTS)
CARD = card(
    ("days_past_due", per_unit(0.6)), ("income", Steps((1000.0, 2000.0), (TWENTY_POINTS, 0.0, -TWENTY_POINTS), 0.0)), ("home", KINDS)
)
USUAL = {"days_past_due": 0.0, "income": 1500.0, "home": "own"}


def frame(rows: Mapping[str, Row], used: Scorecard, **more: Mapping[str, str]) -> pl.DataFrame:
    """Return the features of accounts by id, with additional text columns by account."""
    kinds = {name: pl.Float64 if kind == "number" else pl.String for name, kind in used.features.items()}
    extra = {name: [values[account] for account in rows] for name, values in more.items()}
    ids = pl.Series("account_id", list(rows), dtype=pl.String)
    columns = [pl.Series(name, [row[name] for row in rows.values()], dtype=kind) for name, kind in kinds.items()]
    return pl.DataFrame([ids, *(pl.Series(name, values, dtype=pl.String) for name, values in extra.items()), *columns])


def predicted(features: pl.DataFrame, used: Scorecard, how: Policy, version: str = "model_v001") -> pl.LazyFrame:
    none = pl.lit(None, dtype=pl.String)
    checked = features.lazy().with_columns(group="account_id", excluded=none, issues=none)
    return predictions(checked, Arms(VersionedScorecard(version, used)), how)


def reviewed(
    now: Mapping[str, Row], before: Mapping[str, Row], used: Scorecard = CARD, how: Policy | None = None, size: int = 10
) -> list[dict[str, Any]]:
    """Return the review list; accounts in `before` have their last snapshot on 2024-01-30."""
    chosen = how or policy()
    today = frame(now, used)
    then = frame(before, used, **{SNAPSHOT: dict.fromkeys(before, "2024-01-30")})
    found = review_list(
        riskiest(predicted(today, used, chosen), Review(size=size)), today.reverse(), then.reverse(), {"model_v001": used}, chosen
    )
    assert found.schema == review_schema(chosen)
    return found.rows(named=True)


def changes(before: Row, now: Row, used: Scorecard = CARD) -> str:
    (row,) = reviewed({"a": USUAL | now}, {"a": USUAL | before}, used)
    return row["changes"]


def probabilities(*values: float | None) -> pl.LazyFrame:
    """Return predictions with the ids a0, a1, … and these probabilities only."""
    ids = [f"a{at}" for at in range(len(values))]
    return pl.LazyFrame({"account_id": ids, "probability": values}, schema_overrides={"probability": pl.Float64})


def listed(found: pl.DataFrame) -> list[str]:
    return found["account_id"].to_list()


def test_riskiest_has_the_highest_probabilities_first() -> None:
    assert listed(riskiest(probabilities(0.2, 0.9, 0.1, 0.5), Review(size=3))) == ["a1", "a3", "a0"]


def test_riskiest_keeps_the_file_order_of_ties() -> None:
    assert listed(riskiest(probabilities(0.5, 0.7, 0.5, 0.7, 0.5), Review(size=4))) == ["a1", "a3", "a0", "a2"]


def test_riskiest_omits_rows_without_a_probability() -> None:
    assert listed(riskiest(probabilities(None, 0.1, None, 0.0), Review(size=4))) == ["a1", "a3"]
    assert listed(riskiest(probabilities(None, None), Review(size=4))) == []


def test_riskiest_keeps_the_columns_of_the_table() -> None:
    found = riskiest(predicted(frame({"a": USUAL}, CARD), CARD, policy()), Review(size=1))
    assert found.schema == prediction_schema(policy())


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_riskiest_of_200_000_rows_in_a_file(tmp_path: Path, kind: str) -> None:
    rows, at = 200_000, pl.int_range(200_000)
    # Row 100,000 has the highest probability, then every 20,000th row from row 7 on; multiples of 3 have none.
    probability = pl.when(at == 100_000).then(0.99).when(at % 20_000 == 7).then(0.98).otherwise((at * 7919 % 97) / 100)
    table = pl.select(account_id=at.cast(pl.String), probability=pl.when((at % 3 != 0) | (at == 6)).then(probability)).rechunk()
    path = tmp_path / f"table.{kind}"
    table.write_parquet(path, row_group_size=5_000) if kind == "parquet" else table.write_csv(path)
    scan = pl.scan_parquet(path) if kind == "parquet" else pl.scan_csv(path, schema={"account_id": pl.String, "probability": pl.Float64})
    shared = [row for row in range(7, rows, 20_000) if row % 3]
    below = [row for row in range(rows) if row % 3 and row * 7919 % 97 == 96 and row not in (100_000, *shared)]
    assert listed(riskiest(scan, Review(size=30))) == [str(row) for row in [100_000, *shared, *below][:30]]


def test_review_row_has_current_and_earlier_score_and_changes() -> None:
    # 600 - 0.6 * 35 - 120 = 459, log-odds -ln 50 + (21 + 120) / 20 ln 2: odds of 50 to 2 ** 7.05, and 50 to 2 ** 6 before
    used = card(("days_past_due", per_unit(0.6)), worse_by=120)
    (row,) = reviewed({"a": {"days_past_due": 35.0}}, {"a": {"days_past_due": 0.0}}, used)
    assert row.pop("probability") == pytest.approx(2**7.05 / (50 + 2**7.05), rel=1e-12)
    assert row == {
        "rank": 1,
        "account_id": "a",
        "points": 459,
        "band": "C",
        "reason_1": "why days_past_due",
        "reason_2": None,
        "model_version": "model_v001",
        "last_snapshot": "2024-01-30",
        "points_before": 480,
        "points_change": -21,
        "band_before": "C",
        "changes": "days_past_due 0 to 35 (-21 points)",
    }


def test_band_before_is_scored_from_the_earlier_features() -> None:
    # odds of 50 to 1, 50 to 2 ** 4 and 50 to 2 ** 6 are probabilities of 0.02, 0.24 and 0.56
    rows = reviewed({"a": USUAL, "b": USUAL | {"days_past_due": 400 / 3}}, {"a": USUAL | {"days_past_due": 200.0}, "b": USUAL})
    assert [(row["account_id"], row["band_before"], row["band"]) for row in rows] == [("b", "A", "B"), ("a", "C", "A")]
    assert [(row["points_before"], row["points_change"]) for row in rows] == [(600, -80), (480, 120)]


def test_earlier_points_use_the_current_policy() -> None:
    how = policy(points={"base": 500, "odds": 50, "pdo": 40}, bands={"low": 0.01, "high": 1})
    (row,) = reviewed({"a": USUAL | {"days_past_due": 35.0}}, {"a": USUAL}, how=how)
    assert (row["points_before"], row["points_change"], row["band_before"]) == (500, -42, "high")
    assert row["changes"] == "days_past_due 0 to 35 (-42 points)"


def test_each_account_is_compared_with_its_own_past() -> None:
    now = {f"a{at}": USUAL | {"days_past_due": float(days)} for at, days in enumerate([10, 60, 35, 60])}
    before = {account: USUAL | {"days_past_due": row["days_past_due"] - 5 * (at + 1)} for at, (account, row) in enumerate(now.items())}
    rows = reviewed(now, before, size=3)
    assert [(row["rank"], row["account_id"], row["points_change"]) for row in rows] == [(1, "a1", -6), (2, "a3", -12), (3, "a2", -9)]


def test_account_without_an_earlier_snapshot_is_new() -> None:
    new, old = reviewed({"n": USUAL | {"income": 10.0}, "o": USUAL}, {"o": USUAL})
    empty = ("last_snapshot", "points_before", "points_change", "band_before")
    assert [new[name] for name in empty] == [None] * 4
    assert (new["account_id"], new["points"], new["changes"]) == ("n", 580, "new account")
    assert (old["last_snapshot"], old["points_change"]) == ("2024-01-30", 0)


def test_list_of_new_accounts_only_has_all_columns() -> None:
    assert [row["changes"] for row in reviewed({"n": USUAL, "m": USUAL}, {})] == ["new account"] * 2


def test_equal_contributions_are_reported_as_nothing() -> None:
    assert changes({}, {}) == "nothing"
    assert changes({"income": 1200.0}, {"income": 1900.0}) == "nothing"


def test_value_may_become_known_or_missing() -> None:
    used = card(("x", per_unit(10, missing=25)), ("home", KINDS))
    assert changes({"x": None}, {"x": 1.0}, used) == "x missing to 1 (+15 points)"
    assert changes({"x": 1.0}, {"x": None}, used) == "x 1 to missing (-15 points)"
    assert changes({"x": None, "home": None}, {"x": None, "home": "own"}, used) == "home missing to own (+20 points)"


def test_category_changes_include_unseen_levels() -> None:
    assert changes({"home": "rent"}, {"home": "own"}) == "home rent to own (+40 points)"
    assert changes({"home": "own"}, {"home": "tent"}) == "home own to tent (-60 points)"
    assert changes({"home": "tent"}, {"home": "boat"}) == "nothing"


def test_steps_change_by_step_and_include_their_upper_edge() -> None:
    assert changes({"income": 1000.0}, {"income": 2000.5}) == "income 1000 to 2000.5 (+40 points)"
    assert changes({"income": 2000.0}, {"income": 2000.5}) == "income 2000 to 2000.5 (+20 points)"


def test_three_largest_changes_are_listed_by_size() -> None:
    used = card(*((name, per_unit(1)) for name in "zyxwv"))
    then: Row = dict.fromkeys("zyxwv", 0.0)
    assert changes(then, {"z": 8.0, "y": -16.0, "x": 4.0, "w": 32.0, "v": 0.0}, used) == (
        "w 0 to 32 (-32 points); y 0 to -16 (+16 points); z 0 to 8 (-8 points)"
    )
    assert changes(then, {"z": 0.0, "y": 2.0, "x": -2.0, "w": 4.0, "v": 2.0}, used) == (
        "w 0 to 4 (-4 points); y 0 to 2 (-2 points); x 0 to -2 (+2 points)"
    )
    assert changes(then, dict.fromkeys("zyxw", 0.0) | {"v": 5.0}, used) == "v 0 to 5 (-5 points)"


def test_tied_changes_keep_the_card_order() -> None:
    names = [f"f{at}" for at in range(60)]
    now = {name: float(at * 7 % 3) for at, name in enumerate(names)}
    expected = [name for name in names if now[name] == 2][:3]
    found = changes(dict.fromkeys(names, 0.0), now, card(*((name, per_unit(1)) for name in names)))
    assert found == "; ".join(f"{name} 0 to 2 (-2 points)" for name in expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_change_below_half_a_point_is_shown_as_0_points(sign: int) -> None:
    used = card(("x", per_unit(1)))
    assert changes({"x": 0.0}, {"x": 0.25 * sign}, used) == f"x 0 to {'-' if sign < 0 else ''}0.25 (0 points)"


@pytest.mark.parametrize(("value", "shown"), [(1234567.0, "1234567"), (0.000015, "0.000015"), (1e15, "1000000000000000"), (2.5, "2.5")])
def test_numbers_are_shown_in_full_without_an_exponent(value: float, shown: str) -> None:
    assert changes({"x": None}, {"x": value}, card(("x", Line(0.0, 0.0, TWENTY_POINTS)))) == f"x missing to {shown} (+20 points)"


def test_accounts_are_compared_by_their_own_model_version() -> None:
    first, second = card(("x", per_unit(10))), card(("x", per_unit(30)), ("y", per_unit(1)), worse_by=5)
    now = {account: {"x": 2.0, "y": 7.0} for account in "abcd"}
    before = {account: {"x": 1.0, "y": 0.0} for account in "abc"}
    today = frame(now, second)
    then = frame(before, second, **{SNAPSHOT: dict.fromkeys("abc", "2024-01-01")})
    parts = [
        predicted(today.filter(pl.col("account_id").is_in(["a", "c"])), first, policy(), "v1"),
        predicted(today.filter(pl.col("account_id").is_in(["b", "d"])), second, policy(), "v2"),
    ]
    found = review_list(riskiest(pl.concat(parts), Review(size=4)), today, then, {"v2": second, "v1": first}, policy())
    assert found.select("account_id", "model_version", "points", "points_before", "changes").rows() == [
        ("b", "v2", 528, 565, "x 1 to 2 (-30 points); y 0 to 7 (-7 points)"),
        ("d", "v2", 528, None, "new account"),
        ("a", "v1", 580, 590, "x 1 to 2 (-10 points)"),
        ("c", "v1", 580, 590, "x 1 to 2 (-10 points)"),
    ]


def test_missing_features_of_an_account_are_an_error_without_id() -> None:
    today = frame({"secret": USUAL, "b": USUAL}, CARD)
    top = riskiest(predicted(today, CARD, policy()), Review(size=2))
    with pytest.raises(LakeError, match="Run the date again") as error:
        review_list(top, today[1:], frame({}, CARD, **{SNAPSHOT: {}}), {"model_v001": CARD}, policy())
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("reasons", [0, 2, 5])
def test_date_without_scores_gives_an_empty_list(reasons: int) -> None:
    how = policy(reasons=reasons)
    today = frame({"a": USUAL}, CARD)
    unscored = today.lazy().with_columns(group="account_id", excluded=pl.lit(None, dtype=pl.String), issues=pl.lit("income: missing"))
    top = riskiest(predictions(unscored, Arms(VersionedScorecard("model_v001", CARD)), how), Review(size=5))
    found = review_list(top, today.clear(), frame({}, CARD, **{SNAPSHOT: {}}), {}, how)
    assert found.schema == review_schema(how)
    assert found.height == 0


@pytest.mark.parametrize("reasons", [0, 3])
def test_review_columns_are_ordered_and_described(reasons: int) -> None:
    how = policy(reasons=reasons)
    texts = [f"reason_{rank}" for rank in range(1, reasons + 1)]
    assert list(review_schema(how)) == [
        *["rank", "account_id", "probability", "points", "band", *texts, "model_version", "last_snapshot"],
        *["points_before", "points_change", "band_before", "changes"],
    ]
    assert list(review_descriptions(how)) == list(review_schema(how))
    assert all(review_descriptions(how).values())


@pytest.mark.parametrize("start", STARTS)
def test_formula_texts_are_escaped_with_an_apostrophe(start: str) -> None:
    assert escape_formulas(pl.DataFrame({"text": [f"{start}1+1", start]}))["text"].to_list() == [f"'{start}1+1", f"'{start}"]


def test_other_cells_are_not_escaped() -> None:
    plain = {"text": ["a=1", "'=1", "", None, " x", "1-2", "é"], "number": [-1, -2, 0, None, 1, 2, 3], "share": [-0.5, *[None] * 6]}
    before = pl.DataFrame(plain)
    assert escape_formulas(before).equals(before)
    assert escape_formulas(before.drop("text")).equals(before.drop("text"))
    assert escape_formulas(escape_formulas(pl.DataFrame({"text": ["=1"]})))["text"].to_list() == ["'=1"]


@pytest.mark.parametrize("start", STARTS)
def test_review_list_has_no_formula_and_keeps_negative_numbers(start: str) -> None:
    name = f"{start}x"
    shape = Levels((f"{start}own", f"{start}rent"), (0.0, 8 * TWENTY_POINTS), 0.0, 0.0)
    used = Scorecard("logistic", -math.log(50), (Term(name, shape, 0.0, 0.0, f"{start}reason"),))
    how = policy(bands={f"{start}A": 0.25, f"{start}B": 1})
    (row,) = reviewed({f"{start}id": {name: f"{start}rent"}}, {f"{start}id": {name: f"{start}own"}}, used, how)
    assert (row["account_id"], row["reason_1"], row["reason_2"]) == (f"'{start}id", f"'{start}reason", None)
    assert (row["band_before"], row["band"]) == (f"'{start}A", f"'{start}B")
    assert row["changes"] == f"'{start}x {start}own to {start}rent (-160 points)"
    assert row["points_change"] == -160


def test_ids_are_joined_before_they_are_escaped() -> None:
    rows = reviewed({"=a": USUAL | {"income": 10.0}, "'=a": USUAL}, {"'=a": USUAL | {"home": "rent"}})
    assert [(row["account_id"], row["changes"]) for row in rows] == [("'=a", "new account"), ("'=a", "home rent to own (+40 points)")]


def facts(rows: Sequence[tuple[float, str | None]]) -> dict[str, Any]:
    columns = {"probability": pl.Float64, "last_snapshot": pl.String}
    return pl.DataFrame(rows, schema=columns, orient="row").lazy().select(review_facts()).collect().row(0, named=True)


def test_review_facts_count_rows_and_new_accounts() -> None:
    assert facts([(0.9, "2024-01-30"), (0.5, None), (0.25, None)]) == {"rows": 3, "new_accounts": 2, "min_score": 0.25, "max_score": 0.9}
    assert facts([]) == {"rows": 0, "new_accounts": 0, "min_score": None, "max_score": None}
