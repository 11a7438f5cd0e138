"""From labelled dates to a registered version."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Any

import dagster as dg
import polars as pl
from msgspec import UNSET, structs
from pydantic import Field

from risk_assets import promotion
from risk_assets.clock import DateError, parse_date, shift, utc_now
from risk_assets.defs.assets.outcomes import snapshot_outcomes
from risk_assets.defs.failures import PARTITION_TAG
from risk_assets.defs.jobs import training_reason
from risk_assets.defs.liveness import root_run_id
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.artifacts import Origin, TrainedModel, left_out_note
from risk_assets.domain.governance.evidence import considered_table, gates_table, holdouts_table, interval_text
from risk_assets.domain.governance.fairness import MIN_CELL_SIZE, fairness_table
from risk_assets.domain.governance.gates import summary
from risk_assets.domain.ingest.outcome_history import left_out
from risk_assets.domain.scorecard.points_table import steps_table
from risk_assets.domain.training.window import TrainingWindow
from risk_assets.engine.engines import Window
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import document_archive, layout, retraining
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.facts import OutcomeFacts
from risk_assets.lake.outcome_tables import (
    FEATURES,
    OUTCOMES,
    STATES,
    dates_to_carry,
    outdated_outcomes,
    outdated_states,
    state_at_end,
    state_table,
)
from risk_assets.lake.staleness import changed_dates, outdated_features
from risk_assets.lake.tables import translate_polars_errors, write_table


class Estimator(Enum):
    """The estimators that a model can be trained with."""

    logistic = "logistic"
    scorecard = "scorecard"
    both = "both"


class TrainingConfig(dg.Config):
    """How to train."""

    estimator: Estimator | None = Field(None, description="The estimator to train; the policy's by default.")
    known_by: str | None = Field(
        None,
        description="The date (YYYY-MM-DD) by which outcomes must have been known; the training date by default. A later date "
        "also uses outcomes that became known since. It is stored with the model.",
    )
    reason: str | None = Field(
        None,
        description="Why the model is trained again; the run tag risk/reason by default. It is stored with the model. A training with a "
        "reason is a retraining: after it, the sensor retrain starts none for the policy's cool_down_days.",
    )


def model(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    features: Mapping[str, pl.LazyFrame],
    outcomes: Mapping[str, pl.LazyFrame],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.Output[TrainedModel]:
    """A model trained on labelled snapshots of the window, compiled, and measured on other accounts and on later dates.

    The window ends with the last snapshot whose outcomes have matured by the date. Only outcomes that were known by the date count,
    so that training for it again, later, gives the same model. The live model is measured on the same rows.
    """
    from risk_assets.domain.training.dataset import sample  # scikit-learn and pandas are imported by training only
    from risk_assets.domain.training.train import train

    date = context.partition_key
    window, by = lakehouse.training_window(date), _known_by(config.known_by or date, lakehouse)
    require_current(lakehouse, sorted(features))
    _require_labelled(lakehouse, window, outcomes.keys(), by)
    contract, policy = lakehouse.contract, lakehouse.policy.with_estimator(config.estimator and config.estimator.value)
    with translate_polars_errors(f"training/model of {date}"):
        later = left_out((outcomes[day] for day in outcomes if day in features and _is_known_later(lakehouse, day, by)), by)
        with _noting(left_out_note(later.outcomes, later.known_on, date, by)):
            tables = Window(date, features, outcomes, by, contract, policy.training)
            with lakehouse.engine.training_rows(lakehouse.store, tables) as rows:
                sampled = sample(rows, policy.training)
            compared, newest = promotion.compared(lakehouse.store, contract), promotion.newest_snapshot(lakehouse.store, contract)
            trained = train(sampled.frame, date, contract, policy, compared.live_scorecard, compared, newest)
    document_archive.archive(lakehouse.store, contract, lakehouse.policy)
    origin = structs.replace(
        trained.origin,
        policy=lakehouse.policy.digest,
        requested=policy.training.estimator,
        inputs=_inputs(lakehouse, features.keys() & outcomes.keys()),
        known_by=by,
        matured_until=window.last,
        window_days=policy.training.window_days,
        performance_days=window.performance_days,
        left_out=later.outcomes,
        left_out_until=later.known_on,
        regrouped=sampled.regrouped,
        reason=training_reason(context.run) or UNSET,
    )
    dated = replace(trained, origin=origin, gates=structs.replace(trained.gates, policy=lakehouse.policy.digest))
    more = {
        "sampled_by": rows.engine,
        "dates_without_outcomes": len(features.keys() - outcomes.keys()),
        "definition_of_bad": contract.target.definition or "none",
    }
    return dg.Output(dated, metadata=shown({**_figures(dated), **_maturity(origin), **more}))


def prepare(lakehouse: Lakehouse, dates: Sequence[str], run: dg.DagsterRun) -> tuple[tuple[str, str], ...]:
    """Store that a training with a reason has started, bring the outcomes of its dates up to date, and return what was written."""
    reason = training_reason(run)
    if reason:
        retraining.start(lakehouse.store, run.tags[PARTITION_TAG], reason, run.run_id)
    return refresh_outcomes(lakehouse, dates, run)


def refresh_outcomes(lakehouse: Lakehouse, dates: Sequence[str], run: dg.DagsterRun) -> tuple[tuple[str, str], ...]:
    """Bring the outcomes of those dates up to date, and return the assets and dates that were written in the raw and curated zones.

    Files that have landed since are stored. Derived outcomes are written if they have matured and the states of accounts have
    been carried; the other dates are left as they are. Under a contract that is not bound, features and states are made as well,
    for all dates from the first one to the training date, and kept apart from the curated zone.

    Raises
    ------
    LakeError
        If outcomes are derived under the contract in force, and accounts were corrected since their states were carried.
    """
    if lakehouse.is_apart and dates:
        _make_candidate_tables(lakehouse, dates, run)
    elif lakehouse.contract.target.derived:
        require_carried(lakehouse, dates)
    stored = () if lakehouse.contract.target.derived else _changed_outcomes(lakehouse, dates)
    for date in stored:
        with _leased(lakehouse, "raw/outcomes", date, run):
            lakehouse.store_raw("outcomes", date, run.run_id)
    listed = [date for date in outdated_outcomes(lakehouse.store, lakehouse.contract, dates) if _can_be_listed(lakehouse, date)]
    for date in listed:
        with _leased(lakehouse, OUTCOMES, date, run):
            table = snapshot_outcomes(lakehouse, date, run.run_id)
            write_table(lakehouse.store, layout.curated_outcomes(date), table, lakehouse.guard(OUTCOMES, date))
    return (*(("raw/outcomes", date) for date in stored), *((OUTCOMES, date) for date in listed if not lakehouse.is_apart))


def _make_candidate_tables(lakehouse: Lakehouse, dates: Sequence[str], run: dg.DagsterRun) -> None:
    """Make the features of a contract that is not bound from the raw files, and the states of accounts if it derives outcomes.

    Tables that are up to date stay, so that the next training under the contract reuses them.
    """
    store, contract = lakehouse.store, lakehouse.contract
    last = run.tags[PARTITION_TAG] if contract.target.derived else dates[-1]
    raw = [date for date in committed_dates(store, "raw/accounts") if dates[0] <= date <= last]
    for date in outdated_features(store, lakehouse.contract_values, raw):
        with _leased(lakehouse, FEATURES, date, run):
            table = lakehouse.engine.features(store, contract, date, run.run_id)
            table.write(store, layout.features(date), lakehouse.guard(FEATURES, date))
    if contract.target.derived:
        for date in dates_to_carry(store, contract, last):
            with _leased(lakehouse, STATES, date, run):
                table = state_table(store, contract, date, run.run_id)
                write_table(store, layout.account_states(date), table, lakehouse.guard(STATES, date))


def _changed_outcomes(lakehouse: Lakehouse, dates: Sequence[str]) -> tuple[str, ...]:
    return changed_dates(lakehouse.store, lakehouse.landing, "outcomes", lakehouse.expected_columns("outcomes"), dates)


def _can_be_listed(lakehouse: Lakehouse, date: str) -> bool:
    """Return whether the outcomes of a date can be listed; derived ones need the states at the end of the performance window."""
    if lakehouse.contract.target.derived is None:
        return True
    try:
        state_at_end(lakehouse.store, lakehouse.contract, lakehouse.settings.calendar, date)
    except LakeError:
        return False
    return True


@contextmanager
def _leased(lakehouse: Lakehouse, key: str, date: str, run: dg.DagsterRun) -> Iterator[None]:
    """Be the only writer of an asset's date during the block."""
    path = layout.PATHS[key](date)
    lakehouse.leases.take(path, root_run_id(run), run.run_id)
    yield
    lakehouse.leases.release(path)


def _require_labelled(lakehouse: Lakehouse, window: TrainingWindow, outcomes: Collection[str], by: str) -> None:
    """Verify that the window has features with outcomes, given the dates of the window whose outcomes are of the contract's target."""
    later = [date for date in _stored_dates(lakehouse, OUTCOMES, "raw/outcomes", window) if date > window.last]
    window.require_labelled(_stored_dates(lakehouse, FEATURES, "raw/accounts", window), [*outcomes, *later], by)


def _stored_dates(lakehouse: Lakehouse, key: str, source: str, window: TrainingWindow) -> set[str]:
    """Return the dates of a table; under a contract that is not bound, tables are made for the window, so later dates are the source's."""
    stored = set(committed_dates(lakehouse.store, key))
    if lakehouse.is_apart:
        stored |= {date for date in committed_dates(lakehouse.store, source) if date > window.last}
    return stored


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


def require_carried(lakehouse: Lakehouse, dates: Sequence[str]) -> None:
    """Verify that the states of accounts, from which the outcomes of those snapshots are derived, follow from their accounts.

    Raises
    ------
    LakeError
        With the dates whose accounts or states have changed since.
    """
    if not dates:
        return
    first, last = dates[0], shift(dates[-1], lakehouse.contract.target.performance_days)
    require_current(lakehouse, [date for date in committed_dates(lakehouse.store, FEATURES) if first <= date <= last])
    outdated = outdated_states(lakehouse.store, first, last)
    if outdated:
        raise LakeError(
            f"accounts of {', '.join(outdated)} were corrected, and states of accounts were not carried since: outcomes derived from them "
            "may have changed. Carry them and train: risk train DATE; or in the UI, materialize curated/account_states of "
            f"{outdated[0]} and each later date in order, then training/model."
        )


def model_version(model: TrainedModel, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[TrainedModel]:
    """A trained model under the next free number: immutable, with the hashes of its files and the results of its gates."""
    table = steps_table(model.steps, lakehouse.policy.points, MIN_CELL_SIZE)
    shown_gates: dict[str, Any] = {
        "gates": dg.MetadataValue.md(gates_table(model.gates.found)),
        "gates_summary": summary(model.gates.found),
    }
    why = {"reason": model.origin.reason} if model.origin.reason else {}
    return dg.Output(model, metadata={**shown_gates, **why, "table": dg.MetadataValue.md(table)})


def _is_known_later(lakehouse: Lakehouse, date: str, by: str) -> bool:
    """Return whether a snapshot has outcomes that were not known by a date."""
    known_on = lakehouse.manifest(OUTCOMES, date).facts_as(OutcomeFacts).known_on
    return known_on is not None and known_on > by


def _known_by(date: str, lakehouse: Lakehouse) -> str:
    """Return the date by which outcomes must be known; raises `DateError` if it is in the future."""
    today = lakehouse.settings.calendar.day(utc_now())
    if parse_date(date) > today:
        raise DateError(f"outcomes as known by {date} are not known yet. Use --known-by {today}, or an earlier date.")
    return date


@contextmanager
def _noting(note: str | None) -> Iterator[None]:
    """Add a note to the message of a training that has too few rows."""
    try:
        yield
    except ModelError as error:
        if note is None:
            raise
        raise ModelError(f"{error} {note}") from error


def _inputs(lakehouse: Lakehouse, dates: Collection[str]) -> dict[str, str]:
    """Return the SHA-256 of the content of each table that was read, by path."""
    manifests = (lakehouse.manifest(key, date) for date in sorted(dates) for key in ("curated/features", OUTCOMES))
    return {lakehouse.store.actual(manifest.path): manifest.digest for manifest in manifests}


def _maturity(origin: Origin) -> dict[str, Any]:
    left_out = {"left_out": origin.left_out, "left_out_note": origin.left_out_note} if origin.left_out_note else {}
    return {
        "known_by": origin.known_by,
        "matured_until": origin.matured_until,
        "performance_days": origin.performance_days,
        "regrouped_accounts": origin.regrouped,
        **left_out,
    }


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
        **({"fairness": dg.MetadataValue.md(fairness_table(metrics.fairness))} if metrics.fairness else {}),
        "roc_curve": dg.MetadataValue.md(plots.roc(curves)),
        "calibration": dg.MetadataValue.md(plots.calibration(others, later)),
    }
