"""The seed's own design: FastAPI, pydantic dicts, a data frame a request, `predict_proba`."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """Records of features."""

    records: list[dict[str, float | str | None]]


app = FastAPI()
model = joblib.load(os.environ["BENCH_MODEL"])


@app.post("/predict")
def predict(request: Request) -> dict[str, list[dict[str, float]]]:
    """Score the records."""
    probabilities = model.predict_proba(pd.DataFrame(request.records))[:, 1]
    return {"predictions": [{"prediction": int(each >= 0.25), "probability": float(each)} for each in probabilities]}
