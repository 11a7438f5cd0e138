"""The points table of a model: its steps, their log-odds, and the training rows in each."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from risk_assets.domain.contract.policy import Points
from risk_assets.domain.scorecard.points_table import steps, steps_table
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Step, Steps, Term
from risk_assets.domain.training.reference_profile import number_bins

NAN = math.nan
DEBT = Term("debt", Steps((10.0, 20.5), (-1.0, 0.5, 2.0), missing=0.25), 0.125, -1.0, "Debt")
AGE = Term("age", Line(slope=-0.5, center=40.0, missing=0.75), -0.25, -20.0, "Age")
REGION = Term("region", Levels(("north", "south"), (0.5, -0.25), missing=0.125, unseen=-0.0625), 0.0625, -0.25, "Region")
CARD = Scorecard("scorecard", -1.7, (DEBT, AGE, REGION))

RANGES = {"debt": (1.0,), "age": (30.0, 50.0)}
# debt, age, position of the region, bad
ROWS = (
    (10.0, 20.0, 0, 1),
    (10.5, 29.0, 0, 0),
    (20.5, 30.0, 1, 0),
    (21.0, 49.0, 0, 1),
    (-5.0, 50.0, NAN, 0),
    (NAN, 60.0, 1, 1),
    (5.0, 70.0, 0, 0),
    (99.0, NAN, NAN, 1),
)
X = np.array([row[:3] for row in ROWS])
BAD = np.array([row[3] for row in ROWS], dtype=np.int64)


def table(
    card: Scorecard = CARD, feature: str | None = None, ranges: Mapping[str, tuple[float, ...]] = RANGES
) -> list[tuple[str, float, int, int]]:
    found = steps(card, X[:, : len(card.terms)], BAD, ranges)
    return [(step.step, step.log_odds, step.rows, step.bad) for step in found if feature in (None, step.feature)]


def test_steps_have_a_row_each_and_include_their_upper_edge() -> None:
    assert table(feature="debt") == [
        ("up to 10", -1.125, 3, 1),
        ("over 10 up to 20.5", 0.375, 2, 0),
        ("over 20.5", 1.875, 2, 2),
        ("(missing)", 0.125, 1, 1),
    ]


def test_category_has_rows_for_levels_any_other_and_missing() -> None:
    assert table(feature="region") == [
        ("north", 0.4375, 4, 2),
        ("south", -0.3125, 2, 1),
        ("(any other)", -0.125, 0, 0),
        ("(missing)", 0.0625, 2, 1),
    ]


def test_line_shows_the_mean_contribution_in_each_range() -> None:
    # the line contributes (40 - age) / 2, and the mean is -0.25
    under, between, over = (10 + 5.5) / 2 + 0.25, (5 - 4.5) / 2 + 0.25, (-5 - 10 - 15) / 3 + 0.25
    assert table(feature="age") == [
        ("under 30", under, 2, 1),
        ("from 30 under 50", between, 2, 1),
        ("from 50", over, 3, 1),
        ("(missing)", 1.0, 1, 1),
    ]


def test_line_omits_empty_ranges_but_not_missing() -> None:
    found = table(feature="age", ranges={"age": (0.0, 55.0, 100.0)})
    assert [(step, rows) for step, _, rows, _ in found] == [("from 0 under 55", 5), ("from 55 under 100", 2), ("(missing)", 1)]
    known = Scorecard("logistic", 0.0, (Term("debt", Line(1.0, 0.0, 0.5), 0.25, 0.0, "Debt"),))
    everyone = np.array([[0.0], [2.0]])
    (below, above, missing) = steps(known, everyone, np.array([0, 1]), RANGES)
    assert (below.log_odds, above.log_odds) == (-0.25, 1.75)
    assert missing == Step("debt", "(missing)", 0.25, 0, 0)


def test_line_of_a_mostly_zero_number_shows_its_effect() -> None:
    days = np.array([0.0] * 97 + [5.0, 10.0, 26.0])
    card = Scorecard("logistic", 0.0, (Term("days", Line(slope=0.5, center=0.0, missing=9.0), 0.205, 0.0, "Days"),))
    found = steps(card, days[:, np.newaxis], np.zeros(100, dtype=np.int64), {"days": number_bins(days).edges})
    assert [(step.step, step.rows) for step in found] == [
        ("under 5", 97),
        ("from 5 under 10", 1),
        ("from 10 under 26", 1),
        ("from 26", 1),
        ("(missing)", 0),
    ]
    assert [step.log_odds + 0.205 for step in found] == pytest.approx([0, 2.5, 5, 13, 9], abs=1e-12)


def test_single_step_is_named_any() -> None:
    flat = Scorecard("scorecard", 0.0, (Term("debt", Steps((), (0.5,), missing=-0.5), 0.25, -0.5, "Debt"),))
    assert table(flat) == [("any", 0.25, 7, 3), ("(missing)", -0.75, 1, 1)]


def test_line_without_ranges_is_named_any() -> None:
    flat = Scorecard("logistic", 0.0, (Term("debt", Line(0.0, 0.0, 0.0), 0.0, 0.0, "Debt"),))
    assert table(flat, ranges={"debt": ()}) == [("any", 0.0, 7, 3), ("(missing)", 0.0, 1, 1)]


def test_steps_without_training_rows_are_listed() -> None:
    unused = Scorecard("scorecard", 0.0, (Term("debt", Steps((-100.0, 1000.0), (1.0, 2.0, 3.0), 4.0), 0.0, 0.0, "Debt"),))
    assert table(unused) == [
        ("up to -100", 1.0, 0, 0),
        ("over -100 up to 1000", 2.0, 7, 3),
        ("over 1000", 3.0, 0, 0),
        ("(missing)", 4.0, 1, 1),
    ]


def test_features_follow_the_card_and_count_each_row_once() -> None:
    found = steps(CARD, X, BAD, RANGES)
    assert list(dict.fromkeys(step.feature for step in found)) == ["debt", "age", "region"]
    for feature in ("debt", "age", "region"):
        mine = [step for step in found if step.feature == feature]
        assert (sum(step.rows for step in mine), sum(step.bad for step in mine)) == (8, 4)
        assert all(type(step.rows) is int and type(step.bad) is int and type(step.log_odds) is float for step in mine)


def test_log_odds_weighted_by_rows_sum_to_zero() -> None:
    debt = Scorecard("scorecard", 0.0, (Term("debt", DEBT.shape, (3 * -1.0 + 2 * 0.5 + 2 * 2.0 + 0.25) / 8, -1.0, "Debt"),))
    assert sum(log_odds * rows for _, log_odds, rows, _ in table(debt)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("edges", "shape"),
    [
        ((1234567.1, 1234567.9), "steps"),
        ((1e9, 1e9 + 0.5), "steps"),
        ((0.12345671, 0.12345679), "steps"),
        ((1234567.1, 1234567.9), "line"),
    ],
)
def test_close_edges_have_distinct_names(edges: tuple[float, float], shape: str) -> None:
    x = np.array([[edges[0] - 1], [edges[0]], [(edges[0] + edges[1]) / 2], [edges[1] + 1]])
    part = Steps(edges, (0.0, 1.0, 2.0), 0.0) if shape == "steps" else Line(1.0, 0.0, 0.0)
    card = Scorecard("scorecard", 0.0, (Term("debt", part, 0.0, 0.0, "Debt"),))
    names = [step.step for step in steps(card, x, np.array([0, 1, 0, 1]), {"debt": edges})]
    low, high = (name.rpartition(" ")[2] for name in (names[0], names[2]))
    assert low != high


@pytest.mark.parametrize("level", ["(missing)", "(any other)"])
def test_level_named_like_a_label_is_quoted(level: str) -> None:
    card = Scorecard("scorecard", 0.0, (Term("region", Levels((level,), (1.0,), missing=2.0, unseen=3.0), 0.0, 0.0, "Region"),))
    names = [step.step for step in steps(card, np.array([[0.0], [NAN]]), np.array([0, 1]), RANGES)]
    assert len(set(names)) == len(names)


def test_markdown_table_shows_points_shares_and_bad_rates() -> None:
    # 20 points double the odds: log-odds of ln 2 above the mean cost 20 points
    found = (
        Step("debt", "up to 10", math.log(2), 6, 3),
        Step("debt", "a|b", -math.log(2) / 2, 2, 0),
        Step("debt", "(missing)", -math.log(2), 0, 0),
    )
    assert steps_table(found, Points(pdo=20)).splitlines()[2:] == [
        "| debt | up to 10 | -20.0 | 75.0% | 50.0% |",
        r"| debt | a\|b | +10.0 | 25.0% | 0.0% |",
        "| debt | (missing) | +20.0 | 0.0% |  |",
    ]
