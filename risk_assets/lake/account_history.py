"""How an account was scored on the last dates: a look-up in the index of accounts for each."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.morning.account_facts import MOST_ACCOUNTS, PastScore
from risk_assets.domain.morning.contributions import Value, band_of, deciding
from risk_assets.domain.morning.facts import SERIES_DAYS
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.feature_rows import read_row
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.scored_dates import read_arms, scored_features
from risk_assets.lake.store import Store

HISTORY_DATES = 28  # with the shown date; looked for in the last `SERIES_DAYS` days
READERS = 16  # concurrent requests to Azure

S = TypeVar("S")
T = TypeVar("T")


class Indexed(Protocol):
    """A row that the index of accounts has found: its position in features and predictions, and its score, None if it has none."""

    @property
    def row(self) -> int:
        """The position, from 0."""

    @property
    def probability(self) -> float | None:
        """The probability that the account goes bad."""

    @property
    def points(self) -> int | None:
        """The points."""

    @property
    def prediction(self) -> int | None:
        """1 if the account is predicted bad, else 0."""


# Returns the rows of a date whose ids have a key; raises `LakeError` without a usable index.
Find: TypeAlias = Callable[[Store, str, int], Sequence[Indexed]]


@dataclass(frozen=True)
class Owner:
    """An account: its id, None if it is not known, and its group, by which a challenger decides for it."""

    account: str | None
    group: Value


@dataclass
class AccountHistory:
    """Finds the rows with a key on other dates than the shown one, and what is known of them.

    What was read once is kept, so an object is for one page.

    Attributes
    ----------
    shared
        Whether several rows of the shown date have the key, so that ids are compared on each date.
    """

    store: Store
    date: str
    key: int
    find: Find
    shared: bool = False
    _policies: dict[str, Policy | None] = field(default_factory=dict)
    _arms: dict[int, Arms | None] = field(default_factory=dict)

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """The predictions of the last scored dates before the shown one, oldest first."""
        days = date_range(shift(self.date, 1 - SERIES_DAYS), shift(self.date, -1))[::-1]
        found: dict[str, Manifest] = {}
        for start in range(0, len(days), HISTORY_DATES):
            if len(found) < HISTORY_DATES - 1:
                found |= self._scored(days[start : start + HISTORY_DATES])
        return dict(list(found.items())[: HISTORY_DATES - 1][::-1])

    @cached_property
    def rows(self) -> dict[str, Sequence[Indexed] | None]:
        """The rows with the key by date, oldest first; None for a date without a usable index."""
        return dict(zip(self.manifests, _in_parallel(self.store, self.rows_of, self.manifests), strict=True))

    @property
    def unknown(self) -> int:
        """The number of dates without a usable index."""
        return sum(rows is None for rows in self.rows.values())

    def scores(self, owner: Owner) -> tuple[PastScore, ...]:
        """Return how an account was scored on each date with a usable index, oldest first."""
        known = [(date, rows) for date, rows in self.rows.items() if rows is not None]
        return tuple(
            self.score(date, self.manifests[date], self.own(date, self.manifests[date], rows, owner), owner) for date, rows in known
        )

    def own(self, date: str, predictions: Manifest, rows: Sequence[Indexed], owner: Owner) -> Indexed | None:
        """Return an account's row of those with its key: the only one, or the first that has its id; None if there is none.

        Of many rows only the first `MOST_ACCOUNTS` are looked at: rows with a repeated id have no score.
        """
        if len(rows) <= 1 and not self.shared:
            return rows[0] if rows else None
        features = scored_features(self.store, date, predictions)
        own = [row for row in rows[:MOST_ACCOUNTS] if features and read_row(self.store, features, row.row)[ACCOUNT_ID] == owner.account]
        return own[0] if own else None

    def score(self, date: str, predictions: Manifest, row: Indexed | None, owner: Owner) -> PastScore:
        """Return how an account was scored on a date, by its row."""
        if row is None:
            return PastScore(date, present=False)
        version = self._version(predictions, owner.group)
        if row.probability is None or row.points is None:
            return PastScore(date, present=True, version=version)
        policy = self._policy(predictions)
        band = band_of(policy, row.probability, row.points) if policy else None
        return PastScore(date, True, row.probability, row.points, band, row.prediction == 1, version)

    def _scored(self, days: Sequence[str]) -> dict[str, Manifest]:
        """Return the manifests of the predictions of those days that were scored."""
        found = zip(days, _in_parallel(self.store, lambda day: find_readable(self.store, layout.predictions(day)), days), strict=True)
        return {day: manifest for day, manifest in found if manifest}

    def rows_of(self, date: str) -> Sequence[Indexed] | None:
        """Return the rows with the key of any date; None without a usable index."""
        try:
            return self.find(self.store, date, self.key)
        except LakeError:
            return None

    def _policy(self, predictions: Manifest) -> Policy | None:
        digest = predictions.made_from.policy
        if digest is None:
            return None
        if digest not in self._policies:
            self._policies[digest] = document_archive.find(self.store, Policy, digest)
        return self._policies[digest]

    def _version(self, predictions: Manifest, group: Value) -> str | None:
        """Return the version that scored an account; if a challenger decided for some, by the account's group on the shown date."""
        made_from = predictions.made_from
        if made_from.challenger is None or made_from.binding is None:
            return made_from.model_version
        if made_from.binding not in self._arms:
            self._arms[made_from.binding] = _find_arms(self.store, predictions)
        arms = self._arms[made_from.binding]
        return None if arms is None else deciding(arms, group).version


def _find_arms(store: Store, predictions: Manifest) -> Arms | None:
    try:
        return read_arms(store, predictions)
    except RiskError:
        return None


def _in_parallel(store: Store, action: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Return the results of an action; on Azure several requests wait at the same time."""
    if store.folder is not None:
        return list(map(action, items))
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(action, items))
