"""A scorecard as data: contributions, probabilities, rescaling and JSON."""

import json
import math

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.arrays import contribution, contributions, log_odds, probability, with_reference_points
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term, scaled

NAN = math.nan
AGE = Term("age", Line(slope=-0.05, center=40.0, missing=0.3), 0.01, -0.9, "Age")
REGION = Term("region", Levels(("north", "south"), (0.5, -0.25), missing=0.125, unseen=-0.0625), -0.02, -0.25, "Region")
CARD = Scorecard("logistic", -1.7, (AGE, REGION))
DEBT = Term("debt", Steps((10.0, 20.0), (-1.0, 0.5, 2.0), missing=0.25), 0.1, -1.0, "Debt")
STEPPED = Scorecard("scorecard", -1.7, (DEBT, AGE, REGION))


def table(ages: list[float | None], regions: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"region": regions, "age": ages}, schema={"region": pl.String, "age": pl.Float64})


def one_line(slope: float, intercept: float = 0.0) -> Scorecard:
    return Scorecard("logistic", intercept, (Term("x", Line(slope, 0.0, 0.0), 0.0, 0.0, "X"),))


def scored(card: Scorecard, frame: pl.DataFrame) -> list[float]:
    return probability(card, contributions(card, encode(frame, card))).tolist()


def sigmoid(x: float) -> float:
    """Return the sigmoid with exp of negative numbers only, so that small and large results are exact."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def test_line_contributes_slope_times_distance_from_center() -> None:
    found = contribution(AGE.shape, np.array([40.0, 41.0, 20.0, NAN]))
    assert found.tolist() == [0.0, -0.05, -0.05 * -20, 0.3]


def test_levels_contribute_their_weight_or_missing_or_unseen() -> None:
    encoded = encode(table([NAN] * 5, ["south", "north", None, "west", ""]), CARD)[:, 1]
    assert contribution(REGION.shape, encoded).tolist() == [-0.25, 0.5, 0.125, -0.0625, -0.0625]


def test_category_without_levels_has_missing_and_unseen_only() -> None:
    card = Scorecard("logistic", 0.0, (Term("region", Levels((), (), missing=0.5, unseen=0.25), 0.0, 0.0, "Region"),))
    encoded = encode(table([1.0, 1.0], ["north", None]), card)
    assert contributions(card, encoded).tolist() == [[0.25, 0.5]]


def test_trained_levels_also_match_in_normal_form() -> None:
    region = Levels(("e\u0301", "a ", "\xe9"), (0.5, 0.25, -0.5), missing=0.0, unseen=9.0)
    card = Scorecard("logistic", 0.0, (Term("region", region, 0.0, 0.0, "Region"),))
    expected = {"e\u0301": 0.5, "\xe9": -0.5, "a ": 0.25, "a": 0.25, "e": 9.0}
    encoded = encode(table([NAN] * 5, list(expected)), card)
    assert contributions(card, encoded).tolist() == [list(expected.values())]
    assert [single_row.contributions(card)([level]) for level in expected] == [[log_odds] for log_odds in expected.values()]
    assert Levels(("e\u0301", "e\u0301 "), (1.0, 2.0), 0.0, 0.0).positions["\xe9"] == 0


def test_probability_is_sigmoid_of_intercept_plus_contributions() -> None:
    ages, regions = [18.0, 40.0, None, 77.5], ["north", None, "south", "west"]
    parts = [(-0.05 * -22, 0.5), (0.0, 0.125), (0.3, -0.25), (-0.05 * 37.5, -0.0625)]
    assert scored(CARD, table(ages, regions)) == pytest.approx([sigmoid(-1.7 + age + region) for age, region in parts], rel=1e-15)


def test_contributions_have_shape_terms_by_rows() -> None:
    parts = contributions(CARD, encode(table([41.0, None, 40.0], ["north", "south", None]), CARD))
    assert parts.tolist() == [[-0.05, 0.3, 0.0], [0.5, -0.25, 0.125]]
    assert log_odds(CARD, parts).tolist() == [-1.7 + -0.05 + 0.5, -1.7 + 0.3 + -0.25, -1.7 + 0.0 + 0.125]


@pytest.mark.parametrize(("x", "expected"), [(1000.0, 1.0), (-1000.0, 0.0), (1e300, 1.0), (-1e300, 0.0), (0.0, 0.5)])
def test_extreme_log_odds_give_probability_0_or_1(x: float, expected: float) -> None:
    frame = pl.DataFrame({"x": [x]})
    assert scored(one_line(1.0), frame) == [expected]


def test_small_probability_keeps_its_precision() -> None:
    (found,) = scored(one_line(1.0), pl.DataFrame({"x": [-700.0]}))
    assert found == pytest.approx(math.exp(-700), rel=1e-12)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=20), st.floats(-5, 5), st.floats(-3, 3))
def test_probability_equals_plain_python(xs: list[float], intercept: float, slope: float) -> None:
    found = scored(one_line(slope, intercept), pl.DataFrame({"x": xs}))
    assert found == pytest.approx([sigmoid(intercept + slope * x) for x in xs], rel=1e-12)


ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.sampled_from(["north", "south", "west", "", None])), min_size=1, max_size=70
)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(ROWS, st.data())
def test_row_has_the_same_result_alone_and_in_a_batch(rows: list[tuple[float | None, str | None]], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    many = table([age for age, _ in rows], [region for _, region in rows])
    together = contributions(CARD, encode(many, CARD))
    alone = contributions(CARD, encode(many[position : position + 1], CARD))
    assert log_odds(CARD, alone)[0] == log_odds(CARD, together)[position]
    assert probability(CARD, alone)[0] == pytest.approx(probability(CARD, together)[position], rel=1e-15)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEVELS = st.dictionaries(st.text(max_size=5), FLOATS, max_size=4)
EDGES = st.lists(FLOATS, max_size=4, unique=True).map(lambda edges: tuple(sorted(edges)))
SHAPES = st.one_of(
    st.builds(Line, FLOATS, FLOATS, FLOATS),
    st.builds(lambda edges, missing: Steps(edges, tuple(float(at) for at in range(len(edges) + 1)), missing), EDGES, FLOATS),
    st.builds(lambda table, *rest: Levels(tuple(table), tuple(table.values()), *rest), LEVELS, FLOATS, FLOATS),
)
CARDS = st.builds(
    Scorecard, st.just("logistic"), FLOATS, st.lists(st.builds(Term, st.text(), SHAPES, FLOATS, FLOATS, st.text()), max_size=4).map(tuple)
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(CARDS)
def test_json_round_trip_is_exact(card: Scorecard) -> None:
    content = card.to_json()
    back = msgspec.json.decode(content, type=Scorecard)
    assert back == card
    assert back.to_json() == content


def test_json_has_the_documented_structure() -> None:
    read = json.loads(CARD.to_json())
    assert read["intercept"] == -1.7
    assert [term["feature"] for term in read["terms"]] == ["age", "region"]
    assert read["terms"][0]["shape"] == {"type": "line", "slope": -0.05, "center": 40.0, "missing": 0.3}


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"estimator": "logistic", "intercept": "x", "terms": []}', b'{"estimator": 1}'])
def test_invalid_scorecard_json_is_rejected(content: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(content, type=Scorecard)


def test_lines_and_steps_are_numbers_and_levels_categories() -> None:
    assert CARD.features == {"age": "number", "region": "category"}
    assert STEPPED.features == {"debt": "number", "age": "number", "region": "category"}


def test_edge_belongs_to_the_lower_step() -> None:
    below, above = np.nextafter([10.0, 20.0], -math.inf), np.nextafter([10.0, 20.0], math.inf)
    assert contribution(DEBT.shape, below).tolist() == [-1.0, 0.5]
    assert contribution(DEBT.shape, np.array([10.0, 20.0])).tolist() == [-1.0, 0.5]
    assert contribution(DEBT.shape, above).tolist() == [0.5, 2.0]


def test_values_beyond_the_edges_use_the_outer_steps() -> None:
    found = contribution(DEBT.shape, np.array([-1e300, 0.0, 15.0, 20.1, 1e300]))
    assert found.tolist() == [-1.0, -1.0, 0.5, 2.0, 2.0]


def test_steps_treat_nan_as_missing_and_infinity_as_a_number() -> None:
    assert contribution(DEBT.shape, np.array([NAN, -math.inf, math.inf])).tolist() == [0.25, -1.0, 2.0]


def test_steps_without_edges_have_one_weight_and_missing() -> None:
    shape = Steps((), (0.75,), missing=-0.5)
    assert contribution(shape, np.array([-math.inf, 0.0, 7.0, math.inf, NAN])).tolist() == [0.75] * 4 + [-0.5]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(EDGES, st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=20))
def test_step_position_is_the_number_of_edges_below(edges: tuple[float, ...], xs: list[float | None]) -> None:
    shape = Steps(edges, tuple(float(at) for at in range(len(edges) + 1)), missing=-1.0)
    values = [*xs, *edges]
    expected = [-1.0 if x is None else float(sum(edge < x for edge in edges)) for x in values]
    assert contribution(shape, np.array([NAN if x is None else x for x in values])).tolist() == expected


def stepped() -> pl.DataFrame:
    debts = [10.0, 10.5, 25.0, None, 0.0, 30.0]
    return table([18.0, None, 40.0, 77.5, 30.0, 50.0], ["north", "south", "west", None, "", "south"]).with_columns(pl.Series("debt", debts))


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.5, -0.25), (2.0, 3.0), (0.0, -1.0)])
def test_scaled_card_has_scaled_log_odds_for_every_shape(slope: float, shift: float) -> None:
    # contributions of debt, age and region for each row of `stepped`
    by_hand = [
        (-1.0, -0.05 * -22, 0.5),
        (0.5, 0.3, -0.25),
        (2.0, 0.0, -0.0625),
        (0.25, -0.05 * 37.5, 0.125),
        (-1.0, -0.05 * -10, -0.0625),
        (2.0, -0.05 * 10, -0.25),
    ]
    found = scaled(STEPPED, slope, shift)
    assert log_odds(found, contributions(found, encode(stepped(), found))) == pytest.approx(
        [slope * (-1.7 + sum(parts)) + shift for parts in by_hand], abs=1e-12
    )
    assert scored(found, stepped()) == pytest.approx([sigmoid(slope * (-1.7 + sum(parts)) + shift) for parts in by_hand], abs=1e-12)


def test_scaled_card_keeps_estimator_features_and_reasons() -> None:
    found = scaled(STEPPED, 0.5, 1.0)
    assert (found.estimator, found.features) == (STEPPED.estimator, STEPPED.features)
    assert [term.reason for term in found.terms] == ["Debt", "Age", "Region"]
    assert STEPPED.intercept == -1.7


def test_reference_points_are_mean_and_lowest_contribution() -> None:
    found = with_reference_points(STEPPED, encode(stepped(), STEPPED))
    debt, age, region = (-1.0, 0.5, 2.0, 0.25, -1.0, 2.0), (1.1, 0.3, 0.0, -1.875, 0.5, -0.5), (0.5, -0.25, -0.0625, 0.125, -0.0625, -0.25)
    assert [term.mean for term in found.terms] == pytest.approx([np.mean(debt), np.mean(age), np.mean(region)], abs=1e-12)
    assert [term.best for term in found.terms] == pytest.approx([-1.0, -1.875, -0.25], abs=1e-12)
    assert [(term.feature, term.shape, term.reason) for term in found.terms] == [(t.feature, t.shape, t.reason) for t in STEPPED.terms]
    assert (found.estimator, found.intercept) == (STEPPED.estimator, STEPPED.intercept)


def test_json_of_steps_has_the_documented_structure() -> None:
    read = json.loads(STEPPED.to_json())
    assert read["terms"][0]["shape"] == {"type": "steps", "edges": [10.0, 20.0], "weights": [-1.0, 0.5, 2.0], "missing": 0.25}
    assert (read["terms"][0]["mean"], read["terms"][0]["best"]) == (0.1, -1.0)


def test_a_file_without_required_features_keeps_its_bytes() -> None:
    content = CARD.to_json()
    assert b"required" not in content
    assert msgspec.json.decode(content, type=Scorecard).to_json() == content
    required = Scorecard("logistic", 0.0, (msgspec.structs.replace(AGE, required=True), REGION))
    assert msgspec.json.decode(required.to_json(), type=Scorecard) == required
    assert (CARD.required, required.required) == ((), ("age",))
