"""Section `monitoring`: CPU seconds of the drift of a large snapshot, relative to making its features and predictions."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.monitoring.drift import Reference, count, measure
from risk_assets.domain.monitoring.flagged import ScoredDate, flagged_change
from risk_assets.domain.training.estimators import ESTIMATORS
from risk_assets.lake import layout, registry
from risk_assets.lake.tables import read_table
from tests.bench.measure import table
from tests.bench.product import Clock, make_features, make_predictions, open_lakehouse
from tests.bench.workspace import Workspace


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main(root: str, snapshot: str) -> None:
    """Write a table: for each estimator, the seconds of scoring, of counts and statistics, and of the split of flagged accounts."""
    workspace = Workspace(Path(root))
    lakehouse, clock = open_lakehouse(workspace), Clock()
    store, policy = lakehouse.store, lakehouse.policy
    features_cpu = cpu(lambda: make_features(lakehouse, snapshot, clock))
    rows = []
    for name in ESTIMATORS:
        version = workspace.version(name)
        scoring = features_cpu + cpu(lambda version=version: make_predictions(lakehouse, snapshot, version, clock))
        profile = registry.read_profile(store, version)
        reference = Reference(version, registry.read_scorecard(store, version).scorecard, profile, profile.independent or 0.0)
        scored, predicted = (
            read_table(store, layout.features(snapshot)).filter(can_be_scored()),
            read_table(store, layout.predictions(snapshot)),
        )
        own = predicted.filter(pl.col("probability").is_not_null(), pl.col("model_version") == version).select("probability")

        def statistics(scored=scored, own=own, reference=reference) -> object:
            return measure(count(snapshot, scored, own, reference), reference, policy.monitoring, policy.points)

        date = ScoredDate(predicted, scored)
        counted, split = cpu(statistics), cpu(lambda date=date: flagged_change("the day before", date, date))
        share = (counted + split) / scoring
        rows.append((name, f"{scoring:.1f}", f"{counted:.1f}", f"{split:.1f}", f"{share:.0%}"))
    sys.stdout.write("CPU seconds:\n\n")
    sys.stdout.write(table(("", "features and predictions", "counts and statistics", "split of flagged accounts", "both / scoring"), rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
