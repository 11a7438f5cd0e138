"""Azure ML's inference server: the entry script, as its documentation writes one."""

import json
import os

import joblib
import pandas as pd


def init() -> None:
    """Load the model."""
    global model  # noqa: PLW0603
    model = joblib.load(os.environ["BENCH_MODEL"])


def run(raw_data: str) -> list[float]:
    """Score the records."""
    return model.predict_proba(pd.DataFrame(json.loads(raw_data)["records"]))[:, 1].tolist()
