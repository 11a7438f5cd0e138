"""Scripted incidents: what each one changes, the alerts that it must raise and within which time, and those that it may raise.

An incident changes the economy, the columns of a snapshot or of outcomes, the bytes of a file, the day on which files arrive, or it is a
decision of people. Alerts are named by their cause, as in `monitoring/alerts_{date}.json`; `*` stands for any part of a cause.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, TypeAlias

Columns: TypeAlias = Mapping[str, list[str]]
Decision: TypeAlias = Literal["promote a worse version", "adopt another cut-off"]

WINDOW = 28  # days until outcomes are known
OVERDUE = 7  # days after which outcomes that are not in the lake are overdue
SHOCK = 3.0  # stress of a shock: three standard deviations of an ordinary economy
BLOCKED = "run:daily_scoring:*"


@dataclass(frozen=True)
class Expected:
    """A cause that an incident must raise, as a pattern, at most so many days after its first day."""

    cause: str
    within_days: int = 0


@dataclass(frozen=True)
class Incident:
    """What an incident changes, and what must follow.

    Attributes
    ----------
    name, story
        Its name on the command line, and one sentence that says what happens.
    days
        Its duration.
    raises, may_raise
        The causes that it must raise, and patterns of others that it may raise. All others are false alerts.
    settles_within
        Days after its end within which all of its alerts must be resolved.
    may_stay
        Patterns of other alerts that it may raise and that a later training resolves: they may stay open.
    retrains
        Whether a retraining must follow; None if one may follow.
    stress
        The stress of the economy on a day of the incident, counted from 0.
    accounts, outcomes
        The change of the columns of a snapshot, and of the outcomes that mature.
    content
        The change of the bytes of a snapshot's file.
    accounts_late, outcomes_late
        Days by which the files of the incident's days arrive late.
    corrected_after
        Days after its end on which the files that it changed land again as they should have been; None if they never do.
    decision
        What people do on its first day, and take back on the day after its last one.
    """

    name: str
    story: str
    days: int
    raises: tuple[Expected, ...]
    may_raise: tuple[str, ...] = ()
    settles_within: int = 1
    may_stay: tuple[str, ...] = ()
    retrains: bool | None = False
    stress: Callable[[int], float] | None = None
    accounts: Callable[[Columns], Columns] | None = None
    outcomes: Callable[[Columns], Columns] | None = None
    content: Callable[[bytes], bytes] | None = None
    accounts_late: int = 0
    outcomes_late: int = 0
    corrected_after: int | None = None
    decision: Decision | None = None

    @property
    def lasts(self) -> int:
        """The days from its first one until its alerts must be resolved."""
        return self.days + self.settles_within

    def explains(self, cause: str) -> bool:
        """Return whether a cause is one that the incident must or may raise."""
        return any(fnmatchcase(cause, pattern) for pattern in (*(each.cause for each in self.raises), *self.may_raise))


def in_thousands(columns: Columns) -> Columns:
    """Write the income in thousands."""
    texts = [f"{int(text) / 1000:g}" if text else "" for text in columns["annual_income"]]
    return {**columns, "annual_income": texts}


def blank_score(columns: Columns) -> Columns:
    """Leave the bureau's score empty."""
    return {**columns, "bureau_score": [""] * len(columns["bureau_score"])}


def without_inquiries(columns: Columns) -> Columns:
    """Leave the column of inquiries out."""
    return {name: texts for name, texts in columns.items() if name != "inquiries_6m"}


def many_unknown(columns: Columns) -> Columns:
    """Replace two in five times in the present employment by the code for "not known"."""
    texts = columns["months_employed"]
    return {**columns, "months_employed": ["-9" if at % 5 < 2 else text for at, text in enumerate(texts)]}


def renamed_channel(columns: Columns) -> Columns:
    """Rename the channel `telephone` in every second row."""
    texts = columns["channel"]
    return {**columns, "channel": ["call centre" if text == "telephone" and at % 2 else text for at, text in enumerate(texts)]}


def with_duplicates(columns: Columns) -> Columns:
    """Repeat every fiftieth row."""
    return {name: [text for at, text in enumerate(texts) for _ in range(2 if at % 50 == 0 else 1)] for name, texts in columns.items()}


def first_half(content: bytes) -> bytes:
    """Cut a file in the middle of a line."""
    return content[: len(content) // 2]


def rounded_usage(columns: Columns) -> Columns:
    """Round the utilisation to two places."""
    return {**columns, "utilisation": [f"{float(text):.2f}" for text in columns["utilisation"]]}


def swapped(columns: Columns) -> Columns:
    """Swap good and bad outcomes."""
    return {**columns, "defaulted": ["0" if text == "1" else "1" for text in columns["defaulted"]]}


CALIBRATION, RANKING = "performance:champion:calibration", "performance:champion:ranking"
ARREARS = ("drift:score", "drift:missed_payments_12m", "drift:days_past_due", "drift:months_since_missed")

INCIDENTS: Mapping[str, Incident] = MappingProxyType(
    {
        incident.name: incident
        for incident in (
            Incident(
                "macro-shock",
                "A recession starts: more accounts miss payments, and fewer pay what is overdue.",
                days=90,
                raises=(Expected(CALIBRATION, 28),),
                may_raise=(*ARREARS, RANKING, "flagged:count"),
                may_stay=("check:training/model.*",),
                retrains=True,
                stress=lambda _: SHOCK,
            ),
            Incident(
                "slow-decay",
                "Payments become harder a little every day, for two months.",
                days=90,
                raises=(Expected(CALIBRATION, 75),),
                may_raise=(*ARREARS, RANKING, "flagged:count"),
                may_stay=("check:training/model.*",),
                retrains=True,
                stress=lambda day: SHOCK * min(day / 60, 1.0),
            ),
            Incident(
                "changed-unit",
                "The income is written in thousands for three days.",
                days=3,
                raises=(Expected("drift:annual_income"),),
                may_raise=("drift:score", "flagged:count"),
                accounts=in_thousands,
                corrected_after=0,
            ),
            Incident(
                "blank-column",
                "The bureau's score is empty for a day.",
                days=1,
                raises=(Expected(BLOCKED),),
                accounts=blank_score,
                corrected_after=0,
            ),
            Incident(
                "missing-column",
                "A file lacks the column of inquiries.",
                days=1,
                raises=(Expected(BLOCKED),),
                accounts=without_inquiries,
                corrected_after=0,
            ),
            Incident(
                "missing-code-flood",
                "Two in five times in the present employment have the code for not known.",
                days=1,
                raises=(Expected(BLOCKED),),
                accounts=many_unknown,
                corrected_after=0,
            ),
            Incident(
                "renamed-level",
                "One of two sites writes another name for the channel telephone, for three days.",
                days=3,
                raises=(Expected("drift:channel"),),
                accounts=renamed_channel,
                corrected_after=0,
            ),
            Incident(
                "duplicates",
                "Every fiftieth row of a file is there twice.",
                days=1,
                raises=(Expected("check:curated/features.unique_ids"),),
                accounts=with_duplicates,
                corrected_after=0,
            ),
            Incident(
                "half-file",
                "A file ends in the middle.",
                days=1,
                raises=(Expected("check:raw/accounts.row_count"),),
                may_raise=("flagged:count", "check:raw/accounts.certain_lines", "drift:months_on_book"),
                content=first_half,
                corrected_after=0,
            ),
            Incident(
                "late-file",
                "A file arrives a day late.",
                days=1,
                raises=(Expected("late:accounts:*"),),
                accounts_late=1,
            ),
            Incident(
                "corrected-file",
                "A file with rounded utilisation is replaced on the next day.",
                days=1,
                raises=(),
                accounts=rounded_usage,
                corrected_after=0,
            ),
            Incident(
                "delayed-outcomes",
                "The outcomes of five days arrive twelve days late.",
                days=5,
                raises=(Expected("late:outcomes", OVERDUE + 1),),
                outcomes_late=12,
                settles_within=13,
            ),
            Incident(
                "wrong-outcomes",
                "Good and bad are swapped in the outcomes of a day.",
                days=1,
                raises=(Expected("check:raw/outcomes.bad_rate"), Expected(CALIBRATION), Expected(RANKING)),
                outcomes=swapped,
                corrected_after=0,
            ),
            Incident(
                "worse-model",
                "Somebody promotes a version without the most important features by setting gates aside, and takes it back after a week.",
                days=7,
                raises=(Expected("override:*"),),
                may_raise=("flagged:count", CALIBRATION, RANKING),
                settles_within=WINDOW + 2,
                may_stay=("check:training/model.*",),
                decision="promote a worse version",
            ),
            Incident(
                "changed-cut-off",
                "A policy with half the cut-off is in force for a week.",
                days=7,
                raises=(Expected("flagged:count"),),
                decision="adopt another cut-off",
            ),
        )
    }
)
