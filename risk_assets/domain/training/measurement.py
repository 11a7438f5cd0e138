"""What the gates of a version are measured on, computed from labelled rows and the newest snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import GROUP, OUTCOME, Contract
from risk_assets.domain.governance.artifacts import LevelBins, MeasuredGates, NumberBins, Profile
from risk_assets.domain.scorecard.arrays import Floats, contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Line, Scorecard, Steps, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import score
from risk_assets.domain.training.gates import Evidence, Held, measure
from risk_assets.domain.training.rates import Rows
from risk_assets.domain.training.split import Split
from risk_assets.domain.training.stability import Shares, level_shares, number_shares, trained_shares

SCORE = "the score"
SIGNS = {"up": 1, "down": -1}
EQUAL_WEIGHTS = 1e-9  # of neighbouring steps


@dataclass(frozen=True)
class Snapshot:
    """The features of the newest snapshot: the rows that can be scored, with the column `group` if there is one."""

    date: str
    rows: pl.DataFrame


@dataclass(frozen=True)
class Candidate:
    """A version or a model before it is registered: its scorecard, its profile, and the number of groups that trained it."""

    card: Scorecard
    profile: Profile
    groups: int


@dataclass(frozen=True)
class Compared:
    """The live version, and the scorecards of all versions that have been live and are compared; None for one that cannot be."""

    live: str | None = None
    champions: Mapping[str, Scorecard | None] = field(default_factory=dict)

    @property
    def live_scorecard(self) -> VersionedScorecard | None:
        """The scorecard of the live version; None if nothing is live or it cannot be compared."""
        card = self.champions.get(self.live) if self.live else None
        return VersionedScorecard(self.live, card) if self.live and card else None


def measure_gates(
    candidate: Candidate,
    rows: tuple[pd.DataFrame, Split] | str,
    compared: Compared,
    newest: Snapshot | None,
    contract: Contract,
    policy: Policy,
) -> MeasuredGates:
    """Return the gates of a candidate.

    Parameters
    ----------
    rows : (DataFrame, Split) or str
        The labelled rows with their parts, or why there are none: the gates that need them are then undecided.
    contract : Contract
        The contract of the candidate.
    policy : Policy
        The limits.
    """
    evidence = Evidence(
        held=rows if isinstance(rows, str) else _held(candidate.card, *rows, compared, contract, policy),
        live=compared.live,
        champions=tuple(compared.champions),
        against=against_direction(candidate.card, contract),
        snapshot=newest.date if newest else None,
        shares=_shares(candidate, newest) if newest else {},
    )
    return MeasuredGates(measure(evidence, policy.promotion), policy.digest, compared.live, tuple(evidence.champions))


def against_direction(card: Scorecard, contract: Contract) -> tuple[str, ...]:
    """Return the numbers whose effect contradicts the direction that the contract declares, anywhere in their range."""
    return tuple(term.feature for term in card.terms if (risk := contract.inputs[term.feature].risk) and _falls(term, SIGNS[risk]))


def card_inputs(card: Scorecard, frame: pd.DataFrame) -> Floats:
    """Return the inputs of a scorecard for rows, shape (rows, features)."""
    return encode(pl.from_pandas(frame[[term.feature for term in card.terms]], nan_to_null=True), card)


def card_probability(card: Scorecard, frame: pd.DataFrame) -> Floats:
    """Return a scorecard's probabilities of default for rows, shape (rows,)."""
    return probability(card, contributions(card, card_inputs(card, frame)))


def can_score(card: Scorecard, contract: Contract) -> bool:
    """Return whether the rows of a contract have all features of a scorecard, with their types."""
    return card.features.items() <= {name: feature.type for name, feature in contract.inputs.items()}.items()


def _falls(term: Term, sign: int) -> bool:
    """Return whether the log-odds fall anywhere, times the sign."""
    shape = term.shape
    if isinstance(shape, Line):
        return shape.slope * sign < 0
    return isinstance(shape, Steps) and bool((np.diff(shape.weights) * sign < -EQUAL_WEIGHTS).any())


def _held(card: Scorecard, frame: pd.DataFrame, parts: Split, compared: Compared, contract: Contract, policy: Policy) -> Held:
    held = frame[~parts.train]
    among = parts.other_accounts[~parts.train]
    others = held[among]
    scores = score(card, policy, card_inputs(card, held))
    both = Rows(held[OUTCOME].to_numpy(dtype=np.int64), scores.probability, pd.factorize(held[GROUP])[0])
    return Held(
        others=both.only(among),
        band=scores.band[among],
        bands=tuple(policy.bands),
        rivals={name: _rival(card, others, contract) for name, card in compared.champions.items()},
        both=both,
        levels={name: np.array(held[name], dtype=np.object_) for name in contract.categories},
    )


def _rival(card: Scorecard | None, others: pd.DataFrame, contract: Contract) -> Floats | None:
    return card_probability(card, others) if card and can_score(card, contract) else None


def _shares(candidate: Candidate, newest: Snapshot) -> Mapping[str, Shares | None]:
    """Return the shares of the score and of each feature; None for what the newest snapshot lacks."""
    card, score_bins, rows = candidate.card, candidate.profile.score, newest.rows
    groups = rows[GROUP].n_unique() if GROUP in rows.columns else len(rows)
    lacking = [term.feature for term in card.terms if term.feature not in rows.columns]
    found: dict[str, Shares | None] = {SCORE: None}
    if not lacking:
        moved = number_shares(score_bins, probability(card, contributions(card, encode(rows, card))))
        found[SCORE] = Shares(trained_shares(score_bins), moved, candidate.groups, groups)
    for name, bins in candidate.profile.features.items():
        column = rows[name] if name in rows.columns else None
        found[name] = None if column is None else Shares(trained_shares(bins), _of(column, bins), candidate.groups, groups)
    return found


def _of(column: pl.Series, bins: NumberBins | LevelBins) -> Floats:
    if isinstance(bins, LevelBins):
        return level_shares(bins, column)
    return number_shares(bins, column.cast(pl.Float64).fill_null(np.nan).to_numpy())
