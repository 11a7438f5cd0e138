"""Lakes with scored dates that are written without runs: features and predictions of a few accounts, and a model."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.domain.training.train import train
from risk_assets.lake import document_archive, layout, registry
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest, Provenance
from risk_assets.lake.prediction_tables import prediction_batch, write_predictions
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, write_table
from tests.documents import SAMPLE_POLICY, SMALL, SMALL_CONTRACT

WITH_EXPOSURE = Contract.parse(
    SMALL_CONTRACT.replace("features:", "exposure: balance\nfeatures:\n  balance: {type: number, input: false, reason: Balance}"),
    "small.yml",
)
COLUMNS = {
    "account_id": pl.String,
    "balance": pl.Float64,
    "age": pl.Float64,
    "city": pl.String,
    GROUP: pl.String,
    "excluded": pl.String,
    "issues": pl.String,
}


@cache
def small_model() -> TrainedModel:
    """Return a model of two features that passes its gates: young accounts are mostly bad."""
    random = np.random.default_rng(7)
    age = random.uniform(18, 80, 1000)
    bad = (random.uniform(0, 1, 1000) < 1 / (1 + np.exp((age - 40) / 6))).astype(np.int64)
    city = np.where(np.arange(1000) % 2 == 0, "north", "south")
    frame = pd.DataFrame({"age": age, "city": city, OUTCOME: bad, SNAPSHOT: "2026-01-01", GROUP: [f"A{row}" for row in range(1000)]})
    return train(frame, "2026-01-01", SMALL, SAMPLE_POLICY, live=None)


def account(name: str | None, age: float | None = 40.0, **more: Any) -> dict[str, Any]:
    """Return a row of features."""
    return {"account_id": name, "balance": 100.0, "age": age, "city": "north", GROUP: name} | more


def write_features(store: Store, date: str, rows: list[dict[str, Any]]) -> Provenance:
    """Write the features of a date; return what predictions of them are made from."""
    contract = {"contract": WITH_EXPOSURE.digest, "contract_values": values_digest(WITH_EXPOSURE)}
    document_archive.archive(store, WITH_EXPOSURE)
    frame = pl.DataFrame(rows, schema=COLUMNS).lazy()
    made_from = Provenance(run_id="run-1", **contract)
    features = write_table(store, layout.features(date), Table(frame, FeatureFacts, tuple(feature_facts(WITH_EXPOSURE)), made_from))
    return Provenance(run_id="run-1", inputs={features.path: features.identity}, **contract)


def write_scored(store: Store, date: str, predictions: pl.DataFrame, made_from: Provenance) -> tuple[Manifest, Manifest]:
    """Write predictions and the index of their accounts; return their manifests."""
    review = SAMPLE_POLICY.review
    batch = prediction_batch(predictions, [","], review, header=True)  # as if a model had a text with a comma
    return write_predictions(store, date, [batch], review, made_from)


def score_dates(
    store: Store, dates: Mapping[str, list[dict[str, Any]]], binding: Binding | None = None, policy: Policy = SAMPLE_POLICY
) -> None:
    """Write features and predictions of dates, by the models of a binding or by a model that is registered first."""
    document_archive.archive(store, policy)
    version = binding.champion if binding else registry.register(store, small_model(), "run-1").name
    models = registry.arms(store, binding) if binding else registry.Arms(registry.read_scorecard(store, version))
    of_binding = {"binding": binding.seq, "challenger": binding.challenger} if binding else {}
    for date, rows in dates.items():
        made_from = write_features(store, date, rows)
        scored = predictions(read_table(store, layout.features(date)), models, policy)
        by = {"run_id": "run-1", "policy": policy.digest, "model_version": version, **of_binding}
        whole = Provenance(**by, inputs=made_from.inputs, contract=made_from.contract, contract_values=made_from.contract_values)
        write_scored(store, date, scored.collect(), whole)
