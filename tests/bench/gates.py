"""Section `gates`: how often all gates together accept equal, worse and slowly decaying versions.

Models are fitted on drawn accounts, so that equal candidates differ by estimation only. A worse one relies on noise of its own
to a degree that costs the wanted AUC, and is calibrated.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.artifacts import FAILED, PASSED, UNDECIDED, MeasuredGates, NumberBins
from risk_assets.domain.scorecard.arrays import Floats, Integers, sigmoid
from risk_assets.domain.training.gates import Evidence, Held, measure
from risk_assets.domain.training.rates import Rows
from risk_assets.domain.training.reference_profile import number_bins
from risk_assets.domain.training.stability import Shares, number_shares, trained_shares
from tests.bench.measure import table

BADS = (50, 100, 200, 300, 600, 1200)  # expected bad accounts among the other accounts
TRAINING = 3  # times the bad accounts of the holdout
SNAPSHOTS = 2  # of each account in the holdout, with the same outcome
EFFECTS = np.array([0.8, 0.6, -0.7, 0.5, 0.3, -0.2, 0.0, 0.0])
INTERCEPT = -3.3  # about 6 % are bad
LEVELS = np.array(["u", "v", "w"], dtype=object)
UNSEEN = 60_000
LOSS = 0.03
WEEKS = 52
DECAY = 0.006  # loss of AUC of each week's candidate against the live version
YEARS_BADS = (300, 600)
BOOKS_OF_A_YEAR = 25  # one simulated year for so many books
PROMOTION = Policy().promotion
BOUNDS = np.array(list(Policy().bands.values())[:-1])


@dataclass(frozen=True)
class Accounts:
    """Drawn accounts: numbers of shape (n, features), noise of their own, and whether each goes bad."""

    numbers: Floats
    noise: Floats
    bad: Integers


@dataclass(frozen=True)
class Model:
    """A logistic model whose log-odds have noise of the accounts added, calibrated; `stream` selects the noise."""

    intercept: float
    weights: Floats
    noise: float = 0.0
    scale: float = 1.0
    shift: float = 0.0
    stream: int = 0

    def probability(self, accounts: Accounts) -> Floats:
        """Return probabilities, shape (n,)."""
        return sigmoid(self.shift + self.scale * self._score(accounts))

    def with_noise(self, noise: float, stream: int, accounts: Accounts) -> "Model":
        """Return a model that relies on noise, calibrated on accounts."""
        raw = Model(self.intercept, self.weights, noise, stream=stream)
        fitted = LogisticRegression(C=1e6).fit(raw._score(accounts)[:, None], accounts.bad)
        return Model(self.intercept, self.weights, noise, float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), stream)

    def _score(self, accounts: Accounts) -> Floats:
        return self.intercept + accounts.numbers @ self.weights + self.noise * accounts.noise[:, self.stream]


def draw(count: int, random: np.random.Generator, streams: int = 1) -> Accounts:
    """Draw accounts."""
    numbers = random.normal(size=(count, len(EFFECTS)))
    bad = (random.random(count) < sigmoid(INTERCEPT + numbers @ EFFECTS)).astype(np.int64)
    return Accounts(numbers, random.normal(size=(count, streams)), bad)


def fitted(count: int, random: np.random.Generator) -> Model:
    """Return a model fitted on so many drawn accounts."""
    rows = draw(count, random)
    found = LogisticRegression().fit(rows.numbers, rows.bad)
    return Model(float(found.intercept_[0]), found.coef_[0])


def auc(model: Model, accounts: Accounts) -> float:
    """Return the AUC of a model on accounts."""
    return float(roc_auc_score(accounts.bad, model.probability(accounts)))


def worse(model: Model, loss: float, stream: int, unseen: Accounts) -> Model:
    """Return a calibrated model whose AUC on unseen accounts is lower by a loss."""
    target = auc(model, unseen) - loss
    noise = brentq(lambda size: auc(Model(model.intercept, model.weights, size, stream=stream), unseen) - target, 0, 10, xtol=1e-3)
    return model.with_noise(noise, stream, unseen)


def gates(candidate: Model, champions: Mapping[str, Model], live: str, held: Accounts) -> MeasuredGates:
    """Return the gates of a candidate on other accounts, each with several snapshots."""
    repeat = np.tile(np.arange(len(held.bad)), SNAPSHOTS)
    ours = candidate.probability(held)
    others = Rows(held.bad[repeat], ours[repeat], repeat)
    evidence = Evidence(
        held=Held(
            others=others,
            band=np.searchsorted(BOUNDS, others.probability).astype(np.int64),
            bands=tuple(Policy().bands),
            rivals={name: model.probability(held)[repeat] for name, model in champions.items()},
            both=others,
            levels={"k": LEVELS[repeat % len(LEVELS)]},
        ),
        live=live,
        champions=tuple(champions),
        against=(),
        snapshot="2026-01-01",
        shares=_shares(held, ours),
    )
    return MeasuredGates(measure(evidence, PROMOTION), "", live, tuple(champions))


def _shares(held: Accounts, ours: Floats) -> Mapping[str, Shares]:
    """Return the shares of the score and of each number in two samples without a change: the halves of the accounts."""
    half = len(ours) // 2
    columns = {"the score": ours, **{f"x{at}": held.numbers[:, at] for at in range(held.numbers.shape[1])}}
    bins: dict[str, NumberBins] = {name: number_bins(values[:half]) for name, values in columns.items()}
    return {
        name: Shares(trained_shares(bins[name]), number_shares(bins[name], values[half:]), half, len(ours) - half)
        for name, values in columns.items()
    }


def book(seed: int, bads: int, unseen: Accounts) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
    """Yield what the gates find of an equal and of a worse candidate."""
    random = np.random.default_rng(seed)
    held_count = round(bads / float(unseen.bad.mean()))
    champions = {name: fitted(TRAINING * held_count, random) for name in ("model_v001", "model_v002")}
    equal = fitted(TRAINING * held_count, random)
    candidates = {"equal": equal, f"AUC lower by {LOSS}": worse(equal, LOSS, 0, unseen)}
    held = draw(held_count, random)
    for name, candidate in candidates.items():
        yield bads, name, *_judged(gates(candidate, champions, "model_v002", held))


def year(seed: int, bads: int, decay: float, unseen: Accounts) -> tuple[float, int]:
    """Return the AUC lost in a year of weekly trainings, and how many versions went live.

    Each week has other accounts in the holdout. With a decay, each candidate is worse than the live version by it.
    """
    random = np.random.default_rng(seed)
    held_count = round(bads / float(unseen.bad.mean()))
    champions = {"model_v001": fitted(TRAINING * held_count, random)}
    live, first = "model_v001", auc(champions["model_v001"], unseen)
    for week in range(WEEKS):
        candidate = fitted(TRAINING * held_count, random)
        if decay:
            lost = auc(candidate, unseen) - (auc(champions[live], unseen) - decay)
            candidate = worse(candidate, max(lost, 1e-4), week, unseen)
        held = draw(held_count, random, WEEKS)
        if gates(candidate, champions, live, held).passed:
            live = f"model_v{week + 2:03d}"
            champions[live] = candidate
    return first - auc(champions[live], unseen), len(champions) - 1


def _judged(found: MeasuredGates) -> tuple[str, tuple[str, ...]]:
    statuses = {gate.name: gate.status for gate in found.found}
    for status in (FAILED, UNDECIDED):
        if status in statuses.values():
            return status, tuple(name for name, value in statuses.items() if value == status)
    return PASSED, ()


def main(books: str) -> None:
    """Write the shares of accepted, rejected and undecided candidates, and the AUC lost in a year, as tables."""
    unseen = draw(UNSEEN, np.random.default_rng(10**6), WEEKS)
    found = [each for bads in BADS for seed in range(int(books)) for each in book(seed, bads, unseen)]
    rows = []
    for bads in BADS:
        for name in dict.fromkeys(name for _, name, _, _ in found):
            of = [(status, gates) for b, n, status, gates in found if (b, n) == (bads, name)]
            shares = [f"{np.mean([status == wanted for status, _ in of]):.1%}" for wanted in (PASSED, FAILED, UNDECIDED)]
            why = Counter(gate for _, gates in of for gate in gates).most_common(3)
            rows.append((f"{bads}, {name}", *shares, ", ".join(f"{gate} {100 * count / len(of):.0f} %" for gate, count in why)))
    sys.stdout.write(f"{books} books, all gates of the default policy:\n\n")
    sys.stdout.write(table(("bad accounts, candidate", "accepted", "rejected", "undecided", "most frequent reasons"), rows) + "\n")
    years = max(int(books) // BOOKS_OF_A_YEAR, 1)
    lost = pd.DataFrame(
        [(bads, decay, *year(seed, bads, decay, unseen)) for bads in YEARS_BADS for decay in (0.0, DECAY) for seed in range(years)],
        columns=["bads", "decay", "lost", "versions"],
    )
    rows = [
        (
            f"{bads}, {'each candidate worse by ' + str(decay) if decay else 'equal candidates'}",
            f"{part.lost.mean():+.4f}",
            f"{part.lost.max():+.4f}",
            f"{part.versions.mean():.1f}",
        )
        for (bads, decay), part in lost.groupby(["bads", "decay"], sort=False)
    ]
    sys.stdout.write(f"{years} years of {WEEKS} weekly trainings:\n\n")
    sys.stdout.write(table(("bad accounts, candidates", "AUC lost, mean", "most", "versions that went live"), rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
