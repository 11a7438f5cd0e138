"""Compiled logistic regression: the scorecard equals the fitted pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import contributions, probability, with_reference_points
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard
from risk_assets.domain.training.logistic import compile_logistic, logistic

ROWS = 80
RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.normal(size=(3, ROWS))
WORDS = RANDOM.choice(["u", "v", "w"], size=(2, ROWS)).tolist()
BAD = (NORMAL[0] + RANDOM.normal(size=ROWS) > 0.5).astype(np.int64)

Columns = Mapping[str, Sequence[Any] | npt.NDArray[np.float64]]


def contract_of(numbers: Sequence[str], categories: Sequence[str]) -> Contract:
    kinds = dict.fromkeys(numbers, "number") | dict.fromkeys(categories, "category")
    features = {name: {"type": kind, "reason": f"why {name}"} for name, kind in kinds.items()}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


def frame_of(numbers: Columns, categories: Columns) -> pd.DataFrame:
    """Return a frame as training does: converted from polars, with null for missing."""
    schema = dict.fromkeys(numbers, pl.Float64) | dict.fromkeys(categories, pl.String)
    return pl.DataFrame(dict(numbers) | dict(categories), schema=schema).to_pandas()


def compiled(numbers: Columns, categories: Columns, bad: npt.NDArray[np.int64] = BAD) -> tuple[Pipeline, Scorecard, pd.DataFrame]:
    contract, frame = contract_of([*numbers], [*categories]), frame_of(numbers, categories)
    pipeline = logistic(contract, Training()).fit(frame, bad)
    return pipeline, compile_logistic(pipeline, contract), frame


def parts(card: Scorecard, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    return contributions(card, encode(pl.from_pandas(frame, nan_to_null=True), card))


def difference(pipeline: Pipeline, card: Scorecard, frame: pd.DataFrame) -> float:
    return float(np.abs(probability(card, parts(card, frame)) - pipeline.predict_proba(frame)[:, 1]).max())


def with_gaps(values: Sequence[Any], every: int) -> list[Any]:
    return [None if row % every == 0 else value for row, value in enumerate(values)]


MISSING_NUMBER, MISSING_WORD = [None] * ROWS, [None] * ROWS
CASES: Mapping[str, tuple[Columns, Columns]] = {
    "numbers and categories": ({"x": NORMAL[0], "y": NORMAL[1]}, {"k": WORDS[0], "m": WORDS[1]}),
    "only numbers": ({"x": NORMAL[0], "y": NORMAL[1]}, {}),
    "only categories": ({}, {"k": WORDS[0], "m": WORDS[1]}),
    "one number": ({"x": NORMAL[0]}, {}),
    "missing numbers and categories": ({"x": with_gaps(NORMAL[0], 3), "y": NORMAL[1]}, {"k": with_gaps(WORDS[0], 4), "m": WORDS[1]}),
    "a constant number": ({"x": NORMAL[0], "y": [7.0] * ROWS}, {"k": WORDS[0]}),
    "a constant number that may be missing": ({"x": NORMAL[0], "y": with_gaps([7.0] * ROWS, 3)}, {"k": WORDS[0]}),
    "a constant category": ({"x": NORMAL[0]}, {"k": ["u"] * ROWS, "m": WORDS[1]}),
    "a number that is always missing": ({"x": NORMAL[0], "y": MISSING_NUMBER}, {"k": WORDS[0]}),
    "a category that is always missing": ({"x": NORMAL[0]}, {"k": WORDS[0], "m": MISSING_WORD}),
    "a first category that is always missing": ({"x": NORMAL[0]}, {"k": MISSING_WORD, "m": WORDS[1]}),
    "nothing but a category that is always missing": ({"x": NORMAL[0]}, {"k": MISSING_WORD}),
    "a huge scale": ({"x": NORMAL[0] * 1e9, "y": 1e9 + NORMAL[1]}, {"k": WORDS[0]}),
    "a tiny scale": ({"x": NORMAL[0] * 1e-9, "y": with_gaps(NORMAL[1] * 1e-9, 5)}, {"k": WORDS[0]}),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_model_equals_fitted_pipeline(case: str) -> None:
    pipeline, card, frame = compiled(*CASES[case])
    assert difference(pipeline, card, frame) <= 1e-9
    assert [term.feature for term in card.terms] == [*CASES[case][0], *CASES[case][1]]


@pytest.mark.parametrize("case", ["numbers and categories", "missing numbers and categories", "a number that is always missing"])
def test_compiled_model_equals_fitted_on_unseen_values(case: str) -> None:
    numbers, categories = CASES[case]
    pipeline, card, _ = compiled(numbers, categories)
    new = frame_of({name: [None, 3.5, -1e9, 0.0] for name in numbers}, {name: ["u", "never seen", None, ""] for name in categories})
    assert difference(pipeline, card, new) <= 1e-9


VALUES = st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-1e9, 1e9))
LEVELS = st.sampled_from(["u", "v", "", "missing", "nan", "None", "ä", None])


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.data(), st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.0, 1e9, 1e-6]))
def test_any_book_compiles_to_the_fitted_model(data: st.DataObject, numbers: int, categories: int, scale: float) -> None:
    known = {f"x{at}": [1.0, *data.draw(st.lists(VALUES, min_size=19, max_size=19))] for at in range(numbers or 1 - min(categories, 1))}
    scaled = {name: [value if value is None else value * scale for value in column] for name, column in known.items()}
    words = {f"k{at}": ["u", *data.draw(st.lists(LEVELS, min_size=19, max_size=19))] for at in range(categories)}
    bad = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=18, max_size=18))], dtype=np.int64)
    pipeline, card, frame = compiled(scaled, words, bad)
    assert difference(pipeline, card, frame) <= 1e-9
    assert difference(pipeline, msgspec.json.decode(card.to_json(), type=Scorecard), frame) <= 1e-9


def test_terms_follow_the_contract_order_and_reasons() -> None:
    features = {
        "k": {"type": "category", "reason": "why k"},
        "x": {"type": "number", "reason": "why x"},
        "m": {"type": "category", "reason": "why m"},
    }
    contract = Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})
    frame = frame_of({"x": NORMAL[0]}, {"m": WORDS[1], "k": WORDS[0]})[[*features]]
    pipeline = logistic(contract, Training()).fit(frame, BAD)
    card = compile_logistic(pipeline, contract)
    assert [(term.feature, term.reason) for term in card.terms] == [("k", "why k"), ("x", "why x"), ("m", "why m")]
    assert card.features == {"k": "category", "x": "number", "m": "category"}
    assert difference(pipeline, card, frame) <= 1e-9


def test_line_is_centred_on_the_mean_and_missing_is_the_median() -> None:
    x = with_gaps(np.exp(NORMAL[0]).tolist(), 4)
    _, card, _ = compiled({"x": x}, {})
    line = card.terms[0].shape
    assert isinstance(line, Line)
    known = [value for value in x if value is not None]
    filled = [np.median(known) if value is None else value for value in x]
    assert line.center == pytest.approx(np.mean(filled), rel=1e-12)
    assert line.missing == pytest.approx(line.slope * (np.median(known) - np.mean(filled)), rel=1e-9)


def test_missing_level_has_a_weight_only_if_seen_in_training() -> None:
    _, card, _ = compiled({}, {"k": with_gaps(WORDS[0], 2), "m": WORDS[1]})
    with_missing, without = (term.shape for term in card.terms)
    assert isinstance(with_missing, Levels)
    assert isinstance(without, Levels)
    assert with_missing.levels == without.levels == ("u", "v", "w")
    assert with_missing.missing != 0
    assert (without.missing, without.unseen, with_missing.unseen) == (0, 0, 0)


def test_reference_points_match_the_fitted_contributions() -> None:
    pipeline, card, frame = compiled({"x": with_gaps(np.exp(NORMAL[0]).tolist(), 4), "y": NORMAL[1]}, {"k": with_gaps(WORDS[0], 5)})
    weighed = pipeline.named_steps["columns"].transform(frame) * pipeline.named_steps["model"].coef_[0]
    expected = [weighed[:, 0].mean(), weighed[:, 1].mean(), weighed[:, 2:].sum(axis=1).mean()]
    known = with_reference_points(card, encode(pl.from_pandas(frame, nan_to_null=True), card))
    assert [term.mean for term in known.terms] == pytest.approx(expected, abs=1e-12)
    best = [weighed[:, 0].min(), weighed[:, 1].min(), weighed[:, 2:].sum(axis=1).min()]
    assert [term.best for term in known.terms] == pytest.approx(best, abs=1e-12)


def test_slope_has_the_sign_of_the_risk() -> None:
    _, card, _ = compiled({"x": NORMAL[0], "y": -NORMAL[0]}, {})
    rising, falling = (term.shape for term in card.terms)
    assert isinstance(rising, Line)
    assert isinstance(falling, Line)
    assert rising.slope > 0 > falling.slope


def test_same_rows_give_the_same_model() -> None:
    numbers, categories = CASES["missing numbers and categories"]
    assert compiled(numbers, categories)[1].to_json() == compiled(numbers, categories)[1].to_json()
