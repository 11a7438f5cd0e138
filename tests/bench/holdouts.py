"""Section `holdouts`: the reported AUC minus the AUC on many unseen accounts of the same dates."""

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import OUTCOME
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.estimators import ESTIMATORS
from risk_assets.domain.training.train import train
from tests.bench.accounts import CONTRACT, accounts
from tests.bench.intervals import scores
from tests.bench.measure import table

ACCOUNTS, DAYS = 3_000, 28
UNSEEN = 50_000


def book(seed: int, unseen: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Yield for each estimator and figure the reported AUC minus the one on unseen accounts, with the default policy."""
    simulated = accounts(ACCOUNTS, DAYS, seed)
    frame = labelled(simulated.features(), simulated.outcomes(), CONTRACT, Policy().training)
    for name in ESTIMATORS:
        model = train(frame, simulated.dates[-1], CONTRACT, Policy().with_estimator(name), None)
        truth = float(roc_auc_score(unseen[OUTCOME], scores(model.scorecard, unseen)))
        metrics = model.metrics
        yield name, "AUC on unseen accounts", truth
        yield name, "other accounts", metrics.roc_auc - truth
        if metrics.later_dates:
            yield name, "later dates", metrics.later_dates.roc_auc - truth
        found = metrics.considered[name]
        if found:
            yield name, "cross-validated", found.roc_auc - truth


def main(books: str) -> None:
    """Write the mean differences as a table."""
    unseen = accounts(UNSEEN, 1, seed=10**6).frame(0)
    found = pd.DataFrame([each for seed in range(int(books)) for each in book(seed, unseen)], columns=["estimator", "figure", "value"])
    groups = found.groupby(["estimator", "figure"], sort=False)["value"]
    rows = [(*key, f"{values.mean():+.4f}", f"{values.std() / np.sqrt(len(values)):.4f}") for key, values in groups]
    sys.stdout.write(f"{books} books of {ACCOUNTS:,} accounts over {DAYS} days, {UNSEEN:,} unseen accounts:\n\n")
    sys.stdout.write(table(("", "reported AUC minus that on unseen accounts", "mean", "standard error"), rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
