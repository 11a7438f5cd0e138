"""What must hold where accounts are scored one at a time: the very bits that come out for many at once."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term
from risk_assets.domain.scorecard.scoring import score
from risk_assets.domain.scorecard.single_row import scorer

numbers = st.floats(-1e9, 1e9)
weights = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 5e5, -5e5, 2e6, -2e6]))
steps = st.lists(numbers, min_size=1, max_size=6, unique=True).flatmap(
    lambda edges: st.builds(
        Steps, st.just(tuple(sorted(edges))), st.lists(weights, min_size=len(edges) + 1, max_size=len(edges) + 1).map(tuple), weights
    )
)
levels = st.builds(Levels, st.just(("a", "b", "c")), st.tuples(weights, weights, weights), weights, weights)
shapes = st.one_of(st.builds(Line, weights, numbers, weights), steps, levels)
policies = st.builds(
    lambda threshold, most, against: Policy(threshold=threshold, bands={"A": 0.1, "B": 0.5, "C": 1}, reasons=most, reasons_against=against),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
    st.sampled_from(["mean", "best"]),
)


@st.composite
def cards_and_rows(draw: st.DrawFn) -> tuple[Scorecard, list[list[float | str | None]]]:
    terms = tuple(
        Term(f"f{at}", shape, draw(weights), draw(weights), f"why f{at}")
        for at, shape in enumerate(draw(st.lists(shapes, min_size=1, max_size=6)))
    )
    card = Scorecard("scorecard", draw(st.floats(-5, 5)), terms)
    rows = draw(st.lists(st.tuples(*[_values(term.shape) for term in terms]).map(list), min_size=1, max_size=4))
    return card, rows


def _values(shape: Line | Steps | Levels) -> st.SearchStrategy[float | str | None]:
    if isinstance(shape, Levels):
        return st.sampled_from([*shape.levels, "never seen", None])
    at_edges = st.sampled_from(shape.edges) if isinstance(shape, Steps) else st.just(shape.center)
    return st.one_of(st.none(), numbers, at_edges)


def _input(shape: Line | Steps | Levels, value: float | str | None) -> float:
    if value is None:
        return math.nan
    if isinstance(shape, Levels):
        return float(shape.levels.index(value)) if value in shape.levels else float(len(shape.levels))
    return float(value)


@given(cards_and_rows(), policies)
@settings(max_examples=200, deadline=None)
def test_one_account_is_scored_to_the_bit_as_among_many(made: tuple[Scorecard, list[list[float | str | None]]], policy: Policy) -> None:
    card, rows = made
    x = np.array([[_input(term.shape, value) for term, value in zip(card.terms, row, strict=True)] for row in rows])
    together = score(card, policy, x)
    alone = scorer(card, policy)
    for at, row in enumerate(rows):
        chance, bad, points, band, reasons = alone(row)
        assert chance == together.probability[at]
        assert bad == together.prediction[at]
        assert points == together.points[at]
        assert band == together.band[at]
        assert list(reasons) == [position for position in together.reasons[at].tolist() if position >= 0]
