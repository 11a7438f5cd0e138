"""A scorecard over polars frames: model inputs and probabilities of a frame, or the whole model as one expression."""

import numpy as np
import polars as pl

from risk_assets.domain.scorecard.arrays import Floats, contributions, log_odds, sigmoid
from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Levels, Line, Scorecard, Term


def encode(features: pl.DataFrame, card: Scorecard) -> Floats:
    """Return the model's input, shape (rows, features): numbers unchanged, levels as positions, NaN for missing."""
    encoded = np.empty((features.height, len(card.terms)), order="F")
    for at, term in enumerate(card.terms):
        column = features[term.feature]
        encoded[:, at] = level_positions(column, term.shape) if isinstance(term.shape, Levels) else column.cast(pl.Float64).to_numpy()
    return encoded


def level_positions(column: pl.Series, shape: Levels) -> Floats:
    """Return the position of each level in the shape's table; NaN for missing, and the position after the last level for an unseen one."""
    known = column.cast(pl.Enum(list(shape.positions)), strict=False).to_physical()
    positions = np.array([*shape.positions.values(), len(shape.levels)], dtype=np.float64)
    found: Floats = positions[known.fill_null(len(shape.positions)).to_numpy()]
    if column.null_count():
        found[column.is_null().to_numpy()] = np.nan
    return found


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


def _level_position(column: pl.Expr, shape: Levels, dtype: type[pl.DataType]) -> pl.Expr:
    positions = shape.positions
    known = column.replace_strict(list(positions), list(positions.values()), default=len(shape.levels), return_dtype=dtype)
    return pl.when(column.is_not_null()).then(known)


def _step_position(column: pl.Expr, edges: tuple[float, ...]) -> pl.Expr:
    """Return the number of edges below each value; null stays null."""
    return pl.when(column.is_not_null()).then(pl.lit(pl.Series(edges, dtype=pl.Float64)).search_sorted(column, side="left"))
