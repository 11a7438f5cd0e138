"""The text of each position of a fitted model, so that no account gets a text that is false for it."""

import math
from dataclasses import dataclass
from itertools import accumulate

import msgspec
import numpy as np

from risk_assets.domain.contract.schema import Contract, ReasonTexts
from risk_assets.domain.scorecard.arrays import Floats, contribution
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Shape, Term


@dataclass(frozen=True)
class _Average:
    """The lower and the higher one of the mean and the median of the known values in training."""

    low: float
    high: float


def with_reason_texts(card: Scorecard, contract: Contract, x: Floats) -> Scorecard:
    """Return the card with the contract's texts at each position.

    A text for high values is given where the value is above the mean and the median of the known values in training, a lower value
    would score better, and no higher value would; a text for low values the other way round. All other known values, all levels and
    a flat line have the neutral text. A line has one text for all values, and `typical` separates those that are far enough.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The inputs of the training rows, NaN for missing.
    """
    terms = (
        _with_texts(term, contract.inputs[term.feature].reason_texts(term.feature), _average(column))
        for term, column in zip(card.terms, x.T, strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def _average(column: Floats) -> _Average | None:
    known = column[~np.isnan(column)]
    if not len(known):
        return None
    mean, median = float(known.mean()), float(np.median(known))
    return _Average(min(mean, median), max(mean, median))


def _with_texts(term: Term, texts: ReasonTexts, average: _Average | None) -> Term:
    shape, typical = term.shape, None
    if isinstance(shape, Line) and average:
        typical = float(contribution(shape, np.array([average.low, average.high])).max())
    return msgspec.structs.replace(term, reason=texts.neutral, texts=_at_each_position(shape, texts, average), typical=typical)


def _at_each_position(shape: Shape, texts: ReasonTexts, average: _Average | None) -> tuple[str, ...]:
    if isinstance(shape, Line):
        return _text(texts, lower_is_better=shape.slope > 0, higher_is_better=shape.slope < 0), texts.missing
    *known, _ = shape.table
    if isinstance(shape, Levels) or average is None:
        return *([texts.neutral] * len(known)), texts.missing
    best_up_to = list(accumulate(known, min))
    best_from = list(accumulate(reversed(known), min))[::-1]
    ends = zip((-math.inf, *shape.edges), (*shape.edges, math.inf), strict=True)  # the values above the first one, up to the second
    found = [_text(texts, lower < part, higher < part) for part, lower, higher in zip(known, best_up_to, best_from, strict=True)]
    true = [texts.neutral if not _is_true(text, texts, *end, average) else text for text, end in zip(found, ends, strict=True)]
    return *true, texts.missing


def _is_true(text: str, texts: ReasonTexts, above: float, up_to: float, average: _Average) -> bool:
    """Return whether all values of a step are on the side of the average that a text names."""
    return (text != texts.low or up_to < average.low) and (text != texts.high or above >= average.high)


def _text(texts: ReasonTexts, lower_is_better: bool, higher_is_better: bool) -> str:
    if lower_is_better == higher_is_better:
        return texts.neutral
    return texts.high if lower_is_better else texts.low
