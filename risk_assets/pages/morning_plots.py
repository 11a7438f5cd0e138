"""The plots of a morning report."""

from collections.abc import Sequence
from dataclasses import dataclass

from risk_assets.domain.morning.facts import Calibration as BandFacts
from risk_assets.domain.morning.facts import Day, MorningReport, MovedFeature, Range, Scores
from risk_assets.pages import plots
from risk_assets.pages.formats import percent, short_date, shortened
from risk_assets.pages.scales import ticks
from risk_assets.pages.words import INCIDENTS

DATE_LABELS = 4
MOST_FEATURES = 8
VISIBLE_SHARE = 0.0005  # a smaller usual share is not visible


@dataclass(frozen=True)
class Event:
    """A date with a promotion, another policy or an incident: its number in the plot, and what happened."""

    number: int
    date: str
    text: str
    incident: bool


@dataclass(frozen=True)
class MorningPlots:
    """What the page draws; None where there is nothing to draw."""

    events: tuple[Event, ...]
    flagged: plots.History | None
    bands: plots.Stack | None
    band_names: tuple[str, ...]
    scores: plots.Distribution | None
    calibration: plots.Calibration | None
    shifts: plots.Shifts | None
    shifted: tuple[MovedFeature, ...]


def morning_plots(report: MorningReport) -> MorningPlots:
    """Return the plots of a report."""
    marked = events(report.series)
    names = band_names(report.series)
    shifted = tuple(each for each in report.data.moved if each.points is not None)[:MOST_FEATURES]
    return MorningPlots(
        events=marked,
        flagged=_flagged(report, marked),
        bands=_bands(report.series, names),
        band_names=names,
        scores=None if report.scores is None else _scores(report.scores),
        calibration=_calibration(report.model.measured[0].bands) if report.model.measured else None,
        shifts=_shifts(shifted),
        shifted=shifted,
    )


def events(series: Sequence[Day]) -> tuple[Event, ...]:
    """Return what happened on the dates of a series, numbered from 1."""
    found = [(day.date, *text) for day in series if (text := _event(day)) is not None]
    return tuple(Event(at, date, text, incident) for at, (date, text, incident) in enumerate(found, start=1))


def band_names(series: Sequence[Day]) -> tuple[str, ...]:
    """Return the bands of the newest date that has them, from the safest to the riskiest."""
    return next((tuple(day.bands) for day in reversed(series) if day.bands), ())


def _event(day: Day) -> tuple[str, bool] | None:
    changed = [f"{shortened(day.new_version)} live"] if day.new_version else []
    policy = ["another policy"] if day.new_policy else []
    incident = [INCIDENTS[day.incident]] if day.incident else []
    texts = [*changed, *policy, *incident]
    return (", ".join(texts), bool(incident)) if texts else None


def _flagged(report: MorningReport, marked: Sequence[Event]) -> plots.History | None:
    values = [day.flagged for day in report.series]
    if not any(value is not None for value in values):
        return None
    normal = None if report.figures is None else report.figures.named("flagged").normal
    dates = [day.date for day in report.series]
    return plots.history(dates, values, _ends(normal), {each.date: (each.number, each.incident) for each in marked}, date_labels(dates))


def _ends(normal: Range | None) -> tuple[float, float] | None:
    return None if normal is None else (normal.low, normal.high)


def _bands(series: Sequence[Day], names: Sequence[str]) -> plots.Stack | None:
    if not names:
        return None
    dates = [day.date for day in series]
    counts = [[day.bands.get(name, 0) for name in names] if day.bands else None for day in series]
    return plots.stack(dates, names, counts, date_labels(dates))


def date_labels(dates: Sequence[str]) -> dict[str, str]:
    """Return the texts of the first and the last date, and of some between them at equal distances."""
    last = len(dates) - 1
    parts = min(DATE_LABELS, max(last, 1))
    return {dates[round(at * last / parts)]: short_date(dates[round(at * last / parts)]) for at in range(parts + 1)}


def _scores(scores: Scores) -> plots.Distribution:
    """Return the histogram up to the last bin with accounts."""
    filled = [bool(count) or usual >= VISIBLE_SHARE for count, usual in zip(scores.counts, _usual(scores), strict=True)]
    used = max((at for at, each in enumerate(filled, start=1) if each), default=len(filled))
    width = 1 / len(scores.counts)
    edges = [at * width for at in range(used + 1)]
    shown = {at: percent(at, 0) for at in ticks(0.0, edges[-1], 6) if at <= edges[-1] + 1e-9}
    return plots.distribution(edges, scores.counts[:used], None if scores.usual is None else scores.usual[:used], shown)


def _usual(scores: Scores) -> Sequence[float]:
    return scores.usual or [0.0] * len(scores.counts)


def _calibration(bands: Sequence[BandFacts]) -> plots.Calibration | None:
    found = [
        (
            each.name,
            each.expected / each.rows,
            each.observed / each.rows,
            (each.interval[0] / each.rows, each.interval[1] / each.rows),
            each.beyond,
        )
        for each in bands
        if each.rows
    ]
    return plots.calibration(found) if found else None


def _shifts(features: Sequence[MovedFeature]) -> plots.Shifts | None:
    found = [(each.label, each.points, bool(each.beyond)) for each in features if each.points is not None]
    return plots.shifts(found) if found else None
