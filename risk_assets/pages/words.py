"""What the pages call states, figures and changes, and how they show the values of figures."""

from datetime import date as Date
from datetime import datetime

from risk_assets.domain.morning.facts import (
    RANGE_DAYS,
    Category,
    ColumnIssues,
    DataFacts,
    FeatureChange,
    Figure,
    FigureName,
    Holdout,
    Incident,
    Measured,
    ModelFacts,
    MorningReport,
    OpenAlert,
    Range,
    Severity,
    State,
    WorkItem,
    WorkList,
)
from risk_assets.domain.morning.figure_text import MINUS, SMALL_COUNT, count_digits, figure_texts, share_digits, value_text
from risk_assets.domain.morning.ranges import MIN_DATES
from risk_assets.pages.formats import (
    clock,
    date_text,
    number,
    short_date,
    signed,
    signed_amount,
    signed_percentage_points,
)

TONES: dict[Severity, str] = {"good": "good", "attention": "warn", "bad": "bad"}
STATES: dict[State, str] = {
    "on time": "On time",
    "late": "Late",
    "backfilled": "Scored later",
    "no file": "No file",
    "waiting": "Waiting for the file",
    "not expected": "Not expected",
    "failed": "Failed",
    "blocked": "Blocked",
    "damaged": "Damaged",
    "warning": "Warning",
    "stale": "Out of date",
    "model changed": "Model changed",
    "policy changed": "Policy changed",
    "unusual": "Unusual",
    "drift": "Drift",
    "open alerts": "Open alerts",
}
FIGURES: dict[FigureName, str] = {
    "received": "Accounts received",
    "scored": "Accounts scored",
    "flagged": "Accounts flagged",
    "flagged exposure": "Flagged exposure",
    "mean probability": "Mean probability",
    "expected bads": "Expected bads",
}
CATEGORIES: dict[Category, str] = {
    "new on the list": "new on the list",
    "newly flagged": "newly flagged",
    "worse": "worse",
    "new account": "new account",
}
INCIDENTS: dict[Incident, str] = {
    "failed": "the run failed",
    "blocked": "a check stopped the run",
    "late": "scored after the deadline",
    "no file": "no file arrived",
}
LARGEST = 1e15


def value(name: FigureName, shown: float) -> str:
    """Return the value of a figure in its unit."""
    return value_text(name, shown)


def figure_value(figure: Figure) -> str:
    """Return the value of a known figure, with as many digits as its usual range."""
    return figure_texts(figure)[0]


def change(name: FigureName, difference: float) -> str:
    """Return the change of a figure with its sign, in its unit."""
    if name == "mean probability":
        return signed_percentage_points(difference, share_digits(difference))
    if name == "flagged exposure":
        return signed_amount(difference)
    return signed(difference, count_digits(name, difference))


def usual(figure: Figure) -> str:
    """Return the usual range of a known figure: "usually 40 to 52"."""
    usual_range = figure_texts(figure)[1]
    return "usual range not known yet" if usual_range is None else f"usually {usual_range}"


def ranges_from(report: MorningReport) -> str:
    """Return from which dates the usual ranges of the key figures come."""
    if report.figures is None:
        return ""
    dates = max((figure.normal.dates for figure in report.figures.shown if figure.normal), default=0)
    if not dates:
        return f"Usual ranges are known from {MIN_DATES} scored dates in {RANGE_DAYS} days on."
    days = f"the {RANGE_DAYS} days before"
    return f"Usual ranges come from {days}." if dates >= RANGE_DAYS else f"Usual ranges come from {dates} scored dates in {days}."


def usual_rows(normal: Range | None) -> str:
    """Return the usual range of a number of rows."""
    if normal is None:
        return "usual range not known yet"
    low, high = number(normal.low), number(normal.high)
    return f"usually {low}" if low == high else f"usually {low} to {high}"


def rows_unusual(data: DataFacts) -> bool:
    """Return whether the number of rows is outside its usual range."""
    normal = data.normal_rows
    return data.rows is not None and normal is not None and not normal.low <= data.rows <= normal.high


def more_than_usual(issues: ColumnIssues) -> bool:
    """Return whether a column has more than twice as many rows with issues as usual, and at least ten more."""
    return issues.median is not None and issues.rows > 2 * issues.median and issues.rows - issues.median >= SMALL_COUNT


def moment(instant: str, date: str) -> str:
    """Return an instant as readers say it next to a date: "02:01 on 29 Jan"."""
    return f"{clock(instant)} on {since(datetime.fromisoformat(instant).date().isoformat(), date)}"


def day_of(instant: str) -> str:
    """Return the date of an instant, such as "28 Jan 2026"."""
    return date_text(datetime.fromisoformat(instant).date().isoformat())


def since(earlier: str, date: str) -> str:
    """Return an earlier date as readers say it next to a date: "28 Jan", or with the year if that is another one."""
    return short_date(earlier) if Date.fromisoformat(earlier).year == Date.fromisoformat(date).year else date_text(earlier)


def no_causes(report: MorningReport) -> str:
    """Return why the change of the number of flagged accounts is not split by cause, and what to do."""
    assert report.shown_date is not None
    date, command = date_text(report.shown_date), f"risk monitor {report.shown_date}"
    if report.data.moved_on == report.shown_date:
        return f"The drift report of {date} does not have the split by cause. It says why: {command}."
    return f"The split by cause needs the drift report of {date}. Make it: {command}."


def alert_evidence(alert: OpenAlert) -> str:
    """Return what was found, without the subject at its start: the subject comes before it."""
    return alert.evidence.removeprefix(f"{alert.subject}, ").rstrip(".")


def unlisted_changes(item: WorkItem, date: str) -> str:
    """Return what is said of an account with an earlier snapshot of which no changed feature is listed."""
    assert item.last_snapshot is not None
    day = since(item.last_snapshot, date)
    if item.points_change:
        return f"No single feature is known to have changed the points by 1 or more since {day}."
    return f"No feature changed much since {day}."


def feature_value(shown: float | str | None) -> str:
    """Return the value of a feature; a missing one is "missing"."""
    if shown is None:
        return "missing"
    if isinstance(shown, str):
        return shown
    if shown and not 1 <= abs(shown) < LARGEST:
        return f"{shown:.3g}".replace("-", MINUS)
    return number(shown, 0 if shown == int(shown) else 2)


def feature_points(feature: FeatureChange) -> str:
    """Return the points of a change, such as "+3 points"."""
    return f"{signed(feature.points)} {'point' if abs(feature.points) == 1 else 'points'}"


def not_listed(work: WorkList) -> str:
    """Return how many flagged accounts are not listed."""
    missing = work.flagged_not_listed
    return f"{number(missing)} flagged {'account is' if missing == 1 else 'accounts are'} not listed"


def days_listed(item: WorkItem) -> str:
    """Return how long an account has been listed."""
    return "first day on the list" if item.days_listed == 1 else f"listed for {number(item.days_listed)} days"


def role_of(measured: Measured, model: ModelFacts) -> str:
    """Return the role of a version on the measured date: "champion then" if it is not the live one any more."""
    is_the_same = (measured.role == "champion") == (measured.version == model.version)
    return measured.role if is_the_same else f"{measured.role} then"


def holdouts(found: tuple[Holdout, ...]) -> str:
    """Return the AUC of each holdout at training: "0.80 (out of time)"."""
    return ", ".join(f"{each.auc:.2f} ({each.name})" for each in found)


def holdout_intervals(found: tuple[Holdout, ...]) -> str:
    """Return the AUC of each holdout at training with its interval: "0.79 (0.75 to 0.83) on other accounts"."""
    return " and ".join(f"{each.auc:.2f} ({each.interval[0]:.2f} to {each.interval[1]:.2f}) on {each.name}" for each in found)


def auc_text(measured: Measured) -> str:
    """Return the AUC with its interval."""
    if measured.auc is None:
        return "not known: all outcomes are the same"
    between = "" if measured.auc_interval is None else f" ({measured.auc_interval[0]:.2f} to {measured.auc_interval[1]:.2f})"
    return f"{measured.auc:.2f}{between}"
