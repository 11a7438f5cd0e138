"""Compiled logistic regression: the scorecard equals the fitted pipeline."""

import pickle
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
from scipy.optimize import minimize
from sklearn.pipeline import Pipeline

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import contributions, probability, with_reference_points
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard
from risk_assets.domain.training.logistic import DirectedLogistic, compile_logistic
from risk_assets.domain.training.logistic import pipeline as logistic_pipeline

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
    pipeline = DirectedLogistic(contract, Training()).fit(frame, bad).pipeline_
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
    pipeline = DirectedLogistic(contract, Training()).fit(frame, BAD).pipeline_
    card = compile_logistic(pipeline, contract)
    assert [(term.feature, term.reason) for term in card.terms] == [("k", "why k"), ("x", "why x"), ("m", "why m")]
    assert card.features == {"k": "category", "x": "number", "m": "category"}
    assert difference(pipeline, card, frame) <= 1e-9


def test_line_is_centred_on_the_mean() -> None:
    x = with_gaps(np.exp(NORMAL[0]).tolist(), 4)
    _, card, _ = compiled({"x": x}, {})
    line = card.terms[0].shape
    assert isinstance(line, Line)
    known = [value for value in x if value is not None]
    filled = [np.median(known) if value is None else value for value in x]
    assert line.center == pytest.approx(np.mean(filled), rel=1e-12)


@pytest.mark.parametrize("effect", [-2.0, 2.0])
def test_a_missing_number_has_a_fitted_weight(effect: float) -> None:
    random = np.random.default_rng(1)
    x, gone = random.normal(size=4000), random.random(4000) < 0.3
    bad = (np.where(gone, effect, x) + random.logistic(size=4000) > 0).astype(np.int64)
    _, card, _ = compiled({"x": np.where(gone, np.nan, x)}, {}, bad)
    line = card.terms[0].shape
    assert isinstance(line, Line)
    assert card.intercept + line.missing == pytest.approx(np.log(bad[gone].mean() / (1 - bad[gone].mean())), abs=0.05)
    assert line.slope == pytest.approx(1, abs=0.15)


def signed_contract(risks: Sequence[str | None]) -> Contract:
    features = {f"x{at}": {"type": "number", "risk": risk, "reason": "X"} for at, risk in enumerate(risks)}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


def constrained(x: npt.NDArray[np.float64], bad: npt.NDArray[np.int64], risks: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """Return the slopes of standardised numbers with the smallest penalised loss within the bounds, by another optimiser."""
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    sides = {"up": (0, None), "down": (None, 0), None: (None, None)}

    def loss(weights: npt.NDArray[np.float64]) -> float:
        log_odds = weights[0] + z @ weights[1:]
        return float(np.sum(np.logaddexp(0, log_odds) - bad * log_odds) + weights[1:] @ weights[1:] / 2)

    found = minimize(loss, np.zeros(1 + len(risks)), bounds=[(None, None), *(sides[risk] for risk in risks)], tol=1e-12)
    return np.asarray(found.x[1:] / x.std(axis=0))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["up", "down", None]), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_slopes_are_the_best_that_respect_the_directions(risks: list[str | None], seed: int) -> None:
    random = np.random.default_rng(seed)
    # numbers that depend on each other, so that leaving one out turns the slopes of others
    x = random.normal(size=(300, len(risks))) @ random.normal(size=(len(risks), len(risks)))
    bad = (x @ random.normal(size=len(risks)) / 2 + random.logistic(size=300) > 0).astype(np.int64)
    bad[:2] = 0, 1
    contract, frame = signed_contract(risks), frame_of({f"x{at}": column for at, column in enumerate(x.T)}, {})
    pipeline = DirectedLogistic(contract, Training()).fit(frame, bad).pipeline_
    card = compile_logistic(pipeline, contract)
    slopes = [term.shape.slope for term in card.terms if isinstance(term.shape, Line)]
    assert all(slope >= 0 for slope, risk in zip(slopes, risks, strict=True) if risk == "up")
    assert all(slope <= 0 for slope, risk in zip(slopes, risks, strict=True) if risk == "down")
    np.testing.assert_allclose(slopes, constrained(x, bad, risks), atol=2e-3)
    assert difference(pipeline, card, frame) <= 1e-9


def test_a_number_that_was_left_out_can_enter_again() -> None:
    random = np.random.default_rng(4)
    x = random.normal(size=(200, 5)) @ random.normal(size=(5, 5))
    bad = (x @ random.normal(size=5) / 2 + random.logistic(size=200) > 0).astype(np.int64)
    contract, frame = signed_contract(["up"] * 5), frame_of({f"x{at}": column for at, column in enumerate(x.T)}, {})
    free = logistic_pipeline(contract, Training()).fit(frame, bad).named_steps["model"].coef_[0]
    card = compile_logistic(DirectedLogistic(contract, Training()).fit(frame, bad).pipeline_, contract)
    slopes = np.array([term.shape.slope for term in card.terms if isinstance(term.shape, Line)])
    assert ((free[:5] < 0) & (slopes > 0)).any()
    np.testing.assert_allclose(slopes, constrained(x, bad, ["up"] * 5), atol=2e-3)


def test_the_fitted_pipeline_needs_scikit_learn_only() -> None:
    pipeline, *_ = compiled(*CASES["missing numbers and categories"])
    assert b"risk_assets" not in pickle.dumps(pipeline)


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
    terms_of = [weighed[:, 0] + weighed[:, 2], weighed[:, 1] + weighed[:, 3], weighed[:, 4:].sum(axis=1)]  # 2 and 3: missing
    expected = [part.mean() for part in terms_of]
    known = with_reference_points(card, encode(pl.from_pandas(frame, nan_to_null=True), card))
    assert [term.mean for term in known.terms] == pytest.approx(expected, abs=1e-12)
    best = [part.min() for part in terms_of]
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
