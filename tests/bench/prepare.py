"""Set-up of `daily` and `memory`: data, contract, policy, the raw zone, and a live model trained by the product itself."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.governance.bindings import promote
from risk_assets.domain.ingest.labels import labels
from risk_assets.domain.ingest.validation import feature_facts, repeated_ids, validate
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.estimators import ESTIMATORS
from risk_assets.domain.training.train import train
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, document_archive, layout, raw, registry
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.store import open_store
from risk_assets.lake.tables import Table, read_table, write_table
from tests.bench.product import open_lakehouse
from tests.bench.workspace import ID, TARGET, TRAINING, Workspace, snapshot_name

CHUNK = 500_000
TRAINING_ROWS = 200_000
SEED = 20260101
NUMBERS = tuple(f"number_{position:02d}" for position in range(1, 17))
CATEGORIES = {
    "region": ("north", "south", "east", "west", "central"),
    "product": ("classic", "rewards", "store", "student"),
    "employment": ("employed", "self_employed", "retired", "unemployed"),
    "housing": ("owner", "mortgage", "rent", "family", "other", "social"),
}
DATE = "2026-01-01"  # that of the snapshot that trains
POLICY = {"threshold": 0.25, "bands": {"A": 0.03, "B": 0.08, "C": 0.15, "D": 0.25, "E": 0.45, "F": 1}}


def chunks(rows: int, missing: float, stream: int) -> Iterator[pl.DataFrame]:
    """Yield made-up accounts with their outcomes; each chunk has a stream of its own, so a smaller file begins a larger one."""
    for number, start in enumerate(range(0, rows, CHUNK)):
        random = np.random.default_rng([SEED, stream, number])
        frame = _accounts(random, start, missing)
        yield frame.head(min(CHUNK, rows - start))


def _accounts(random: np.random.Generator, start: int, missing: float) -> pl.DataFrame:
    risk = random.normal(size=CHUNK)
    columns: dict[str, pl.Series | list[str]] = {ID: pl.select(_ids(start)).to_series()}
    for position, name in enumerate(NUMBERS):
        values = 10.0 ** (position % 5) * (5 + random.normal(size=CHUNK) + (0.3 if position % 3 else -0.2) * risk)
        columns[name] = pl.Series(_without(values, random, missing)).fill_nan(None).round(3)
    for name, levels in CATEGORIES.items():
        drawn = pl.Series(random.integers(len(levels), size=CHUNK))
        column = pl.Series(levels).gather(drawn)
        columns[name] = column.set(pl.Series(random.random(CHUNK) < missing), None) if missing else column
    bad = random.random(CHUNK) < 1 / (1 + np.exp(2.2 - risk))
    return pl.DataFrame({**columns, TARGET: pl.Series(bad).cast(pl.Int8)})


def _ids(start: int) -> pl.Expr:
    return pl.format("A{}", pl.int_range(start, start + CHUNK).cast(pl.String).str.zfill(9))


def _without(values: np.ndarray, random: np.random.Generator, missing: float) -> np.ndarray:
    return np.where(random.random(CHUNK) < missing, np.nan, values) if missing else values


def keep_snapshot(lakehouse: Lakehouse, workspace: Workspace, rows: int, missing: float) -> None:
    """Bring a snapshot into the raw zone, unless it is there whole."""
    name = snapshot_name(rows, missing)
    try:
        require_manifest(lakehouse.store, layout.accounts(name))
    except LakeError:
        frames = (frame.drop(TARGET) for frame in chunks(rows, missing, stream=0))
        _keep(lakehouse, workspace, layout.accounts(name), frames)


def go_live(lakehouse: Lakehouse, workspace: Workspace, missing: float) -> None:
    """Train a version by each estimator on a labelled snapshot; the first goes live. Their pipelines go to the scripts too."""
    shutil.rmtree(workspace.lake / "registry", ignore_errors=True)
    for path in workspace.lake.rglob(f"*_{TRAINING}*"):
        path.unlink()
    whole = list(chunks(TRAINING_ROWS, missing, stream=1))
    accounts, outcomes = layout.accounts(TRAINING), layout.outcomes(TRAINING)
    _keep(lakehouse, workspace, accounts, iter([frame.drop(TARGET) for frame in whole]))
    _keep(lakehouse, workspace, outcomes, iter([frame.select(ID, TARGET) for frame in whole]))
    contract, store = lakehouse.contract, lakehouse.store
    text = raw.scan(store, accounts)
    made_from = lakehouse.made_from("bench", TRAINING, "raw/accounts")
    features = Table(validate(text, contract, repeated_ids(text, contract)), FeatureFacts, tuple(feature_facts(contract)), made_from)
    write_table(store, layout.features(TRAINING), features)
    known = labels(raw.scan(store, outcomes), contract)
    table = read_table(store, layout.features(TRAINING))
    frame = labelled({DATE: table}, {DATE: known}, contract, lakehouse.policy.training)
    for name in ESTIMATORS:
        model = train(frame, TRAINING, contract, lakehouse.policy.with_estimator(name), None)
        registry.register(store, model, "bench")
        workspace.pipeline(name).write_bytes(model.pipeline)
    bound = {"policy": lakehouse.policy.digest, "contract": contract.digest}
    document_archive.archive(store, lakehouse.policy, contract)
    registry.bind(store, promote(binding_log.read(store), workspace.version("logistic"), "bench", "the benchmark's model", **bound))


def write_documents(workspace: Workspace) -> None:
    """Write the contract and the policy; JSON is YAML too."""
    kinds = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CATEGORIES, "category")}
    features = {name: {"type": kind, "reason": f"The {kind} {name}"} for name, kind in kinds.items()}
    contract = {"id": ID, "target": {"column": TARGET, "bad": "1", "good": "0"}, "features": features}
    workspace.contract.write_text(json.dumps(contract, indent=1), encoding="utf-8")
    workspace.policy.write_text(json.dumps(POLICY, indent=1), encoding="utf-8")


def _keep(lakehouse: Lakehouse, workspace: Workspace, path: str, frames: Iterator[pl.DataFrame]) -> None:
    landed = workspace.landing / Path(path).name
    landed.parent.mkdir(parents=True, exist_ok=True)
    with landed.open("wb") as file:
        for position, frame in enumerate(frames):
            frame.write_csv(file, include_header=position == 0, float_precision=3)
    source = LandedFile(open_store(str(workspace.landing)), (landed.name,), ())
    raw.ingest(OwnParts(lakehouse.store, source), path, lakehouse.made_from("bench", TRAINING))
    landed.unlink()


def main(root: str, missing: str, *sizes: str) -> None:
    """Prepare snapshots of these sizes, and the model."""
    workspace = Workspace(Path(root))
    workspace.root.mkdir(parents=True, exist_ok=True)
    write_documents(workspace)
    lakehouse = open_lakehouse(workspace)
    go_live(lakehouse, workspace, float(missing))
    for rows in sizes:
        keep_snapshot(lakehouse, workspace, int(rows), float(missing))


if __name__ == "__main__":
    main(*sys.argv[1:])
