"""Section `real`: both estimators on a file of one's own, five-fold, through an inferred contract."""

import sys
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from risk_assets.domain.contract.infer import infer
from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import OUTCOME, Contract
from risk_assets.domain.ingest.labels import labels
from risk_assets.domain.ingest.validation import repeated_ids, validate
from risk_assets.domain.scorecard.arrays import contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Line
from risk_assets.domain.training.calibration import calibration_bins, calibration_error
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.estimators import ESTIMATORS, cross_validate, fit
from risk_assets.lake import layout, raw
from risk_assets.lake.landed_parts import LandedFile, OwnParts
from risk_assets.lake.landing_sources import Source
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.store import open_store
from tests.bench.measure import table

FOLDS = 5
RANDOM_STATE = 42
SNAPSHOT = "real"
DATE = "2026-01-01"  # all rows are one snapshot


@dataclass(frozen=True)
class Fold:
    """Figures of the compiled model on a fold's rows, the fitted one's AUC, and how far their probabilities are apart."""

    compiled: float
    fitted: float
    calibration_error: float
    difference: float
    steps: int


def read(file: Path, lake: Path, id: str, target: str) -> tuple[pd.DataFrame, Contract]:
    """Return the rows that can train, by the contract that the product infers."""
    source = Source.read(file, (id, target))
    contract = Contract.parse(infer(source.scan(), source.dialect.columns, id, target, None, file.name).text, "the inferred contract")
    store, path = open_store(str(lake)), layout.accounts(SNAPSHOT)
    landed = LandedFile(open_store(str(file.absolute().parent)), (file.name,), contract.columns)
    raw.ingest(OwnParts(store, landed), path, Provenance(run_id="bench"))
    text = raw.scan(store, path)
    features = validate(text, contract, repeated_ids(text, contract))
    return labelled({DATE: features}, {DATE: labels(text, contract)}, contract, Training()), contract


def five_folds(name: str, frame: pd.DataFrame, contract: Contract) -> list[Fold]:
    """Fit and compile on four fifths of the rows and predict the rest, five times."""
    truth = frame[OUTCOME].to_numpy(dtype=np.int64)
    inputs = frame[list(contract.inputs)]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=RANDOM_STATE).split(inputs, truth)
    return [_fold(name, inputs, truth, older, newest, contract) for older, newest in folds]


def _fold(name: str, inputs: pd.DataFrame, truth: np.ndarray, older: np.ndarray, newest: np.ndarray, contract: Contract) -> Fold:
    rows = inputs.iloc[older], truth[older], np.arange(len(older)), contract, Training()
    model = fit(name, *rows, cross_validate(name, *rows))
    held, bad = inputs.iloc[newest], truth[newest]
    fitted = model.probabilities(held)
    compiled = probability(model.card, contributions(model.card, encode(pl.from_pandas(held, nan_to_null=True), model.card)))
    return Fold(
        compiled=float(roc_auc_score(bad, compiled)),
        fitted=float(roc_auc_score(bad, fitted)),
        calibration_error=calibration_error(calibration_bins(bad, compiled, np.arange(len(bad)))),
        difference=float(np.max(np.abs(compiled - fitted))),
        steps=sum(len(term.shape.weights) for term in model.card.terms if not isinstance(term.shape, Line)),
    )


def main(file: str, lake: str, id: str, target: str) -> None:
    """Write each estimator's means over the folds as a table."""
    frame, contract = read(Path(file), Path(lake), id, target)
    head = ("", "AUC, compiled", "AUC, fitted", "calibration error", "largest compiled - fitted", "steps and levels")
    sys.stdout.write(
        f"{len(frame):,} rows, {len(contract.numbers)} numbers, {len(contract.categories)} categories, "
        f"{frame[OUTCOME].mean():.1%} of the rows bad; means of {FOLDS} folds.\n\n"
        + table(head, [_row(name, five_folds(name, frame, contract)) for name in ESTIMATORS])
    )


def _row(name: str, folds: list[Fold]) -> tuple[str, ...]:
    auc, fitted, error, difference, steps = np.array([astuple(fold) for fold in folds]).T
    return name, f"{auc.mean():.4f}", f"{fitted.mean():.4f}", f"{error.mean():.4f}", f"{difference.max():.1e}", f"{steps.mean():.0f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
