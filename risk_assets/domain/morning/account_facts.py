"""The content of the page of an account on a date. Imports no table library, so that pages and services can use it."""

from typing import Literal, TypeAlias

import msgspec

from risk_assets.domain.morning.facts import Category, WorkItem

Status: TypeAlias = Literal["scored", "issue", "not eligible", "not scored"]


class PastScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an account was scored on a date: by the model and the policy of that date.

    Attributes
    ----------
    present
        Whether the date's file has the account.
    probability, points, band, flagged
        None if the account was not scored.
    version
        The version that scored it; None if the file does not have the account.
    """

    date: str
    present: bool
    probability: float | None = None
    points: int | None = None
    band: str | None = None
    flagged: bool | None = None
    version: str | None = None


class BandArea(msgspec.Struct, frozen=True, omit_defaults=True):
    """A band in points, by a policy: from `low` to `high`; None for the last and the first band, which have no end."""

    name: str
    low: float | None = None
    high: float | None = None


class FeaturePoints(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature of an account: its value, None if it is missing, and its points compared with the mean of training.

    `reason` is its number among the reasons; None if it is not a reason.
    """

    feature: str
    label: str
    value: float | str | None
    points: float
    reason: int | None = None


class Contributions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the points of an account come about: `base` and the points of all features add up to `total`, which is not rounded."""

    base: float
    total: float
    features: tuple[FeaturePoints, ...]


class FeatureDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature on two dates, None for missing values, and what the change adds to the points.

    `points` is None if it is not known, because the account could not be scored on both dates.
    """

    feature: str
    label: str
    before: float | str | None
    now: float | str | None
    points: float | None = None

    @property
    def is_change(self) -> bool:
        """Whether the values differ."""
        return self.before != self.now


class SnapshotComparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account compared with its snapshot of another date.

    Attributes
    ----------
    date
        The other date.
    present
        Whether the other date's file has the account.
    stored
        How the account was scored on the other date.
    points, band
        Of the other snapshot, by the model and the policy of the shown date; None if it could not be scored.
    features
        The features of the shown date's model, those whose change matters most first; empty if they are not known.
    note
        Why something is not known.
    """

    date: str
    present: bool
    stored: PastScore | None = None
    points: int | None = None
    band: str | None = None
    features: tuple[FeatureDifference, ...] = ()
    note: str | None = None


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account on a date.

    Attributes
    ----------
    account
        The id; None if it is not known, because the features of the date have been replaced.
    status
        `issue` with its `issues`, `not eligible` with the reason in `excluded`; `not scored` if the reason is not known.
    probability, points, band, flagged
        As they were stored when the date was scored; None if it was not scored.
    version
        The version that decided for the account.
    exposure, exposure_name
        The exposure and its column; None if the contract names none.
    reasons
        Why the account is predicted bad, the strongest reason first.
    item
        The account on the review list; None if it is not listed, or the list is not known.
    list_known
        Whether the review list is known.
    bands
        The bands of the date's policy, from the safest to the riskiest.
    history
        The last scored dates up to this one, oldest first.
    contributions
        None if the account was not scored, or its features are not known.
    comparison
        The account compared with another snapshot; None if there is none.
    notes
        What is missing or does not agree, and why.
    """

    date: str
    account: str | None
    status: Status
    version: str
    bands: tuple[BandArea, ...]
    history: tuple[PastScore, ...]
    probability: float | None = None
    points: int | None = None
    band: str | None = None
    flagged: bool | None = None
    exposure: float | None = None
    exposure_name: str | None = None
    issues: tuple[str, ...] = ()
    excluded: str | None = None
    reasons: tuple[str, ...] = ()
    item: WorkItem | None = None
    list_known: bool = False
    contributions: Contributions | None = None
    comparison: SnapshotComparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[Category, ...]:
        """Why somebody should look at the account today."""
        return self.item.categories if self.item else ()


class AccountsOfKey(msgspec.Struct, frozen=True):
    """The accounts of a date whose ids have a key: one, but for repeated ids and the rare ids that share a key.

    `rows` is the number of the date's rows with the key; `accounts` are at most the first `MOST_ACCOUNTS` of them.
    """

    date: str
    key: str
    rows: int
    accounts: tuple[AccountFacts, ...]


MOST_ACCOUNTS = 5
