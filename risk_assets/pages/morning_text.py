"""The first sections of a morning report as plain text for e-mail: counts, without ids of accounts."""

from textwrap import wrap

from risk_assets.domain.morning.facts import WORSE_POINTS, Changes, Figure, Figures, MorningReport, WorkList
from risk_assets.pages.formats import long_date, number, one_line, short_date, signed
from risk_assets.pages.words import FIGURES, STATES, change, figure_value, no_causes, not_listed, since, usual

COLUMNS = 72
NAME, VALUE, CHANGE = 19, 12, 14


def render_text(report: MorningReport) -> str:
    """Return verdict, key figures and changes in lines of at most 72 characters, ending with a line end."""
    lines = [*_verdict(report), *_figures(report), *_changes(report)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict(report: MorningReport) -> list[str]:
    states = ", ".join(STATES[state] for state in report.verdict.states)
    title = f"MORNING REPORT, {long_date(report.date)}"
    return [
        title,
        "=" * len(title),
        "",
        *_wrapped(states.upper()),
        "",
        *_wrapped(report.verdict.sentence),
        *_details(report),
        *_shown(report),
    ]


def _details(report: MorningReport) -> list[str]:
    return [line for detail in report.verdict.details for line in ["", *_wrapped(f"- {detail}")]]


def _shown(report: MorningReport) -> list[str]:
    if report.shown_date is None:
        return ["", *_wrapped("No date up to this one has been scored.")]
    if report.shown_date != report.date:
        return ["", *_wrapped(f"Figures and changes are those of {long_date(report.shown_date)}, the newest date with scores.")]
    return []


def _figures(report: MorningReport) -> list[str]:
    figures = report.figures
    if figures is None:
        return []
    shown = [figure for figure in figures.shown if figure.value is not None]
    rows = [line for figure in shown for line in _figure(figure)]
    return ["", *_heading("KEY FIGURES"), *_header(figures), *rows]


def _header(figures: Figures) -> list[str]:
    before = [f"since {short_date(date)}" if date else "" for date in (figures.previous, figures.week_before)]
    return [f"{'':{NAME}}{'':>{VALUE}}{before[0]:>{CHANGE}}{before[1]:>{CHANGE}}"]


def _figure(figure: Figure) -> list[str]:
    changes = ["" if each is None else change(figure.name, each) for each in (figure.change, figure.week_change)]
    line = f"{FIGURES[figure.name]:{NAME}}{figure_value(figure):>{VALUE}}{changes[0]:>{CHANGE}}{changes[1]:>{CHANGE}}"
    mark = f"{(figure.position or '').upper()} its usual range: " if figure.unusual else ""
    return [line, f"    {mark}{usual(figure)}"]


def _changes(report: MorningReport) -> list[str]:
    changes = report.changes
    if report.shown_date is None:
        return []
    if changes is None:
        return ["", *_heading("CHANGES"), "There is no earlier scored date to compare with.", *_listed(report.work_list, compared=False)]
    heading = _heading(f"CHANGES SINCE {since(changes.since, report.shown_date).upper()}")
    return [
        "",
        *heading,
        *_counts(changes, since(changes.since, report.shown_date)),
        *_causes(report, changes),
        *_listed(report.work_list, compared=True),
    ]


def _counts(changes: Changes, day: str) -> list[str]:
    counts = {
        "new on the list": changes.new_on_list,
        "newly flagged": changes.newly_flagged,
        "no longer flagged": changes.no_longer_flagged,
        f"worse by {WORSE_POINTS} points or more": changes.worse,
        f"in the file, not on {day}": changes.new_accounts,
        f"in the file on {day}, not any more": changes.gone,
        "no longer on the list": changes.off_list,
        "scored again: their data returned": changes.returned,
    }
    return [f"{number(found.count):>12}  {title}" for title, found in counts.items()]


def _causes(report: MorningReport, changes: Changes) -> list[str]:
    causes = changes.causes
    if causes is None:
        return ["", *_wrapped(no_causes(report))]
    parts = {
        "by the accounts' own data": causes.features,
        "by another model": causes.model,
        "by another policy": causes.policy,
        f"that were not in the file of {short_date(changes.since)}": changes.flagged_new,
        "whose data returned": changes.flagged_returned,
        "no longer scored": causes.left,
    }
    listed = ", ".join(f"{signed(count)} {name}" for name, count in parts.items() if count) or "no change"
    return ["", *_wrapped(f"Flagged: {number(causes.before)} before, {number(causes.now)} now. By cause: {listed}.")]


def _listed(work: WorkList, compared: bool) -> list[str]:
    listed = not_listed(work) if work.flagged_not_listed else "all listed"
    new = f" {number(len(work.new_and_worse))} of {number(len(work.items))} listed accounts are new or worse." if compared else ""
    return ["", *_wrapped(f"Work list: {number(work.flagged)} flagged, {listed}.{new}")]


def _heading(text: str) -> list[str]:
    return [text, "-" * len(text)]


def _wrapped(text: str) -> list[str]:
    return wrap(one_line(text), COLUMNS, break_on_hyphens=False)
