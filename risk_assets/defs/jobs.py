"""The jobs: which assets run together."""

from typing import Any

import dagster as dg

REASON_TAG = "risk/reason"  # why a training was started
TRAINING_STEP = "training__model"

DAILY_SCORING = dg.define_asset_job(
    "daily_scoring",
    selection=dg.AssetSelection.assets(
        ["raw", "accounts"], ["curated", "features"], ["curated", "predictions"], ["curated", "review_list"]
    ),
    description="Stores a date's accounts, validates and scores them with the live model, and lists the riskiest. "
    "The run's row in the run log is added when the run has ended.",
)
OUTCOMES = dg.define_asset_job(
    "outcomes",
    selection=dg.AssetSelection.assets(["raw", "outcomes"], ["curated", "outcomes"]),
    description="Stores the outcomes that have landed for a date, and lists its outcomes with the dates from which they are known.",
)
ACCOUNT_STATES = dg.define_asset_job(
    "account_states",
    selection=dg.AssetSelection.assets(["curated", "account_states"]),
    description="Carries the states of accounts to a date, for contracts that derive outcomes.",
)
TRAINING = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets(
        ["training", "model"], ["registry", "model_version"], ["registry", "impact"], ["registry", "champion"]
    ),
    description="Trains a model on the labelled dates of the window, registers it, and promotes it if it passes the gates.",
)
GOVERNANCE = dg.define_asset_job(
    "governance",
    selection=dg.AssetSelection.assets(["registry", "champion"]),
    description="Changes what is live: promote, roll back or challenge, by the configuration of registry/champion.",
)
MONITORING = dg.define_asset_job(
    "monitoring",
    selection=dg.AssetSelection.assets(["monitoring", "drift"]),
    description="Compares a scored date with the training rows of the version that scored it. It is a run of its own, so that a failure "
    "never affects the predictions.",
)
PERFORMANCE = dg.define_asset_job(
    "performance",
    selection=dg.AssetSelection.assets(["monitoring", "performance"]),
    description="Compares the models that scored a date with the outcomes of its accounts, or shows their own estimates before these "
    "mature. It is due on other days than drift, so it is a job of its own.",
)
ALERTS = dg.define_asset_job(
    "alerts",
    selection=dg.AssetSelection.assets(["monitoring", "alerts"]),
    description="Opens, repeats and resolves the alerts of a date, and queues messages about those of the newest date. It needs no other "
    "run to have succeeded: a run that failed is an alert.",
)
JOBS = (DAILY_SCORING, OUTCOMES, ACCOUNT_STATES, TRAINING, GOVERNANCE, MONITORING, PERFORMANCE, ALERTS)


def training_config(reason: str) -> dict[str, Any]:
    """Return the run configuration of a training that is started for a reason."""
    return {"ops": {TRAINING_STEP: {"config": {"reason": reason}}}}


def training_reason(run: dg.DagsterRun) -> str:
    """Return why a training was started: by its configuration, or by its tag; an empty string if nothing was given."""
    config: Any = run.run_config.get("ops", {})
    config = config.get(TRAINING_STEP, {}).get("config", {})
    return str(config.get("reason") or run.tags.get(REASON_TAG) or "").strip()
