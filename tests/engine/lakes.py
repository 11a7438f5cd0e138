"""A lake with a date in many small pieces and registered models, for the engines to compute the same tables from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.engine.engines import ClusterEngine, Engine, LocalEngine
from risk_assets.lake import layout, raw, registry
from risk_assets.lake.account_index_tables import read_index
from risk_assets.lake.format import open_lake
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.prediction_checks import Riskiest
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.tables import read_table
from tests.azurite.server import Azurite
from tests.documents import SAMPLE_POLICY, SMALL
from tests.engine.in_process import InProcess
from tests.scored_lake import small_model

DATE = "2026-01-01"
MADE_FROM = Provenance(run_id="run", policy=SAMPLE_POLICY.digest)


@dataclass(frozen=True)
class Tables:
    """The tables of a date as one engine has made them, and what its checks compare: rows that are out of place, and the riskiest."""

    features: Manifest
    predictions: Manifest
    index: Manifest
    feature_rows: pl.DataFrame
    csv: bytes
    index_parts: dict[str, bytes]
    out_of_place: int
    riskiest: Riskiest


def landed(folder: Path, contents: Sequence[bytes], contract: Contract = SMALL, azure: tuple[str, Azurite] | None = None) -> Store:
    """Return a lake with the raw file of a date, one file or shards, in a folder or at an address on Azurite."""
    landing = open_store(str(folder / "landing"))
    lake = open_lake(azure[0], azurite_credential(azure[1])) if azure else open_lake(str(folder / "lake"))
    names = [f"accounts_{DATE}/{number:05d}.csv" for number in range(len(contents))] if len(contents) > 1 else [f"accounts_{DATE}.csv"]
    for name, content in zip(names, contents, strict=True):
        landing.put(name, content)
    raw.ingest(OwnParts(lake, LandedFile(landing, tuple(names), contract.columns)), layout.accounts(DATE), Provenance(run_id="test"))
    return lake


def azurite_credential(azurite: Azurite) -> AzureCredential:
    return AzureCredential(azurite.account, azurite.endpoint, key=azurite.key)


def models(lake: Store, share: float | None = None, challenged: bool = False, required: Sequence[str] = ()) -> Arms:
    """Register one or two versions, and return them as the models that score."""
    trained = small_model()
    terms = tuple(msgspec.structs.replace(term, required=term.feature in required) for term in trained.scorecard.terms)
    champion = replace(trained, scorecard=msgspec.structs.replace(trained.scorecard, terms=terms))
    other = replace(trained, scorecard=msgspec.structs.replace(trained.scorecard, intercept=trained.scorecard.intercept + 0.25))
    versions = [registry.register(lake, model, f"run-{number}").name for number, model in enumerate((champion, other))]
    cards = [registry.read_scorecard(lake, version) for version in versions]
    return Arms(cards[0], cards[1], share, "salt") if challenged else Arms(cards[0])


def made(lake: Store, engine: Engine, contract: Contract, arms: Arms, policy: Policy = SAMPLE_POLICY) -> Tables:
    """Make the features, the predictions and the index of the date."""
    engine.features(lake, contract, DATE, "run").write(lake, layout.features(DATE))
    features = require_manifest(lake, layout.features(DATE))
    predictions, index = engine.predictions(lake, features, arms, policy, MADE_FROM).write(lake, layout.predictions(DATE))
    read_index(lake, DATE)
    rows = read_table(lake, layout.features(DATE)).collect()
    parts = {part: lake.get(part) for part in index.parts}
    checks = engine.prediction_checks(lake, contract, policy.review, DATE)
    return Tables(features, predictions, index, rows, lake.get(predictions.path), parts, checks.out_of_place(), checks.riskiest())


def made_by_both(
    folder: Path,
    contents: Sequence[bytes],
    contract: Contract = SMALL,
    arms: Callable[[Store], Arms] = models,
    attempts: int = 1,
    azure: tuple[str, Azurite] | None = None,
) -> tuple[Tables, Tables]:
    """Return the tables of a date as this process makes them, and then a cluster in this process."""
    lake = landed(folder, contents, contract, azure)
    scoring, cluster = arms(lake), InProcess(attempts)
    both = made(lake, LocalEngine(), contract, scoring), made(lake, ClusterEngine(cluster), contract, scoring)
    assert cluster.calls == ["features", "predictions", "index", "checks"]
    return both
