"""Compiled boosting without interactions: the tables of steps equal the fitted pipeline."""

from collections.abc import Iterator, Mapping, Sequence
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
from threadpoolctl import threadpool_limits

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import contributions, log_odds, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Scorecard, Steps
from risk_assets.domain.training.boosting import boosting, compile_boosting

ROWS = 400
RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.normal(size=(3, ROWS))
WORDS = RANDOM.choice(["u", "v", "w"], size=(2, ROWS)).tolist()
NOISE = RANDOM.logistic(size=ROWS)
BAD = (NORMAL[0] + (np.array(WORDS[0]) == "v") + NOISE > 0.5).astype(np.int64)
SMALL: Mapping[str, Any] = {"rounds": 10, "min_rows": 5, "max_bins": 255}

Columns = Mapping[str, Sequence[Any] | npt.NDArray[np.float64]]
Kinds = Mapping[str, str]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Run boosting in one thread: on a busy machine, its threads spend almost all time waiting for each other."""
    with threadpool_limits(1):
        yield


def contract_of(kinds: Kinds, risk: Kinds | None = None) -> Contract:
    features = {name: {"type": kind, "risk": (risk or {}).get(name), "reason": f"why {name}"} for name, kind in kinds.items()}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


def frame_of(columns: Columns, kinds: Kinds) -> pd.DataFrame:
    """Return a frame as training does: converted from polars, with null for missing."""
    types = {"number": pl.Float64, "category": pl.String}
    return pl.DataFrame(dict(columns), schema={name: types[kinds[name]] for name in columns}).to_pandas()


def kinds_of(columns: Columns) -> Kinds:
    """Return the types of columns: names from k to m are categories, the others are numbers."""
    return {name: "category" if "k" <= name < "n" else "number" for name in columns}


def compiled(
    columns: Columns, bad: npt.NDArray[np.int64] = BAD, risk: Kinds | None = None, **how: Any
) -> tuple[Pipeline, Scorecard, pd.DataFrame]:
    kinds = kinds_of(columns)
    contract, frame = contract_of(kinds, risk), frame_of(columns, kinds)
    pipeline = boosting(contract, Training.model_validate({"scorecard": {**SMALL, **how}})).fit(frame, bad)
    return pipeline, compile_boosting(pipeline, contract), frame


def difference(pipeline: Pipeline, card: Scorecard, frame: pd.DataFrame) -> float:
    """Return the largest difference between compiled and fitted, in log-odds and probabilities."""
    parts = contributions(card, encode(pl.from_pandas(frame, nan_to_null=True), card))
    largest = np.abs(log_odds(card, parts) - pipeline.decision_function(frame)).max()
    return float(max(largest, np.abs(probability(card, parts) - pipeline.predict_proba(frame)[:, 1]).max()))


def probes(pipeline: Pipeline, columns: Columns, draws: int = 2) -> pd.DataFrame:
    """Return rows with edge cases: values at scikit-learn's thresholds, one float to either side, extreme, and missing.

    Each column is shuffled on its own, so that values meet in many ways.
    """
    thresholds = np.concatenate(pipeline.named_steps["model"]._bin_mapper.bin_thresholds_).astype(np.float64)
    sides = [thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf), [0.0, -0.0, 1e100, -1e100, 1.7e308, -1.7e308]]
    numbers = [*np.concatenate(sides).tolist(), None]
    rows, random = len(numbers) * draws, np.random.default_rng(5)

    def column(name: str, kind: str) -> list[Any]:
        known = numbers if kind == "number" else [*sorted({level for level in columns[name] if level}), "never seen", "", None]
        return [known[at % len(known)] for at in random.permutation(max(rows, len(known)))][:rows]

    kinds = kinds_of(columns)
    return frame_of({name: column(name, kind) for name, kind in kinds.items()}, kinds)


def with_gaps(values: Sequence[Any] | npt.NDArray[np.float64], every: int) -> list[Any]:
    return [None if row % every == 0 else value for row, value in enumerate(values)]


def levels(count: int) -> list[str]:
    return [f"l{row % count}" for row in range(ROWS)]


CASES: Mapping[str, Columns] = {
    "numbers and categories": {"a": NORMAL[0], "b": NORMAL[1], "k": WORDS[0], "m": WORDS[1]},
    "categories before and between numbers": {"k": WORDS[0], "a": NORMAL[0], "m": WORDS[1], "b": NORMAL[1]},
    "only numbers": {"a": NORMAL[0], "b": NORMAL[1]},
    "only categories": {"k": WORDS[0], "m": WORDS[1]},
    "missing numbers and categories": {"a": with_gaps(NORMAL[0], 3), "b": NORMAL[1], "k": with_gaps(WORDS[0], 4), "m": WORDS[1]},
    "only missing is informative": {"a": [None if bad else 1.0 for bad in BAD], "b": NORMAL[1]},
    "numbers of few values": {"a": NORMAL[0].round(), "b": NORMAL[1].round(1), "k": WORDS[0]},
    "a constant number": {"a": NORMAL[0], "b": [7.0] * ROWS, "k": WORDS[0]},
    "a constant number that may be missing": {"a": NORMAL[0], "b": with_gaps([7.0] * ROWS, 3), "k": WORDS[0]},
    "no number but a constant one": {"b": [7.0] * ROWS, "k": WORDS[0]},
    "nothing but a constant number": {"b": [7.0] * ROWS},
    "a constant category": {"a": NORMAL[0], "k": ["u"] * ROWS, "m": WORDS[1]},
    "a number that is always missing": {"a": NORMAL[0], "b": [None] * ROWS, "k": WORDS[0]},
    "no number but one that is always missing": {"b": [None] * ROWS, "k": WORDS[0]},
    "nothing but a number that is always missing": {"b": [None] * ROWS},
    "a category that is always missing": {"a": NORMAL[0], "k": WORDS[0], "m": [None] * ROWS},
    "a first category that is always missing": {"a": NORMAL[0], "k": [None] * ROWS, "m": WORDS[1]},
    "nothing but a category that is always missing": {"k": [None] * ROWS},
    "a huge scale": {"a": NORMAL[0] * 1e90, "b": 1e15 + NORMAL[1], "k": WORDS[0]},
    "a tiny scale": {"a": NORMAL[0] * 1e-9, "b": with_gaps(NORMAL[1] * 1e-300, 5), "k": WORDS[0]},
    "a category of 250 levels": {"a": NORMAL[0], "k": levels(250)},
    "a category of 300 levels": {"a": NORMAL[0], "k": levels(300), "m": WORDS[1]},
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_model_equals_fitted_at_and_near_thresholds(case: str) -> None:
    pipeline, card, frame = compiled(CASES[case])
    assert difference(pipeline, card, frame) <= 1e-9
    assert [term.feature for term in card.terms] == [*CASES[case]]
    assert card.estimator == "scorecard"
    assert difference(pipeline, card, probes(pipeline, CASES[case])) <= 1e-9


@pytest.mark.parametrize("bins", [2, 32])
@pytest.mark.parametrize("count", [3, 33, 300])
def test_category_may_have_more_levels_than_bins(count: int, bins: int) -> None:
    columns = {"a": NORMAL[0], "k": levels(count)}
    pipeline, card, frame = compiled(columns, max_bins=bins)
    assert difference(pipeline, card, frame) <= 1e-9
    assert difference(pipeline, card, probes(pipeline, columns)) <= 1e-9


def test_all_levels_of_training_are_in_the_table() -> None:
    _, card, _ = compiled({"k": levels(300)})
    (term,) = card.terms
    assert isinstance(term.shape, Levels)
    assert sorted(term.shape.levels) == sorted(f"l{level}" for level in range(300))


@pytest.mark.parametrize("state", [42, 2])
def test_number_known_in_one_of_many_rows_is_accepted(state: int) -> None:
    # scikit-learn bins a random sample of 200,000 rows, which may not contain the known value
    rows = 250_000
    number = np.full(rows, np.nan)
    number[17] = 1.0
    frame = pd.DataFrame({"a": np.arange(rows) % 7.0, "b": number})
    policy = Training.model_validate({"random_state": state, "scorecard": {"rounds": 2}})
    contract = contract_of({"a": "number", "b": "number"})
    pipeline = boosting(contract, policy).fit(frame, np.arange(rows) % 7 > 4)
    assert difference(pipeline, compile_boosting(pipeline, contract), frame[:100]) <= 1e-9


def test_too_few_rows_for_a_leaf_give_a_constant_model() -> None:
    pipeline, card, frame = compiled(CASES["numbers and categories"], min_rows=ROWS)
    assert difference(pipeline, card, frame) <= 1e-9
    share = BAD.mean()
    assert card.intercept == pytest.approx(np.log(share / (1 - share)), abs=1e-9)
    assert not np.abs(contributions(card, encode(pl.from_pandas(frame, nan_to_null=True), card))).any()


VALUES = st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-1e9, 1e9))
LEVELS = st.sampled_from(["u", "v", "", "missing", "nan", "None", "ä", None])


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.data(), st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.0, 1e9, 1e-6]))
def test_any_book_compiles_to_the_fitted_model(data: st.DataObject, numbers: int, categories: int, scale: float) -> None:
    columns: dict[str, list[Any]] = {}
    for at in range(numbers or 1 - min(categories, 1)):
        drawn = [1.0, 2.0, *data.draw(st.lists(VALUES, min_size=28, max_size=28))]
        columns[f"a{at}"] = [value if value is None else value * scale for value in drawn]
    for at in range(categories):
        columns[f"k{at}"] = ["u", *data.draw(st.lists(LEVELS, min_size=29, max_size=29))]
    bad = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=28, max_size=28))], dtype=np.int64)
    pipeline, card, frame = compiled(columns, bad, rounds=5, min_rows=1)
    assert difference(pipeline, card, frame) <= 1e-9
    assert difference(pipeline, card, probes(pipeline, columns, draws=1)) <= 1e-9
    assert msgspec.json.decode(card.to_json(), type=Scorecard) == card


@pytest.mark.parametrize("case", ["numbers and categories", "missing numbers and categories", "a category of 300 levels"])
def test_json_round_trip_is_exact(case: str) -> None:
    pipeline, card, frame = compiled(CASES[case])
    back = msgspec.json.decode(card.to_json(), type=Scorecard)
    assert back == card
    assert difference(pipeline, back, frame) <= 1e-9


def test_terms_follow_the_contract_order_and_reasons() -> None:
    _, card, _ = compiled(CASES["categories before and between numbers"])
    assert [(term.feature, term.reason) for term in card.terms] == [(name, f"why {name}") for name in ("k", "a", "m", "b")]
    assert card.features == {"k": "category", "a": "number", "m": "category", "b": "number"}


# bad if any of three numbers is far from zero: without a declared direction, each table falls and rises
FAR = (np.abs(NORMAL).sum(axis=0) + NOISE / 3 > 2.4).astype(np.int64)


@pytest.mark.parametrize("names", ["abc", "kabc", "akbmc", "abcm", "kmabc"])
@pytest.mark.parametrize("risk", [{"a": "up", "b": "down"}, {"b": "up", "c": "down"}, {"c": "up"}, {}])
def test_weights_follow_the_declared_direction_of_risk(names: str, risk: Kinds) -> None:
    known = dict(zip("abc", NORMAL, strict=True)) | dict(zip("km", WORDS, strict=True))
    _, card, _ = compiled({name: known[name] for name in names}, FAR, risk)
    seen = {term.feature: np.diff(term.shape.weights) for term in card.terms if isinstance(term.shape, Steps)}
    assert [*seen] == [name for name in names if name in "abc"]
    for name, changes in seen.items():
        assert len(changes) > 1
        expected = {"up": {"rises"}, "down": {"falls"}, None: {"rises", "falls"}}[risk.get(name)]
        assert {"rises" if change > 0 else "falls" for change in changes} == expected


def spread(pipeline: Pipeline, frame: pd.DataFrame) -> float:
    """Return how much the effect of one feature on the log-odds differs between rows, at most."""
    most = 0.0
    for name in frame.columns:
        alike = [pd.Series([frame[name][row]] * len(frame), dtype=frame[name].dtype) for row in (0, 3, 7)]
        effects = np.array([pipeline.decision_function(frame.assign(**{name: column})) for column in alike])
        most = max(most, float(np.ptp(effects - effects[0], axis=1).max()))
    return most


def test_contributions_do_not_interact() -> None:
    # bad depends on the product of two numbers and the level: interactions only
    bad = ((NORMAL[0] * NORMAL[1] > 0) ^ (np.array(WORDS[0]) == "v")).astype(np.int64)
    columns = {"a": with_gaps(NORMAL[0], 9), "b": NORMAL[1], "k": with_gaps(WORDS[0], 7), "m": WORDS[1]}
    pipeline, _, frame = compiled(columns, bad)
    assert spread(pipeline, frame) <= 1e-9
    mixing = pipeline.set_params(model__interaction_cst=None).fit(frame, bad)
    assert spread(mixing, frame) > 1


@pytest.mark.parametrize("case", [case for case in CASES if "constant" not in case and "always missing" not in case])
def test_edges_rise_and_neighbouring_steps_differ(case: str) -> None:
    _, card, _ = compiled(CASES[case])
    shapes = [term.shape for term in card.terms if isinstance(term.shape, Steps)]
    for shape in shapes:
        assert len(shape.weights) == len(shape.edges) + 1
        assert (np.diff(shape.edges) > 0).all()
        assert (np.abs(np.diff(shape.weights)) > 1e-12).all()


@pytest.mark.parametrize("bins", [2, 3, 10])
def test_number_of_bins_limits_the_steps(bins: int) -> None:
    _, card, _ = compiled({"a": NORMAL[0], "b": with_gaps(NORMAL[1], 4)}, max_bins=bins)
    first, second = (term.shape for term in card.terms)
    assert isinstance(first, Steps)
    assert isinstance(second, Steps)
    assert 2 <= len(first.weights) <= bins
    assert len(second.weights) <= bins


def test_each_feature_has_only_its_own_edges() -> None:
    _, card, _ = compiled({"a": NORMAL[0], "b": NORMAL[1] + 1000}, FAR)
    first, second = (term.shape for term in card.terms)
    assert isinstance(first, Steps)
    assert isinstance(second, Steps)
    assert max(first.edges) < 10
    assert min(second.edges) > 990


@pytest.mark.parametrize("case", ["missing numbers and categories", "a category of 300 levels"])
def test_same_rows_give_the_same_bytes(case: str) -> None:
    assert compiled(CASES[case])[1].to_json() == compiled(CASES[case])[1].to_json()
