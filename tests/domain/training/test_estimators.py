"""Fitted estimators: calibration, recalibration, and the compiled scorecard."""

import pickle
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Calibration
from risk_assets.domain.scorecard import single_row
from risk_assets.domain.scorecard.arrays import contributions, probability
from risk_assets.domain.scorecard.expressions import encode, expression
from risk_assets.domain.scorecard.scorecard import Line, Scorecard
from risk_assets.domain.training import estimators
from risk_assets.domain.training.boosting import boosting
from risk_assets.domain.training.estimators import FittedModel, cross_validate, in_rows, names
from risk_assets.domain.training.logistic import DirectedLogistic

CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "t", "bad": 1},
        "features": {
            "x": {"type": "number", "risk": "up", "reason": "X"},
            "k": {"type": "category", "reason": "K"},
            "y": {"type": "number", "risk": "down", "reason": "Y"},
        },
    }
)
# without directions of risk, a model of many rounds fits all noise
LOOSE = Contract.model_validate(
    CONTRACT.model_dump() | {"features": {name: f.model_dump() | {"risk": None} for name, f in CONTRACT.features.items()}}
)
GENTLE = Training.model_validate({"scorecard": {"rounds": 15, "min_rows": 20}})
OVERFIT = Training.model_validate({"scorecard": {"rounds": 60, "min_rows": 1, "max_leaves": 31, "max_bins": 255, "shrinkage": 0}})
NAMES = ("logistic", "scorecard")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Run boosting in one thread: on a busy machine, its threads spend almost all time waiting for each other."""
    with threadpool_limits(1):
        yield


def book(rows: int, seed: int = 3, signal: float = 1.0) -> tuple[pd.DataFrame, Integers]:
    """Return features and outcomes: risk rises with x, falls with y, and is higher for level `v`; some x and k are missing."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, rows))
    k = random.choice(["u", "v"], rows)
    bad = (signal * (x - y + (k == "v")) + random.logistic(size=rows) > 0.8).astype(np.int64)
    known = [None if row % 17 == 0 else float(value) for row, value in enumerate(x)]
    words = [None if row % 13 == 0 else str(word) for row, word in enumerate(k)]
    frame = pl.DataFrame({"x": known, "k": words, "y": y}, schema={"x": pl.Float64, "k": pl.String, "y": pl.Float64})
    return frame.to_pandas(), bad


def fit(name: str, features: pd.DataFrame, bad: Integers, contract: Contract, policy: Training) -> FittedModel:
    """Fit an estimator to rows that are all of different groups."""
    rows = features, bad, np.arange(len(bad)), contract, policy
    return estimators.fit(name, *rows, cross_validate(name, *rows))


def inputs(card: Scorecard, features: pd.DataFrame) -> Floats:
    return encode(pl.from_pandas(features, nan_to_null=True), card)


def compiled(fitted: FittedModel, features: pd.DataFrame) -> Floats:
    return probability(fitted.card, contributions(fitted.card, inputs(fitted.card, features)))


def logit(probability: Floats) -> Floats:
    return np.log(probability / (1 - probability))


def unseen_log_odds(name: str, features: pd.DataFrame, bad: Integers, policy: Training, contract: Contract = CONTRACT) -> Floats:
    """Return the log-odds of each row by a pipeline fitted to the other two of three folds."""
    log_odds = np.empty(len(bad))
    for seen, held in StratifiedKFold(3, shuffle=True, random_state=policy.random_state).split(features, bad):
        pipeline = {"logistic": DirectedLogistic, "scorecard": boosting}[name](contract, policy)
        log_odds[held] = pipeline.fit(features.iloc[seen], bad[seen]).decision_function(features.iloc[held])
    return log_odds


def tenths_error(bad: Integers, log_odds: Floats) -> float:
    """Return the mean |predicted - observed| of ten bins with equal rows by rising probability."""
    tenths = np.array_split(np.argsort(log_odds, kind="stable"), 10)
    probability = 1 / (1 + np.exp(-log_odds))
    return float(sum(len(rows) * abs(probability[rows].mean() - bad[rows].mean()) for rows in tenths) / len(bad))


def platt(bad: Integers, log_odds: Floats) -> tuple[float, float]:
    """Return slope and shift as in Platt's paper: minimal log loss on targets smoothed by one row of each class."""
    bads, goods = bad.sum(), (1 - bad).sum()
    target = np.where(bad == 1, (bads + 1) / (bads + 2), 1 / (goods + 2))

    def loss(figures: Floats) -> float:
        z = figures[0] * log_odds + figures[1]
        return float(np.mean(np.logaddexp(0, z) - target * z))

    slope, shift = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000}).x
    return float(slope), float(shift)


@pytest.mark.parametrize(("name", "expected"), [("logistic", ("logistic",)), ("scorecard", ("scorecard",)), ("both", NAMES)])
def test_both_selects_two_estimators_simplest_first(name: str, expected: tuple[str, ...]) -> None:
    assert names(name) == expected


def repeated(accounts: int, snapshots: int) -> tuple[pd.DataFrame, Integers, npt.NDArray[np.intp]]:
    """Return rows of accounts that have several equal snapshots, and each row's account."""
    features, bad = book(accounts)
    groups = np.tile(np.arange(accounts), snapshots)
    return features.iloc[groups].reset_index(drop=True), bad[groups], groups


def test_folds_have_no_group_in_common() -> None:
    features, bad, groups = repeated(150, 4)
    found = cross_validate("logistic", features, bad, groups, CONTRACT, GENTLE)
    assert found is not None
    assert sorted(np.concatenate([held for _, held in found.folds])) == list(range(600))
    for seen, held in found.folds:
        assert not set(groups[seen]) & set(groups[held])
        assert bad[held].mean() == pytest.approx(bad.mean(), abs=0.02)


def test_cross_validated_auc_is_the_mean_over_folds() -> None:
    features, bad, groups = repeated(150, 2)
    found = cross_validate("logistic", features, bad, groups, CONTRACT, GENTLE)
    assert found is not None
    aucs = [roc_auc_score(bad[held], found.log_odds[held]) for _, held in found.folds]
    assert found.figures.roc_auc == pytest.approx(np.mean(aucs), abs=1e-12)
    low, high = found.figures.roc_auc_interval
    assert low < found.figures.roc_auc < high


def test_snapshots_of_an_account_do_not_predict_each_other() -> None:
    """With folds by row, a model that remembers accounts looks perfect."""
    features, bad, groups = repeated(150, 4)
    noise = np.random.default_rng(1).permutation(bad[:150])[groups]
    found = cross_validate("scorecard", features, noise, groups, LOOSE, OVERFIT)
    by_row = cross_validate("scorecard", features, noise, np.arange(600), LOOSE, OVERFIT)
    assert found is not None
    assert by_row is not None
    assert abs(found.figures.roc_auc - 0.5) < 0.15
    assert by_row.figures.roc_auc > 0.8


def test_leaf_size_counts_groups() -> None:
    assert in_rows(GENTLE, np.arange(100)).scorecard.min_rows == 20
    assert in_rows(GENTLE, np.repeat(np.arange(100), 5)).scorecard.min_rows == 100
    features, bad, groups = repeated(150, 4)
    fitted = estimators.fit("scorecard", features, bad, groups, CONTRACT, GENTLE, None)
    assert fitted.classifier.named_steps["model"].min_samples_leaf == 80


@pytest.mark.parametrize("policy", [GENTLE, OVERFIT], ids=["gentle", "overfit"])
@pytest.mark.parametrize("name", NAMES)
def test_calibration_error_is_measured_on_unseen_folds(name: str, policy: Training) -> None:
    features, bad = book(300)
    found = fit(name, features, bad, CONTRACT, policy).calibration
    assert found.error == pytest.approx(tenths_error(bad, unseen_log_odds(name, features, bad, policy)), abs=1e-9)


def test_overconfident_model_is_recalibrated() -> None:
    features, bad = book(300)
    fitted = fit("scorecard", features, bad, LOOSE, OVERFIT)
    found, log_odds = fitted.calibration, unseen_log_odds("scorecard", features, bad, OVERFIT, LOOSE)
    assert found.error == pytest.approx(tenths_error(bad, log_odds), abs=1e-9)
    assert found.error > 0.2
    assert found.recalibrated_error == pytest.approx(tenths_error(bad, found.slope * log_odds + found.shift), abs=1e-9)
    assert found.recalibrated_error < 0.1
    assert (found.slope, found.shift) == pytest.approx(platt(bad, log_odds), abs=1e-3)
    assert 0 < found.slope < 0.5
    np.testing.assert_allclose(compiled(fitted, features), fitted.classifier.predict_proba(features)[:, 1], rtol=0, atol=1e-9)


def test_a_recalibrated_logistic_model_needs_scikit_learn_only() -> None:
    features, bad = book(60, seed=1, signal=3)
    fitted = fit("logistic", features, bad, CONTRACT, Training(recalibrate_above=0))
    assert fitted.calibration.recalibrated_error is not None
    assert b"risk_assets" not in pickle.dumps(fitted.classifier)
    np.testing.assert_allclose(compiled(fitted, features), fitted.probabilities(features), rtol=0, atol=1e-9)


def test_recalibration_helps_on_new_rows_and_keeps_the_ranking() -> None:
    features, bad = book(300)
    new, truth = book(3000, seed=4)
    before = boosting(LOOSE, OVERFIT).fit(features, bad).decision_function(new)
    after = logit(compiled(fit("scorecard", features, bad, LOOSE, OVERFIT), new))
    assert tenths_error(truth, after) < tenths_error(truth, before) / 2
    assert roc_auc_score(truth, after) == pytest.approx(roc_auc_score(truth, before), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "rows", "policy"),
    [
        ("logistic", 300, GENTLE),
        ("scorecard", 300, GENTLE),
        ("scorecard", 300, OVERFIT),
        ("logistic", 60, Training(recalibrate_above=0)),
    ],
)
def test_compiled_equals_fitted_recalibrated_or_not(name: str, rows: int, policy: Training) -> None:
    features, bad = book(rows)
    fitted = fit(name, features, bad, CONTRACT, policy)
    assert fitted.card.estimator == name
    assert [term.feature for term in fitted.card.terms] == ["x", "k", "y"]
    for some in (features, book(200, seed=9)[0]):
        np.testing.assert_allclose(compiled(fitted, some), fitted.classifier.predict_proba(some)[:, 1], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(fitted.probabilities(some), fitted.classifier.predict_proba(some)[:, 1])
    new = pl.DataFrame(
        {"x": [None, 1e9, -1e9], "k": ["never seen", None, ""], "y": [0.5, -1e9, 1e9]},
        schema={"x": pl.Float64, "k": pl.String, "y": pl.Float64},
    ).to_pandas()
    np.testing.assert_allclose(compiled(fitted, new), fitted.classifier.predict_proba(new)[:, 1], rtol=0, atol=1e-9)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.sampled_from([0.0, 1.0]), st.integers(0, 50), st.sets(st.sampled_from("xky"), min_size=1))
def test_missing_value_never_scores_better_than_any_in_training(name: str, above: float, seed: int, complete: set[str]) -> None:
    features, bad = book(120, seed)
    features = features.assign(**{feature: features[feature].fillna(features[feature].mode()[0]) for feature in complete})
    policy = Training.model_validate({"scorecard": {"rounds": 10, "min_rows": 5}, "recalibrate_above": above})
    card = fit(name, features, bad, CONTRACT, policy).card
    parts = contributions(card, inputs(card, features))
    blank = features.iloc[:1].assign(**{feature: pd.Series([None], dtype=features[feature].dtype) for feature in complete})
    log_odds = contributions(card, inputs(card, blank))[:, 0]
    single = single_row.contributions(card)([None if term.feature in complete else 0.0 for term in card.terms])
    for at, term in enumerate(card.terms):
        if term.feature in complete:
            assert log_odds[at] == parts[at].max() == single[at]
            assert term.mean == pytest.approx(parts[at].mean())
    frame = pl.from_pandas(blank, nan_to_null=True)
    np.testing.assert_allclose(frame.select(expression(card)).to_series(), probability(card, log_odds[:, None]), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_value_seen_in_training_keeps_its_weight(name: str) -> None:
    features, bad = book(300)
    fitted = fit(name, features, bad, CONTRACT, GENTLE)
    gaps = features.assign(x=np.nan, k=pd.Series([None] * len(features), dtype=features["k"].dtype))
    np.testing.assert_allclose(compiled(fitted, gaps), fitted.classifier.predict_proba(gaps)[:, 1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_policy_makes_features_without_missing_values_required(name: str) -> None:
    features, bad = book(300)
    worst = fit(name, features, bad, CONTRACT, GENTLE).card
    issue = fit(name, features, bad, CONTRACT, GENTLE.model_copy(update={"unseen_missing": "issue"})).card
    assert (worst.required, issue.required) == ((), ("y",))
    assert [term.shape for term in worst.terms] == [term.shape for term in issue.terms]


def test_recalibrated_model_is_additive() -> None:
    features, bad = book(300)
    fitted = fit("scorecard", features, bad, LOOSE, OVERFIT)
    assert fitted.calibration.recalibrated_error is not None
    for name in features.columns:
        alike = [pd.Series([features[name][row]] * len(features), dtype=features[name].dtype) for row in (0, 1, 2)]
        log_odds = np.array([logit(fitted.probabilities(features.assign(**{name: column}))) for column in alike])
        assert np.ptp(log_odds - log_odds[0], axis=1).max() <= 1e-9


def test_calibrated_model_is_not_recalibrated() -> None:
    features, bad = book(5000)
    fitted = fit("logistic", features, bad, CONTRACT, Training())
    assert fitted.calibration.error is not None
    assert fitted.calibration.error <= 0.02
    assert fitted.calibration == Calibration(fitted.calibration.error, None, 1.0, 0.0)
    assert isinstance(fitted.classifier, Pipeline)
    # the same as the pipeline fitted without calibration
    np.testing.assert_allclose(
        fitted.probabilities(features), DirectedLogistic(CONTRACT, Training()).fit(features, bad).pipeline_.predict_proba(features)[:, 1]
    )


def test_policy_limit_decides_on_recalibration() -> None:
    features, bad = book(300)
    lenient = OVERFIT.model_copy(update={"recalibrate_above": 0.5})
    found = fit("scorecard", features, bad, CONTRACT, lenient).calibration
    assert found.error == fit("scorecard", features, bad, CONTRACT, OVERFIT).calibration.error
    assert (found.recalibrated_error, found.slope, found.shift) == (None, 1.0, 0.0)


def test_rescaling_that_does_not_help_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "calibration_noise", lambda _: 0.0)
    strict, left = Training(recalibrate_above=0), 0
    for seed in range(4):
        features, bad = book(400, seed)
        log_odds = unseen_log_odds("logistic", features, bad, strict)
        slope, shift = platt(bad, log_odds)
        error, recalibrated = tenths_error(bad, log_odds), tenths_error(bad, slope * log_odds + shift)
        found = fit("logistic", features, bad, CONTRACT, strict).calibration
        if recalibrated < error:
            assert (found.error, found.recalibrated_error) == pytest.approx((error, recalibrated), abs=1e-4)
        else:
            left += 1
            assert found.error == pytest.approx(error, abs=1e-9)
            assert (found.recalibrated_error, found.slope, found.shift) == (None, 1.0, 0.0)
    assert left


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_uninformative_model_is_never_inverted(name: str, seed: int) -> None:
    features, bad = book(120, seed, signal=0.0)
    found = fit(name, features, bad, CONTRACT, OVERFIT)
    assert found.calibration.slope >= 0
    if name == "scorecard":
        rising, _, falling = (term.shape for term in found.card.terms)
        assert (np.diff(rising.weights) >= 0).all()
        assert (np.diff(falling.weights) <= 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", [0, 1])
def test_one_row_of_a_class_gives_no_calibration_error(name: str, label: int) -> None:
    features, _ = book(80)
    bad = np.full(80, 1 - label, dtype=np.int64)
    bad[5] = label
    fitted = fit(name, features, bad, CONTRACT, GENTLE)
    assert fitted.calibration == Calibration(None, None, 1.0, 0.0)
    np.testing.assert_allclose(compiled(fitted, features), fitted.probabilities(features), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_two_rows_of_a_class_are_enough_for_two_folds(name: str) -> None:
    features, _ = book(80)
    bad = np.zeros(80, dtype=np.int64)
    bad[[5, 6]] = 1
    fitted = fit(name, features, bad, CONTRACT, GENTLE)
    assert fitted.calibration.error is not None
    np.testing.assert_allclose(compiled(fitted, features), fitted.probabilities(features), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("feature", ["x", "k"])
def test_feature_that_is_empty_in_one_fold_is_accepted(name: str, feature: str) -> None:
    features, bad = book(150)
    # known only in the rows that the first fold holds out, so that this fold trains without the feature
    seen, _ = next(StratifiedKFold(3, shuffle=True, random_state=42).split(features, bad))
    features.loc[seen, feature] = None
    fitted = fit(name, features, bad, CONTRACT, OVERFIT)
    assert fitted.calibration.error is not None
    np.testing.assert_allclose(compiled(fitted, features), fitted.probabilities(features), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "policy"), [("logistic", GENTLE), ("scorecard", GENTLE), ("scorecard", OVERFIT)])
def test_reference_points_come_from_the_fitted_rows(name: str, policy: Training) -> None:
    features, bad = book(300)
    fitted = fit(name, features, bad, CONTRACT, policy)
    log_odds = logit(fitted.probabilities(features))
    assert fitted.card.intercept + sum(term.mean for term in fitted.card.terms) == pytest.approx(log_odds.mean(), abs=1e-9)
    usual = features.assign(**{name: pd.Series([features[name][1]] * len(features), dtype=features[name].dtype) for name in features})
    for position, term in enumerate(fitted.card.terms):
        # log-odds with all other features as in one row, minus the log-odds of this row
        alone = logit(fitted.probabilities(usual.assign(**{term.feature: features[term.feature]}))) - logit(fitted.probabilities(usual))
        added = alone + contributions(fitted.card, inputs(fitted.card, usual))[position]
        assert (term.mean, term.best) == pytest.approx((added.mean(), added.min()), abs=1e-9)
        assert term.reason == [*CONTRACT.features.values()][position].reason


@pytest.mark.parametrize("name", NAMES)
def test_same_rows_give_the_same_bytes(name: str) -> None:
    features, bad = book(150)
    first, second = (fit(name, features, bad, CONTRACT, OVERFIT) for _ in range(2))
    assert first.card.to_json() == second.card.to_json()
    assert first.calibration == second.calibration
    assert msgspec.json.decode(first.card.to_json(), type=Scorecard) == first.card


def test_estimator_decides_between_line_and_steps() -> None:
    features, bad = book(150)
    lines, steps = (fit(name, features, bad, CONTRACT, GENTLE).card.terms[0].shape for name in NAMES)
    assert isinstance(lines, Line)
    assert not isinstance(steps, Line)


def test_sampling_noise_alone_does_not_recalibrate() -> None:
    """Fit a logistic model to logistic data with few rows: the error exceeds the limit by sampling noise only."""
    recalibrated = 0
    for seed in range(12):
        features, bad = book(600, seed)
        found = fit("logistic", features, bad, CONTRACT, Training()).calibration
        recalibrated += found.recalibrated_error is not None
    assert recalibrated <= 2
