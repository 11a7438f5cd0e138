"""Replay of a scored date: rows that differ, and files that were changed, are reported."""

import csv
import io
from dataclasses import replace

import msgspec
import polars as pl
import pytest

from risk_assets.domain.batch.predictions import prediction_facts, predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.governance.bindings import promote
from risk_assets.lake import document_archive, layout, registry
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import Provenance, identity, require_manifest, write_manifest
from risk_assets.lake.replay import Replay, replay
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, write_table
from tests.documents import archived
from tests.lake.conftest import table

DATE = "2026-01-07"
PATH = layout.predictions(DATE)


@pytest.fixture
def scored(store: Store, model: TrainedModel, policy: Policy) -> Store:
    """A lake in which the live version has scored three accounts of a date; the second one has an issue."""
    features = {
        "account_id": ["a", "b", "c"],
        "age": [20.0, None, 70.0],
        "city": ["north", None, "south"],
        "group": ["a", "b", "c"],
        "excluded": [None, None, None],
        "issues": [None, "age: missing", None],
    }
    write_table(store, layout.features(DATE), table(pl.LazyFrame(features, schema_overrides={"excluded": pl.String})))
    registry.register(store, model, "run-1")
    binding = registry.bind(store, promote((), "model_v001", "ann", "a test", **archived(store)))
    document_archive.archive(store, policy)
    made_from = Provenance(
        run_id="run-2",
        inputs={layout.features(DATE): identity(store, layout.features(DATE))},
        policy=policy.digest,
        model_version="model_v001",
        binding=binding.seq,
    )
    rows = predictions(read_table(store, layout.features(DATE)), registry.champion(store).arms, policy)
    write_table(store, PATH, Table(rows, PredictionFacts, tuple(prediction_facts()), made_from))
    return store


def add_to_probability(store: Store, account: str, difference: float) -> None:
    """Change a stored probability, and adapt the manifest to the changed file."""
    rows = list(csv.DictReader(io.StringIO(store.get(PATH).decode())))
    (row,) = [row for row in rows if row["account_id"] == account]
    changed = store.get(PATH).replace(row["probability"].encode(), repr(float(row["probability"]) + difference).encode(), 1)
    assert changed != store.get(PATH)
    manifest = msgspec.structs.replace(require_manifest(store, PATH), parts={PATH: len(changed)}, sha256={PATH: sha256(changed)})
    store.put(PATH, changed)
    write_manifest(store, manifest)


def test_replay_of_an_unchanged_date_agrees(scored: Store) -> None:
    found = replay(scored, DATE)
    assert found == Replay(DATE, 3, "model_v001", (), {}, None)
    assert found.agrees


def test_replay_reports_a_probability_that_differs_by_1e_9(scored: Store) -> None:
    add_to_probability(scored, "c", 1e-9)
    found = replay(scored, DATE)
    assert (found.changed, found.columns, found.first) == ((), {"probability": 1}, 3)
    assert not found.agrees


def test_replay_accepts_a_probability_that_differs_by_1e_13(scored: Store) -> None:
    add_to_probability(scored, "c", 1e-13)
    assert replay(scored, DATE).agrees


def test_replay_names_changed_predictions(scored: Store) -> None:
    scored.put(PATH, scored.get(PATH).replace(b"model_v001", b"model_v002", 1))
    found = replay(scored, DATE)
    assert (found.changed, found.columns, found.first) == ((f"{PATH} was changed since it was written",), {"model_version": 1}, 1)


@pytest.mark.parametrize("contract_values", [None, "other"])
def test_replay_names_features_only_if_their_content_is_another(scored: Store, contract_values: str | None) -> None:
    features = read_table(scored, layout.features(DATE)).collect()
    made_from = Provenance(run_id="run-3", contract_values=contract_values)
    write_table(scored, layout.features(DATE), replace(table(features.lazy()), made_from=made_from))
    found = replay(scored, DATE)
    message = f"{layout.features(DATE)} was written again with another content since {PATH} was made from it"
    assert found.changed == ((message,) if contract_values else ())
    assert (found.columns, found.agrees) == ({}, not contract_values)
