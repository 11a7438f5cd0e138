"""Texts and tables of a drift report, the same in the UI and on the command line."""

from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.report import POINTS, PSI, SCORE, UNSEEN, Drift, DriftReport, Statistic
from risk_assets.domain.wording import counted

DESCRIBED = 3  # statistics in a description
HEADER = ("feature", "points (limit)", "PSI (limit)", "missing", "unseen levels", "out of range", "beyond its limit")


def summary(report: DriftReport) -> str:
    """Return the result of a date in one sentence, with the evidence."""
    exceeded = report.exceeded
    compared = f"{counted(report.rows, 'row')} compared with {counted(report.training_rows, 'training row')} of {report.version}"
    found = "; ".join(statistic_text(*each) for each in exceeded[:DESCRIBED])
    more = f"; and {len(exceeded) - DESCRIBED} more" if len(exceeded) > DESCRIBED else ""
    if not exceeded:
        found = f"nothing is beyond its limit; {statistic_text(report.score.name, PSI, report.score.psi)}"
    return f"{compared}: {found}{more}. Mean score {report.score.points or 0.0:+z.1f} points{_main_shift(report)}"


def statistic_text(feature: str, name: str, figure: Statistic) -> str:
    """Return a statistic with its limit in words."""
    if name == PSI:
        return f"{PSI} of {feature} {figure.value:.3f} (limit {figure.limit:.3f})"
    if name == POINTS:
        by = "" if feature == SCORE else f" by {feature}"
        return f"shift of the mean score{by} {figure.value:.1f} points (limit {figure.limit:.1f})"
    return f"{name} of {feature} {figure.value:.1%} (in training {figure.training:.1%}, limit {figure.limit:.1%})"


def flagged_text(change: FlaggedChange) -> str:
    """Return why the number of flagged accounts changed."""
    parts = {
        "by features": change.features,
        "by the model": change.model,
        "by the policy": change.policy,
        "joined": change.joined,
        "left": change.left,
    }
    listed = ", ".join(f"{number:+d} {part}" for part, number in parts.items() if number) or "no change"
    return f"{counted(change.now, 'account')} predicted bad, {change.now - change.before:+d} since {change.since}: {listed}"


def rows(report: DriftReport) -> list[tuple[str, ...]]:
    """Return the cells of the score and of each feature, the largest shift of the score first, under `HEADER`."""
    return [_row(each) for each in (report.score, *report.features)]


def drift_table(report: DriftReport, most: int) -> str:
    """Return the score and the features with the largest shifts in Markdown; all that are beyond a limit are among them."""
    shown = [each for at, each in enumerate(report.features) if at < most or each.exceeded]
    return markdown_table(HEADER, [_row(each) for each in (report.score, *shown)])


def _row(drift: Drift) -> tuple[str, ...]:
    return (
        drift.name,
        "" if drift.points is None else f"{drift.points:+z.1f}" + ("" if drift.max_points is None else f" ({drift.max_points:.1f})"),
        f"{drift.psi.value:.3f} ({drift.psi.limit:.3f})",
        *(_share(figure) for figure in (drift.missing, drift.unseen, drift.out_of_range)),
        "; ".join([*drift.exceeded, *_levels(drift)]),
    )


def _share(figure: Statistic | None) -> str:
    return "" if figure is None else f"{figure.value:.1%}"


def _levels(drift: Drift) -> list[str]:
    if UNSEEN not in drift.exceeded:
        return []
    return [f"{level} in {counted(number, 'row')}" for level, number in drift.new_levels.items()]


def _main_shift(report: DriftReport) -> str:
    largest = next((each for each in report.features if each.points), None)
    return f", the largest shift by {largest.name} ({largest.points:+z.1f})" if largest and largest.points is not None else ""
