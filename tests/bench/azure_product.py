"""The product's daily work on a file in the raw zone of a storage account, without Dagster: see `product.py`."""

import json
import sys
from pathlib import Path

from risk_assets.defs.resources import Lakehouse
from risk_assets.settings import Settings
from tests.bench.product import Clock, make_features, make_predictions
from tests.bench.workspace import Workspace


def main(root: str, lake: str, snapshot: str, estimator: str) -> None:
    """Make both tables by an estimator's version and write each step's seconds, as JSON, to standard output."""
    workspace = Workspace(Path(root))
    lakehouse = Lakehouse(Settings(lake=lake, landing=str(workspace.landing), contract=workspace.contract, policy=workspace.policy))
    clock = Clock()
    make_features(lakehouse, snapshot, clock)
    make_predictions(lakehouse, snapshot, workspace.version(estimator), clock)
    sys.stdout.write(json.dumps(clock.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
