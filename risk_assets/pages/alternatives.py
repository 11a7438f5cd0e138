"""What the plots show, in words, for readers who do not see them."""

from risk_assets.domain.morning.facts import Day, MorningReport
from risk_assets.pages.formats import number, percent, short_date, shortened, signed
from risk_assets.pages.morning_plots import Event, MorningPlots


def about_flagged(report: MorningReport, plots: MorningPlots) -> str:
    """Return the range of the flagged accounts, the newest number, and what is marked."""
    known = [(day.date, day.flagged) for day in report.series if day.flagged is not None]
    counts = [flagged for _, flagged in known]
    newest, count = known[-1]
    span = f"From {short_date(known[0][0])} to {short_date(newest)}"
    found = f"between {number(min(counts))} and {number(max(counts))} accounts were flagged"
    return f"{span} {found}; {number(count)} on {short_date(newest)}. {_marked(plots.events)}"


def about_bands(report: MorningReport, plots: MorningPlots) -> str:
    """Return the share of each band on the first and on the newest date."""
    known = [day for day in report.series if day.bands]
    dates = (known[0], known[-1]) if len(known) > 1 else (known[-1],)
    return " ".join(f"On {short_date(day.date)}: {_shares(day, plots.band_names)}." for day in dates)


def about_scores(report: MorningReport) -> str:
    """Return the largest difference from the usual distribution."""
    scores = report.scores
    if scores is None or scores.usual is None:
        return "The usual distribution is not known yet."
    total, bins = sum(scores.counts) or 1, len(scores.counts)
    differences = [count / total - usual for count, usual in zip(scores.counts, scores.usual, strict=True)]
    at = max(range(bins), key=lambda each: abs(differences[each]))
    between = f"between {percent(at / bins, 0)} and {percent((at + 1) / bins, 0)}"
    return (
        f"The largest difference is {between}: {percent(scores.counts[at] / total)} of the accounts, usually {percent(scores.usual[at])}."
    )


def about_calibration(report: MorningReport) -> str:
    """Return the expected and the observed rate of each band."""
    bands = [each for each in report.model.measured[0].bands if each.rows]
    texts = [
        f"{shortened(each.name)} {percent(each.expected / each.rows)} expected, {percent(each.observed / each.rows)} observed"
        for each in bands
    ]
    return "; ".join(texts) + "."


def about_shifts(plots: MorningPlots) -> str:
    """Return the points of each feature."""
    return "; ".join(f"{shortened(each.label)} {signed(each.points or 0.0, 1)}" for each in plots.shifted) + " points."


def _marked(events: tuple[Event, ...]) -> str:
    texts = [f"{short_date(event.date)}: {event.text}" for event in events]
    return f"Marked: {'; '.join(texts)}." if texts else "Nothing is marked."


def _shares(day: Day, names: tuple[str, ...]) -> str:
    bands = day.bands or {}
    total = sum(bands.values()) or 1
    return ", ".join(f"{shortened(name)} {percent(bands.get(name, 0) / total, 0)}" for name in names)
