"""A scorecard over polars' tables: its inputs and probabilities of a frame, or the whole of it as an expression."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from risk_assets.domain.scorecard.scorecard import MAX_LOG_ODDS, Floats, Levels, Line, Scorecard, Steps, Term, contributions, probability


def encode(features: pl.DataFrame, card: Scorecard) -> Floats:
    """Return the model's input, shape (rows, features): numbers as they are, levels as positions, NaN for missing."""
    columns = [_input(term).alias(term.feature) for term in card.terms]
    encoded: Any = features.select(columns).to_numpy(order="fortran")
    return np.asarray(encoded, dtype=np.float64)


def chances(card: Scorecard, features: pl.DataFrame) -> Floats:
    """Return the probability of default of each row of features, shape (rows,)."""
    return probability(card, contributions(card, encode(features, card)))


def expression(card: Scorecard) -> pl.Expr:
    """Return the probability of default as a polars expression over the features' columns; numpy's differs by rounding alone."""
    parts = (_contribution(term).clip(-MAX_LOG_ODDS, MAX_LOG_ODDS) for term in card.terms)
    odds = pl.sum_horizontal(pl.lit(card.intercept), *parts)
    return (1 / (1 + (-odds).exp())).alias("probability")


def _input(term: Term) -> pl.Expr:
    """Return a term's input: a number is its own, a level is its position; null stays null."""
    column = pl.col(term.feature)
    if not isinstance(term.shape, Levels):
        return column
    levels = term.shape.levels
    known = column.replace_strict(levels, range(len(levels)), default=len(levels), return_dtype=pl.Float64)
    return pl.when(column.is_not_null()).then(known)


def _contribution(term: Term) -> pl.Expr:
    """Return the log-odds that a term adds; null means missing."""
    column, shape = pl.col(term.feature), term.shape
    return pl.when(column.is_null()).then(shape.missing).otherwise(_known(column, shape))


def _known(column: pl.Expr, shape: Line | Steps | Levels) -> pl.Expr:
    match shape:
        case Line():
            return shape.slope * (column - shape.center)
        case Steps():
            return _steps(column, shape)
        case Levels():
            return column.replace_strict(shape.levels, shape.weights, default=shape.unseen, return_dtype=pl.Float64)


def _steps(column: pl.Expr, shape: Steps) -> pl.Expr:
    """Return the sum of what each edge that is passed adds."""
    rises = zip(shape.edges, pairwise(shape.weights), strict=True)
    return pl.sum_horizontal(pl.lit(shape.weights[0]), *[(column > edge) * (after - before) for edge, (before, after) in rises])
