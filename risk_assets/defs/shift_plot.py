"""The shift of the score by feature as a small SVG, which costs no import of a plotting library."""

import base64
from collections.abc import Sequence
from html import escape

from risk_assets.domain.monitoring.report import Drift

WIDTH, LABEL, PSI_COLUMN, ROW, TOP = 520, 150, 110, 20, 34
LONGEST = 22  # letters of a name
WITHIN, BEYOND, INK = "#1f77b4", "#d62728", "#333333"


def shifts(features: Sequence[Drift]) -> str:
    """Return a Markdown image: the points by which each feature shifted the mean score, and its index with its limit."""
    return f"![shift of the score by feature](data:image/svg+xml;base64,{base64.b64encode(svg(features).encode()).decode()})"


def svg(features: Sequence[Drift]) -> str:
    """Return the bars as SVG with a text alternative. A feature with a figure beyond its limit is red."""
    most = max((abs(each.points or 0.0) for each in features), default=0.0) or 1.0
    height, zero, scale = TOP + ROW * len(features) + 8, (LABEL + WIDTH - PSI_COLUMN) / 2, (WIDTH - PSI_COLUMN - LABEL) / 2 / most * 0.75
    bars = "".join(_bar(each, TOP + ROW * at, zero, scale) for at, each in enumerate(features))
    titles = text(zero, 14, "points, more are safer", "middle") + text(WIDTH - PSI_COLUMN + 6, 14, "PSI (limit)", "start")
    axis = f'<line x1="{zero:.1f}" y1="{TOP - 8}" x2="{zero:.1f}" y2="{height - 6}" stroke="{INK}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="points by which each feature shifted the mean score"><rect width="100%" height="100%" fill="#ffffff"/>'
        f"{titles}{bars}{axis}</svg>"
    )


def _bar(drift: Drift, y: float, zero: float, scale: float) -> str:
    points = drift.points or 0.0
    name = drift.name if len(drift.name) <= LONGEST else f"{drift.name[: LONGEST - 1]}…"
    end, color = zero + points * scale, BEYOND if drift.exceeded else WITHIN
    anchor, at = ("start", end + 4) if points >= 0 else ("end", end - 4)
    index = f"{drift.psi.value:.3f} ({drift.psi.limit:.3f})"
    return (
        f'<rect x="{min(zero, end):.1f}" y="{y - 10:.1f}" width="{abs(end - zero):.1f}" height="12" fill="{color}"/>'
        + text(LABEL - 6, y, name, "end")
        + text(at, y, "" if drift.points is None else f"{points:+z.1f}", anchor)
        + text(WIDTH - PSI_COLUMN + 6, y, index, "start")
    )


def text(x: float, y: float, shown: str, anchor: str) -> str:
    """Return a text as SVG; `anchor` is `start`, `middle` or `end`."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="11" fill="{INK}" text-anchor="{anchor}">{escape(shown)}</text>'
    )
