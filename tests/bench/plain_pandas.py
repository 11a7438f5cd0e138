"""The same file scored as a beginner writes it: read it whole, predict, write. No bands, points, reasons or checks."""

import sys

import joblib
import pandas as pd


def main(source: str, model: str, target: str) -> None:
    """Score a CSV with a pickled scikit-learn pipeline."""
    accounts = pd.read_csv(source)
    pipeline = joblib.load(model)
    accounts["probability"] = pipeline.predict_proba(accounts)[:, 1]
    accounts["prediction"] = (accounts["probability"] >= 0.5).astype(int)
    accounts[["account_id", "probability", "prediction"]].to_csv(target, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
