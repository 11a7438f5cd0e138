"""The product's daily work on a file in the raw zone, without Dagster: what the assets `features` and `predictions` do.

Asset checks, the run log and Dagster's own work are left out; `range` times them all.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.batch.predictions import prediction_facts, predictions
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.lake import layout, registry
from risk_assets.lake.account_index_tables import write_indexed
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.feature_tables import feature_table
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table
from risk_assets.settings import Settings
from tests.bench.workspace import Workspace

Writer: TypeAlias = Callable[[Store, str, Table], object]


class Clock:
    """Adds up the seconds of each step."""

    def __init__(self) -> None:
        """Start with the first step."""
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, step: str) -> None:
        """End a step; the next one begins."""
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def open_lakehouse(workspace: Workspace) -> Lakehouse:
    """Return the product's lakehouse over the workspace."""
    settings = Settings(lake=str(workspace.lake), landing=str(workspace.landing), contract=workspace.contract, policy=workspace.policy)
    return Lakehouse(settings)


def make_features(lakehouse: Lakehouse, snapshot: str, clock: Clock) -> None:
    """Do what `risk_assets/defs/assets/features.py` does."""
    feature_table(lakehouse.store, lakehouse.contract, snapshot, "bench").write(lakehouse.store, layout.features(snapshot))
    clock.stop("features")


def make_predictions(lakehouse: Lakehouse, snapshot: str, version: str, clock: Clock, write: Writer = write_indexed) -> None:
    """Do what `risk_assets/assets/predictions.py` and its IO manager do for a version."""
    model = registry.read_scorecard(lakehouse.store, version)
    require_fit(model, lakehouse.contract)
    made_from = lakehouse.made_from(
        "bench",
        snapshot,
        "curated/features",
        policy=lakehouse.policy.digest,
        model_version=version,
    )
    features = read_table(lakehouse.store, layout.features(snapshot))
    scored = predictions(features, Arms(model), lakehouse.policy)
    write(lakehouse.store, snapshot, Table(scored, PredictionFacts, tuple(prediction_facts()), made_from))
    clock.stop("predictions")


def main(root: str, snapshot: str, estimator: str) -> None:
    """Make both tables by an estimator's version and write each step's seconds, as JSON, to standard output."""
    workspace = Workspace(Path(root))
    lakehouse = open_lakehouse(workspace)
    clock = Clock()
    make_features(lakehouse, snapshot, clock)
    make_predictions(lakehouse, snapshot, workspace.version(estimator), clock)
    sys.stdout.write(json.dumps(clock.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
