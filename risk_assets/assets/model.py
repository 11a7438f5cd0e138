"""From labelled dates to the version that is live."""

from typing import Any

import dagster as dg
import polars as pl

from risk_assets import plots
from risk_assets.assets.failures import log_failure
from risk_assets.assets.raw import OWNERS
from risk_assets.domain.errors import ModelError
from risk_assets.domain.model import TrainedModel
from risk_assets.domain.outcomes import labels
from risk_assets.domain.training import labelled, train
from risk_assets.io_managers import Decision
from risk_assets.lake import registry
from risk_assets.lake.store import Store
from risk_assets.lake.table import readable
from risk_assets.partitions import daily, training_window
from risk_assets.resources import Lakehouse


@dg.asset(
    key=["training", "model"],
    ins={
        "features": dg.AssetIn(["curated", "features"], partition_mapping=training_window),
        "outcomes": dg.AssetIn(["raw", "outcomes"], partition_mapping=training_window),
    },
    partitions_def=daily,
    io_manager_key="trained_model",
    group_name="training",
    kinds={"scikitlearn", "python"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def model(
    context: dg.AssetExecutionContext,
    features: dict[str, pl.LazyFrame],
    outcomes: dict[str, pl.LazyFrame],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.Output[TrainedModel]:
    """The model of the labelled dates in the training window, compiled, measured on its holdout beside the live one."""
    contract, policy = lakehouse.contract, lakehouse.policy
    labelled_outcomes = {date: labels(rows, contract) for date, rows in outcomes.items()}
    with readable(f"training/model of {context.partition_key}"):
        rows = labelled(features, labelled_outcomes, contract, policy.training)
    trained = train(rows, context.partition_key, contract, policy, registry.find_live(lakehouse.store))
    return dg.Output(trained, metadata=_figures(trained))


@dg.asset(
    key=["registry", "model_version"],
    ins={"model": dg.AssetIn(["training", "model"])},
    partitions_def=daily,
    io_manager_key="model_version",
    group_name="registry",
    kinds={"json"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def model_version(model: TrainedModel) -> dg.Output[TrainedModel]:
    """A trained model under the next free number: immutable, with the hashes of its files and the gates it passed."""
    gates = {gate.name: f"{'passed' if gate.passed else 'NOT passed'}: {gate.evidence}" for gate in model.gates}
    return dg.Output(model, metadata=gates)


class Choice(dg.Config):
    """Which version is to go live. Empty: the newest one that passes the policy's gates."""

    version: str | None = None
    reason: str | None = None
    actor: str = "dagster"


@dg.asset(
    key=["registry", "champion"],
    deps=[model_version],
    io_manager_key="champion",
    group_name="registry",
    kinds={"json"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def champion(config: Choice, lakehouse: dg.ResourceParam[Lakehouse]) -> Decision | None:
    """The version that is live. To go back: materialize with `{version: model_v002, reason: ...}`."""
    return decide(config, lakehouse.store, lakehouse.policy.promotion.mode)


def decide(choice: Choice, store: Store, mode: str) -> Decision | None:
    """Return who goes live, or None where the live version stays.

    Raises
    ------
    ModelError
        When a version is chosen without a reason, or no version is live and none may go live by itself.
    """
    if choice.version:
        if not choice.reason:
            raise ModelError(f"{choice.version} is to go live without a reason: give one (reason: ...), it is kept with the binding.")
        return Decision(choice.version, choice.actor, choice.reason)
    newest = registry.candidate(store) if mode == "auto" else None
    if newest:
        return Decision(newest.name, choice.actor, choice.reason or "the newest version that passed the gates")
    if registry.live(store) is None:
        raise ModelError(f"no model is live, and {_why_none(store, mode)}")
    return None


def _why_none(store: Store, mode: str) -> str:
    found = registry.versions(store)
    if not found:
        return "none is registered: train one (risk train DATE)."
    if mode == "manual":
        return "the policy's promotion.mode is manual: materialize registry/champion with {version: ..., reason: ...}."
    failed = [f"{gate.name} ({gate.evidence})" for gate in found[-1].metadata.gates if not gate.passed]
    return f"the newest version, {found[-1].name}, did not pass {', '.join(failed)}. Train on more dates, or mend the policy."


def _figures(trained: TrainedModel) -> dict[str, Any]:
    metrics = trained.metrics
    return {
        "accuracy": metrics.accuracy,
        "roc_auc": metrics.roc_auc,
        "gini": metrics.gini,
        "ks": metrics.ks,
        "brier": metrics.holdout.brier,
        "log_loss": metrics.holdout.log_loss,
        "calibration_error": metrics.holdout.calibration_error,
        "n_train": metrics.n_train,
        "n_test": metrics.n_test,
        "bad_rate": metrics.bad_rate_test,
        "compiled_difference": metrics.compiled_difference,
        "train_dates": f"{trained.origin.train_dates[0]} to {trained.origin.train_dates[-1]}",
        "holdout_dates": f"{trained.origin.holdout_dates[0]} to {trained.origin.holdout_dates[-1]}",
        "against_direction": ", ".join(metrics.against_direction) or "none",
        "roc_curve": dg.MetadataValue.md(plots.roc(metrics.holdout, metrics.champion)),
        "calibration": dg.MetadataValue.md(plots.calibration(metrics.holdout)),
    }
