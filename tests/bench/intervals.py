"""Section `intervals`: how often 95 % intervals of the AUC contain the AUC on many unseen accounts."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from sklearn.metrics import roc_auc_score

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import GROUP, OUTCOME
from risk_assets.domain.scorecard.arrays import Floats, Integers, contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.estimators import ESTIMATORS, Validation, cross_validate, fit, in_rows
from risk_assets.domain.training.intervals import Codes, Interval, auc, auc_gain, auc_interval, gain_interval
from risk_assets.domain.training.split import Split, split
from tests.bench.accounts import CONTRACT, accounts
from tests.bench.measure import table

ACCOUNTS, DAYS = 300, 28
UNSEEN = 10_000
RESAMPLES = 200
ESTIMATOR = "logistic"
METHODS = ("by group", "bootstrap of groups", "by row")
SPACINGS = {"one snapshot in 28 days": 28, "every snapshot": 1}


@dataclass(frozen=True)
class Holdout:
    """Outcomes, the probabilities of the trained model and of an earlier one, and the group of each row."""

    bad: Integers
    ours: Floats
    theirs: Floats
    groups: Codes


@dataclass(frozen=True)
class Found:
    """An interval: of which figure, by which method, whether it contains the true value, and its length."""

    figure: str
    method: str
    covers: bool
    length: float


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs of models."""
    return frame[list(CONTRACT.inputs)]


def scores(card: Scorecard, frame: pd.DataFrame) -> Floats:
    """Return a scorecard's probabilities."""
    x = encode(pl.from_pandas(inputs(frame)[[term.feature for term in card.terms]], nan_to_null=True), card)
    return probability(card, contributions(card, x))


def trained(frame: pd.DataFrame, parts: Split, policy: Training, name: str) -> tuple[Scorecard, Validation]:
    """Return a scorecard trained on the training rows, and its cross-validation."""
    older = frame[parts.train]
    rows = inputs(older), older[OUTCOME].to_numpy(), pd.factorize(older[GROUP])[0], CONTRACT, policy
    validation = cross_validate(name, *rows)
    assert validation is not None
    return fit(name, *rows, validation).card, validation


def book(seed: int, spacing: int, champion: Scorecard | None, unseen: pd.DataFrame) -> Iterator[Found]:
    """Yield the intervals of one simulated book."""
    policy = Training(min_rows=100, min_bad=5, spacing_days=spacing)
    simulated = accounts(ACCOUNTS, DAYS, seed)
    frame = labelled(simulated.features(), simulated.outcomes(), CONTRACT, policy)
    parts = split(frame, policy)
    card, validation = trained(frame, parts, policy, ESTIMATOR)
    truth, rival = (roc_auc_score(unseen[OUTCOME], scores(each, unseen)) for each in (card, champion or card))
    groups, random = pd.factorize(frame[GROUP])[0], np.random.default_rng(seed)
    for name, part in (("AUC, other accounts", parts.other_accounts), ("AUC, later dates", parts.later_dates)):
        rows = frame[part]
        held = Holdout(rows[OUTCOME].to_numpy(), scores(card, rows), scores(champion or card, rows), groups[part])
        yield from _judged(name, _of_auc(held, random), truth)
        if part is parts.other_accounts:
            yield from _judged("gain over the live model", _of_gain(held, random), truth - rival)
    mean = _mean_truth(frame[parts.train], validation, policy, unseen)
    yield from _judged("AUC, cross-validated", {"by group": validation.figures.roc_auc_interval}, mean)


def _judged(figure: str, intervals: Mapping[str, Interval], truth: float) -> Iterator[Found]:
    for method, (low, high) in intervals.items():
        yield Found(figure, method, low <= truth <= high, high - low)


def _of_auc(held: Holdout, random: np.random.Generator) -> dict[str, Interval]:
    by_group, by_row = (auc_interval(auc(held.bad, held.ours, unit)) for unit in (held.groups, np.arange(len(held.bad))))
    resampled = [_weighted_auc(held.bad, held.ours, weights) for weights in _resamples(held, random)]
    return dict(zip(METHODS, (by_group, _percentiles(resampled), by_row), strict=True))


def _of_gain(held: Holdout, random: np.random.Generator) -> dict[str, Interval]:
    by_group, by_row = (gain_interval(auc_gain(held.bad, held.ours, held.theirs, unit)) for unit in (held.groups, np.arange(len(held.bad))))
    resampled = [
        _weighted_auc(held.bad, held.ours, weights) - _weighted_auc(held.bad, held.theirs, weights) for weights in _resamples(held, random)
    ]
    return dict(zip(METHODS, (by_group, _percentiles(resampled), by_row), strict=True))


def _resamples(held: Holdout, random: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each row is drawn, if groups are drawn with replacement and both classes occur."""
    drawn, of_row = np.unique(held.groups, return_inverse=True)
    for _ in range(RESAMPLES):
        weights = random.multinomial(len(drawn), np.full(len(drawn), 1 / len(drawn)))[of_row].astype(np.float64)
        if 0 < weights @ held.bad < weights.sum():
            yield weights


def _weighted_auc(bad: Integers, probability: Floats, weights: Floats) -> float:
    """Return the share of pairs of a bad and a good row in which the bad one has the higher probability; ties count half."""
    rank = np.unique(probability, return_inverse=True)[1]
    bads, goods = np.bincount(rank, weights * bad), np.bincount(rank, weights * (1 - bad))
    return float(bads @ (np.cumsum(goods) - goods / 2) / (bads.sum() * goods.sum()))


def _percentiles(values: list[float]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _mean_truth(older: pd.DataFrame, validation: Validation, policy: Training, unseen: pd.DataFrame) -> float:
    """Return the mean AUC on unseen accounts of the models of the folds."""
    bad, groups = older[OUTCOME].to_numpy(), pd.factorize(older[GROUP])[0]
    fitted = (
        ESTIMATORS[ESTIMATOR].unfitted(CONTRACT, in_rows(policy, groups)).fit(inputs(older).iloc[seen], bad[seen])
        for seen, _ in validation.folds
    )
    return float(np.mean([roc_auc_score(unseen[OUTCOME], pipeline.decision_function(inputs(unseen))) for pipeline in fitted]))


def main(books: str) -> None:
    """Write the coverage and the mean length of each kind of interval as tables."""
    unseen = accounts(UNSEEN, 1, seed=10**6).frame(0)
    first = accounts(ACCOUNTS, 1, seed=10**6 + 1)
    policy = Training(min_rows=100, min_bad=5)
    older = labelled(first.features(), first.outcomes(), CONTRACT, policy)
    champion, _ = trained(older, split(older, policy), policy, ESTIMATOR)
    for name, spacing in SPACINGS.items():
        found = pd.DataFrame([each for seed in range(int(books)) for each in book(seed, spacing, champion, unseen)])
        means = found.groupby(["figure", "method"], sort=False)[["covers", "length"]].mean()
        rows = [(figure, method, f"{row.covers:.1%}", f"{row.length:.3f}") for (figure, method), row in means.iterrows()]
        sys.stdout.write(f"{name}, {books} books of {ACCOUNTS} accounts over {DAYS} days:\n\n")
        sys.stdout.write(table(("", "interval", "covers", "mean length"), rows) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
