"""Training from labelled snapshots: training rows, holdout, metrics, points table and example."""

import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from risk_assets.clock import date_range
from risk_assets.domain.contract.policy import Policy, Training
from risk_assets.domain.contract.schema import GROUP, SNAPSHOT, Contract
from risk_assets.domain.governance.artifacts import CrossValidated, NumberBins, TrainedModel
from risk_assets.domain.scorecard.arrays import contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Example, Line, Scorecard, Step, Steps, Term, VersionedScorecard
from risk_assets.domain.training import estimators, measurement
from risk_assets.domain.training.dataset import OwnRows, labelled, sample
from risk_assets.domain.training.estimators import FittedModel
from risk_assets.domain.training.groups import OTHER_ACCOUNTS, hashes, never_train
from risk_assets.domain.training.measurement import against_direction
from risk_assets.domain.training.split import split
from risk_assets.domain.training.train import choose, train
from risk_assets.errors import ModelError

DATES = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05")
CONTRACT = Contract.model_validate(
    {
        "id": "id",
        "target": {"column": "t", "bad": 1},
        "features": {
            "x": {"type": "number", "risk": "up", "reason": "X"},
            "y": {"type": "number", "risk": "up", "reason": "Y"},
            "k": {"type": "category", "reason": "K"},
        },
    }
)
POLICY = Policy.model_validate({"threshold": 0.3, "bands": {"A": 1}, "training": {"min_rows": 80, "min_bad": 10, "spacing_days": 1}})
GATES = ("discrimination", "calibration", "calibration_by_band", "brier_skill", "directions", "stability", "segments")
COMPARED = (*GATES[:4], "not_worse_than_live", *GATES[4:])
FEATURES = {"account_id": pl.String, "x": pl.Float64, "y": pl.Float64, "k": pl.String, "excluded": pl.String, "issues": pl.String}

Tables = dict[str, pl.LazyFrame]


def book(dates: Sequence[str] = DATES, rows: int = 120, seed: int = 3) -> tuple[Tables, Tables]:
    """Return features and outcomes: risk rises with x, falls with y, and is higher for level `v`."""
    random = np.random.default_rng(seed)
    features, outcomes = {}, {}
    for date in dates:
        x, y = random.normal(size=(2, rows))
        k = random.choice(["u", "v"], rows)
        bad = (1.2 * x - 0.8 * y + (k == "v") + random.logistic(size=rows) > 1.5).astype(int)
        ids = [f"a{row}" for row in range(rows)]
        known = [None if row % 17 == 0 else float(value) for row, value in enumerate(x)]
        words = [None if row % 13 == 0 else str(word) for row, word in enumerate(k)]
        features[date] = pl.LazyFrame(
            {"account_id": ids, "x": known, "y": y, "k": words, "excluded": [None] * rows, "issues": [None] * rows}, schema=FEATURES
        )
        outcomes[date] = pl.LazyFrame({"account_id": ids, "bad": bad}, schema={"account_id": pl.String, "bad": pl.Int8})
    return features, outcomes


def rows_of(policy: Policy = POLICY, **more: Any) -> pd.DataFrame:
    return labelled(*book(**more), CONTRACT, policy.training)


def trained(
    frame: pd.DataFrame, live: VersionedScorecard | None = None, contract: Contract = CONTRACT, policy: Policy = POLICY
) -> TrainedModel:
    return train(frame, "2026-01-06", contract, policy, live)


def parts(frame: pd.DataFrame, policy: Policy = POLICY) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the training rows, the rows of other accounts, and those of later dates."""
    found = split(frame, policy.training)
    return frame[found.train], frame[found.other_accounts], frame[found.later_dates]


def training_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return parts(frame)[0]


def other_accounts(frame: pd.DataFrame) -> pd.DataFrame:
    return parts(frame)[1]


def fitted(model: TrainedModel, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the probabilities of the pickled pipeline."""
    pipeline = joblib.load(io.BytesIO(model.pipeline))
    return np.asarray(pipeline.predict_proba(frame[["x", "y", "k"]])[:, 1])


def tiny(rows: Mapping[str, tuple[float | None, str | None]], outcomes: Mapping[str, int | None]) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Return one date's features, given as id to (x, issues), and its outcomes."""
    table = [(name, x, 0.0, "u", None, issues) for name, (x, issues) in rows.items()]
    features = pl.LazyFrame(table, schema=FEATURES, orient="row")
    return features, pl.LazyFrame([*outcomes.items()], schema={"account_id": pl.String, "bad": pl.Int8}, orient="row")


LENIENT = Training(min_rows=1, min_bad=1, spacing_days=1)


def test_labelled_omits_rows_that_are_not_eligible() -> None:
    features, outcomes = tiny({"a": (1.0, None), "b": (2.0, None), "c": (3.0, None)}, {"a": 0, "b": 1, "c": 1})
    closed = features.with_columns(excluded=pl.when(account_id="b").then(pl.lit("closed")))
    assert labelled({DATES[0]: closed}, {DATES[0]: outcomes}, CONTRACT, LENIENT)["x"].tolist() == [1.0, 3.0]


def moving(customers: Sequence[Mapping[str, str]]) -> tuple[Tables, Tables]:
    """Return features and outcomes of one date for each mapping of account to customer."""
    features, outcomes = {}, {}
    for date, groups in zip(DATES, customers, strict=False):
        found, labels = tiny(dict.fromkeys(groups, (1.0, None)), {name: at % 2 for at, name in enumerate(groups)})
        features[date], outcomes[date] = found.with_columns(pl.Series(GROUP, list(groups.values()))), labels
    return features, outcomes


WITH_GROUP = Contract.model_validate(CONTRACT.model_dump() | {"group": "customer"})


def test_groups_that_share_an_account_count_as_one() -> None:
    """Account a has no customer on the first date; b moves from C1 to C2, so that c is in the same group; d and e are not."""
    tables = moving([{"a": "\x1fa", "b": "C1", "d": "C3"}, {"a": "C1", "b": "C2", "c": "C2", "d": "C3", "e": "C4"}])
    frame = labelled(*tables, WITH_GROUP, LENIENT)
    groups = frame.groupby(SNAPSHOT)[GROUP].agg(list)
    first = min(("\x1fa", "C1", "C2"), key=lambda name: hashes([name], OTHER_ACCOUNTS)[0])
    assert groups.tolist() == [[first, first, "C3"], [first, first, first, "C3", "C4"]]
    assert list(frame.columns) == ["x", "y", "k", "bad", SNAPSHOT, GROUP]
    assert sample(OwnRows(*tables, WITH_GROUP, LENIENT), LENIENT).regrouped == 2
    assert sample(OwnRows(*moving([{"a": "C1", "b": "C2"}] * 3), WITH_GROUP, LENIENT), LENIENT).regrouped == 0


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_no_account_is_on_both_sides_of_a_training(share: float) -> None:
    """The customer of a third of the accounts is missing on every second date."""
    names = [f"a{row}" for row in range(300)]
    customers = [
        {name: f"\x1f{name}" if row % 3 == date % 2 == 0 else f"C{row // 2}" for row, name in enumerate(names)} for date in range(4)
    ]
    features, outcomes = moving(customers)
    groups = labelled(features, outcomes, WITH_GROUP, LENIENT)[GROUP].to_numpy().reshape(4, -1)
    held = never_train(groups.ravel(), share).reshape(4, -1)
    assert (held == held[0]).all()
    before = never_train([f"C{row // 2}" for row in range(300)], share)
    assert held[0][before].all(), "customers that never train stay out"


def test_labelled_omits_issues_and_rows_without_known_outcome() -> None:
    rows = {"a": (1.0, None), "b": (2.0, None), "c": (3.0, "x: above 2"), "d": (4.0, None), "e": (None, None), "f": (6.0, None)}
    features, outcomes = tiny(rows, {"f": 0, "b": 1, "c": 1, "d": None, "e": 0, "z": 1})
    frame = labelled({DATES[0]: features}, {DATES[0]: outcomes}, CONTRACT, LENIENT)
    assert list(frame.columns) == ["x", "y", "k", "bad", SNAPSHOT, GROUP]
    assert frame["x"].fillna(-1).tolist() == [2.0, -1, 6.0]
    assert frame["bad"].tolist() == [1, 0, 0]
    assert frame[GROUP].tolist() == ["b", "e", "f"]
    assert set(frame[SNAPSHOT]) == {DATES[0]}


def test_labelled_uses_dates_with_both_features_and_outcomes() -> None:
    first, first_outcomes = tiny({"a": (1.0, None), "b": (2.0, None)}, {"a": 0, "b": 1})
    second, second_outcomes = tiny({"a": (3.0, None), "b": (4.0, None)}, {"a": 1, "b": 0})
    one, two, three, four = DATES[:4]
    frame = labelled(
        {two: second, three: first, one: first}, {one: first_outcomes, two: second_outcomes, four: first_outcomes}, CONTRACT, LENIENT
    )
    assert frame[[SNAPSHOT, "x", "bad"]].values.tolist() == [[one, 1.0, 0], [one, 2.0, 1], [two, 3.0, 1], [two, 4.0, 0]]


def test_labelled_without_a_common_date_reports_what_exists() -> None:
    features, outcomes = book(DATES[:3], rows=5)
    with pytest.raises(ModelError) as error:
        labelled({date: features[date] for date in DATES[:2]}, {DATES[2]: outcomes[DATES[2]]}, CONTRACT, POLICY.training)
    message = str(error.value)
    assert "2 have features, 1 outcomes" in message
    assert "risk land" in message
    with pytest.raises(ModelError, match="0 have features, 0 outcomes"):
        labelled({}, {}, CONTRACT, POLICY.training)


def test_group_of_a_row_is_the_customer_if_the_features_have_one() -> None:
    features, outcomes = tiny({" a": (1.0, None), "b": (2.0, None), "c": (3.0, None)}, {"a": 0, "b": 1, "c": 0})
    customers = features.with_columns(pl.Series(GROUP, ["customer 1", "customer 1", None]))
    frame = labelled({DATES[0]: customers}, {DATES[0]: outcomes}, CONTRACT, LENIENT)
    assert frame[GROUP].tolist() == ["customer 1", "customer 1", "c"]


@pytest.mark.parametrize(
    ("outcomes", "least"),
    [
        ([0, 1] * 5, {"min_rows": 11, "min_bad": 1}),
        ([0] * 8 + [1] * 2, {"min_rows": 10, "min_bad": 3}),
        ([1] * 8 + [0] * 2, {"min_rows": 10, "min_bad": 3}),
        ([0] * 10, {"min_rows": 10, "min_bad": 1}),
        ([1] * 10, {"min_rows": 10, "min_bad": 1}),
    ],
)
def test_too_few_accounts_or_bads_are_rejected_with_advice(outcomes: list[int], least: dict[str, int]) -> None:
    features, known = tiny({f"a{at}": (1.0, None) for at in range(10)}, {f"a{at}": bad for at, bad in enumerate(outcomes)})
    with pytest.raises(ModelError) as error:
        labelled({DATES[0]: features}, {DATES[0]: known}, CONTRACT, Training.model_validate(least))
    message = str(error.value)
    assert f"10 with labelled rows (10 rows), {sum(outcomes)} of them bad" in message
    assert f"requires {least['min_rows']}, and {least['min_bad']} of each class" in message
    assert "Land more outcomes" in message


def test_two_bad_accounts_with_many_snapshots_are_two() -> None:
    dates = date_range("2026-01-01", "2026-02-28")
    tables = {date: tiny({f"a{at}": (1.0, None) for at in range(600)}, {f"a{at}": int(at < 2) for at in range(600)}) for date in dates}
    features, outcomes = ({date: both[side] for date, both in tables.items()} for side in (0, 1))
    for spacing in (1, 28):
        with pytest.raises(ModelError, match=r"600 with labelled rows \(\d+ rows\), 2 of them bad.*requires 500, and 30 of each class"):
            labelled(features, outcomes, CONTRACT, Training(window_days=59, spacing_days=spacing))


@pytest.mark.parametrize("rows", [2500, 2001, 4999])
def test_sample_of_a_large_window_keeps_groups_and_bad_rate(rows: int) -> None:
    policy = Training(min_rows=100, min_bad=10, max_rows=2000, spacing_days=1)
    features, outcomes = book(DATES[:2], rows)
    sampled = labelled(features, outcomes, CONTRACT, policy)
    whole = labelled(features, outcomes, CONTRACT, policy.model_copy(update={"max_rows": 2_000_000}))
    assert len(whole) == 2 * rows
    assert len(sampled) == 2000
    assert sampled[GROUP].value_counts().unique().tolist() == [2]
    assert sampled["bad"].mean() == pytest.approx(whole["bad"].mean(), abs=0.05)
    pd.testing.assert_frame_equal(sampled, labelled(features, outcomes, CONTRACT, policy))
    other = labelled(features, outcomes, CONTRACT, policy.model_copy(update={"random_state": 7}))
    assert set(other[GROUP]) != set(sampled[GROUP])


def test_sample_is_independent_of_patterns_in_the_file() -> None:
    rows = {f"a{at}": (float(at % 2), None) for at in range(8000)}
    features, outcomes = tiny(rows, {name: at // 2 % 2 for at, name in enumerate(rows)})
    frame = labelled({DATES[0]: features}, {DATES[0]: outcomes}, CONTRACT, Training(max_rows=4000))
    assert len(frame) == 4000
    assert frame[GROUP].tolist() == sorted(frame[GROUP], key=lambda name: int(name[1:]))
    assert frame["x"].mean() == pytest.approx(0.5, abs=0.05)
    assert frame["bad"].mean() == pytest.approx(0.5, abs=0.05)


# --- the holdouts --------------------------------------------------------------------------------------------------------


def rows_by_date(counts: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Return rows with outcomes by date; account n is the n-th of each date."""
    table = [(date, f"a{at}", bad) for date, values in counts.items() for at, bad in enumerate(values)]
    return pd.DataFrame(table, columns=[SNAPSHOT, GROUP, "bad"])


def held_dates(counts: Mapping[str, Sequence[int]], share: float = 0.2) -> set[str]:
    """Return the held-out dates for outcomes by date; verify that dates are not split and the oldest is not held out."""
    frame = rows_by_date(counts)
    later = split(frame, Training(holdout=share)).later_dates
    found = set(frame[later][SNAPSHOT])
    assert not found & set(frame[~later][SNAPSHOT])
    assert min(counts) not in found
    return found


BOTH = [0, 1] * 10


def test_holdout_takes_newest_dates_up_to_its_share() -> None:
    assert held_dates(dict.fromkeys(DATES, BOTH)) == {DATES[4]}
    assert held_dates(dict.fromkeys(DATES, BOTH), share=0.21) == {DATES[3], DATES[4]}
    assert held_dates({DATES[2]: BOTH, DATES[0]: BOTH * 9, DATES[1]: BOTH}, share=0.1) == {DATES[1], DATES[2]}


def test_holdout_takes_more_dates_until_it_has_both_classes() -> None:
    assert held_dates(dict.fromkeys(DATES[:3], BOTH) | {DATES[3]: [1] * 20, DATES[4]: [0] * 20}) == {DATES[3], DATES[4]}


def test_holdout_never_takes_the_oldest_date() -> None:
    assert held_dates({DATES[0]: BOTH * 9, DATES[1]: BOTH}) == {DATES[1]}
    assert held_dates({DATES[0]: BOTH, DATES[1]: BOTH}, share=0.9) == {DATES[1]}


def test_a_single_date_has_no_later_dates() -> None:
    found = split(rows_by_date({DATES[0]: BOTH * 5}), Training())
    assert not found.later_dates.any()
    assert found.train.any()
    assert found.other_accounts.any()


def test_an_account_trains_or_is_an_other_account() -> None:
    frame = rows_of()
    train_rows, others, later = parts(frame)
    assert not set(train_rows[GROUP]) & set(others[GROUP])
    assert set(train_rows[SNAPSHOT]) == set(others[SNAPSHOT]) == set(DATES[:-1])
    assert set(later[SNAPSHOT]) == {DATES[-1]}
    assert set(later[GROUP]) == set(frame[GROUP])
    assert len(train_rows) + len(others) + len(later) == len(frame)
    # a model that only knows which account it is cannot look good on other accounts
    assert 0.1 < others[GROUP].nunique() / frame[GROUP].nunique() < 0.3


def test_the_same_accounts_never_train_whatever_the_window_and_seed() -> None:
    def never(frame: pd.DataFrame, **policy: Any) -> set[str]:
        found = split(frame, Training(**policy))
        return set(frame[GROUP]) - set(frame[found.train][GROUP])

    assert never(rows_of()) == never(rows_of(seed=8, dates=DATES[:2]), random_state=1)
    assert never(rows_of()) < never(rows_of(), other_accounts=0.4)


@pytest.mark.parametrize(
    ("counts", "side"),
    [
        ({DATES[0]: BOTH, DATES[1]: [0] * 20}, "the holdout of later dates"),
        ({DATES[0]: BOTH, DATES[1]: [1] * 20}, "the holdout of later dates"),
        ({DATES[0]: [0] * 20, DATES[1]: BOTH}, "the training rows"),
        ({DATES[0]: [0] * 19 + [1]}, "the holdout of other accounts"),
        ({DATES[0]: [0] * 20}, "the training rows"),
    ],
)
def test_a_part_with_one_class_is_rejected_with_advice(counts: Mapping[str, Sequence[int]], side: str) -> None:
    with pytest.raises(ModelError, match=f"only one class of outcome in {side}.*of them bad and .*Land outcomes of more"):
        split(rows_by_date(counts), Training())


@pytest.mark.parametrize("least", [{"min_rows": 100, "min_bad": 1}, {"min_rows": 80, "min_bad": 75}])
def test_holdouts_that_leave_too_few_accounts_are_rejected(least: dict[str, int]) -> None:
    policy = POLICY.model_copy(update={"training": Training.model_validate({"spacing_days": 1, **least})})
    frame = rows_of(policy)
    groups = training_rows(frame)[GROUP].nunique()
    with pytest.raises(ModelError) as error:
        trained(frame, policy=policy)
    message = str(error.value)
    assert f"{groups} outside the holdouts" in message
    keys = ("holdout", "other_accounts", "window_days", "min_rows", "min_bad")
    assert all(f"training.{key}" in message for key in keys)


def test_exactly_min_rows_accounts_are_enough_to_train() -> None:
    groups = training_rows(rows_of())[GROUP].nunique()
    policy = POLICY.model_copy(update={"training": Training(min_rows=groups, min_bad=10, spacing_days=1)})
    assert trained(rows_of(policy), policy=policy).metrics.groups_train == groups


def test_metrics_equal_scikit_learn_on_each_holdout() -> None:
    frame = rows_of()
    model = trained(frame)
    older, others, later = parts(frame)
    truth, probability = others["bad"].to_numpy(), fitted(model, others)
    metrics = model.metrics
    assert metrics.later_dates is not None
    assert metrics.later_dates.roc_auc == pytest.approx(roc_auc_score(later["bad"], fitted(model, later)), abs=1e-12)
    assert (metrics.later_dates.rows, metrics.later_dates.groups) == (120, 120)
    assert metrics.roc_auc == pytest.approx(roc_auc_score(truth, probability), abs=1e-12)
    assert metrics.accuracy == pytest.approx(accuracy_score(truth, probability >= 0.3), abs=1e-12)
    assert metrics.base_accuracy == pytest.approx(max(truth.mean(), 1 - truth.mean()), abs=1e-12)
    assert metrics.other_accounts.brier == pytest.approx(brier_score_loss(truth, probability), abs=1e-12)
    assert metrics.gini == pytest.approx(2 * metrics.roc_auc - 1, abs=1e-12)
    assert (metrics.n_train, metrics.n_test, metrics.random_state) == (len(older), len(others), 42)
    assert (metrics.groups_train, metrics.other_accounts.groups) == (older[GROUP].nunique(), others[GROUP].nunique())
    assert metrics.bad_groups_train == older[older["bad"] == 1][GROUP].nunique()
    assert metrics.bad_rate_test == pytest.approx(truth.mean(), abs=1e-12)
    assert metrics.bad_rate_train == pytest.approx(older["bad"].mean(), abs=1e-12)
    assert metrics.compiled_difference <= 1e-9
    assert metrics.other_accounts.roc_auc == metrics.roc_auc > 0.7
    low, high = metrics.other_accounts.roc_auc_interval
    assert low < metrics.roc_auc < high


def test_held_out_rows_do_not_influence_the_model() -> None:
    frame = rows_of()
    spoilt = frame.copy()
    held = ~split(frame, POLICY.training).train
    spoilt.loc[held, "bad"] = 1 - spoilt.loc[held, "bad"]
    spoilt.loc[held, "x"] = 1000.0
    assert trained(spoilt).scorecard == trained(frame).scorecard
    assert trained(spoilt).profile == trained(frame).profile


@pytest.mark.parametrize(("estimator", "with_live", "rivals"), [("logistic", False, 0), ("logistic", True, 1), ("both", True, 1)])
def test_each_model_scores_the_holdouts_twice_per_training(
    estimator: str, with_live: bool, rivals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = rows_of()
    live = VersionedScorecard("model_v001", trained(frame).scorecard) if with_live else None
    encoded = []

    def counting(features: pl.DataFrame, card: Scorecard) -> npt.NDArray[np.float64]:
        encoded.append(len(features))
        return encode(features, card)

    monkeypatch.setattr(measurement, "encode", counting)
    trained(frame, live, policy=policy_of(estimator))
    # the training rows are scored once, for the profile and the points table; the holdouts for the figures and for the gates
    older, others = len(training_rows(frame)), len(other_accounts(frame))
    assert sorted(encoded) == sorted([*[len(frame) - older] * (2 + rivals), *[others] * rivals, older])


@pytest.mark.parametrize("estimator", ["logistic", "scorecard"])
def test_the_fitted_pipeline_predicts_the_holdouts_once(estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted = []
    probabilities = FittedModel.probabilities

    def counting(model: FittedModel, features: pd.DataFrame) -> npt.NDArray[np.float64]:
        predicted.append(len(features))
        return probabilities(model, features)

    monkeypatch.setattr(FittedModel, "probabilities", counting)
    frame = rows_of()
    trained(frame, policy=policy_of(estimator))
    # once for the rows of both holdouts and once for the example record
    assert sorted(predicted) == [1, len(frame) - len(training_rows(frame))]


@pytest.mark.parametrize("estimator", ["logistic", "scorecard"])
@pytest.mark.parametrize("missing", ["worst", "issue"])
@pytest.mark.parametrize("rows", [3, 120])
def test_missing_values_in_the_holdout_only_are_accepted(estimator: str, missing: str, rows: int) -> None:
    frame = rows_of()
    held = frame.index[~split(frame, POLICY.training).train]
    gaps = frame.assign(y=frame["y"].where(~frame.index.isin(held[:rows])))
    model = trained(gaps, contract=FREE, policy=policy_of(estimator, unseen_missing=missing))
    assert model.metrics.compiled_difference <= 1e-9
    assert model.scorecard.required == (("y",) if missing == "issue" else ())
    assert model.scorecard.terms[1].shape.missing > 0
    assert model.metrics.n_test == len(other_accounts(frame))


def test_single_date_is_measured_on_other_accounts_only() -> None:
    frame = rows_of(dates=DATES[:1], rows=500)
    live = VersionedScorecard("model_v001", trained(rows_of()).scorecard)
    model = trained(frame, live)
    older, others, later = parts(frame)
    assert later.empty
    assert (model.metrics.n_train, model.metrics.n_test) == (len(older), len(others))
    assert model.metrics.roc_auc == pytest.approx(roc_auc_score(others["bad"], fitted(model, others)), abs=1e-12)
    assert (model.metrics.later_dates, model.metrics.champion_later_dates) == (None, None)
    assert model.metrics.champion_other_accounts is not None
    assert (model.origin.train_dates, model.origin.holdout_dates) == (DATES[:1], ())


def test_same_rows_give_the_same_model_bit_for_bit() -> None:
    first, second = trained(rows_of()), trained(rows_of())
    assert first.scorecard.to_json() == second.scorecard.to_json()
    assert (first.metrics, first.profile, first.origin, first.gates) == (second.metrics, second.profile, second.origin, second.gates)
    assert first.steps == second.steps


def test_live_model_is_measured_on_the_same_holdouts() -> None:
    older, frame = trained(rows_of(dates=DATES[:2], seed=8)), rows_of()
    model = trained(frame, VersionedScorecard("model_v001", older.scorecard))
    _, others, later = parts(frame)
    assert model.metrics.champion_version == "model_v001"
    for figures, rows in ((model.metrics.champion_other_accounts, others), (model.metrics.champion_later_dates, later)):
        assert figures is not None
        assert figures.rows == len(rows)
        assert figures.roc_auc == pytest.approx(roc_auc_score(rows["bad"], fitted(older, rows)), abs=1e-12)
    assert model.metrics.champion_other_accounts is not None
    assert model.metrics.auc_gain is not None
    low, high = model.metrics.auc_gain
    assert low < model.metrics.roc_auc - model.metrics.champion_other_accounts.roc_auc < high
    assert tuple(gate.name for gate in model.gates.found) == COMPARED


def test_candidate_worse_than_the_live_model_fails_the_gate() -> None:
    frame = rows_of()
    live = VersionedScorecard("model_v001", trained(frame).scorecard)
    noise = frame.copy()
    random = np.random.default_rng(5)
    older = split(frame, POLICY.training).train
    noise.loc[older, "bad"] = random.permutation(noise.loc[older, "bad"].to_numpy())
    model = trained(noise, live)
    assert model.metrics.champion_other_accounts is not None
    assert model.metrics.champion_other_accounts.roc_auc > model.metrics.roc_auc + 0.02
    assert {gate.name: gate.status for gate in model.gates.found}["not_worse_than_live"] != "passed"
    assert model.metrics.auc_gain is not None
    assert model.metrics.auc_gain[1] < 0


@pytest.mark.parametrize("term", [Term("z", Line(1.0, 0.0, 0.0), 0.0, 0.0, "Z"), Term("k", Line(1.0, 0.0, 0.0), 0.0, 0.0, "K as a number")])
def test_live_model_with_missing_or_retyped_features_is_skipped(term: Term) -> None:
    model = trained(rows_of(), VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (term,))))
    assert (model.metrics.champion_version, model.metrics.champion_other_accounts, model.metrics.auc_gain) == (None, None, None)
    (gate,) = (gate for gate in model.gates.found if gate.name == "not_worse_than_live")
    assert (gate.status, gate.value, gate.more_bads) == ("undecided", None, None)
    assert "model_v001 cannot be compared" in gate.evidence


def test_live_model_with_fewer_features_is_measured() -> None:
    live = VersionedScorecard("model_v001", Scorecard("logistic", 0.0, (Term("y", Line(-1.0, 0.0, 0.0), 0.0, 0.0, "Y"),)))
    frame = rows_of()
    others = other_accounts(frame)
    champion = trained(frame, live).metrics.champion_other_accounts
    assert champion is not None
    assert champion.roc_auc == pytest.approx(roc_auc_score(others["bad"], -others["y"]), abs=1e-12)


def test_origin_has_dates_features_and_hashes() -> None:
    origin = trained(rows_of()).origin
    assert (origin.estimator, origin.training_date) == ("logistic", "2026-01-06")
    assert (origin.train_dates, origin.holdout_dates) == (DATES[:-1], DATES[-1:])
    assert origin.features == {"x": "number", "y": "number", "k": "category"}
    assert (origin.contract, origin.policy) == (CONTRACT.digest, POLICY.digest)
    assert {"python", "scikit-learn", "numpy", "polars"} <= set(origin.libraries)


def test_profile_describes_the_training_rows() -> None:
    frame = rows_of()
    model = trained(frame)
    assert model.profile.rows == model.metrics.n_train
    assert sum(model.profile.score.shares) == pytest.approx(1, abs=1e-12)
    assert model.profile.features["x"].missing == pytest.approx(training_rows(frame)["x"].isna().mean(), abs=1e-12)


def test_numbers_against_the_declared_direction_have_no_slope() -> None:
    # the contract declares that y raises the risk; in the book it lowers it
    model = trained(rows_of())
    assert next(term.shape.slope for term in model.scorecard.terms if term.feature == "y") == 0
    assert model.metrics.against_direction == ()
    turned = Contract.model_validate(
        CONTRACT.model_dump()
        | {"features": {name: f.model_dump() | ({"risk": "down"} if f.risk else {}) for name, f in CONTRACT.features.items()}}
    )
    assert against_direction(model.scorecard, turned) == ("x",)


def test_training_accepts_a_feature_that_is_always_missing() -> None:
    frame = rows_of()
    parts_of = split(frame, POLICY.training)
    frame.loc[parts_of.train, "x"] = np.nan
    frame.loc[parts_of.train, "k"] = None
    model = trained(frame)
    others = frame[parts_of.other_accounts]
    assert model.metrics.roc_auc == pytest.approx(roc_auc_score(others["bad"], fitted(model, others)), abs=1e-12)


def test_number_too_large_to_scale_is_a_model_error() -> None:
    frame = rows_of()
    frame.loc[0, "x"] = 1e200
    with pytest.raises(ModelError, match=r"\bx\b"):
        trained(frame)


@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("value", [1e101, -1.7e308])
def test_number_too_large_to_scale_is_reported_with_its_date(row: int, value: float) -> None:
    frame = rows_of()
    frame.iloc[row, frame.columns.get_loc("y")] = value
    with pytest.raises(ModelError, match=rf"^y cannot be scaled.*{DATES[row]}.*Set min and max"):
        trained(frame)


def test_largest_scalable_number_is_accepted() -> None:
    frame = rows_of()
    frame.loc[[0, 599], "x"] = [1e100, -1e100]
    assert trained(frame).metrics.compiled_difference <= 1e-9


# without a declared direction of y, so that steps may follow the data
FREE = Contract.model_validate(
    CONTRACT.model_dump() | {"features": CONTRACT.model_dump()["features"] | {"y": {"type": "number", "reason": "Y"}}}
)
LEAST = {"min_rows": 80, "min_bad": 10, "spacing_days": 1, "scorecard": {"rounds": 15, "min_rows": 3}}


def policy_of(estimator: str, **training: Any) -> Policy:
    return POLICY.model_copy(update={"training": Training.model_validate(LEAST | {"estimator": estimator} | training)})


def curved() -> pd.DataFrame:
    """Return rows that are bad if y is far from zero, which a line cannot separate."""
    frame = rows_of()
    noise = np.random.default_rng(6).logistic(size=len(frame))
    return frame.assign(bad=(3 * frame["y"].abs() - 3 + noise > 0).astype(np.int64))


@pytest.mark.parametrize(
    ("auc", "within", "expected"),
    [
        ({"logistic": 0.75, "scorecard": 0.75}, 0.0, "logistic"),
        ({"logistic": 0.75, "scorecard": 0.8125}, 0.0625, "logistic"),
        ({"logistic": 0.75, "scorecard": 0.813}, 0.0625, "scorecard"),
        ({"logistic": 0.75, "scorecard": 0.7501}, 0.0, "scorecard"),
        ({"logistic": 0.9, "scorecard": 0.5}, 0.0, "logistic"),
        ({"logistic": 0.0, "scorecard": 1.0}, 1.0, "logistic"),
        ({"scorecard": 0.4}, 0.0, "scorecard"),
    ],
)
def test_choose_prefers_the_simpler_within_the_tolerance(auc: dict[str, float], within: float, expected: str) -> None:
    assert choose(tried(auc), within) == expected


def test_choose_ignores_rounding_at_the_exact_tolerance() -> None:
    # 0.805 - 0.8 is slightly more than 0.005 in floating point
    assert choose(tried({"logistic": 0.8, "scorecard": 0.805}), 0.005) == "logistic"


def test_choose_takes_the_simplest_without_cross_validation() -> None:
    assert choose({"logistic": None, "scorecard": None}, 0.005) == "logistic"


def tried(auc: Mapping[str, float]) -> dict[str, CrossValidated | None]:
    return {name: CrossValidated(found, (0.0, 1.0)) for name, found in auc.items()}


@pytest.mark.parametrize(
    ("frame", "within", "expected"),
    [(curved(), 0.005, "scorecard"), (curved(), 1.0, "logistic"), (rows_of(), 0.1, "logistic")],
    ids=["a curve", "a curve within the tolerance", "a line"],
)
def test_both_fits_two_estimators_and_registers_the_better(frame: pd.DataFrame, within: float, expected: str) -> None:
    model = trained(frame, contract=FREE, policy=policy_of("both", simpler_within=within))
    alone = {name: trained(frame, contract=FREE, policy=policy_of(name)) for name in ("logistic", "scorecard")}
    assert model.metrics.considered == {name: other.metrics.considered[name] for name, other in alone.items()}
    assert [*model.metrics.considered] == ["logistic", "scorecard"]
    assert model.origin.estimator == model.scorecard.estimator == expected
    assert model.scorecard == alone[expected].scorecard
    assert (model.steps, model.profile) == (alone[expected].steps, alone[expected].profile)
    assert model.metrics.roc_auc == alone[expected].metrics.roc_auc
    assert model.metrics.other_accounts == alone[expected].metrics.other_accounts


def test_holdouts_take_no_part_in_the_choice_of_the_estimator() -> None:
    frame = curved()
    held = ~split(frame, POLICY.training).train
    spoilt = frame.assign(bad=frame["bad"].where(~held, 1 - frame["bad"]))
    for each in (frame, spoilt):
        assert trained(each, contract=FREE, policy=policy_of("both")).origin.estimator == "scorecard"


def test_scorecard_fits_a_curve_that_logistic_cannot() -> None:
    considered = trained(curved(), contract=FREE, policy=policy_of("both", recalibrate_above=1)).metrics.considered
    auc = {name: found.roc_auc for name, found in considered.items() if found}
    assert auc["logistic"] < 0.65
    assert auc["scorecard"] > 0.75


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_single_estimator_is_the_only_one_considered(name: str) -> None:
    considered = trained(rows_of(), policy=policy_of(name)).metrics.considered
    assert [*considered] == [name]
    found = considered[name]
    assert found is not None
    assert found.roc_auc_interval[0] < found.roc_auc < found.roc_auc_interval[1]


@pytest.mark.parametrize("above", [0.0, 1.0], ids=["recalibrated", "unchanged"])
@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_pickled_and_compiled_probabilities_agree(name: str, above: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "calibration_noise", lambda _: 0.0)
    frame = curved() if name == "scorecard" else rows_of()
    frame.loc[[5, 9], "k"] = ["never seen", None]
    model = trained(frame, contract=FREE, policy=policy_of(name, recalibrate_above=above, scorecard={"rounds": 60, "min_rows": 1}))
    card = model.scorecard
    compiled = probability(card, contributions(card, encode(pl.from_pandas(frame[["x", "y", "k"]], nan_to_null=True), card)))
    np.testing.assert_allclose(compiled, fitted(model, frame), rtol=0, atol=1e-9)
    others = other_accounts(frame)
    assert model.metrics.roc_auc == pytest.approx(roc_auc_score(others["bad"], fitted(model, others)), abs=1e-12)
    assert (model.metrics.calibration.recalibrated_error is None) == (above == 1)


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_model_has_the_contract_features_in_order(name: str) -> None:
    order = {key: FREE.model_dump()["features"][key] for key in ("y", "k", "x")}
    contract = Contract.model_validate(FREE.model_dump() | {"features": order})
    model = trained(rows_of(), contract=contract, policy=policy_of(name))
    assert [*model.scorecard.features.items()] == [("y", "number"), ("k", "category"), ("x", "number")]
    assert list(dict.fromkeys(step.feature for step in model.steps)) == ["y", "k", "x"]
    assert [term.reason for term in model.scorecard.terms] == ["Y", "K", "X"]


def test_scorecard_keeps_the_declared_directions() -> None:
    rising = trained(rows_of(), policy=policy_of("scorecard"))
    shapes = {term.feature: term.shape for term in rising.scorecard.terms}
    for name in ("x", "y"):
        shape = shapes[name]
        assert isinstance(shape, Steps)
        assert (np.diff(shape.weights) > 0).all()
    assert rising.metrics.against_direction == ()


def of_feature(model: TrainedModel, name: str) -> list[Step]:
    return [step for step in model.steps if step.feature == name]


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_steps_count_each_training_row_once_per_feature(name: str) -> None:
    frame = rows_of()
    model = trained(frame, policy=policy_of(name))
    older = training_rows(frame)
    for feature in ("x", "y", "k"):
        steps = of_feature(model, feature)
        assert (sum(step.rows for step in steps), sum(step.bad for step in steps)) == (len(older), older["bad"].sum())
        missing = older[older[feature].isna()]
        assert (steps[-1].step, steps[-1].rows, steps[-1].bad) == ("(missing)", len(missing), missing["bad"].sum())
        assert [step.step for step in steps].count("(missing)") == 1
    for level in ("u", "v"):
        (step,) = (step for step in of_feature(model, "k") if step.step == level)
        rows = older[older["k"] == level]
        assert (step.rows, step.bad) == (len(rows), rows["bad"].sum())


@pytest.mark.long
@pytest.mark.parametrize(("name", "above"), [("logistic", 1.0), ("scorecard", 1.0), ("scorecard", 0.0)])
def test_steps_have_the_log_odds_of_the_pickled_model(name: str, above: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "calibration_noise", lambda _: 0.0)
    frame = rows_of()
    how = {"rounds": 30, "min_rows": 1, "max_bins": 8}
    model = trained(frame, contract=FREE, policy=policy_of(name, recalibrate_above=above, scorecard=how))
    older = training_rows(frame)
    # the log-odds of two rows that differ in one feature differ as much as the feature's steps
    start = older.iloc[[1]]
    places: dict[str, dict[str, Any]] = {"k": {"u": "u", "v": "v", "(any other)": "never seen", "(missing)": None}}
    if name == "scorecard":
        for term in model.scorecard.terms:
            if isinstance(term.shape, Steps):
                values = [term.shape.edges[0] - 1, *term.shape.edges[1:], term.shape.edges[-1] + 1, None]
                places[term.feature] = dict(zip((step.step for step in of_feature(model, term.feature)), values, strict=True))
    for feature, values in places.items():
        table = {step.step: step.log_odds for step in of_feature(model, feature)}
        assert table.keys() == values.keys()
        if feature == "y":  # never missing in training: a missing value counts as the worst step
            assert values.pop("(missing)") is None
            assert table.pop("(missing)") == max(table.values())
        columns = {step: start.assign(**{feature: pd.Series([value], start.index, frame[feature].dtype)}) for step, value in values.items()}
        log_odds = {
            step: float(np.log(probability / (1 - probability))) for step, row in columns.items() for probability in fitted(model, row)
        }
        first = next(iter(log_odds))
        for step, found in log_odds.items():
            assert table[step] - table[first] == pytest.approx(found - log_odds[first], abs=1e-9)
        if name == "scorecard" or feature == "k":
            assert sum(step.log_odds * step.rows for step in of_feature(model, feature)) == pytest.approx(0, abs=1e-8)


def test_line_ranges_are_profile_bins_with_mean_contributions() -> None:
    frame = rows_of()
    model = trained(frame)
    older = training_rows(frame)
    line = model.scorecard.terms[1].shape
    assert isinstance(line, Line)
    steps = of_feature(model, "y")
    bins = model.profile.features["y"]
    assert isinstance(bins, NumberBins)
    edges = bins.edges
    ranges = [rows["y"] for _, rows in older.groupby(np.searchsorted(edges, older["y"], side="right"))]
    assert [step.rows for step in steps[:-1]] == [len(values) for values in ranges]
    assert len(ranges) == 10
    assert {len(values) for values in ranges} <= {len(older) // 10, len(older) // 10 + 1}
    expected = [line.slope * (values.mean() - older["y"].mean()) for values in ranges]
    assert [step.log_odds for step in steps[:-1]] == pytest.approx(expected, abs=1e-9)
    assert (steps[0].step[:6], steps[-2].step[:5], steps[-1].step) == ("under ", "from ", "(missing)")


@pytest.mark.parametrize("name", ["logistic", "scorecard", "both"])
def test_number_too_large_to_scale_fails_every_estimator(name: str) -> None:
    frame = rows_of()
    frame.loc[0, "x"] = 1e200
    with pytest.raises(ModelError, match=r"^x cannot be scaled"):
        trained(frame, policy=policy_of(name))


def test_scorecard_accepts_the_largest_scalable_number() -> None:
    frame = rows_of()
    frame.loc[[0, 599], "x"] = [1e100, -1e100]
    assert trained(frame, policy=policy_of("scorecard")).metrics.compiled_difference <= 1e-9


def test_scorecard_accepts_features_that_are_always_missing() -> None:
    frame = rows_of()
    parts_of = split(frame, POLICY.training)
    frame.loc[parts_of.train, "x"] = np.nan
    frame.loc[parts_of.train, "k"] = None
    model = trained(frame, policy=policy_of("scorecard"), contract=FREE)
    others = frame[parts_of.other_accounts]
    assert model.metrics.roc_auc == pytest.approx(roc_auc_score(others["bad"], fitted(model, others)), abs=1e-12)
    assert [step.step for step in of_feature(model, "x")] == ["any", "(missing)"]
    assert [step.step for step in of_feature(model, "k")] == ["(any other)", "(missing)"]


def test_same_rows_give_the_same_scorecard_bit_for_bit() -> None:
    first, second = (trained(rows_of(), policy=policy_of("both", simpler_within=0)) for _ in range(2))
    assert first.scorecard.to_json() == second.scorecard.to_json()
    assert (first.metrics, first.steps, first.gates) == (second.metrics, second.steps, second.gates)


def test_live_model_of_another_estimator_is_compared() -> None:
    frame = curved()
    live = trained(frame, contract=FREE, policy=policy_of("logistic"))
    model = trained(frame, VersionedScorecard("model_v001", live.scorecard), contract=FREE, policy=policy_of("scorecard"))
    assert model.metrics.champion_other_accounts is not None
    assert model.metrics.champion_other_accounts.roc_auc == live.metrics.roc_auc
    assert model.metrics.auc_gain is not None
    assert model.metrics.auc_gain[0] > 0
    (gate,) = (gate for gate in model.gates.found if gate.name == "not_worse_than_live")
    assert gate.passed
    assert gate.interval is not None
    assert model.metrics.auc_gain[0] < gate.interval[0] < gate.interval[1] < model.metrics.auc_gain[1]


def test_blank_reason_is_an_error() -> None:
    blank_reason = FREE.features["k"].model_copy(update={"reason": " "})  # a contract that is read from a file cannot have this
    blank = FREE.model_copy(update={"features": FREE.features | {"k": blank_reason}})
    with pytest.raises(ModelError, match="k has no reason text"):
        trained(rows_of(), contract=blank)


def test_steps_against_the_declared_direction_are_found() -> None:
    contract = Contract.model_validate(CONTRACT.model_dump())
    card = trained(rows_of(), policy=policy_of("scorecard")).scorecard
    assert against_direction(card, contract) == ()
    dip = Term("x", Steps((0.0, 1.0, 2.0), (-1.0, 0.5, 0.25, 2.0), 0.0), 0.0, 0.0, "X")
    assert against_direction(Scorecard("scorecard", 0.0, (dip,)), contract) == ("x",)


# --- the example ---------------------------------------------------------------------------------------------------------


def compiled(model: TrainedModel) -> float:
    """Return the compiled card's probability for the model's example."""
    card, record = model.scorecard, model.example.record
    x = encode(pl.DataFrame([record], schema={"x": pl.Float64, "y": pl.Float64, "k": pl.String}), card)
    return float(probability(card, contributions(card, x))[0])


def with_x(frame: pd.DataFrame, *values: float | None) -> pd.DataFrame:
    """Return the rows with x cycling through these values in the training rows, and 0 in the holdouts."""
    train_rows = split(frame, POLICY.training).train
    repeated = [values[at % len(values)] for at in np.cumsum(train_rows) - 1]
    return frame.assign(x=np.where(train_rows, np.array(repeated, dtype=np.float64), 0.0))


def contract_of_x(**changed: Any) -> Contract:
    features = CONTRACT.model_dump()["features"]
    return Contract.model_validate(CONTRACT.model_dump() | {"features": features | {"x": features["x"] | changed}})


@pytest.mark.parametrize("above", [0.0, 1.0], ids=["recalibrated", "unchanged"])
@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_example_has_the_pickled_and_compiled_probability(name: str, above: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "calibration_noise", lambda _: 0.0)
    frame = curved() if name == "scorecard" else rows_of()
    frame.loc[[5, 9], "k"] = ["never seen", None]
    policy = policy_of(name, recalibrate_above=above, scorecard={"rounds": 60, "min_rows": 1})
    model = trained(frame, contract=FREE, policy=policy)
    assert (model.metrics.calibration.recalibrated_error is None) == (above == 1)
    (of_pipeline,) = fitted(model, pd.DataFrame([model.example.record]))
    assert model.example.probability == pytest.approx(of_pipeline, rel=0, abs=1e-12)
    assert compiled(model) == pytest.approx(model.example.probability, rel=0, abs=1e-9)


def test_example_has_medians_and_most_frequent_levels() -> None:
    frame = rows_of()
    older = training_rows(frame)
    levels = older["k"].tolist()
    typical = {"x": statistics.median(older["x"].dropna()), "y": statistics.median(older["y"])}
    record = trained(frame).example.record
    assert list(record) == ["x", "y", "k"]
    assert {name: record[name] for name in ("x", "y")} == pytest.approx(typical, rel=5e-4)
    assert record["k"] == max(("u", "v"), key=levels.count)


def test_example_does_not_use_the_holdout() -> None:
    frame = rows_of()
    held = ~split(frame, POLICY.training).train
    other = frame.assign(x=frame["x"].where(~held, 50.0), k=frame["k"].where(~held, "w"))
    assert trained(other).example == trained(frame).example


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 2.0), 2.0),
        ((30.0, 40.0, None, 50.0), 40.0),
        ((0.25, 0.5), 0.375),
        ((48_211.37, 48_213.91, 60_000.0), 48_210.0),
        ((-0.5, 0.5), 0.0),
    ],
)
def test_example_rounds_medians_and_keeps_integers(values: tuple[float | None, ...], expected: float) -> None:
    assert trained(with_x(rows_of(), *values)).example.record["x"] == expected


def test_example_rounding_stays_within_the_contract_bounds() -> None:
    low, high = with_x(rows_of(), 1.23425, 1.23435), with_x(rows_of(), 1.23465, 1.23475)
    assert (trained(low).example.record["x"], trained(high).example.record["x"]) == (1.234, 1.235)
    assert trained(low, contract=contract_of_x(min=1.2342)).example.record["x"] == 1.2342
    assert trained(high, contract=contract_of_x(max=1.2348)).example.record["x"] == 1.2348


def test_example_number_is_not_a_code_for_missing() -> None:
    frame = with_x(rows_of(), -3.0, -2.0, 0.0, 1.0)
    assert trained(frame).example.record["x"] == -1.0
    assert trained(frame, contract=contract_of_x(missing=["-1"])).example.record["x"] == -2.0


def test_example_takes_the_first_of_equally_frequent_levels() -> None:
    frame = rows_of()
    older = split(frame, POLICY.training).train
    levels = [(None, "w", "é", None, "a b", None)[at % 6] if older[row] else None for row, at in enumerate(np.cumsum(older) - 1)]
    assert trained(frame.assign(k=pd.array(levels, dtype="str"))).example.record["k"] == "a b"


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_example_of_unknown_features_is_missing_or_in_bounds(name: str) -> None:
    frame = with_x(rows_of(), None)
    frame["k"] = pd.Series(None, index=frame.index, dtype="str")
    optional = trained(frame, policy=policy_of(name))
    assert (optional.example.record["x"], optional.example.record["k"]) == (None, None)
    assert compiled(optional) == pytest.approx(optional.example.probability, rel=0, abs=1e-9)
    features = contract_of_x(required=True, min=3, max=5).model_dump()["features"]
    strict = Contract.model_validate(CONTRACT.model_dump() | {"features": features | {"k": features["k"] | {"required": True}}})
    required = trained(frame, contract=strict, policy=policy_of(name))
    assert required.example.record["x"] == 3.0
    assert required.example.record["k"]
    assert compiled(required) == pytest.approx(required.example.probability, rel=0, abs=1e-9)


def test_example_json_round_trip_is_exact() -> None:
    example = trained(with_x(rows_of(), 1.0, None)).example
    assert msgspec.json.decode(msgspec.json.encode(example), type=Example) == example
