"""Section `real`: the product's logistic model on a file of one's own, five-fold, through an inferred contract."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from risk_assets.domain.contract import OUTCOME, Contract
from risk_assets.domain.features import checked, repeated_ids
from risk_assets.domain.inference import infer
from risk_assets.domain.logistic import compile_logistic, fit_logistic
from risk_assets.domain.outcomes import labels
from risk_assets.domain.policy import Training
from risk_assets.domain.scorecard import contributions, encode, probability
from risk_assets.domain.training import labelled
from risk_assets.lake import layout, raw
from risk_assets.lake.landing import Source
from risk_assets.lake.raw import Landed
from risk_assets.lake.store import open_store
from risk_assets.lake.table import Provenance

FOLDS = 5
RANDOM_STATE = 42
SNAPSHOT = "real"


@dataclass(frozen=True)
class Fold:
    """AUC of the compiled and of the fitted model on a fold's rows, and the largest difference between their probabilities."""

    compiled: float
    fitted: float
    difference: float


def read(file: Path, lake: Path, id: str, target: str) -> tuple[pd.DataFrame, Contract]:
    """Return the rows that can train, by the contract that the product infers."""
    source = Source.read(file, (id, target))
    contract = Contract.parse(infer(source.scan(), source.dialect.columns, id, target, None, file.name), "the inferred contract")
    store, path = open_store(str(lake)), layout.accounts(SNAPSHOT)
    raw.keep(store, Landed(open_store(str(file.absolute().parent)), (file.name,), contract.columns), path, Provenance(run_id="bench"))
    text = raw.scan(store, path)
    features = checked(text, contract, repeated_ids(text, contract))
    return labelled({SNAPSHOT: features}, {SNAPSHOT: labels(text, contract)}, contract, Training()), contract


def cross_validate(frame: pd.DataFrame, contract: Contract) -> list[Fold]:
    """Fit and compile on four fifths of the rows and predict the rest, five times."""
    truth = frame[OUTCOME].to_numpy(dtype=np.int64)
    inputs = frame[list(contract.features)]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=RANDOM_STATE).split(inputs, truth)
    return [_fold(inputs, truth, older, newest, contract) for older, newest in folds]


def _fold(inputs: pd.DataFrame, truth: np.ndarray, older: np.ndarray, newest: np.ndarray, contract: Contract) -> Fold:
    pipeline = fit_logistic(inputs.iloc[older], truth[older], contract, Training())
    card = compile_logistic(pipeline, inputs.iloc[older], contract)
    held = inputs.iloc[newest]
    fitted = pipeline.predict_proba(held)[:, 1]
    compiled = probability(card, contributions(card, encode(pl.from_pandas(held, nan_to_null=True), card)))
    difference = float(np.max(np.abs(compiled - fitted)))
    return Fold(float(roc_auc_score(truth[newest], compiled)), float(roc_auc_score(truth[newest], fitted)), difference)


def main(file: str, lake: str, id: str, target: str) -> None:
    """Write the mean AUC and the largest difference as a sentence."""
    frame, contract = read(Path(file), Path(lake), id, target)
    folds = cross_validate(frame, contract)
    compiled, fitted = ([getattr(fold, kind) for fold in folds] for kind in ("compiled", "fitted"))
    sys.stdout.write(
        f"{len(frame):,} rows, {len(contract.numbers)} numbers, {len(contract.categories)} categories, "
        f"{frame[OUTCOME].mean():.1%} of the rows bad.\n\n"
        f"Mean ROC AUC of {FOLDS} folds: {np.mean(compiled):.4f} compiled, {np.mean(fitted):.4f} fitted "
        f"(folds {min(compiled):.4f} to {max(compiled):.4f}).\n"
        f"Largest |compiled - fitted| probability: {max(fold.difference for fold in folds):.1e}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
