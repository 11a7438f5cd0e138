"""The content of a performance report: the outcomes of a scored date compared with the probabilities of each model that scored it."""

from typing import Literal, TypeAlias

import msgspec

Interval: TypeAlias = tuple[float, float]
Role: TypeAlias = Literal["champion", "challenger", "shadow"]
Result: TypeAlias = Literal["better", "worse", "undecided"]

ALL = "all accounts"
RANKING = "AUC"


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """Accounts with an outcome: all of a model, those of a band, or those with a level of a category.

    Attributes
    ----------
    rows, groups
        The rows, and the accounts or customers.
    expected
        The sum of the probabilities.
    observed, interval
        The bad accounts, and their 95 % interval, in which the rows of a customer count as one draw.
    lowest, highest
        The limits of `ratio`; None for figures that are shown and not evaluated.
    """

    name: str
    rows: int
    groups: int
    expected: float
    observed: int
    interval: Interval
    lowest: float | None = None
    highest: float | None = None

    @property
    def ratio(self) -> float:
        """The observed bads divided by the expected ones."""
        return self.observed / self.expected

    @property
    def exceeded(self) -> bool:
        """Whether the ratio is beyond a limit."""
        return self.lowest is not None and self.highest is not None and not self.lowest <= self.ratio <= self.highest


class Parts(msgspec.Struct, frozen=True):
    """The parts with at least ten accounts or customers, and the number of smaller ones, which are not shown."""

    shown: tuple[Part, ...]
    too_small: int = 0


class Ranking(msgspec.Struct, frozen=True, omit_defaults=True):
    """How well the probabilities separate bad accounts from good ones.

    `lowest` is the limit of the AUC: that of other accounts at training minus the allowed loss; None if it is not evaluated.
    """

    roc_auc: float
    roc_auc_interval: Interval
    gini: float
    ks: float
    lowest: float | None = None

    @property
    def exceeded(self) -> bool:
        """Whether the AUC is below its limit."""
        return self.lowest is not None and self.roc_auc < self.lowest


class OwnEstimate(msgspec.Struct, frozen=True):
    """What the model expects of all rows that it scored, by its probabilities alone: bads with their 95 % interval, and the AUC.

    The AUC is None if there is no pair of rows.
    """

    rows: int
    expected: float
    interval: Interval
    roc_auc: float | None


class AtTraining(msgspec.Struct, frozen=True):
    """The version's figures on a holdout when it was trained."""

    holdout: str
    rows: int
    expected: float
    observed: int
    roc_auc: float
    roc_auc_interval: Interval
    gini: float
    ks: float
    brier: float


class ModelPerformance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model on a date.

    Attributes
    ----------
    role
        champion or challenger: the accounts for which it decided. shadow: the champion's accounts, for which it did not.
    used_in_training
        Whether the date is one of those that trained or held out the version. Its figures then have no limits.
    estimate
        What the model expects, by its own probabilities.
    overall, bands, categories
        Expected and observed bads of all rows with an outcome, by band, and by level of each category. `overall` is None before outcomes
        are known.
    flagged
        The same of accounts that are predicted bad: on the review list, held out, and below the list. None if the policy holds none out.
    ranking, brier
        None before outcomes are known; the ranking also if all outcomes are the same.
    training
        The holdouts of the version.
    """

    version: str
    role: Role
    used_in_training: bool
    estimate: OwnEstimate
    overall: Part | None = None
    ranking: Ranking | None = None
    brier: float | None = None
    bands: Parts = Parts(())
    categories: dict[str, Parts] = {}
    flagged: Parts = Parts(())
    training: tuple[AtTraining, ...] = ()

    @property
    def exceeded(self) -> tuple[str, ...]:
        """The figures beyond their limits: the names of parts, `RANKING` for the AUC."""
        parts = [part for part in (self.overall, *self.bands.shown) if part is not None]
        ranking = [RANKING] if self.ranking and self.ranking.exceeded else []
        return (*(part.name for part in parts if part.exceeded), *ranking)


class Migration(msgspec.Struct, frozen=True):
    """The accounts that were scored on an earlier date and on this one, by band.

    Attributes
    ----------
    since
        The earlier date.
    before, now
        The bands of the two dates, from the safest to the riskiest.
    accounts
        For each earlier band, the accounts in each later one; None for fewer than ten.
    """

    since: str
    before: tuple[str, ...]
    now: tuple[str, ...]
    accounts: tuple[tuple[int | None, ...], ...]


class Cohort(msgspec.Struct, frozen=True):
    """The accounts of a snapshot whose state is known at an age, and those of them that were bad by then."""

    accounts: int
    bad: int


class VintagePoint(msgspec.Struct, frozen=True):
    """A cohort at an age in days, and an earlier cohort at the same age; None if its states are missing."""

    days: int
    now: Cohort
    earlier: Cohort | None


class Vintage(msgspec.Struct, frozen=True):
    """The bads of a date before its performance window ends, by age. They are not part of any other figure.

    `earlier` is the date of the cohort that they are compared with.
    """

    earlier: str | None
    points: tuple[VintagePoint, ...]


class PooledModel(msgspec.Struct, frozen=True):
    """A model on all dates of a challenge whose outcomes are known.

    `bad_groups` are the accounts or customers that went bad, `interval` is the 95 % interval of the observed bads at one look. The AUC is
    None if all outcomes are the same.
    """

    version: str
    rows: int
    bad_groups: int
    expected: float
    observed: int
    interval: Interval
    roc_auc: float | None


class Verdict(msgspec.Struct, frozen=True):
    """Whether a challenger is better than the champion, on all dates that both scored and whose outcomes are known.

    Attributes
    ----------
    role
        challenger: it decides for other accounts than the champion. shadow: both score the same rows.
    dates, first, last
        The number of dates, the first and the last one.
    gain, interval
        The AUC of the challenger minus that of the champion, and its interval, which holds at all looks together. The gain is None if all
        outcomes of a model are the same.
    decision_on
        The date on which a decision is expected if the difference stays the same; None if it is decided, or none is expected.
    """

    role: Role
    result: Result
    dates: int
    first: str
    last: str
    champion: PooledModel
    challenger: PooledModel
    gain: float | None
    interval: Interval
    decision_on: str | None


class PerformanceReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """The performance of a scored date.

    Attributes
    ----------
    matures_on
        The date on which the performance window ends. Before it, the models have estimates only.
    as_of
        The date by which the outcomes were known.
    matured
        Whether the window had ended by then.
    scored, labelled
        The rows that were scored, and those of them with an outcome.
    more_known_on
        The date from which more is known than on `as_of`: more outcomes, or before they mature another age of the vintage; None if the
        lake does not say so.
    models
        Champion, challenger or shadow.
    migration
        The bands of a month before; None if no such date was scored.
    vintage
        The accounts that went bad before the performance window ends; None afterwards, and if outcomes are not derived.
    notes
        What could not be measured, and why.
    verdict
        On the challenger or the shadow that scored the date, over all its matured dates; None if there is none.
    """

    date: str
    matures_on: str
    as_of: str
    matured: bool
    scored: int
    labelled: int
    more_known_on: str | None
    models: tuple[ModelPerformance, ...]
    migration: Migration | None = None
    vintage: Vintage | None = None
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def exceeded(self) -> tuple[tuple[ModelPerformance, str], ...]:
        """The model and the name of each figure beyond a limit."""
        return tuple((model, name) for model in self.models for name in model.exceeded)
