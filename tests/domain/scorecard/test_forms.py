"""The three forms of a scorecard (numpy, single row, polars expression) give the same result for any card and any account."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.scorecard.expressions import encode, expression
from risk_assets.domain.scorecard.reasons import reason_texts
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term
from risk_assets.domain.scorecard.scoring import score
from risk_assets.domain.scorecard.single_row import scorer

numbers = st.floats(-1e9, 1e9)
KINDS = {"number": pl.Float64, "category": pl.String}

weights = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 5e5, -5e5, 2e6, -2e6]))
steps = st.lists(numbers, min_size=1, max_size=6, unique=True).flatmap(
    lambda edges: st.builds(
        Steps, st.just(tuple(sorted(edges))), st.lists(weights, min_size=len(edges) + 1, max_size=len(edges) + 1).map(tuple), weights
    )
)
levels = st.builds(Levels, st.just(("a", "b", "c")), st.tuples(weights, weights, weights), weights, weights)
shapes = st.one_of(st.builds(Line, weights, numbers, weights), steps, levels)
by_probability = st.builds(
    lambda threshold, most, against: Policy(threshold=threshold, bands={"A": 0.1, "B": 0.5, "C": 1}, reasons=most, reasons_against=against),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
    st.sampled_from(["mean", "best"]),
)
by_points = st.builds(
    lambda threshold, most, against: Policy(
        cut_by="points", threshold=threshold, bands={"A": 600, "B": 520, "C": None}, reasons=most, reasons_against=against
    ),
    st.integers(300, 700),
    st.integers(0, 5),
    st.sampled_from(["mean", "best"]),
)
policies = by_probability | by_points


known = st.none() | weights


def texts(shape: Line | Steps | Levels) -> st.SearchStrategy[tuple[str, ...]]:
    size = 2 if isinstance(shape, Line) else len(shape.table)
    return st.sampled_from([(), tuple(f"text {position}" for position in range(size))])


@st.composite
def cards_and_rows(draw: st.DrawFn) -> tuple[Scorecard, list[list[float | str | None]]]:
    terms = tuple(
        Term(f"f{at}", shape, draw(weights), draw(weights), f"why f{at}", False, draw(texts(shape)), draw(known))
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


def frame_of(card: Scorecard, rows: list[list[float | str | None]]) -> pl.DataFrame:
    columns = zip(card.terms, zip(*rows, strict=True), strict=True)
    return pl.DataFrame([pl.Series(term.feature, values, dtype=KINDS[card.features[term.feature]]) for term, values in columns])


@given(cards_and_rows(), policies)
@settings(max_examples=200, deadline=None)
def test_single_row_scores_equal_numpy_bit_for_bit(made: tuple[Scorecard, list[list[float | str | None]]], policy: Policy) -> None:
    card, rows = made
    together = score(card, policy, encode(frame_of(card, rows), card))
    alone = scorer(card, policy)
    for at, row in enumerate(rows):
        probability, bad, points, band, reasons = alone(row)
        assert probability == together.probability[at]
        assert bad == together.prediction[at]
        assert points == together.points[at]
        assert band == together.band[at]
        found = reason_texts(card)
        assert list(reasons) == [found[position] for position in together.texts[at].tolist() if position >= 0]
        assert ((together.texts[at] >= 0) == (together.reasons[at] >= 0)).all()


@given(cards_and_rows(), policies)
@settings(max_examples=100, deadline=None)
def test_expression_differs_from_numpy_by_rounding_only(made: tuple[Scorecard, list[list[float | str | None]]], policy: Policy) -> None:
    card, rows = made
    frame = frame_of(card, rows)
    found = frame.lazy().select(expression(card)).collect(engine="streaming").to_series()
    assert found.name == "probability"
    np.testing.assert_allclose(found.to_numpy(), score(card, policy, encode(frame, card)).probability, rtol=1e-12, atol=1e-12)
