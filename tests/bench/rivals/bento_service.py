"""BentoML: a service with one method, whose records arrive as a data frame."""

import os

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Risk:
    """The fitted pipeline."""

    def __init__(self) -> None:
        """Load it."""
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, records: pd.DataFrame) -> list[float]:
        """Score the records."""
        return self.model.predict_proba(records)[:, 1].tolist()
