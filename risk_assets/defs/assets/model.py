"""From labelled dates to a registered version."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import dagster as dg
import polars as pl
from msgspec import structs
from pydantic import Field

from risk_assets.defs.liveness import root_run_id
from risk_assets.defs.metadata import MIN_CELL_SIZE, shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.artifacts import Origin, TrainedModel
from risk_assets.domain.governance.evidence import considered_table, holdouts_table, interval_text
from risk_assets.domain.ingest.labels import labels
from risk_assets.domain.scorecard.points_table import steps_table
from risk_assets.errors import LakeError
from risk_assets.lake import document_archive, layout, registry
from risk_assets.lake.staleness import changed_dates
from risk_assets.lake.tables import translate_polars_errors


class Estimator(Enum):
    """The estimators that a model can be trained with."""

    logistic = "logistic"
    scorecard = "scorecard"
    both = "both"


class TrainingConfig(dg.Config):
    """How to train."""

    estimator: Estimator | None = Field(None, description="The estimator to train; the policy's by default.")


def model(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    features: dict[str, pl.LazyFrame],
    outcomes: dict[str, pl.LazyFrame],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.Output[TrainedModel]:
    """A model trained on labelled snapshots of the window, compiled, and measured on other accounts and on later dates.

    The live model is measured on the same rows.
    """
    from risk_assets.domain.training.dataset import labelled  # scikit-learn and pandas are imported by training only
    from risk_assets.domain.training.train import train

    require_current(lakehouse, sorted(features))
    contract, policy = lakehouse.contract, lakehouse.policy.with_estimator(config.estimator and config.estimator.value)
    labelled_outcomes = {date: labels(rows, contract) for date, rows in outcomes.items()}
    with translate_polars_errors(f"training/model of {context.partition_key}"):
        rows = labelled(features, labelled_outcomes, contract, policy.training)
    trained = train(rows, context.partition_key, contract, policy, registry.find_live(lakehouse.store))
    document_archive.archive(lakehouse.store, contract, lakehouse.policy)
    trained = replace(trained, origin=_with_sources(trained.origin, lakehouse, policy))
    return dg.Output(trained, metadata=shown(_figures(trained)))


def refresh_outcomes(lakehouse: Lakehouse, dates: Sequence[str], run: dg.DagsterRun) -> tuple[str, ...]:
    """Store the outcomes of those dates that have landed since, and return these dates."""
    changed = changed_dates(lakehouse.store, lakehouse.landing, "outcomes", lakehouse.expected_columns("outcomes"), dates)
    for date in changed:
        lakehouse.leases.take(layout.outcomes(date), root_run_id(run), run.run_id)
        lakehouse.store_raw("outcomes", date, run.run_id)
        lakehouse.leases.release(layout.outcomes(date))
    return changed


def require_current(lakehouse: Lakehouse, dates: Sequence[str]) -> None:
    """Verify that the features of the window were made from the files that landed.

    Raises
    ------
    LakeError
        With the dates whose files have changed since.
    """
    changed = changed_dates(lakehouse.store, lakehouse.landing, "accounts", lakehouse.expected_columns("accounts"), dates)
    if changed:
        raise LakeError(f"accounts landed again for {', '.join(changed)} and were not run since. Refresh and train: risk train DATE.")


def model_version(model: TrainedModel, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[TrainedModel]:
    """A trained model under the next free number: immutable, with the hashes of its files and the results of its gates."""
    gates = {gate.name: f"{'passed' if gate.passed else 'FAILED'}: {gate.evidence}" for gate in model.gates}
    table = steps_table(model.steps, lakehouse.policy.points, MIN_CELL_SIZE)
    return dg.Output(model, metadata={**gates, "table": dg.MetadataValue.md(table)})


def _with_sources(origin: Origin, lakehouse: Lakehouse, policy: Policy) -> Origin:
    """Return the origin of a model with the SHA-256 of each table that was read, and of the policy without the run's estimator."""
    keys = [(key, date) for date in (*origin.train_dates, *origin.holdout_dates) for key in ("curated/features", "raw/outcomes")]
    manifests = (lakehouse.manifest(key, date) for key, date in sorted(set(keys)))
    inputs = {manifest.path: manifest.digest for manifest in manifests}
    return structs.replace(origin, policy=lakehouse.policy.digest, requested=policy.training.estimator, inputs=inputs)


def _figures(trained: TrainedModel) -> dict[str, Any]:
    """Return the figures by name. Those without the name of a holdout are of other accounts, which never train."""
    from risk_assets.defs import plots

    metrics, origin = trained.metrics, trained.origin
    others, later = metrics.other_accounts, metrics.later_dates
    curves = {"candidate": others} | ({"live": metrics.champion_other_accounts} if metrics.champion_other_accounts else {})
    return {
        "roc_auc": metrics.roc_auc,
        "roc_auc_interval": interval_text(others.roc_auc_interval),
        "later_roc_auc": later.roc_auc if later else "one date only",
        "later_roc_auc_interval": interval_text(later.roc_auc_interval) if later else "one date only",
        "accuracy": metrics.accuracy,
        "base_accuracy": metrics.base_accuracy,
        "gini": metrics.gini,
        "ks": metrics.ks,
        "brier": others.brier,
        "log_loss": others.log_loss,
        "calibration_error": others.calibration_error,
        "n_train": metrics.n_train,
        "groups_train": metrics.groups_train,
        "bad_groups_train": metrics.bad_groups_train,
        "n_test": metrics.n_test,
        "groups_test": others.groups,
        "bad_groups_test": others.bad_groups,
        "bad_rate": metrics.bad_rate_test,
        "compiled_difference": metrics.compiled_difference,
        "estimator": origin.estimator,
        "holdouts": dg.MetadataValue.md(holdouts_table(metrics)),
        "considered": dg.MetadataValue.md(considered_table(metrics.considered, origin.estimator)),
        "recalibrated": metrics.calibration.recalibrated_error is not None,
        "train_dates": f"{origin.train_dates[0]} to {origin.train_dates[-1]}",
        "holdout_dates": f"{origin.holdout_dates[0]} to {origin.holdout_dates[-1]}" if origin.holdout_dates else "one date only",
        "against_direction": ", ".join(metrics.against_direction) or "none",
        "roc_curve": dg.MetadataValue.md(plots.roc(curves)),
        "calibration": dg.MetadataValue.md(plots.calibration(others, later)),
    }
