"""The plot of a rehearsal as SVG: flagged accounts, calibration, alerts and promotions by day. Imports matplotlib."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from risk_assets.rehearsal.records import Day
from risk_assets.simulation.scenarios import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (10.0, 6.5)
SHADE, LINE, PROMOTION = "0.9", "#1f77b4", "#2ca02c"
ALERT = "#d62728"
RATIOS = (0.5, 1, 2, 4)  # larger and smaller ones, as of wrong outcomes, are not drawn


def svg(scenario: Scenario, days: Sequence[Day], limit: float) -> bytes:
    """Return three plots by day: flagged accounts, observed relative to expected bads with the policy's limit, and open alerts.

    Incidents are shaded, and promotions are dashed lines.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    flagged, ratio, alerts = figure.subplots(3, sharex=True, height_ratios=(1, 1, 1.4))
    _line(flagged, "flagged", [(day.day, float(len(day.flagged))) for day in days if day.flagged is not None])
    _line(ratio, "observed / expected bads", [(day.day, day.ratio) for day in days if day.ratio is not None])
    for bound in (limit, 1 / limit):
        ratio.axhline(bound, color=ALERT, linewidth=0.8, linestyle=":")
    ratio.set_yscale("log")
    ratio.set_ylim(RATIOS[0], RATIOS[-1])
    ratio.set_yticks(RATIOS, [f"{tick:g}" for tick in RATIOS])
    ratio.minorticks_off()
    _alerts(alerts, days)
    for axes in (flagged, ratio, alerts):
        _marks(axes, scenario, days)
    alerts.set_xlabel("day", fontsize=9)
    alerts.set_xlim(-0.5, days[-1].day + 0.5)
    _names(flagged, scenario)
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _line(axes: "Axes", label: str, points: Sequence[tuple[int, float]]) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), color=LINE, marker=".", markersize=3, linewidth=1)
    axes.set_ylabel(label, fontsize=9)


def _alerts(axes: "Axes", days: Sequence[Day]) -> None:
    """Draw a row for each alert, those of dates under one name, with a mark on each day on which it is open."""
    opened = list(dict.fromkeys(_name(cause) for day in days for cause in day.open))
    for row, name in enumerate(opened):
        at = [day.day for day in days if any(_name(cause) == name for cause in day.open)]
        axes.plot(at, [row] * len(at), linestyle="", marker="s", markersize=3, color=ALERT)
    axes.set_yticks(range(len(opened)), opened, fontsize=7)
    axes.set_ylim(len(opened) - 0.5, -0.5 if opened else -1)
    axes.set_ylabel("open alerts", fontsize=9)


def _name(cause: str) -> str:
    """Return a cause without its date."""
    return cause.rpartition(":")[0] if cause.startswith(("run:", "late:accounts:")) else cause


def _marks(axes: "Axes", scenario: Scenario, days: Sequence[Day]) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    for planned in scenario.planned:
        axes.axvspan(planned.start - 0.5, min(planned.last, days[-1].day) + 0.5, color=SHADE, linewidth=0)
    for day in days:
        if day.did("promote"):
            axes.axvline(day.day, color=PROMOTION, linestyle="--", linewidth=1)


def _names(axes: "Axes", scenario: Scenario) -> None:
    """Write the names of the incidents above a plot."""
    for planned in scenario.planned:
        axes.annotate(
            planned.incident.name,
            (planned.start, 1.02),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            rotation=45,
            ha="left",
            va="bottom",
        )
