"""Each estimator's fitted pipeline and its compiled scorecard on the same rows in memory, in turns."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.scorecard.expressions import expression, probabilities
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.training.estimators import ESTIMATORS
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
        tasks = (partial(_second_column, pipeline, frame), partial(probabilities, card, features), partial(_as_expression, card, features))
        (fitted, numpy, polars), difference = _in_turns(tasks)
        seconds = (f"{fitted:.2f}", f"{numpy:.2f}", f"{polars:.2f}")
        rows.append((name, *seconds, f"{fitted / numpy:.1f}", f"{fitted / polars:.1f}", f"{difference:.1e}"))
    head = (f"{ROWS:,} rows", "fitted, s", "numpy, s", "polars, s", "fitted / numpy", "fitted / polars", "largest difference")
    sys.stdout.write(table(head, rows))


def _second_column(pipeline: Any, frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(pipeline.predict_proba(frame)[:, 1])


def _as_expression(card: Scorecard, features: pl.DataFrame) -> np.ndarray:
    return features.lazy().select(expression(card)).collect(engine="streaming").to_series().to_numpy()


def _in_turns(tasks: Sequence[Callable[[], np.ndarray]]) -> tuple[list[float], float]:
    """Return the medians of seconds, and how far the probabilities are from the first one's."""
    seconds: list[list[float]] = [[] for _ in tasks]
    difference = 0.0
    for _ in range(ROUNDS):
        found = []
        for taken, work in zip(seconds, tasks, strict=True):
            start = time.perf_counter()
            found.append(work())
            taken.append(time.perf_counter() - start)
        difference = max(difference, *(float(np.abs(other - found[0]).max()) for other in found[1:]))
    return [statistics.median(taken) for taken in seconds], difference


if __name__ == "__main__":
    main(*sys.argv[1:])
