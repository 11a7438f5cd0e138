"""From labelled rows to a trained, compiled and measured model."""

import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as library_version

import joblib
import numpy as np
import pandas as pd
import polars as pl

from risk_assets.code_version import code_version
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.governance.artifacts import Metrics, NumberBins, Origin, Performance, Profile, TrainedModel
from risk_assets.domain.governance.gates import ROUNDING, gates
from risk_assets.domain.scorecard.arrays import Floats, Integers, contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.points_table import steps
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.self_check import MAX_DIFFERENCE
from risk_assets.domain.training.dataset import require_enough, require_scalable
from risk_assets.domain.training.estimators import FittedModel, fit, names
from risk_assets.domain.training.example import example
from risk_assets.domain.training.metrics import auc_gain, performance
from risk_assets.domain.training.reference_profile import profile
from risk_assets.domain.training.split import holdout
from risk_assets.errors import ModelError

REBALANCE = (
    "Land outcomes of more dates, lower training.holdout, narrow training.window_days to the newest date if that has "
    "most rows (a single date is split by rows)"
)
LIBRARIES = ("scikit-learn", "numpy", "pandas", "polars", "joblib")
SIGNS = {"up": 1, "down": -1}


@dataclass(frozen=True)
class _Candidate:
    """A fitted estimator, its probabilities on the holdout, shape (n,), and its figures there."""

    model: FittedModel
    probability: Floats
    figures: Performance


def train(frame: pd.DataFrame, date: str, contract: Contract, policy: Policy, live: VersionedScorecard | None) -> TrainedModel:
    """Fit on the older rows, compile, and measure on the holdout.

    If the policy selects both estimators, the better one on the holdout is registered, or the simpler one if its AUC is
    lower by no more than the policy's tolerance.

    Raises
    ------
    ModelError
        If a number is too large to scale, training rows or holdout would have only one class, the holdout leaves fewer than
        the policy's `min_rows` and `min_bad` to train on, or the compiled model differs from the fitted one.
    """
    require_scalable(frame, contract)
    held = holdout(frame[SNAPSHOT].to_numpy(dtype=str), _labels(frame), policy.training)
    older, newest = frame[~held], frame[held]
    require_enough(_labels(older), policy.training, "rows outside the holdout", REBALANCE)
    candidates = {name: _candidate(name, older, newest, contract, policy) for name in names(policy.training.estimator)}
    auc = {name: candidate.figures.roc_auc for name, candidate in candidates.items()}
    best = candidates[choose(auc, policy.training.simpler_within)]
    card = best.model.card
    metrics = _metrics(older, newest, best, auc, contract, policy, live)
    x = _inputs(card, older)
    reference = profile(older[list(contract.inputs)], probability(card, contributions(card, x)), contract)
    return TrainedModel(
        scorecard=card,
        steps=steps(card, x, _labels(older), _ranges(reference)),
        metrics=metrics,
        profile=reference,
        example=example(best.model, older, contract),
        origin=_origin(card.estimator, date, older, newest, contract, policy),
        gates=gates(metrics, [term.reason for term in card.terms], policy.promotion),
        pipeline=_pickled(best.model),
    )


def choose(auc: Mapping[str, float], simpler_within: float) -> str:
    """Return the first estimator, simplest first, whose AUC is within the tolerance of the best."""
    best = max(auc.values())
    return next(name for name, found in auc.items() if best - found <= simpler_within + ROUNDING)


def against_direction(card: Scorecard, contract: Contract) -> tuple[str, ...]:
    """Return the numbers whose slope contradicts the direction that the contract declares."""
    slopes = {term.feature: getattr(term.shape, "slope", 0.0) for term in card.terms}
    return tuple(name for name, f in contract.inputs.items() if f.risk and slopes.get(name, 0.0) * SIGNS[f.risk] < 0)


def _labels(frame: pd.DataFrame) -> Integers:
    return frame[OUTCOME].to_numpy(dtype=np.int64)


def _inputs(card: Scorecard, frame: pd.DataFrame) -> Floats:
    return encode(pl.from_pandas(frame[[term.feature for term in card.terms]], nan_to_null=True), card)


def _probability(card: Scorecard, frame: pd.DataFrame) -> Floats:
    return probability(card, contributions(card, _inputs(card, frame)))


def _candidate(name: str, older: pd.DataFrame, newest: pd.DataFrame, contract: Contract, policy: Policy) -> _Candidate:
    model = fit(name, older[list(contract.inputs)], _labels(older), contract, policy.training)
    found = _probability(model.card, newest)
    return _Candidate(model, found, performance(_labels(newest), found, policy.threshold))


def _compiled_difference(candidate: _Candidate, older: pd.DataFrame, newest: pd.DataFrame, contract: Contract) -> float:
    """Return the largest |compiled - fitted| probability on the holdout; raises `ModelError` if it is too large.

    Rows without a value of a feature that is never missing in the training rows are left out: the two differ there by
    design, see the policy's `unseen_missing`.
    """
    names = list(contract.inputs)
    never_missing = [name for name in names if older[name].notna().all()]
    comparable = newest[never_missing].notna().all(axis=1).to_numpy()
    if not comparable.any():
        return 0.0
    fitted = candidate.model.probabilities(newest.loc[comparable, names])
    difference = float(np.max(np.abs(candidate.probability[comparable] - fitted)))
    if difference > MAX_DIFFERENCE:
        raise ModelError(
            f"the compiled model differs from the fitted one by {difference:.1e} on the holdout (limit {MAX_DIFFERENCE:.0e}), "
            "so it is not registered. Look for features of extreme scale in the contract."
        )
    return difference


def _metrics(
    older: pd.DataFrame,
    newest: pd.DataFrame,
    candidate: _Candidate,
    considered: Mapping[str, float],
    contract: Contract,
    policy: Policy,
    live: VersionedScorecard | None,
) -> Metrics:
    figures = candidate.figures
    champion_version, champion_holdout, gain = _compared_with_live(live, candidate, newest, policy)
    return Metrics(
        accuracy=figures.accuracy,
        roc_auc=figures.roc_auc,
        gini=figures.gini,
        ks=figures.ks,
        n_train=len(older),
        n_test=len(newest),
        random_state=policy.training.random_state,
        bad_rate_train=float(older[OUTCOME].mean()),
        bad_rate_test=float(newest[OUTCOME].mean()),
        compiled_difference=_compiled_difference(candidate, older, newest, contract),
        against_direction=against_direction(candidate.model.card, contract),
        considered=dict(considered),
        calibration=candidate.model.calibration,
        holdout=figures,
        champion_version=champion_version,
        champion_holdout=champion_holdout,
        auc_gain=gain,
    )


def _compared_with_live(
    live: VersionedScorecard | None, candidate: _Candidate, newest: pd.DataFrame, policy: Policy
) -> tuple[str, Performance, tuple[float, float]] | tuple[None, None, None]:
    """Return the live version, its figures on the holdout and the gain in AUC; None if its features are not all in the candidate."""
    if live is None or not live.scorecard.features.items() <= candidate.model.card.features.items():
        return None, None, None
    truth, theirs = _labels(newest), _probability(live.scorecard, newest)
    gain = auc_gain(truth, candidate.probability, theirs, policy.training.random_state)
    return live.version, performance(truth, theirs, policy.threshold), gain


def _ranges(reference: Profile) -> dict[str, tuple[float, ...]]:
    return {name: bins.edges for name, bins in reference.features.items() if isinstance(bins, NumberBins)}


def _pickled(model: FittedModel) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model.classifier, buffer, compress=3)
    return buffer.getvalue()


def _origin(estimator: str, date: str, older: pd.DataFrame, newest: pd.DataFrame, contract: Contract, policy: Policy) -> Origin:
    return Origin(
        estimator=estimator,
        features={name: f.type for name, f in contract.inputs.items()},
        training_date=date,
        train_dates=tuple(sorted(older[SNAPSHOT].unique())),
        holdout_dates=tuple(sorted(newest[SNAPSHOT].unique())),
        contract=contract.digest,
        policy=policy.digest,
        libraries={"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES},
        seed=policy.training.random_state,
        code=code_version(),
    )
