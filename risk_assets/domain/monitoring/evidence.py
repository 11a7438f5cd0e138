"""Texts and tables of a drift report, the same in the UI and on the command line."""

from collections.abc import Sequence

from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.report import POINTS, PSI, SCORE, UNSEEN, Drift, DriftReport, Exceeded, Parity, Statistic
from risk_assets.domain.wording import counted

DESCRIBED = 3  # statistics in a description
HEADER = ("feature", "points (limit)", "PSI (limit)", "missing", "unseen levels", "out of range", "beyond its limit")
ONLINE_HEADER = (
    "feature (batch / requests)",
    "points (limit of requests)",
    "PSI (limit of requests)",
    *HEADER[3:-1],
    "requests beyond their limit",
)


def summary(report: DriftReport) -> str:
    """Return the result of a date in one sentence, with the evidence."""
    return f"{_compared(report, counted(report.rows, 'row'))}: {_shifts(report.score, report.features, report.exceeded)}"


def online_summary(report: DriftReport) -> str:
    """Return how far the requests of a date are from training, in one sentence with the evidence."""
    online = report.online
    if online is None:
        return f"no requests on {report.date}"
    if online.score is None:
        return "; ".join((f"no record of a request on {report.date} was scored by {report.version}", *online.notes))
    compared = _compared(report, f"{counted(online.rows, 'record')} of requests")
    return "; ".join((f"{compared}: {_shifts(online.score, online.features, online.exceeded)}", *online.notes))


def parity_text(parity: Parity) -> str:
    """Return whether the batch answers requests alike, with the first differences."""
    found = differing_text(parity)
    if not parity.differing:
        found = f"the batch gives the same answers to {counted(parity.records, 'record')} of requests"
    unchecked = f"; {parity.unchecked} not checked, because the log does not have their values" if parity.unchecked else ""
    problems = f"; {counted(parity.problems, 'problem')} of the log" if parity.problems else ""
    return f"{found}{unchecked}{problems}{''.join(f'; {message}'.rstrip('.') for message in parity.messages)}"


def differing_text(parity: Parity) -> str:
    """Return how many records of requests the batch answers differently."""
    return f"{parity.differing} of {counted(parity.records, 'record')} of requests {_differ(parity.differing)} from the batch"


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


def online_rows(report: DriftReport) -> list[tuple[str, ...]]:
    """Return the cells of the score and of each feature, under `ONLINE_HEADER`; none if no request can be compared."""
    return [_both(batch, online) for batch, online in _pairs(report)]


def online_drifts(report: DriftReport) -> list[Drift]:
    """Return the drift of the requests in the order of `online_rows`."""
    return [online for _, online in _pairs(report)]


def online_table(report: DriftReport, most: int) -> str:
    """Return `online_rows` in Markdown, with the largest shifts of the batch and all features of requests that are beyond a limit."""
    shown = [pair for at, pair in enumerate(_pairs(report)) if at <= most or pair[1].exceeded]
    return markdown_table(ONLINE_HEADER, [_both(*pair) for pair in shown])


def _pairs(report: DriftReport) -> list[tuple[Drift, Drift]]:
    """Return the score and each feature, in the order of the batch, with the same of the requests."""
    online = report.online
    if online is None or online.score is None:
        return []
    by_name = {each.name: each for each in online.features}
    return [(report.score, online.score), *((each, by_name[each.name]) for each in report.features)]


def _both(batch: Drift, online: Drift) -> tuple[str, ...]:
    (name, *figures, beyond), (_, *others, _) = _row(online), _row(batch)
    return (
        name,
        *(f"{_without_limit(other)} / {figure}" if figure else "" for figure, other in zip(figures, others, strict=True)),
        beyond,
    )


def _without_limit(figure: str) -> str:
    return figure.partition(" (")[0]


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


def _compared(report: DriftReport, what: str) -> str:
    return f"{what} compared with {counted(report.training_rows, 'training row')} of {report.version}"


def _differ(number: int) -> str:
    return "differs" if number == 1 else "differ"


def _shifts(score: Drift, features: Sequence[Drift], exceeded: Exceeded) -> str:
    """Return what is beyond its limit, and the shift of the mean score."""
    found = "; ".join(statistic_text(*each) for each in exceeded[:DESCRIBED])
    more = f"; and {len(exceeded) - DESCRIBED} more" if len(exceeded) > DESCRIBED else ""
    if not exceeded:
        found = f"nothing is beyond its limit; {statistic_text(score.name, PSI, score.psi)}"
    return f"{found}{more}. Mean score {score.points or 0.0:+z.1f} points{_main_shift(features)}"


def _main_shift(features: Sequence[Drift]) -> str:
    largest = next((each for each in features if each.points), None)
    return f", the largest shift by {largest.name} ({largest.points:+z.1f})" if largest and largest.points is not None else ""
