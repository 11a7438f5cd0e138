"""The content of a morning report: what happened in the night, and everything that its page shows.

Instants are in the team's time zone, ISO 8601 to the minute, such as `2026-01-29T02:01+01:00`. Imports no table library, so that pages
and services can use it. Fields with their default values are not stored: a later release that adds one reads the reports of this one, whose
seals stay valid.
"""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

Interval: TypeAlias = tuple[float, float]

State: TypeAlias = Literal[
    "on time",
    "late",
    "backfilled",
    "no file",
    "waiting",
    "not expected",
    "failed",
    "blocked",
    "damaged",
    "warning",
    "stale",
    "model changed",
    "policy changed",
    "unusual",
    "drift",
    "open alerts",
]
Severity: TypeAlias = Literal["good", "attention", "bad"]
FigureName: TypeAlias = Literal["received", "scored", "flagged", "flagged exposure", "mean probability", "expected bads"]
Category: TypeAlias = Literal["new on the list", "newly flagged", "worse", "new account"]
Incident: TypeAlias = Literal["failed", "blocked", "late", "no file"]


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened in the night.

    Attributes
    ----------
    state
        The state that decides the severity: the first of `states`.
    states
        All states that apply, the most severe one first.

        - `on time`: scored before the deadline. `late`: scored after it. `backfilled`: scored days after it.
        - `no file`: no accounts arrived by the deadline. `waiting`: none yet, and the deadline has not passed. `not expected`: the date
          is not a business day.
        - `failed`: accounts arrived, and the run failed or did not start. `blocked`: a blocking check stopped it. `damaged`: the
          predictions cannot be read.
        - `warning`: scored, and a check warned or was released. `stale`: other accounts landed after it was scored.
        - `model changed`, `policy changed`: other ones than on the previous scored date.
        - `unusual`: a figure is outside its usual range. `drift`: the score or a feature is beyond a drift limit.
        - `open alerts`: alerts are not resolved, whether the date was scored or not.
    severity
        good, attention (scored, and somebody should look at something) or bad (the date has no usable scores).
    sentence
        One sentence or a few short ones, without ids of accounts.
    details
        The messages of the date's runs and checks, as the run log has them.
    """

    state: State
    states: tuple[State, ...]
    severity: Severity
    sentence: str
    details: tuple[str, ...] = ()


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """The usual range of a figure, and the number of earlier dates from which it was computed."""

    low: float
    high: float
    dates: int


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key figure of the shown date; what is not known is None.

    Attributes
    ----------
    value
        Accounts for `received`, `scored` and `flagged`; the unit of the exposure column for `flagged exposure`; between 0 and 1 for `mean
        probability`; accounts for `expected bads`.
    previous, week_before
        The figure on the previous scored date, and on the same weekday a week before.
    normal
        The usual range; None if too few earlier dates have the figure.
    """

    name: FigureName
    value: float | None
    previous: float | None = None
    week_before: float | None = None
    normal: Range | None = None

    @property
    def change(self) -> float | None:
        """The change since the previous scored date."""
        return None if self.value is None or self.previous is None else self.value - self.previous

    @property
    def week_change(self) -> float | None:
        """The change since the same weekday a week before."""
        return None if self.value is None or self.week_before is None else self.value - self.week_before

    @property
    def position(self) -> Literal["below", "within", "above"] | None:
        """Where the figure is, compared with its usual range."""
        if self.value is None or self.normal is None:
            return None
        if self.value < self.normal.low:
            return "below"
        return "above" if self.value > self.normal.high else "within"

    @property
    def unusual(self) -> bool:
        """Whether the figure is outside its usual range."""
        return self.position in ("below", "above")


class Figures(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key figures, in the order in which they are shown.

    Attributes
    ----------
    previous, week_before
        The dates of the comparisons: the previous scored date, and the same weekday a week before; None if it was not scored.
    exposure
        The column of the exposure; None if the contract names none.
    """

    shown: tuple[Figure, ...]
    previous: str | None = None
    week_before: str | None = None
    exposure: str | None = None

    def named(self, name: FigureName) -> Figure:
        """Return a figure by its name."""
        return next(figure for figure in self.shown if figure.name == name)


class ListedAccount(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account in a list of changes. Values before are those of the previous scored date; what does not apply is None."""

    account: str
    exposure: float | None = None
    probability: float | None = None
    points: int | None = None
    band: str | None = None
    probability_before: float | None = None
    points_before: int | None = None
    band_before: str | None = None


class AccountList(msgspec.Struct, frozen=True, omit_defaults=True):
    """The number of accounts, and the riskiest of them, riskiest first; not more than the policy's review size."""

    count: int
    accounts: tuple[ListedAccount, ...] = ()

    @property
    def not_listed(self) -> int:
        """The accounts that are counted and not listed."""
        return self.count - len(self.accounts)


class Causes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the number of flagged accounts changed; the parts add up to `now - before`.

    Attributes
    ----------
    joined, left
        Flagged accounts that were scored on the later date only, and minus those that were scored on the earlier one only.
    model, policy, features
        The change by another model, by another policy, and by the features of the accounts.
    """

    before: int
    now: int
    features: int
    model: int
    policy: int
    joined: int
    left: int


class Changes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What changed since the previous scored date. Points of the two dates are as they were stored, each by its own model.

    Attributes
    ----------
    since
        The previous scored date.
    new_on_list, off_list
        Accounts on the review list of one of the two dates only.
    newly_flagged, no_longer_flagged
        Accounts that are scored on both dates and flagged on one of them only.
    worse
        Accounts that are scored on both dates and lost at least `WORSE_POINTS` points.
    new_accounts, gone
        Accounts in the file of one of the two dates only.
    returned
        Accounts that are scored, and that the earlier file had without a score: their data returned, or they became eligible.
    flagged_new, flagged_returned
        Those of `new_accounts` and of `returned` that are flagged; together they are `causes.joined`.
    causes
        Why the number of flagged accounts changed; None if it is not known.
    """

    since: str
    new_on_list: AccountList
    off_list: AccountList
    newly_flagged: AccountList
    no_longer_flagged: AccountList
    worse: AccountList
    new_accounts: AccountList
    gone: AccountList
    returned: AccountList
    flagged_new: int
    flagged_returned: int
    causes: Causes | None = None


class FeatureChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature of an account that changed since its last snapshot; None for a missing value. Negative points mean higher risk."""

    feature: str
    label: str
    before: float | str | None
    now: float | str | None
    points: int


class WorkItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account of the work list.

    Attributes
    ----------
    rank
        1 for the riskiest.
    flagged
        Whether the account is predicted bad.
    last_snapshot
        The date with which `before` values and changes are compared; None for an account without an earlier snapshot.
    points_before, band_before
        By the model and the policy of the shown date, so that a change comes from the account alone.
    days_listed
        The consecutive scored dates on which the account has been listed, at least 1.
    categories
        Why somebody should look at the account today; empty if nothing is new.
    changes
        The features that changed the points most.
    reasons
        Why the account is predicted bad, the strongest reason first.
    """

    rank: int
    account: str
    exposure: float | None
    probability: float
    points: int
    band: str
    flagged: bool
    last_snapshot: str | None
    points_before: int | None
    band_before: str | None
    days_listed: int
    categories: tuple[Category, ...]
    changes: tuple[FeatureChange, ...]
    reasons: tuple[str, ...]

    @property
    def points_change(self) -> int | None:
        """The points minus those before; negative if the account has become riskier."""
        return None if self.points_before is None else self.points - self.points_before


class WorkList(msgspec.Struct, frozen=True, omit_defaults=True):
    """The riskiest accounts of the shown date, riskiest first; `flagged` counts all flagged accounts, listed or not."""

    items: tuple[WorkItem, ...] = ()
    flagged: int = 0

    @property
    def flagged_not_listed(self) -> int:
        """The flagged accounts that are not listed."""
        return self.flagged - sum(item.flagged for item in self.items)

    @property
    def new_and_worse(self) -> tuple[WorkItem, ...]:
        """The accounts about which something is new."""
        return tuple(item for item in self.items if item.categories)


class ColumnIssues(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows with an issue of a column, by rule; and their median on the earlier dates, None if there are too few.

    The column `line` stands for lines that cannot be read with certainty.
    """

    column: str
    rows: int
    rules: dict[str, int]
    median: float | None = None


class MovedFeature(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature compared with training. Positive points are safer; `beyond` names the statistics beyond their limits."""

    feature: str
    label: str
    points: float | None
    psi: float
    psi_limit: float
    beyond: tuple[str, ...] = ()


class DataFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of the date.

    Attributes
    ----------
    deadline
        The instant by which the file must have arrived.
    arrived_at
        The instant at which the landed file was last written; None if it is not known.
    stored_at
        The instant at which it was stored in the lake; None if it is not there.
    rows, normal_rows
        The rows of the file, and their usual range.
    with_issues, not_eligible
        Rows that cannot be scored: with issues, and by population rules, with the rows of each rule's reason; None if they were not
        checked.
    not_checked
        Why the rows were not checked; None if they were, or it is not known.
    issues
        The issues by column, the most rows first.
    moved
        The features that moved the mean score most, the largest shift first; empty without a drift report.
    moved_on
        The date of the drift report; None without one.
    score_beyond
        The statistics of the model's score that are beyond their limits.
    """

    deadline: str
    arrived_at: str | None = None
    stored_at: str | None = None
    rows: int | None = None
    normal_rows: Range | None = None
    with_issues: int | None = None
    not_eligible: int | None = None
    not_eligible_reasons: dict[str, int] = {}
    issues: tuple[ColumnIssues, ...] = ()
    moved: tuple[MovedFeature, ...] = ()
    moved_on: str | None = None
    not_checked: str | None = None
    score_beyond: tuple[str, ...] = ()

    @property
    def in_time(self) -> bool | None:
        """Whether the file arrived by the deadline; None if it did not arrive."""
        at = self.arrived_at or self.stored_at
        return None if at is None else datetime.fromisoformat(at) <= datetime.fromisoformat(self.deadline)


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Expected and observed bads of a group of accounts, with the 95 % interval of the observed ones.

    `lowest` and `highest` limit observed / expected; None if it is not evaluated.
    """

    name: str
    rows: int
    expected: float
    observed: int
    interval: Interval
    lowest: float | None = None
    highest: float | None = None
    beyond: bool = False


class Holdout(msgspec.Struct, frozen=True, omit_defaults=True):
    """The AUC of a holdout when the version was trained, with its 95 % interval."""

    name: str
    auc: float
    interval: Interval


class Expectation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version expects of the accounts that it scored on a date, by its own probabilities: no outcome is known.

    Attributes
    ----------
    bads, interval
        The expected bads, and their 95 % interval.
    auc
        The AUC that the probabilities would have if they were exact; None if there is no pair of rows.
    """

    date: str
    version: str
    rows: int
    bads: float
    interval: Interval
    auc: float | None = None


class Measured(msgspec.Struct, frozen=True, omit_defaults=True):
    """The performance of a version on the newest date whose outcomes have matured.

    Attributes
    ----------
    date, as_of
        The scored date, and the date by which its outcomes were known.
    auc, auc_interval, auc_lowest
        None if all outcomes are the same; `auc_lowest` is the limit, None if it is not evaluated.
    overall, bands
        All accounts; and by band, from the safest to the riskiest. Bands with fewer than ten accounts are left out.
    beyond
        The names of the figures beyond their limits.
    used_in_training
        Whether the date trained or held out the version: its figures then are not its performance on new dates.
    """

    date: str
    as_of: str
    version: str
    role: str
    overall: Calibration
    bands: tuple[Calibration, ...]
    holdouts: tuple[Holdout, ...]
    auc: float | None = None
    auc_interval: Interval | None = None
    auc_lowest: float | None = None
    beyond: tuple[str, ...] = ()
    used_in_training: bool = False

    @property
    def is_evaluated(self) -> bool:
        """Whether the figures have limits."""
        return self.overall.lowest is not None


class ChallengerVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the challenger or the shadow is better than the champion, on all dates that both scored and whose outcomes are known.

    Attributes
    ----------
    champion, challenger
        The versions.
    role
        challenger or shadow.
    dates, first, last
        The number of dates, the first and the last one.
    gain, interval
        The AUC of the challenger minus that of the champion, and its interval; the gain is None if it is not known.
    decision_on
        The date on which a decision is expected; None if it is decided, or none is expected.
    """

    champion: str
    challenger: str
    role: str
    result: Literal["better", "worse", "undecided"]
    dates: int
    first: str
    last: str
    gain: float | None
    interval: Interval
    decision_on: str | None = None


class OnlineParity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the batch gives the same answers as the service to a sample of its records of a date (UTC).

    `problems` are lines and files of the prediction log that cannot be compared.
    """

    date: str
    records: int
    differing: int
    problems: int

    @property
    def agrees(self) -> bool:
        """Whether every answer agrees and every line could be read."""
        return not self.differing and not self.problems


class ModelFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The live model.

    Attributes
    ----------
    version, live_since, live_days
        The live version, the instant from which it has been live, and the days since; None if no version is live.
    scored_by
        The version that scored the shown date.
    challenger
        The challenger with its share or "shadow"; None without one.
    measured
        Each model that scored the newest date whose outcomes have matured, the champion first; empty if there are not enough outcomes.
    outcomes_on
        The date on which the first outcomes of a scored date mature, if there are not enough yet; None if it is not known.
    verdict
        The verdict on the challenger or the shadow of that date; None without one.
    parity
        How the answers of the service compare with the batch, from the drift report; None if it has no requests.
    holdouts
        The AUC of the live version on its holdouts when it was trained; empty if no version is live, or it cannot be read.
    measured_notes
        What limits the figures of `measured`, such as that the date trained the version, or that outcomes are missing.
    expected
        What the version that decided on the shown date expects of it; None without a performance report of the date's predictions.
    """

    version: str | None = None
    live_since: str | None = None
    live_days: int | None = None
    scored_by: str | None = None
    challenger: str | None = None
    measured: tuple[Measured, ...] = ()
    outcomes_on: str | None = None
    verdict: ChallengerVerdict | None = None
    parity: OnlineParity | None = None
    holdouts: tuple[Holdout, ...] = ()
    expected: Expectation | None = None
    measured_notes: tuple[str, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether outcomes are known of a date that the live version scored, and that did not train it."""
        return any(each.version == self.version and not each.used_in_training for each in self.measured)


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A binding: what was decided, by whom and why. `overrides` are gates that were not passed; `changed` are changed documents."""

    at: str
    action: str
    version: str
    actor: str
    reason: str
    challenger: str | None = None
    approved_by: str | None = None
    overrides: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class PendingVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version that was registered after the live one and waits for a promotion.

    The impact on the dates of `impact_dates` is compared with the live version; its figures are None if it was not computed.
    """

    version: str
    trained_for: str
    gates_passed: bool
    not_passed: tuple[str, ...] = ()
    impact_dates: tuple[str, ...] = ()
    flagged: int | None = None
    live_flagged: int | None = None
    newly_flagged: int | None = None
    no_longer_flagged: int | None = None


class OpenAlert(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert that is not resolved: what it is about, since when, what was found, and what to do.

    `is_new` tells whether it was opened on the date of its report.
    """

    kind: str
    subject: str
    since: str
    evidence: str
    next_step: str
    is_new: bool


class Decisions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was decided in the last days, newest first, and what waits for a decision.

    Attributes
    ----------
    released
        The blocking checks that somebody released for the date's run, with person and reason.
    alerts, alerts_on
        The open alerts, new ones first, and the date of their report: that of the date, or the newest earlier one; None if there is none.
    """

    decided: tuple[Decision, ...] = ()
    pending: tuple[PendingVersion, ...] = ()
    released: str | None = None
    alerts: tuple[OpenAlert, ...] = ()
    alerts_on: str | None = None


class Day(msgspec.Struct, frozen=True, omit_defaults=True):
    """One date of the series; a date that was not scored has no figures.

    Attributes
    ----------
    exposure, bands
        The exposure of flagged accounts, and the scored accounts by band, from the safest to the riskiest; None if the date has no report.
    version
        The version that scored it.
    new_version
        The version, if another one scored the date before it: a promotion or a rollback.
    new_policy
        Whether another policy was in force than on the date before it.
    incident
        What went wrong, if the date was not scored by the deadline.
    predictions
        The identity of the predictions; None if the date was not scored.
    """

    date: str
    predictions: str | None = None
    received: int | None = None
    scored: int | None = None
    flagged: int | None = None
    exposure: float | None = None
    mean_probability: float | None = None
    bands: dict[str, int] | None = None
    version: str | None = None
    policy: str | None = None
    new_version: str | None = None
    new_policy: bool = False
    incident: Incident | None = None

    @property
    def expected_bads(self) -> float | None:
        """The sum of the probabilities."""
        return None if self.mean_probability is None or self.scored is None else self.mean_probability * self.scored


class Scores(msgspec.Struct, frozen=True, omit_defaults=True):
    """The distribution of the probability in bins of equal width from 0 to 1.

    `counts` are the accounts in each bin; `usual` is the mean share of each bin on earlier dates, None if there are too few.
    """

    counts: tuple[int, ...]
    usual: tuple[float, ...] | None = None
    dates: int = 0


class MorningReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The morning report of a date.

    Attributes
    ----------
    date
        The date that the report is about.
    made_at, time_zone
        When it was made, and the name of the team's time zone.
    shown_date
        The date whose figures, changes and work list are shown: the date itself, or the newest earlier scored one if it has no usable
        scores; None if no date was ever scored.
    run_id
        The run that scored the shown date.
    series
        The last `SERIES_DAYS` days up to `date`, oldest first.
    notes
        What is missing, and why.
    """

    date: str
    made_at: str
    time_zone: str
    verdict: Verdict
    data: DataFacts
    model: ModelFacts
    decisions: Decisions
    series: tuple[Day, ...]
    shown_date: str | None = None
    run_id: str | None = None
    figures: Figures | None = None
    changes: Changes | None = None
    work_list: WorkList = WorkList()
    scores: Scores | None = None
    notes: tuple[str, ...] = ()


WORSE_POINTS = 10  # of points lost since the previous scored date
SERIES_DAYS = 60
RANGE_DAYS = 28  # days before the shown date from which usual ranges are computed
