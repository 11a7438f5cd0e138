"""From labelled dates to a registered version."""

from typing import Any

import dagster as dg
import polars as pl

from risk_assets.defs import plots
from risk_assets.defs.assets.raw import MIN_CELL_SIZE, OWNERS
from risk_assets.defs.failures import log_failure
from risk_assets.defs.partitions import daily, training_window
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.ingest.labels import labels
from risk_assets.domain.scorecard.points_table import steps_table
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.train import train
from risk_assets.lake import registry
from risk_assets.lake.tables import translate_polars_errors


class TrainingConfig(dg.Config):
    """By which estimator a model is trained: `logistic`, `scorecard` or `both`; the policy's by default."""

    estimator: str | None = None


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
    config: TrainingConfig,
    features: dict[str, pl.LazyFrame],
    outcomes: dict[str, pl.LazyFrame],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.Output[TrainedModel]:
    """The model of the labelled dates in the training window, compiled, measured on its holdout beside the live one."""
    contract, policy = lakehouse.contract, lakehouse.policy.trained_by(config.estimator)
    labelled_outcomes = {date: labels(rows, contract) for date, rows in outcomes.items()}
    with translate_polars_errors(f"training/model of {context.partition_key}"):
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
def model_version(model: TrainedModel, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[TrainedModel]:
    """A trained model under the next free number: immutable, with the hashes of its files and the gates it passed."""
    gates = {gate.name: f"{'passed' if gate.passed else 'NOT passed'}: {gate.evidence}" for gate in model.gates}
    table = steps_table(model.steps, lakehouse.policy.points, MIN_CELL_SIZE)
    return dg.Output(model, metadata={**gates, "table": dg.MetadataValue.md(table)})


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
        "estimator": trained.origin.estimator,
        "considered": dg.MetadataValue.json(metrics.considered),
        "recalibrated": metrics.calibration.recalibrated_error is not None,
        "train_dates": f"{trained.origin.train_dates[0]} to {trained.origin.train_dates[-1]}",
        "holdout_dates": f"{trained.origin.holdout_dates[0]} to {trained.origin.holdout_dates[-1]}",
        "against_direction": ", ".join(metrics.against_direction) or "none",
        "roc_curve": dg.MetadataValue.md(plots.roc(metrics.holdout, metrics.champion)),
        "calibration": dg.MetadataValue.md(plots.calibration(metrics.holdout)),
    }
