"""From labelled rows to a trained, compiled and measured model."""

import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as library_version

import joblib
import numpy as np
import pandas as pd

from risk_assets.code_version import code_version
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.governance.artifacts import CrossValidated, Metrics, NumberBins, Origin, Performance, Profile, TrainedModel
from risk_assets.domain.governance.fairness import Fairness
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.scorecard.points_table import steps
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.scoring import cut_off_probability
from risk_assets.domain.scorecard.self_check import MAX_DIFFERENCE
from risk_assets.domain.training.dataset import count_groups, require_enough, require_scalable
from risk_assets.domain.training.estimators import FittedModel, cross_validate, fit, names
from risk_assets.domain.training.example import example
from risk_assets.domain.training.fairness import Outcomes, fairness
from risk_assets.domain.training.intervals import Codes, Interval, auc_gain, gain_interval
from risk_assets.domain.training.measurement import (
    Candidate,
    Compared,
    Snapshot,
    against_direction,
    can_score,
    card_inputs,
    card_probability,
    measure_gates,
)
from risk_assets.domain.training.metrics import performance
from risk_assets.domain.training.reference_profile import profile
from risk_assets.domain.training.split import Mask, Split, split
from risk_assets.errors import ModelError

REBALANCE = "Land outcomes of more accounts or dates, widen training.window_days, lower training.holdout or training.other_accounts"
LIBRARIES = ("scikit-learn", "numpy", "pandas", "polars", "joblib")
ROUNDING = 1e-12  # 0.62 - 0.60 is slightly more than 0.02 in floating point


@dataclass(frozen=True)
class _Data:
    """Labelled rows with what is derived from them: the number of each row's group, and the parts."""

    frame: pd.DataFrame
    groups: Codes
    parts: Split

    @property
    def older(self) -> pd.DataFrame:
        """The training rows."""
        return self.frame[self.parts.train]

    @property
    def held(self) -> pd.DataFrame:
        """The rows of both holdouts."""
        return self.frame[~self.parts.train]


@dataclass(frozen=True)
class _Holdouts:
    """A model's figures on the holdouts."""

    other_accounts: Performance
    later_dates: Performance | None


def train(
    frame: pd.DataFrame,
    date: str,
    contract: Contract,
    policy: Policy,
    live: VersionedScorecard | None,
    compared: Compared | None = None,
    newest: Snapshot | None = None,
) -> TrainedModel:
    """Fit on the training rows, compile, and measure on other accounts and on later dates.

    `compared` are the versions that the gates compare; by default the live one. `newest` is the newest snapshot.

    If the policy selects both estimators, the one with the higher cross-validated AUC is fitted, or the simpler one if its AUC is
    lower by no more than the policy's tolerance. The holdouts take no part in the choice.

    Raises
    ------
    ModelError
        If a number is too large to scale, a part would have only one class, the holdouts leave fewer than the policy's `min_rows`
        and `min_bad` to train on, the compiled model differs from the fitted one, or a feature has no reason text.
    """
    require_scalable(frame, contract)
    data = _Data(frame, pd.factorize(frame[GROUP])[0], split(frame, policy.training))
    older = data.older
    require_enough(older, policy.training, "outside the holdouts", REBALANCE)
    rows = (older[list(contract.inputs)], labels(older), data.groups[data.parts.train], contract, policy.training)
    tried = {name: cross_validate(name, *rows) for name in names(policy.training.estimator)}
    considered = {name: validation.figures if validation else None for name, validation in tried.items()}
    name = choose(considered, policy.training.simpler_within)
    model = fit(name, *rows, tried[name])
    card = model.card
    metrics = _metrics(data, model, considered, contract, policy, live)
    _require_reasons(card)
    x = card_inputs(card, older)
    reference = profile(older[list(contract.inputs)], card, x, data.groups[data.parts.train], contract)
    alone = Compared(live.version, {live.version: live.scorecard}) if live else Compared()
    return TrainedModel(
        scorecard=card,
        steps=steps(card, x, labels(older), _ranges(reference)),
        metrics=metrics,
        profile=reference,
        example=example(model, older, contract),
        origin=_origin(card.estimator, date, data, contract, policy),
        gates=measure_gates(
            Candidate(card, reference, metrics.groups_train),
            (frame, data.parts),
            compared or alone,
            newest,
            contract,
            policy,
        ),
        pipeline=_pickled(model),
    )


def choose(considered: Mapping[str, CrossValidated | None], simpler_within: float) -> str:
    """Return the first estimator, simplest first, whose AUC is within the tolerance of the best; the first if none has one."""
    auc = {name: found.roc_auc for name, found in considered.items() if found}
    if not auc:
        return next(iter(considered))
    best = max(auc.values())
    return next(name for name, found in auc.items() if best - found <= simpler_within + ROUNDING)


def labels(frame: pd.DataFrame) -> Integers:
    """Return the outcomes of labelled rows, shape (n,): 1 if the account went bad."""
    return frame[OUTCOME].to_numpy(dtype=np.int64)


def _require_reasons(card: Scorecard) -> None:
    blank = [term.feature for term in card.terms if not term.reason.strip()]
    if blank:
        raise ModelError(f"{', '.join(blank)} has no reason text, so the model is not registered. Set `reason` in the contract.")


def _compiled_difference(model: FittedModel, compiled: Floats, older: pd.DataFrame, held: pd.DataFrame, contract: Contract) -> float:
    """Return the largest |compiled - fitted| probability on the holdouts; raises `ModelError` if it is too large.

    Rows without a value of a feature that is never missing in the training rows are left out: the two differ there by
    design, see the policy's `unseen_missing`.
    """
    names = list(contract.inputs)
    never_missing = [name for name in names if older[name].notna().all()]
    comparable = held[never_missing].notna().all(axis=1).to_numpy()
    if not comparable.any():
        return 0.0
    fitted = model.probabilities(held.loc[comparable, names])
    difference = float(np.max(np.abs(compiled[comparable] - fitted)))
    if difference > MAX_DIFFERENCE:
        raise ModelError(
            f"the compiled model differs from the fitted one by {difference:.1e} on the holdouts (limit {MAX_DIFFERENCE:.0e}), "
            "so it is not registered. Look for features of extreme scale in the contract."
        )
    return difference


def _metrics(
    data: _Data,
    model: FittedModel,
    considered: Mapping[str, CrossValidated | None],
    contract: Contract,
    policy: Policy,
    live: VersionedScorecard | None,
) -> Metrics:
    older, held = data.older, data.held
    compiled = card_probability(model.card, held)
    measured = _measured(data, compiled, cut_off_probability(policy))
    figures = measured.other_accounts
    groups, bad_groups, _ = count_groups(older[GROUP].to_numpy(), labels(older))
    theirs = card_probability(live.scorecard, held) if live and can_score(live.scorecard, contract) else None
    champion = None if theirs is None else _measured(data, theirs, cut_off_probability(policy))
    return Metrics(
        accuracy=figures.accuracy,
        base_accuracy=figures.base_accuracy,
        roc_auc=figures.roc_auc,
        gini=figures.gini,
        ks=figures.ks,
        n_train=len(older),
        groups_train=groups,
        bad_groups_train=bad_groups,
        n_test=figures.rows,
        random_state=policy.training.random_state,
        bad_rate_train=float(older[OUTCOME].mean()),
        bad_rate_test=figures.bad / figures.rows,
        compiled_difference=_compiled_difference(model, compiled, older, held, contract),
        against_direction=against_direction(model.card, contract),
        considered=dict(considered),
        calibration=model.calibration,
        other_accounts=figures,
        later_dates=measured.later_dates,
        champion_version=live.version if live and champion else None,
        champion_other_accounts=champion.other_accounts if champion else None,
        champion_later_dates=champion.later_dates if champion else None,
        auc_gain=None if theirs is None else _gain(data, compiled, theirs),
        fairness=_fairness(data, compiled, contract, policy),
    )


def _measured(data: _Data, held_probability: Floats, threshold: float) -> _Holdouts:
    """Return the figures on each holdout, given the probabilities of the rows of both."""

    def figures(part: Mask) -> Performance:
        return performance(labels(data.frame)[part], held_probability[part[~data.parts.train]], data.groups[part], threshold)

    parts = data.parts
    return _Holdouts(figures(parts.other_accounts), figures(parts.later_dates) if parts.later_dates.any() else None)


def _gain(data: _Data, compiled: Floats, theirs: Floats) -> Interval:
    """Return the interval of the gain in AUC over the live model, on other accounts."""
    part = data.parts.other_accounts
    among_held = part[~data.parts.train]
    return gain_interval(auc_gain(labels(data.frame)[part], compiled[among_held], theirs[among_held], data.groups[part]))


def _fairness(data: _Data, compiled: Floats, contract: Contract, policy: Policy) -> tuple[Fairness, ...]:
    """Return the figures by group of each sensitive feature, on other accounts."""
    part = data.parts.other_accounts
    found = compiled[part[~data.parts.train]]
    outcomes = Outcomes(labels(data.frame)[part], found, found >= cut_off_probability(policy), data.groups[part])
    return fairness(data.frame[part], data.older, outcomes, contract)


def _ranges(reference: Profile) -> dict[str, tuple[float, ...]]:
    return {name: bins.edges for name, bins in reference.features.items() if isinstance(bins, NumberBins)}


def _pickled(model: FittedModel) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model.classifier, buffer, compress=3)
    return buffer.getvalue()


def _origin(estimator: str, date: str, data: _Data, contract: Contract, policy: Policy) -> Origin:
    return Origin(
        estimator=estimator,
        features={name: f.type for name, f in contract.inputs.items()},
        training_date=date,
        train_dates=tuple(sorted(data.older[SNAPSHOT].unique())),
        holdout_dates=tuple(sorted(data.frame[data.parts.later_dates][SNAPSHOT].unique())),
        contract=contract.digest,
        policy=policy.digest,
        libraries={"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES},
        seed=policy.training.random_state,
        code=code_version(),
    )
