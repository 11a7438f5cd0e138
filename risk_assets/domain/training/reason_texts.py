"""The text of each position of a fitted model, so that no account gets a text that is false for it."""

from itertools import accumulate

import msgspec
import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.schema import Contract, ReasonTexts
from risk_assets.domain.scorecard.arrays import Floats, contributions
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Shape, Term


def with_reason_texts(card: Scorecard, contract: Contract, x: Floats) -> Scorecard:
    """Return the card with the contract's texts at each position, and the reference points of known values.

    A text for high values is at the positions where a lower value would score better and no higher value would; a text for low
    values the other way round. All other known values, all levels and a flat line have the neutral text.

    Parameters
    ----------
    x : array of float, shape (n, features)
        The inputs of the training rows, NaN for missing.
    """
    terms = (
        _with_texts(term, contract.inputs[term.feature].reason_texts(term.feature), part, np.isnan(column))
        for term, part, column in zip(card.terms, contributions(card, x), x.T, strict=True)
    )
    return Scorecard(card.estimator, card.intercept, tuple(terms))


def _with_texts(term: Term, texts: ReasonTexts, part: Floats, missing: npt.NDArray[np.bool_]) -> Term:
    known = part[~missing]
    some = bool(len(known)) and len(known) < len(part)
    return msgspec.structs.replace(
        term,
        reason=texts.neutral,
        texts=_at_each_position(term.shape, texts),
        known_mean=float(known.mean()) if some else None,
        known_best=float(known.min()) if some else None,
    )


def _at_each_position(shape: Shape, texts: ReasonTexts) -> tuple[str, ...]:
    if isinstance(shape, Line):
        return _text(texts, lower_is_better=shape.slope > 0, higher_is_better=shape.slope < 0), texts.missing
    *known, _ = shape.table
    if isinstance(shape, Levels):
        return *([texts.neutral] * len(known)), texts.missing
    best_up_to = list(accumulate(known, min))
    best_from = list(accumulate(reversed(known), min))[::-1]
    sides = zip(known, best_up_to, best_from, strict=True)
    return *(_text(texts, lower < part, higher < part) for part, lower, higher in sides), texts.missing


def _text(texts: ReasonTexts, lower_is_better: bool, higher_is_better: bool) -> str:
    if lower_is_better == higher_is_better:
        return texts.neutral
    return texts.high if lower_is_better else texts.low
