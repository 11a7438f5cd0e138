"""The impact of a candidate, compared with row-by-row counts in plain Python."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.impact import (
    CHANGES_SCHEMA,
    CategoryImpact,
    Impact,
    Side,
    category_table,
    compare,
    measure,
    migration_table,
)
from risk_assets.domain.scorecard.points_table import MISSING_LABEL
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term, VersionedScorecard
from risk_assets.errors import ModelError

POLICY = Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.125, "B": 0.5, "C": 1}})
DAY, NEXT, LAST = "2026-01-01", "2026-01-02", "2026-01-03"
KINDS = {"number": pl.Float64, "category": pl.String}
Rows = Sequence[Mapping[str, Any]]


def contract(**kinds: str) -> Contract:
    features = {name: {"type": kind, "reason": "r"} for name, kind in kinds.items()}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


BOOK = contract(x="number", k="category", y="number")


def model(version: str, intercept: float = 0.0, **shapes: Line | Steps | Levels) -> VersionedScorecard:
    terms = (Term(name, shape, 0.0, 0.0, f"why {name}") for name, shape in shapes.items())
    return VersionedScorecard(version, Scorecard("logistic", intercept, tuple(terms)))


X = Line(1.0, 0.0, 0.0)
LIVE = model("model_v001", x=X)
STRICTER = model("model_v002", 1.0, x=X)


def table(rows: Rows, book: Contract = BOOK) -> pl.LazyFrame:
    kinds = {name: KINDS[feature.type] for name, feature in book.features.items()}
    filled = [{"account_id": f"a{at}"} | dict(row) for at, row in enumerate(rows)]
    return pl.LazyFrame(filled, schema={"account_id": pl.String, **kinds, "excluded": pl.String, "issues": pl.String})


def measured(
    days: Mapping[str, Rows], candidate: VersionedScorecard, live: VersionedScorecard | None, book: Contract = BOOK
) -> tuple[Impact, list[dict[str, Any]]]:
    impact, changes = measure({date: table(rows, book) for date, rows in days.items()}, candidate, live, POLICY, book)
    assert changes.schema == CHANGES_SCHEMA
    return impact, changes.to_dicts()


def part(shape: Line | Steps | Levels, value: Any) -> float:
    if value is None:
        return shape.missing
    if isinstance(shape, Line):
        return shape.slope * (value - shape.center)
    if isinstance(shape, Steps):
        return shape.weights[bisect_left(shape.edges, value)]
    return dict(zip(shape.levels, shape.weights, strict=True)).get(value, shape.unseen)


def probability(of: VersionedScorecard, row: Mapping[str, Any]) -> float:
    log_odds = of.scorecard.intercept
    for term in of.scorecard.terms:
        log_odds += part(term.shape, row.get(term.feature))
    return 1 / (1 + math.exp(-log_odds))


def band(value: float) -> str:
    return next((name for name, bound in POLICY.bands.items() if bound is not None and value < bound), "C")


def by_hand(days: Mapping[str, Rows], candidate: VersionedScorecard, live: VersionedScorecard) -> tuple[Impact, list[dict[str, Any]]]:
    """Return the impact with the category `k` of BOOK, counted row by row."""
    migration = {one: dict.fromkeys(POLICY.bands, 0) for one in POLICY.bands}
    rows, changes, levels = [], [], {}
    for date in sorted(days):
        for at, row in enumerate(days[date]):
            if row.get("issues") is not None:
                continue
            account, ours, theirs = row.get("account_id", f"a{at}"), probability(candidate, row), probability(live, row)
            rows.append((account, ours, theirs))
            levels.setdefault(row.get("k"), []).append((ours, theirs))
            migration[band(theirs)][band(ours)] += 1
            if (ours >= 0.5) != (theirs >= 0.5):
                change = "newly flagged" if ours >= 0.5 else "no longer flagged"
                changes.append({"date": date, "account_id": account, "change": change, "probability": ours, "live_probability": theirs})
    newly, no_longer = (
        [row["account_id"] for row in changes if row["change"] == change] for change in ("newly flagged", "no longer flagged")
    )
    order = sorted(levels, key=lambda level: (level is None, level or ""))
    sides = {level: list(zip(*levels[level], strict=True)) for level in order}
    means = {level: [sum(side) / len(side) for side in found] for level, found in sides.items()}
    flags = {level: [sum(one >= 0.5 for one in side) for side in found] for level, found in sides.items()}
    issues = sum(row.get("issues") is not None for found in days.values() for row in found)
    impact = Impact(
        candidate=candidate.version,
        against=live.version,
        dates=tuple(sorted(days)),
        policy=POLICY.digest,
        rows=len(rows),
        accounts=len({account for account, _, _ in rows}),
        predicted_bad_rate=sum(ours for _, ours, _ in rows) / len(rows),
        live_predicted_bad_rate=sum(theirs for _, _, theirs in rows) / len(rows),
        flagged=sum(ours >= 0.5 for _, ours, _ in rows),
        live_flagged=sum(theirs >= 0.5 for _, _, theirs in rows),
        newly_flagged=len(newly),
        no_longer_flagged=len(no_longer),
        newly_flagged_accounts=len(set(newly)),
        no_longer_flagged_accounts=len(set(no_longer)),
        migration=migration,
        categories=tuple(
            CategoryImpact("k", "(missing)" if level is None else level, len(levels[level]), *means[level], *flags[level])
            for level in order
        ),
        live_unscored=0,
        live_not_eligible=0,
        scored=len(rows),
        live_scored=len(rows),
        with_issues=issues,
        live_with_issues=issues,
    )
    return impact, changes


def close(value: Any) -> Any:
    """Return the value with floats that compare equal up to 1e-12."""
    if isinstance(value, dict):
        return {key: close(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(close(part) for part in value)
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def assert_same(found: tuple[Impact, list[dict[str, Any]]], expected: tuple[Impact, list[dict[str, Any]]]) -> None:
    assert msgspec.to_builtins(found[0]) == close(msgspec.to_builtins(expected[0]))
    assert list(msgspec.to_builtins(found[0])["migration"]) == list(POLICY.bands)
    assert found[1] == close(expected[1])


def test_impact_on_a_small_book_by_hand() -> None:
    rows = [{"x": math.log(1 / 9), "k": "u"}, {"x": math.log(2 / 3), "k": "v"}, {"x": math.log(3), "k": "u"}]
    doubling = model("model_v002", math.log(2), x=X)
    impact, changes = measured({DAY: rows}, doubling, LIVE)
    # odds of 1:9, 2:3 and 3:1 double to 2:9, 4:3 and 6:1
    live, ours = [1 / 10, 2 / 5, 3 / 4], [2 / 11, 4 / 7, 6 / 7]
    assert (impact.rows, impact.accounts, impact.flagged, impact.live_flagged) == (3, 3, 2, 1)
    assert (impact.newly_flagged, impact.no_longer_flagged) == (1, 0)
    assert (impact.newly_flagged_accounts, impact.no_longer_flagged_accounts) == (1, 0)
    assert impact.predicted_bad_rate == pytest.approx(sum(ours) / 3)
    assert impact.live_predicted_bad_rate == pytest.approx(sum(live) / 3)
    assert impact.migration == {"A": {"A": 0, "B": 1, "C": 0}, "B": {"A": 0, "B": 0, "C": 1}, "C": {"A": 0, "B": 0, "C": 1}}
    assert [(one.feature, one.level, one.rows) for one in impact.categories] == [("k", "u", 2), ("k", "v", 1)]
    assert [one.predicted_bad_rate for one in impact.categories] == pytest.approx([(ours[0] + ours[2]) / 2, ours[1]])
    assert [one.live_predicted_bad_rate for one in impact.categories] == pytest.approx([(live[0] + live[2]) / 2, live[1]])
    (change,) = changes
    assert change["probability"] == pytest.approx(4 / 7)
    assert change["live_probability"] == pytest.approx(2 / 5)
    assert (change["date"], change["account_id"], change["change"]) == (DAY, "a1", "newly flagged")


def test_threshold_is_flagged_and_in_the_riskier_band() -> None:
    impact, changes = measured({DAY: [{"x": 0.0}]}, LIVE, model("model_v000", -1e-9, x=X))
    assert (impact.flagged, impact.live_flagged, impact.migration["B"]["C"]) == (1, 0, 1)
    assert [change["change"] for change in changes] == ["newly flagged"]


def test_same_model_changes_no_flag_and_no_band() -> None:
    rows = [{"x": value / 4, "k": "u"} for value in range(-20, 21)]
    impact, changes = measured({DAY: rows, NEXT: rows}, model("model_v002", x=X), LIVE)
    assert changes == []
    assert (impact.newly_flagged, impact.no_longer_flagged) == (impact.newly_flagged_accounts, impact.no_longer_flagged_accounts) == (0, 0)
    assert impact.flagged == impact.live_flagged == 42
    assert impact.predicted_bad_rate == impact.live_predicted_bad_rate
    assert all(one.predicted_bad_rate == one.live_predicted_bad_rate for one in impact.categories)
    diagonal = {name: row[name] for name, row in impact.migration.items()}
    # log(0.125 / 0.875) = -1.95; -20/4 to -8/4 are 13 values below it, -7/4 to -1/4 are 7, and 21 are at 0.5 or above
    assert diagonal == {"A": 26, "B": 14, "C": 42}
    assert sum(sum(row.values()) for row in impact.migration.values()) == 82


def test_stricter_candidate_only_adds_flags() -> None:
    days = {DAY: [{"x": value / 4} for value in range(-20, 21)]}
    impact, changes = found = measured(days, STRICTER, LIVE)
    # x from -1 to below 0
    assert [change["account_id"] for change in changes] == ["a16", "a17", "a18", "a19"]
    assert {change["change"] for change in changes} == {"newly flagged"}
    assert (impact.newly_flagged, impact.no_longer_flagged) == (4, 0)
    assert_same(found, by_hand(days, STRICTER, LIVE))


def test_milder_candidate_only_removes_flags() -> None:
    impact, changes = measured({DAY: [{"x": -0.5}, {"x": 0.5}, {"x": 1.5}]}, LIVE, STRICTER)
    assert [(change["account_id"], change["change"]) for change in changes] == [("a0", "no longer flagged")]
    assert (impact.newly_flagged, impact.no_longer_flagged, impact.no_longer_flagged_accounts) == (0, 1, 1)


def test_account_on_several_dates_counts_once_per_date() -> None:
    rows = [{"account_id": "same", "x": -0.5}, {"account_id": "other", "x": 3.0}]
    impact, changes = measured({DAY: rows, NEXT: rows, LAST: rows[:1]}, STRICTER, LIVE)
    assert (impact.rows, impact.accounts) == (5, 2)
    assert (impact.newly_flagged, impact.newly_flagged_accounts) == (3, 1)
    assert [(change["date"], change["account_id"]) for change in changes] == [(DAY, "same"), (NEXT, "same"), (LAST, "same")]


def test_account_that_changes_both_ways_counts_in_both() -> None:
    steeper = model("model_v002", 0.0, x=Line(1.0, 0.0, 0.0), y=Line(1.0, 0.0, 0.0))
    days = {DAY: [{"account_id": "it", "x": -1.0, "y": 2.0}], NEXT: [{"account_id": "it", "x": 1.0, "y": -2.0}]}
    impact, changes = measured(days, steeper, LIVE)
    assert (impact.newly_flagged_accounts, impact.no_longer_flagged_accounts, impact.accounts) == (1, 1, 1)
    assert [change["change"] for change in changes] == ["newly flagged", "no longer flagged"]


def test_changes_are_ordered_by_date_and_file() -> None:
    one = [{"account_id": name, "x": -0.5} for name in ("z", "b", "m")]
    impact, changes = measured({LAST: one[1:], DAY: one, NEXT: one[:1]}, STRICTER, LIVE)
    assert impact.dates == (DAY, NEXT, LAST)
    expected = [(DAY, "z"), (DAY, "b"), (DAY, "m"), (NEXT, "z"), (LAST, "b"), (LAST, "m")]
    assert [(change["date"], change["account_id"]) for change in changes] == expected


def test_changes_keep_the_file_order_over_many_batches() -> None:
    rows = 300_000
    row = pl.int_range(rows)
    frame = (
        pl.LazyFrame()
        .select(account_id=row.cast(pl.String), x=(row % 21 - 10).cast(pl.Float64) / 4)
        .with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in ("excluded", "issues"))
    )
    impact, changes = measure({DAY: frame, NEXT: frame}, STRICTER, LIVE, POLICY, BOOK)
    once = [str(at) for at in range(rows) if 6 <= at % 21 < 10]
    assert changes["account_id"].to_list() == once * 2
    assert changes["date"].to_list() == [DAY] * len(once) + [NEXT] * len(once)
    assert (impact.rows, impact.accounts, impact.newly_flagged, impact.newly_flagged_accounts) == (2 * rows, rows, 2 * len(once), len(once))


def test_rows_with_issues_do_not_count() -> None:
    kept = [{"x": -0.5, "k": "u"}, {"x": 0.5, "k": "v"}]
    invalid = [{"x": -0.5, "k": "w", "issues": "x: above 9"}, {"x": None, "k": None, "issues": "x: missing"}]
    # the rows with issues come last, so that the other accounts keep their names
    assert measured({DAY: kept + invalid, NEXT: invalid}, STRICTER, LIVE)[0] == msgspec.structs.replace(
        measured({DAY: kept}, STRICTER, LIVE)[0], dates=(DAY, NEXT), with_issues=4, live_with_issues=4
    )


def test_rows_that_are_not_eligible_do_not_count() -> None:
    kept = [{"x": -0.5, "k": "u"}, {"x": 0.5, "k": "v"}]
    closed = [{"x": -0.5, "k": "w", "excluded": "closed"}, {"x": None, "k": None, "excluded": "late"}]
    assert measured({DAY: kept + closed, NEXT: closed}, STRICTER, LIVE)[0] == msgspec.structs.replace(
        measured({DAY: kept}, STRICTER, LIVE)[0], dates=(DAY, NEXT), not_eligible=4, live_not_eligible=4
    )


def test_missing_level_comes_last_and_differs_from_its_name() -> None:
    rows = [{"x": float(at), "k": level} for at, level in enumerate([None, "missing", "z", "(missing)", None, "~"])]
    impact, _ = found = measured({DAY: rows[:3], NEXT: rows[3:]}, STRICTER, LIVE)
    assert [(one.level, one.rows) for one in impact.categories] == [
        ("(missing)", 1),
        ("missing", 1),
        ("z", 1),
        ("~", 1),
        (MISSING_LABEL, 2),
    ]
    assert_same(found, by_hand({DAY: rows[:3], NEXT: rows[3:]}, STRICTER, LIVE))


def test_categories_of_every_snapshot_are_in_contract_order() -> None:
    book = contract(second="category", x="number", first="category", dropped="category", now_text="category")
    frame = table([{"x": 1.0, "second": "s", "first": "f", "dropped": "g", "now_text": "n"}], book)
    days = {DAY: frame, NEXT: frame.drop("dropped").with_columns(now_text=1.0)}
    impact, _ = measure(days, STRICTER, LIVE, POLICY, book)
    assert [(one.feature, one.level, one.rows) for one in impact.categories] == [("second", "s", 2), ("first", "f", 2)]


def test_impact_without_categories_has_the_other_figures() -> None:
    book = contract(x="number")
    impact, _ = measured({DAY: [{"x": 1.0}]}, STRICTER, LIVE, book)
    assert (impact.rows, impact.categories) == (1, ())


@pytest.mark.parametrize("name", ["probability", "chance", "band", "level", "bad_", "0", "1", "date", "variable", "value", "rows"])
def test_category_may_have_any_name(name: str) -> None:
    book = contract(**{"x": "number", name: "category", "other": "category"})
    impact, _ = measured(
        {DAY: [{"x": 1.0, name: "u", "other": "v"}]}, model("model_v002", x=X, **{name: Levels(("u",), (1.0,), 0, 0)}), LIVE, book
    )
    assert [(one.feature, one.level) for one in impact.categories] == [(name, "u"), ("other", "v")]
    assert impact.predicted_bad_rate == pytest.approx(1 / (1 + math.exp(-2)))


def requiring(version: VersionedScorecard, *names: str) -> VersionedScorecard:
    terms = (msgspec.structs.replace(term, required=term.feature in names) for term in version.scorecard.terms)
    return VersionedScorecard(version.version, msgspec.structs.replace(version.scorecard, terms=tuple(terms)))


MISSING: dict[str, Rows] = {
    DAY: [{"x": 1.0, "y": 1.0}, {"x": None, "y": 1.0}, {"x": 1.0, "y": None}, {"issues": "line: too few fields"}],
    NEXT: [{"x": None, "y": None}, {"x": -1.0, "y": -1.0}],
}


def test_rows_without_a_required_feature_are_not_scored() -> None:
    candidate, live = requiring(model("model_v002", x=X, y=X), "x"), requiring(model("model_v001", x=X, y=X), "y")
    impact, changes = measured(MISSING, candidate, live)
    assert (impact.unscored, impact.live_unscored) == (2, 2)
    assert (impact.scored, impact.live_scored, impact.with_issues, impact.live_with_issues) == (3, 3, 1, 1)
    assert (impact.newly_scored_flagged, impact.no_longer_scored_flagged) == (None, None)  # one contract
    assert (impact.rows, impact.accounts, impact.flagged, impact.live_flagged) == (2, 2, 1, 1)
    assert changes == []
    assert sum(part.rows for part in impact.categories) == 2


def test_rows_without_a_newly_required_feature_are_counted() -> None:
    impact, _ = measured(MISSING, requiring(model("model_v002", 1.0, x=X, y=X), "x"), model("model_v001", x=X, y=X))
    assert (impact.unscored, impact.live_unscored, impact.rows) == (2, 0, 3)
    alone, _ = measured(MISSING, requiring(model("model_v002", 1.0, x=X, y=X), "x", "y"), None)
    assert (alone.unscored, alone.live_unscored, alone.rows) == (3, None, 2)


def test_a_stored_impact_without_counts_of_rows_is_read() -> None:
    impact, _ = measured(MISSING, STRICTER, LIVE)
    stored = {name: value for name, value in msgspec.to_builtins(impact).items() if not name.endswith(("scored", "issues"))}
    read = msgspec.convert(stored, Impact)
    assert (read.unscored, read.scored, read.live_scored, read.with_issues) == (0, None, None, None)


def test_rows_that_no_model_scores_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"risk models show VERSION"):
        measured({DAY: [{"x": None}]}, requiring(STRICTER, "x"), None)


def assert_alone(impact: Impact, changes: list[dict[str, Any]]) -> None:
    of_live = ("against", *(name for name in Impact.__struct_fields__ if name.startswith(("live_", "newly_", "no_longer_"))))
    assert len(of_live) == 15
    assert {getattr(impact, name) for name in of_live} == {None}
    assert (impact.migration, changes) == ({}, [])
    assert {one.live_predicted_bad_rate for one in impact.categories} == {None}
    assert (impact.rows, impact.accounts, impact.flagged) == (3, 2, 2)
    assert [(one.level, one.rows) for one in impact.categories] == [("u", 2), ("v", 1)]
    expected = [1 / (1 + math.exp(-log_odds)) for log_odds in (0.5, 1.5, -1.0)]
    assert impact.predicted_bad_rate == pytest.approx(sum(expected) / 3)
    assert [one.predicted_bad_rate for one in impact.categories] == pytest.approx([(expected[0] + expected[1]) / 2, expected[2]])


ALONE: dict[str, Rows] = {DAY: [{"x": -0.5, "k": "u"}, {"x": 0.5, "k": "u"}], NEXT: [{"x": -2.0, "k": "v"}]}


def test_without_a_live_model_only_the_candidate_has_figures() -> None:
    assert_alone(*measured(ALONE, STRICTER, None))


@pytest.mark.parametrize(
    "live", [model("model_v001", x=X, w=X), model("model_v001", k=X), model("model_v001", x=Levels(("1",), (1.0,), 0, 0))]
)
def test_live_model_with_missing_or_retyped_feature_is_skipped(live: VersionedScorecard) -> None:
    assert_alone(*measured(ALONE, STRICTER, live))


def test_live_model_is_skipped_if_one_date_lacks_its_feature() -> None:
    days = {DAY: table(ALONE[DAY]), NEXT: table(ALONE[NEXT]).drop("y")}
    impact, changes = measure(days, STRICTER, model("model_v001", x=X, y=X), POLICY, BOOK)
    assert_alone(impact, changes.to_dicts())
    assert changes.schema == CHANGES_SCHEMA


def test_no_snapshot_is_an_error_with_a_next_step() -> None:
    with pytest.raises(ModelError, match=r"no snapshot .* model_v002 .* risk run DATE"):
        measure({}, STRICTER, LIVE, POLICY, BOOK)


@pytest.mark.parametrize("rows", [[], [{"x": 123.25, "issues": "x: above 9"}]])
def test_no_scorable_row_is_an_error_without_values(rows: Rows) -> None:
    with pytest.raises(ModelError, match=rf"no row of {DAY}, {NEXT} can be scored.*issues") as error:
        measured({DAY: rows, NEXT: rows}, STRICTER, LIVE)
    assert "123" not in str(error.value)


def test_missing_features_of_the_candidate_are_named() -> None:
    candidate = model("model_v002", x=X, w=X, y=X, k=Line(1.0, 0.0, 0.0))
    days = {DAY: table([{"x": 123.25}]), NEXT: table([{"x": 1.0}]).drop("y")}
    with pytest.raises(ModelError) as error:
        measure(days, candidate, LIVE, POLICY, BOOK)
    message = str(error.value)
    assert message.startswith("model_v002 ")
    assert ": w (number), y (number), k (number). " in message
    assert "risk train" in message
    assert "x (" not in message
    assert "123" not in message


def test_impact_json_round_trip_is_exact() -> None:
    for live in (LIVE, None):
        impact, _ = measured(ALONE, STRICTER, live)
        assert msgspec.json.decode(msgspec.json.encode(impact), type=Impact) == impact


def test_migration_table_has_live_rows_and_candidate_columns() -> None:
    impact, _ = measured({DAY: [{"x": -0.5}, {"x": -0.5}, {"x": 3.0}]}, STRICTER, LIVE)
    assert migration_table(impact).splitlines() == [
        *["| live \N{RIGHTWARDS ARROW} candidate | A | B | C |", "|---|---:|---:|---:|"],
        *["| A | 0 | 0 | 0 |", "| B | 0 | 0 | 2 |", "| C | 0 | 0 | 1 |"],
    ]


# --- another policy or contract ------------------------------------------------------------------------------------------


def test_two_policies_are_compared_on_the_same_rows() -> None:
    wider = Policy.model_validate({"threshold": 0.75, "bands": {"good": 0.5, "fair": 0.75, "poor": 1}})
    days = {DAY: table([{"x": -3, "k": "u"}, {"x": 0.5, "k": "u"}, {"x": 3, "k": "v"}, {"x": 3, "issues": "x: bad"}])}
    impact, changes = compare(Side("with the file's", LIVE, wider, days), Side("with the bound", LIVE, POLICY, days), BOOK)
    assert (impact.candidate, impact.against, impact.policy) == ("with the file's", "with the bound", wider.digest)
    assert (impact.rows, impact.flagged, impact.live_flagged, impact.newly_flagged, impact.no_longer_flagged) == (3, 1, 2, 0, 1)
    assert impact.migration == {
        "A": {"good": 1, "fair": 0, "poor": 0},
        "B": {"good": 0, "fair": 0, "poor": 0},
        "C": {"good": 0, "fair": 1, "poor": 1},
    }
    assert [(part.level, part.flagged, part.live_flagged) for part in impact.categories] == [("u", 0, 1), ("v", 1, 1)]
    assert [row["account_id"] for row in changes.to_dicts()] == ["a1"]
    assert migration_table(impact).splitlines()[0] == "| live \N{RIGHTWARDS ARROW} candidate | good | fair | poor |"


def test_two_contracts_are_compared_row_by_row() -> None:
    """The contract of the file reads x in another unit, lets one row in that had an issue, and has one issue of its own."""
    bound = [{"x": 1, "k": "u"}, {"x": -1, "k": "u"}, {"x": None, "issues": "x: out of range"}, {"x": 2}]
    other = [{"x": -1, "k": "u"}, {"x": -1, "k": "u"}, {"x": 5, "k": "u"}, {"x": None, "issues": "x: missing"}]
    sides = [Side(name, LIVE, POLICY, {DAY: table(rows)}) for name, rows in (("file", other), ("bound", bound))]
    impact, changes = compare(*sides, BOOK)
    assert (impact.rows, impact.flagged, impact.live_flagged, impact.no_longer_flagged) == (2, 1, 2, 1)
    assert (impact.newly_scored_flagged, impact.no_longer_scored_flagged) == (1, 1)
    first, *others = changes.to_dicts()
    assert first["probability"] == pytest.approx(1 / (1 + math.e))
    assert first["live_probability"] == pytest.approx(1 / (1 + 1 / math.e))
    assert [(row["account_id"], row["change"]) for row in others] == [
        ("a2", "newly scored and flagged"),
        ("a3", "flagged before and no longer scored"),
    ]
    assert [(row["probability"] is None, row["live_probability"] is None) for row in others] == [(False, True), (True, False)]


def test_rows_that_only_one_contract_scores_are_counted_on_their_side() -> None:
    """The contract of the file excludes a level, has a narrower range and requires y; the bound one excludes another level."""
    bound = [{"x": 1, "y": 1}, {"x": 2, "y": 1}, {"x": 3}, {"x": -3}, {"x": 4, "excluded": "late"}, {"x": 1, "issues": "line"}]
    other = [
        {"x": 1, "y": 1, "excluded": "closed"},
        {"x": 2, "y": 1, "issues": "x: above 1"},
        {"x": 3, "issues": "y: missing"},
        {"x": -3},
        {"x": 4, "k": "u"},
        {"x": 1, "issues": "line"},
    ]
    frames = {"file": {DAY: table(other), NEXT: table(other[:4])}, "bound": {DAY: table(bound), NEXT: table(bound[:4])}}
    impact, changes = compare(*(Side(name, LIVE, POLICY, days) for name, days in frames.items()), BOOK)
    assert (impact.scored, impact.live_scored, impact.rows, impact.accounts) == (3, 8, 2, 1)
    assert (impact.flagged, impact.live_flagged, impact.newly_flagged, impact.no_longer_flagged) == (1, 6, 0, 0)
    assert (impact.not_eligible, impact.live_not_eligible, impact.with_issues, impact.live_with_issues) == (2, 1, 5, 1)
    assert (impact.newly_scored_flagged, impact.newly_scored_flagged_accounts) == (1, 1)
    assert (impact.no_longer_scored_flagged, impact.no_longer_scored_flagged_accounts) == (6, 3)
    assert changes["account_id"].to_list() == ["a0", "a1", "a2", "a4", "a0", "a1", "a2"]
    assert [part.rows for part in impact.categories] == [2]
    assert sum(sum(row.values()) for row in impact.migration.values()) == 2


def test_contracts_without_a_common_row_are_an_error() -> None:
    sides = [
        Side("file", LIVE, POLICY, {DAY: table([{"x": 1, "excluded": "closed"}])}),
        Side("bound", LIVE, POLICY, {DAY: table([{"x": 1}])}),
    ]
    with pytest.raises(ModelError, match=f"no row of {DAY} can be scored under both contracts"):
        compare(*sides, BOOK)


def test_migration_table_without_a_live_model_is_a_sentence() -> None:
    assert migration_table(measured(ALONE, STRICTER, None)[0]) == "There is no live model to compare with."


def of_levels(*categories: CategoryImpact) -> list[str]:
    impact, _ = measured(ALONE, STRICTER, LIVE)
    lines = category_table(msgspec.structs.replace(impact, categories=categories)).splitlines()
    assert lines[:2] == [
        "| feature | level | rows | candidate | live | difference (percentage points) | flagged | flagged, live |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    return lines[2:]


def test_category_table_shows_percentage_points() -> None:
    found = of_levels(
        CategoryImpact("k", "u", 1200, 0.25, 0.1234, 30, 20),
        CategoryImpact("k", "v", 1, 0.1, 0.2),
        CategoryImpact("k", "w", 2, 0.1, 0.10000001),
    )
    assert found == [
        "| k | u | 1200 | 25.00% | 12.34% | +12.66 | 30 | 20 |",
        "| k | v | 1 | 10.00% | 20.00% | -10.00 | 0 |  |",
        "| k | w | 2 | 10.00% | 10.00% | +0.00 | 0 |  |",
    ]


def test_category_table_without_a_live_model_has_empty_cells() -> None:
    assert of_levels(CategoryImpact("k", "u", 12, 0.25, None)) == ["| k | u | 12 | 25.00% |  |  | 0 |  |"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("a\r\nb\nc", "a b c"),
        ("*x* `y` <b> [z]", r"\*x\* \`y\` \<b> \[z]"),
        ("self_employed", "self_employed"),
    ],
)
def test_category_table_escapes_levels(level: str, shown: str) -> None:
    assert of_levels(CategoryImpact("k", level, 1, 0.5, 0.5)) == [f"| k | {shown} | 1 | 50.00% | 50.00% | +0.00 | 0 |  |"]


# Eighths are exact in binary, so that both implementations agree at the threshold.
EIGHTHS = st.integers(-24, 24).map(lambda value: value / 8)
LINES = st.builds(Line, EIGHTHS, EIGHTHS, EIGHTHS)
STEPS = st.lists(EIGHTHS, unique=True, min_size=1, max_size=3).flatmap(
    lambda edges: st.builds(Steps, st.just(tuple(sorted(edges))), st.tuples(*[EIGHTHS] * (len(edges) + 1)), EIGHTHS)
)
LEVELS = st.builds(Levels, st.just(("u", "v")), st.tuples(EIGHTHS, EIGHTHS), EIGHTHS, EIGHTHS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(["a", "b", "c", "d"]),
            "x": st.none() | EIGHTHS,
            "y": st.none() | EIGHTHS,
            "k": st.sampled_from([None, "u", "v", "w", "missing"]),
            "issues": st.sampled_from([None, None, None, "x: unreadable"]),
        }
    ),
    max_size=12,
)


@st.composite
def models(draw: st.DrawFn, version: str) -> VersionedScorecard:
    shapes = draw(st.fixed_dictionaries({}, optional={"x": LINES, "k": LEVELS}))
    return model(version, draw(EIGHTHS), y=draw(STEPS), **shapes)


@settings(deadline=None, derandomize=True, max_examples=120)
@given(models("model_v002"), models("model_v001"), st.dictionaries(st.sampled_from([DAY, NEXT, LAST]), ROWS, min_size=1))
def test_every_figure_equals_plain_python(candidate: VersionedScorecard, live: VersionedScorecard, days: dict[str, Rows]) -> None:
    if not any(row["issues"] is None for rows in days.values() for row in rows):
        with pytest.raises(ModelError):
            measured(days, candidate, live)
        return
    impact, changes = found = measured(days, candidate, live)
    assert_same(found, by_hand(days, candidate, live))
    assert sum(sum(row.values()) for row in impact.migration.values()) == impact.rows
    assert sum(one.rows for one in impact.categories) == impact.rows
    assert impact.newly_flagged - impact.no_longer_flagged == impact.flagged - impact.live_flagged
    assert len(changes) == impact.newly_flagged + impact.no_longer_flagged
