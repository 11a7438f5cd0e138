"""From labelled snapshots to a trained, compiled, measured model."""

import io
import platform
from collections.abc import Mapping
from importlib.metadata import version as library_version

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from risk_assets.domain.contract.field_rules import missing_codes
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.policy import Training as TrainingPolicy
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES, OUTCOME, Contract, Feature
from risk_assets.domain.governance.artifacts import Example, Metrics, Origin, Performance, TrainedModel, VersionedScorecard
from risk_assets.domain.governance.gates import MAX_COMPILED_DIFFERENCE, ROUNDING, gates
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.points_table import steps
from risk_assets.domain.scorecard.scorecard import Floats, Scorecard, contributions, probability
from risk_assets.domain.training.estimators import FittedModel, fit, wanted
from risk_assets.domain.training.metrics import Labels, auc_gain, performance
from risk_assets.domain.training.reference_profile import profile
from risk_assets.errors import ModelError

SNAPSHOT = "\x1fsnapshot"
ROW = "\x1frow"
FIGURES = 4  # of an example's numbers: the middle one of odd rows is a customer's own
LARGEST = 1e100  # the squares of larger numbers, summed to scale them, come near the end of floats
REBALANCE = (
    "Land outcomes of more dates, lower training.holdout, narrow training.window_days to the newest date if that holds "
    "most rows (a single date is split by rows)"
)
LIBRARIES = ("scikit-learn", "numpy", "pandas", "polars", "joblib")


def labelled(
    features: Mapping[str, pl.LazyFrame], outcomes: Mapping[str, pl.LazyFrame], contract: Contract, policy: TrainingPolicy
) -> pd.DataFrame:
    """Return the rows that can train: scorable, with an outcome; the features, `bad` (0 or 1) and the snapshot's date.

    Parameters
    ----------
    features, outcomes : mapping of date to LazyFrame
        Checked features, and outcomes (`account_id`, `bad`), of the dates that are in the lake.

    Raises
    ------
    ModelError
        When no date has both, or there are too few rows, too few bad ones, or one class only.
    """
    dates = sorted(features.keys() & outcomes.keys())
    if not dates:
        raise ModelError(
            f"no date in the training window of {policy.window_days} days has both features and outcomes "
            f"({len(features)} have features, {len(outcomes)} outcomes). Land outcomes for a date that was run: "
            "risk land FILE --outcomes --date DATE; or widen training.window_days in the policy."
        )
    joined = {date: _joined(features[date], outcomes[date], date, contract) for date in dates}
    frame = _sampled(joined, policy).collect(engine="streaming").to_pandas()
    _require_enough(frame[OUTCOME].to_numpy(), policy, "labelled rows", "Land more outcomes, widen training.window_days")
    return frame


def train(frame: pd.DataFrame, date: str, contract: Contract, policy: Policy, live: VersionedScorecard | None) -> TrainedModel:
    """Fit on the older rows, compile, and measure on the holdout.

    Where the policy asks for both estimators, the better one on the holdout is taken, and the simpler one when it is behind
    by no more than the policy's tolerance.

    Raises
    ------
    ModelError
        When a number is too large to scale, training or holdout would hold one class only, the holdout leaves less than
        the policy's `min_rows` and `min_bad` to train on, or the compiled model is not the fitted one.
    """
    _require_scalable(frame, contract)
    held = holdout(frame[SNAPSHOT].to_numpy(dtype=str), frame[OUTCOME].to_numpy(dtype=np.int64), policy.training)
    older, newest = frame[~held], frame[held]
    _require_enough(older[OUTCOME].to_numpy(), policy.training, "rows left beside the holdout", REBALANCE)
    tried = {name: _fitted(name, older, newest, contract, policy) for name in wanted(policy.training.estimator)}
    figures = {name: found for name, (_, found) in tried.items()}
    fitted, _ = tried[chosen({name: found.roc_auc for name, found in figures.items()}, policy.training.simpler_within)]
    card, bad = fitted.card, older[OUTCOME].to_numpy(dtype=np.int64)
    metrics = _metrics(older, newest, fitted, figures, contract, policy, live)
    shape = profile(older[list(contract.features)], _chance(card, older), contract)
    buffer = io.BytesIO()
    joblib.dump(fitted.classifier, buffer, compress=3)
    return TrainedModel(
        scorecard=card,
        steps=steps(card, _inputs(card, older), bad, shape),
        metrics=metrics,
        profile=shape,
        example=_example(fitted, older, contract),
        origin=_origin(card.estimator, date, older, newest, contract, policy),
        gates=gates(metrics, [term.reason for term in card.terms], policy.promotion),
        pipeline=buffer.getvalue(),
    )


def chosen(auc: Mapping[str, float], simpler_within: float) -> str:
    """Return the best estimator by AUC, or the first, which is the simplest, that is behind by no more than the tolerance."""
    best = max(auc.values())
    return next(name for name, found in auc.items() if best - found <= simpler_within + ROUNDING)


def holdout(dates: npt.NDArray[np.str_], bad: Labels, policy: TrainingPolicy) -> npt.NDArray[np.bool_]:
    """Return which rows are held out, shape (n,): the newest dates when there are several, else a stratified share.

    The newest dates are taken until they hold the policy's share of the rows and both classes; the oldest date always
    trains, and `train` refuses what then is too little to train on.

    Raises
    ------
    ModelError
        When either side would hold one class only.
    """
    known = np.unique(dates)
    held = _newest(dates, known, bad, policy.holdout) if len(known) > 1 else _stratified(bad, policy)
    for name, rows in (("holdout", held), ("training rows", ~held)):
        if len(np.unique(bad[rows])) < 2:
            raise ModelError(
                f"the {name} hold one class of outcome only. Land outcomes of more dates, or widen training.window_days in the policy."
            )
    return held


def _newest(dates: npt.NDArray[np.str_], known: npt.NDArray[np.str_], bad: Labels, share: float) -> npt.NDArray[np.bool_]:
    held = np.zeros(len(dates), dtype=np.bool_)
    for date in known[:0:-1]:
        held |= dates == date
        if held.mean() >= share and len(np.unique(bad[held])) == 2:
            break
    return held


def _stratified(bad: Labels, policy: TrainingPolicy) -> npt.NDArray[np.bool_]:
    random = np.random.default_rng(policy.random_state)
    held = np.zeros(len(bad), dtype=np.bool_)
    for label in (0, 1):
        rows = np.flatnonzero(bad == label)
        held[random.permutation(rows)[: round(len(rows) * policy.holdout)]] = True
    return held


def _joined(features: pl.LazyFrame, outcomes: pl.LazyFrame, date: str, contract: Contract) -> pl.LazyFrame:
    usable = features.filter(pl.col(ISSUES).is_null()).select(ACCOUNT_ID, *contract.features)
    known = outcomes.filter(pl.col(OUTCOME).is_not_null()).select(ACCOUNT_ID, pl.col(OUTCOME).cast(pl.Int64))
    joined = usable.join(known, on=ACCOUNT_ID, how="inner", maintain_order="left")
    return joined.select(*contract.features, OUTCOME, pl.lit(date).alias(SNAPSHOT))


def _sampled(joined: Mapping[str, pl.LazyFrame], policy: TrainingPolicy) -> pl.LazyFrame:
    """Return all rows, or where they are more than `max_rows` the same share of each date's."""
    whole = pl.concat(joined.values())
    counts = dict(whole.group_by(SNAPSHOT).len().collect(engine="streaming").iter_rows())
    total = sum(counts.values())
    if total <= policy.max_rows:
        return whole
    quotas = {date: counts[date] * policy.max_rows // total for date in joined if date in counts}
    return pl.concat(_drawn(joined[date], quota, policy.random_state + at) for at, (date, quota) in enumerate(quotas.items()))


def _drawn(rows: pl.LazyFrame, quota: int, seed: int) -> pl.LazyFrame:
    """Draw rows by the smallest hashes of their positions, which follow no pattern in the file; order is kept."""
    return rows.with_row_index(ROW).bottom_k(quota, by=pl.col(ROW).hash(seed)).sort(ROW).drop(ROW)


def _require_scalable(frame: pd.DataFrame, contract: Contract) -> None:
    numbers = list(contract.numbers)
    huge = frame[numbers].abs() > LARGEST
    names = [name for name in numbers if huge[name].any()]
    if names:
        dates = ", ".join(sorted(frame.loc[huge.any(axis=1), SNAPSHOT].unique()))
        raise ModelError(
            f"{', '.join(names)} can't be scaled: numbers beyond {LARGEST:.0e} in the rows of {dates}. Set min and max "
            "of each in the contract, so that such rows are set aside with an issue, and run these dates again."
        )


def _require_enough(bad: npt.NDArray[np.int64], policy: TrainingPolicy, what: str, advice: str) -> None:
    rows, bads = len(bad), int(bad.sum())
    if rows < policy.min_rows or min(bads, rows - bads) < policy.min_bad:
        raise ModelError(
            f"too little to train on: {rows} {what}, {bads} of them bad; the policy asks for {policy.min_rows} rows "
            f"and {policy.min_bad} of each class. {advice}, or lower training.min_rows and training.min_bad in the policy."
        )


def _inputs(card: Scorecard, frame: pd.DataFrame) -> Floats:
    return encode(pl.from_pandas(frame[[term.feature for term in card.terms]], nan_to_null=True), card)


def _chance(card: Scorecard, frame: pd.DataFrame) -> Floats:
    return probability(card, contributions(card, _inputs(card, frame)))


def _fitted(name: str, older: pd.DataFrame, newest: pd.DataFrame, contract: Contract, policy: Policy) -> tuple[FittedModel, Performance]:
    fitted = fit(name, older[list(contract.features)], older[OUTCOME].to_numpy(dtype=np.int64), contract, policy.training)
    return fitted, performance(newest[OUTCOME].to_numpy(dtype=np.int64), _chance(fitted.card, newest), policy.threshold)


def _difference(fitted: FittedModel, newest: pd.DataFrame, contract: Contract) -> float:
    """Return the largest |compiled - fitted| probability on the holdout; raises `ModelError` when it is too large."""
    difference = float(np.max(np.abs(_chance(fitted.card, newest) - fitted.chance(newest[list(contract.features)]))))
    if difference > MAX_COMPILED_DIFFERENCE:
        raise ModelError(
            f"the compiled model differs from the fitted one by {difference:.1e} on the holdout (at most {MAX_COMPILED_DIFFERENCE:.0e} is "
            "allowed), so it gets no version. Look for features of extreme scale in the contract."
        )
    return difference


def _metrics(
    older: pd.DataFrame,
    newest: pd.DataFrame,
    fitted: FittedModel,
    considered: Mapping[str, Performance],
    contract: Contract,
    policy: Policy,
    live: VersionedScorecard | None,
) -> Metrics:
    truth, figures = newest[OUTCOME].to_numpy(dtype=np.int64), considered[fitted.card.estimator]
    rival = live if live and live.scorecard.features.items() <= fitted.card.features.items() else None
    theirs = _chance(rival.scorecard, newest) if rival else None
    return Metrics(
        accuracy=figures.accuracy,
        roc_auc=figures.roc_auc,
        gini=figures.gini,
        ks=figures.ks,
        n_train=len(older),
        n_test=len(newest),
        random_state=policy.training.random_state,
        bad_rate_train=float(older[OUTCOME].mean()),
        bad_rate_test=float(truth.mean()),
        compiled_difference=_difference(fitted, newest, contract),
        against_direction=against_direction(fitted.card, contract),
        considered={name: found.roc_auc for name, found in considered.items()},
        calibration=fitted.calibration,
        holdout=figures,
        champion_version=rival.version if rival else None,
        champion=performance(truth, theirs, policy.threshold) if theirs is not None else None,
        auc_gain=auc_gain(truth, _chance(fitted.card, newest), theirs, policy.training.random_state) if theirs is not None else None,
    )


def _example(fitted: FittedModel, older: pd.DataFrame, contract: Contract) -> Example:
    """Return a record that is no customer's, of medians and most frequent levels, with the fitted pipeline's probability."""
    record = {
        name: _typical_number(older[name].to_numpy(dtype=np.float64), f, contract) if f.type == "number" else _typical_level(older[name], f)
        for name, f in contract.features.items()
    }
    types = {name: pl.Float64 if f.type == "number" else pl.String for name, f in contract.features.items()}
    chance = fitted.chance(pl.DataFrame([record], schema=types).to_pandas())
    return Example(record, float(chance[0]))


def _typical_number(values: Floats, feature: Feature, contract: Contract) -> float | None:
    """Return the median of what is known, rounded, within the contract's bounds and no code for missing."""
    known = values[~np.isnan(values)]
    if not len(known):
        return _bounded(0.0, feature) if feature.required else None
    median = float(f"{np.median(known):.{FIGURES}g}")
    whole = bool((known == np.rint(known)).all())
    rounded = _bounded(float(round(median)) if whole else median, feature)
    return float(np.quantile(known, 0.5, method="lower")) if rounded in missing_codes(feature, contract) else rounded


def _bounded(number: float, feature: Feature) -> float:
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    return float(min(max(number, low), high))


def _typical_level(levels: pd.Series, feature: Feature) -> str | None:
    """Return the most frequent level, of equals the first in order."""
    frequent = levels.mode()
    if len(frequent):
        return str(frequent.iloc[0])
    return "any" if feature.required else None


def against_direction(card: Scorecard, contract: Contract) -> tuple[str, ...]:
    """Return the numbers whose slope runs against the direction that the contract expects."""
    slopes = {term.feature: getattr(term.shape, "slope", 0.0) for term in card.terms}
    signs = {"up": 1, "down": -1}
    return tuple(name for name, f in contract.features.items() if f.risk and slopes.get(name, 0.0) * signs[f.risk] < 0)


def _origin(estimator: str, date: str, older: pd.DataFrame, newest: pd.DataFrame, contract: Contract, policy: Policy) -> Origin:
    return Origin(
        estimator=estimator,
        features={name: f.type for name, f in contract.features.items()},
        training_date=date,
        train_dates=tuple(sorted(older[SNAPSHOT].unique())),
        holdout_dates=tuple(sorted(newest[SNAPSHOT].unique())),
        contract=contract.digest,
        policy=policy.digest,
        libraries={"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES},
    )
