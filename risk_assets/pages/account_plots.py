"""The plots of the page of an account, and what they show in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from risk_assets.domain.morning.account_facts import AccountFacts, Contributions, FeaturePoints, PastScore
from risk_assets.domain.wording import counted
from risk_assets.pages import plots
from risk_assets.pages.formats import number, short_date, shortened, signed
from risk_assets.pages.morning_plots import date_labels

MOST_BARS = 12  # features with a bar of their own; the others share one
BASE, TOTAL = "Average account", "This account"


@dataclass(frozen=True)
class AccountPlots:
    """What the page of an account draws and says; None where there is nothing to draw."""

    points: plots.Ranges | None
    about_points: str
    waterfall: plots.Waterfall | None
    about_waterfall: str


def account_plots(facts: AccountFacts) -> AccountPlots:
    """Return the plots of an account."""
    found = facts.contributions
    return AccountPlots(
        points=_points(facts),
        about_points=_about_points(facts.history),
        waterfall=_waterfall(found) if found else None,
        about_waterfall=_about_waterfall(found) if found else "",
    )


def strongest(found: Contributions) -> tuple[FeaturePoints, ...]:
    """Return the features, those with most points in either direction first; ties in the model's order."""
    return tuple(sorted(found.features, key=lambda feature: -abs(feature.points)))


def _points(facts: AccountFacts) -> plots.Ranges | None:
    values = [score.points for score in facts.history]
    if not any(value is not None for value in values):
        return None
    dates = [score.date for score in facts.history]
    areas = [(band.name, band.low, band.high) for band in facts.bands]
    return plots.ranges(dates, values, areas, date_labels(dates))


def _about_points(history: Sequence[PastScore]) -> str:
    known = [(score.date, score.points, score.band) for score in history if score.points is not None]
    if not known:
        return "The account was not scored on any of these dates."
    points = [value for _, value, _ in known]
    (first, start, _), (last, end, band) = known[0], known[-1]
    bands = f", band {shortened(band)}" if band else ""
    return (
        f"{number(start)} points on {short_date(first)}, {number(end)} on {short_date(last)}{bands}; "
        f"between {number(min(points))} and {number(max(points))} on {counted(len(known), 'date')}."
    )


def _bars(found: Contributions) -> list[tuple[str, float]]:
    """Return the names and points of the bars; the features with the fewest points share one."""
    ranked = strongest(found)
    bars = [(feature.label, feature.points) for feature in ranked[:MOST_BARS]]
    rest = ranked[MOST_BARS:]
    return [*bars, (f"{counted(len(rest), 'other feature')}", sum(feature.points for feature in rest))] if rest else bars


def _waterfall(found: Contributions) -> plots.Waterfall:
    return plots.waterfall((BASE, found.base), _bars(found), (TOTAL, found.total))


def _about_waterfall(found: Contributions) -> str:
    parts = "; ".join(f"{shortened(name)} {signed(points)}" for name, points in _bars(found))
    return f"{BASE} {number(found.base)} points; {parts}; {TOTAL.lower()} {number(found.total)} points."
