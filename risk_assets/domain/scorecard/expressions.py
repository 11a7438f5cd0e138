"""A scorecard over polars frames: model inputs and probabilities of a frame, or the whole model as one expression."""

from typing import Any

import numpy as np
import polars as pl

from risk_assets.domain.scorecard.arrays import Floats, contributions, log_odds, sigmoid
from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Term


def encode(features: pl.DataFrame, card: Scorecard) -> Floats:
    """Return the model's input, shape (rows, features): numbers unchanged, levels as positions, NaN for missing."""
    columns = [_input(term).alias(term.feature) for term in card.terms]
    encoded: Any = features.select(columns).to_numpy(order="fortran")
    return np.asarray(encoded, dtype=np.float64)


def probabilities(card: Scorecard, features: pl.DataFrame) -> Floats:
    """Return the probability of default of each row of features, shape (rows,)."""
    return sigmoid(frame_log_odds(card, features))


def frame_log_odds(card: Scorecard, features: pl.DataFrame) -> Floats:
    """Return the log-odds of default of each row of features, shape (rows,)."""
    return log_odds(card, contributions(card, encode(features, card)))


def expression(card: Scorecard) -> pl.Expr:
    """Return the probability of default as a polars expression over the feature columns; it differs from numpy by rounding only."""
    total = pl.lit(card.intercept)
    for term in card.terms:  # in order, as numpy adds them: a horizontal sum may add in another order
        total = total + contribution(term)
    return (1 / (1 + (-total).exp())).alias("probability")


def contribution(term: Term) -> pl.Expr:
    """Return the log-odds that a term contributes, as a polars expression over the feature's column; null means missing."""
    column, shape = pl.col(term.feature), term.shape
    if isinstance(shape, Line):
        line = pl.when(column.is_null()).then(shape.missing).otherwise(shape.slope * (column - shape.center))
        return line.clip(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    table = pl.lit(pl.Series(shape.table))
    position = _level_position(column, shape, pl.UInt32) if isinstance(shape, Levels) else _step_position(column, shape.edges)
    return table.gather(position.fill_null(len(shape.table) - 1))


def lacks_required(card: Scorecard) -> pl.Expr:
    """Return whether a value of a feature is missing without which the card does not score an account."""
    return pl.any_horizontal(pl.lit(False), *(pl.col(name).is_null() for name in card.required))


def _input(term: Term) -> pl.Expr:
    """Return a term's input; null stays null."""
    column = pl.col(term.feature)
    return column if not isinstance(term.shape, Levels) else _level_position(column, term.shape, pl.Float64)


def _level_position(column: pl.Expr, shape: Levels, dtype: type[pl.DataType]) -> pl.Expr:
    positions = shape.positions
    known = column.replace_strict(list(positions), list(positions.values()), default=len(shape.levels), return_dtype=dtype)
    return pl.when(column.is_not_null()).then(known)


def _step_position(column: pl.Expr, edges: tuple[float, ...]) -> pl.Expr:
    """Return the number of edges below each value; null stays null."""
    return pl.when(column.is_not_null()).then(pl.lit(pl.Series(edges, dtype=pl.Float64)).search_sorted(column, side="left"))
