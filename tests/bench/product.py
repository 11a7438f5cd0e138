"""The product's daily work on a file in the raw zone, without Dagster: what the assets `features` and `predictions` do.

Asset checks, the run log and Dagster's own work are left out; `range` times them all.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.lake import layout, registry
from risk_assets.lake.feature_tables import feature_table
from risk_assets.lake.format import open_lake
from risk_assets.lake.manifests import Provenance, identity
from risk_assets.lake.prediction_tables import PredictionTable
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table
from risk_assets.settings import Settings
from tests.bench.workspace import Workspace

if TYPE_CHECKING:
    from risk_assets.defs.resources import Lakehouse


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


@dataclass(frozen=True)
class Lake:
    """What the product's resource `Lakehouse` has of a lake, which imports Dagster."""

    store: Store
    contract: Contract
    policy: Policy

    def made_from(self, run_id: str, date: str, *inputs: str, **more: Any) -> Provenance:
        """Return what `Lakehouse.made_from` returns."""
        identities = {path: identity(self.store, path) for path in (layout.PATHS[key](date) for key in inputs)}
        values = values_digest(self.contract)
        return Provenance(run_id=run_id, inputs=identities, contract=self.contract.digest, contract_values=values, **more)


def open_lakehouse(workspace: Workspace) -> "Lakehouse":
    """Return the product's lakehouse over the workspace."""
    from risk_assets.defs.resources import Lakehouse

    return Lakehouse(workspace_settings(workspace))


def workspace_settings(workspace: Workspace, lake: str | None = None) -> Settings:
    """Return the settings of the workspace, of its own lake or of another one."""
    return Settings(lake=lake or str(workspace.lake), landing=str(workspace.landing), contract=workspace.contract, policy=workspace.policy)


def open_plain(settings: Settings) -> Lake:
    """Return a lake without importing Dagster."""
    credential = settings.credential() if settings.on_azure else None
    return Lake(open_lake(settings.lake, credential), settings.read_contract(), settings.read_policy())


def make_features(lakehouse: "Lake | Lakehouse", snapshot: str, clock: Clock) -> None:
    """Do what `risk_assets/defs/assets/features.py` does."""
    feature_table(lakehouse.store, lakehouse.contract, snapshot, "bench").write(lakehouse.store, layout.features(snapshot))
    clock.stop("features")


def make_predictions(lakehouse: "Lake | Lakehouse", snapshot: str, version: str, clock: Clock) -> None:
    """Do what `risk_assets/defs/assets/predictions.py` does for a version."""
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
    PredictionTable(snapshot, features, Arms(model), lakehouse.policy, made_from).write(lakehouse.store, layout.predictions(snapshot))
    clock.stop("predictions")


def main(root: str, snapshot: str, estimator: str, lake: str | None = None) -> None:
    """Make both tables by an estimator's version, in the workspace's lake or in another one.

    Each step's seconds are written to standard output, as JSON.
    """
    workspace = Workspace(Path(root))
    lakehouse = open_plain(workspace_settings(workspace, lake))
    clock = Clock()
    make_features(lakehouse, snapshot, clock)
    make_predictions(lakehouse, snapshot, workspace.version(estimator), clock)
    sys.stdout.write(json.dumps(clock.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
