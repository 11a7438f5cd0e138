"""Counts of a date in the bins of a profile, and the log-odds that follow from them."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile, Range
from risk_assets.domain.monitoring.tally import count_independent, feature_tallies, score_tally, unseen_levels
from risk_assets.domain.scorecard.arrays import contributions
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Shape, Steps, Term

SCORE = NumberBins((0.5,), (0.5, 0.5), 0.0)
NUMBERS = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0]), st.floats(-1e6, 1e6))
LEVELS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "new"]))


def card(**shapes: Shape) -> Scorecard:
    return Scorecard("scorecard", 0.0, tuple(Term(name, shape, 0.0, 0.0, name) for name, shape in shapes.items()))


CARD = card(
    line=Line(slope=0.3, center=1.0, missing=-0.7),
    steps=Steps(edges=(0.0, 2.0), weights=(0.1, -0.4, 0.9), missing=0.2),
    level=Levels(levels=("a", "b"), weights=(0.5, -0.5), missing=0.1, unseen=0.3),
)
PROFILE = Profile(
    rows=100,
    features={
        "line": NumberBins((0.0, 1.0), (0.3, 0.3, 0.3), 0.1),
        "steps": NumberBins((1.0, 2.0), (0.3, 0.3, 0.3), 0.1),
        "level": LevelBins({"a": 0.5, "b": 0.3, "c": 0.1}, 0.1),
        "unused": NumberBins((), (1.0,), 0.0),
    },
    score=SCORE,
    ranges={"line": Range(-1.0, 2.0, 0.1), "unused": Range(7.0, 7.0, 0.0)},
)


def frame(line: list[float | None], steps: list[float | None], level: list[str | None]) -> pl.DataFrame:
    columns = {"line": line, "steps": steps, "level": level, "unused": line}
    return pl.DataFrame(columns, schema={"line": pl.Float64, "steps": pl.Float64, "level": pl.String, "unused": pl.Float64})


def test_an_edge_belongs_to_the_bin_above_and_the_ends_of_a_range_to_it() -> None:
    found = feature_tallies(frame([-1.0, -1.1, 0.0, 1.0, 2.0, 2.1, None], [None] * 7, [None] * 7).lazy(), PROFILE, CARD)["line"]
    assert found.bins == (2, 1, 3, 1)
    assert (found.outside, found.missing, found.rows) == (2, 1, 7)


def test_levels_that_training_did_not_see_are_counted_together() -> None:
    found = feature_tallies(frame([None] * 6, [None] * 6, ["a", "b", "b", "new", "other", None]).lazy(), PROFILE, CARD)["level"]
    assert found.bins == (1, 2, 0, 2, 1)
    assert found.unseen == 2


def test_a_feature_that_the_model_does_not_use_has_no_log_odds() -> None:
    found = feature_tallies(frame([7.0, 8.0], [None] * 2, [None] * 2).lazy(), PROFILE, CARD)["unused"]
    assert (found.log_odds, found.outside, found.bins) == (None, 1, (2, 0))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, LEVELS), min_size=1, max_size=30))
def test_log_odds_are_the_sums_of_the_contributions(rows: list[tuple[float | None, float | None, str | None]]) -> None:
    features = frame(*(list(column) for column in zip(*rows, strict=True)))  # type: ignore[arg-type]
    found = feature_tallies(features.lazy(), PROFILE, CARD)
    expected = contributions(CARD, encode(features, CARD)).sum(axis=1)
    assert [found[term.feature].log_odds for term in CARD.terms] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_numbers_are_counted_between_the_edges(values: list[float | None]) -> None:
    found = feature_tallies(frame(values, values, [None] * len(values)).lazy(), PROFILE, CARD)["steps"]
    known = np.array([value for value in values if value is not None])
    bounds = [-math.inf, 1.0, 2.0, math.inf]
    counts = [int(((known >= low) & (known < high)).sum()) for low, high in pairwise(bounds)]
    assert found.bins == (*counts, len(values) - len(known))


def test_scores_are_counted_in_the_bins_of_the_profile() -> None:
    assert score_tally(pl.LazyFrame({"probability": [0.1, 0.5, 0.9]}), SCORE).bins == (1, 2, 0)


def test_rare_unseen_levels_are_not_listed() -> None:
    levels = ["new"] * 12 + ["rare"] * 9 + ["a"] * 5 + [None] * 20
    found = unseen_levels(pl.LazyFrame({"level": levels}), "level", LevelBins({"a": 1.0}, 0.0), min_rows=10, most=3)
    assert found == {"new": 12}


def test_rows_of_a_customer_count_as_one() -> None:
    assert count_independent(pl.LazyFrame({"group": ["a", "a", "b", "b"]})) == pytest.approx(2)
    assert count_independent(pl.LazyFrame({"group": ["a", "b", "c"]})) == pytest.approx(3)
