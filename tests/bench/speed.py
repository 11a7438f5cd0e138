"""Each estimator's fitted pipeline and its compiled scorecard on the same rows in memory, in turns."""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.estimators import ESTIMATORS
from risk_assets.domain.scoring import chances
from risk_assets.lake import registry
from tests.bench.measure import table
from tests.bench.prepare import CATEGORIES, NUMBERS, chunks
from tests.bench.product import open_lakehouse
from tests.bench.workspace import Workspace

ROWS = 1_000_000
ROUNDS = 5


def main(root: str) -> None:
    """Write the medians as a table."""
    workspace = Workspace(Path(root))
    store = open_lakehouse(workspace).store
    features = pl.concat(chunks(ROWS, 0.0, stream=2)).select(*NUMBERS, *CATEGORIES)
    frame = features.to_pandas()
    rows = []
    for name in ESTIMATORS:
        pipeline, card = joblib.load(workspace.pipeline(name)), registry.read_scorecard(store, workspace.version(name)).scorecard
        fitted, compiled, difference = _in_turns(partial(_second_column, pipeline, frame), partial(chances, card, features))
        rows.append((name, f"{fitted:.2f}", f"{compiled:.2f}", f"{fitted / compiled:.1f}", f"{difference:.1e}"))
    head = (f"{ROWS:,} rows", "fitted, s", "compiled, s", "times faster", "largest difference")
    sys.stdout.write(table(head, rows))


def _second_column(pipeline: Any, frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(pipeline.predict_proba(frame)[:, 1])


def _in_turns(fitted: Callable[[], np.ndarray], compiled: Callable[[], np.ndarray]) -> tuple[float, float, float]:
    """Return both medians of seconds, and how far the probabilities are apart."""
    seconds: tuple[list[float], list[float]] = ([], [])
    difference = 0.0
    for _ in range(ROUNDS):
        found = []
        for taken, work in zip(seconds, (fitted, compiled), strict=True):
            start = time.perf_counter()
            found.append(work())
            taken.append(time.perf_counter() - start)
        difference = max(difference, float(np.abs(found[0] - found[1]).max()))
    return statistics.median(seconds[0]), statistics.median(seconds[1]), difference


if __name__ == "__main__":
    main(*sys.argv[1:])
