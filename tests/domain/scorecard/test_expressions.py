"""Inputs of a scorecard from polars frames, and the scorecard as a polars expression."""

import numpy as np
import polars as pl
import pytest

from risk_assets.domain.scorecard.arrays import contributions
from risk_assets.domain.scorecard.expressions import encode, expression
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term
from tests.domain.scorecard.test_scorecard import CARD, NAN, sigmoid, table


def test_encode_orders_columns_by_the_card() -> None:
    encoded = encode(table([30.0, None], [None, "north"]), CARD)
    np.testing.assert_array_equal(encoded, [[30.0, NAN], [NAN, 0.0]])


def test_encode_reads_an_all_null_column_as_missing() -> None:
    frame = pl.DataFrame({"age": [None, None], "region": [None, None]}, schema={"age": pl.Float64, "region": pl.String})
    assert contributions(CARD, encode(frame, CARD)).tolist() == [[0.3, 0.3], [0.125, 0.125]]


def test_expression_of_constant_terms_has_a_value_for_every_row() -> None:
    terms = (
        Term("debt", Steps((), (0.5,), 0.25), 0, 0, "d"),
        Term("age", Line(0.0, 0.0, 1.0), 0, 0, "a"),
        Term("region", Levels((), (), 0.5, -0.5), 0, 0, "r"),
    )
    card = Scorecard("scorecard", 0.0, terms)
    frame = pl.DataFrame({"debt": [None, 1.0], "age": [None, 2.0], "region": [None, "x"]})
    assert frame.select(expression(card)).to_series().to_list() == pytest.approx([sigmoid(1.75), sigmoid(0.0)], rel=1e-15)
