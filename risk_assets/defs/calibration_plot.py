"""Observed bads relative to expected ones as a small SVG, which costs no import of a plotting library."""

import base64
import math
from collections.abc import Sequence

from risk_assets.defs.shift_plot import BEYOND, INK, LABEL, LONGEST, ROW, TOP, WIDTH, WITHIN, text
from risk_assets.domain.monitoring.performance_report import Part

FIGURES, ALLOWED = 150, "#dddddd"
MOST = 4.0  # ratios from 1 / 4 to 4 are drawn


def calibration(parts: Sequence[Part]) -> str:
    """Return a Markdown image: the ratio of each part with its 95 % interval, and its limits as a grey bar."""
    return f"![observed relative to expected bads](data:image/svg+xml;base64,{base64.b64encode(svg(parts).encode()).decode()})"


def svg(parts: Sequence[Part]) -> str:
    """Return the ratios as SVG with a text alternative, on a logarithmic scale. A part beyond a limit is red."""
    height = TOP + ROW * len(parts) + 8
    drawn = "".join(_drawn(part, TOP + ROW * at) for at, part in enumerate(parts))
    titles = text(_x(1.0), 14, "observed / expected", "middle") + text(WIDTH - FIGURES + 10, 14, "observed, expected", "start")
    axis = f'<line x1="{_x(1.0):.1f}" y1="{TOP - 10}" x2="{_x(1.0):.1f}" y2="{height - 6}" stroke="{INK}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="observed bads relative to expected ones"><rect width="100%" height="100%" fill="#ffffff"/>{drawn}{titles}{axis}</svg>'
    )


def _drawn(part: Part, y: float) -> str:
    color, (low, high) = BEYOND if part.exceeded else WITHIN, part.interval
    name = part.name if len(part.name) <= LONGEST else f"{part.name[: LONGEST - 1]}…"
    allowed = "" if part.lowest is None or part.highest is None else _bar(part.lowest, part.highest, y, 14, ALLOWED)
    interval = _bar(low / part.expected, high / part.expected, y, 2, color)
    dot = f'<circle cx="{_x(part.ratio):.1f}" cy="{y - 4:.1f}" r="3.5" fill="{color}"/>'
    figures = f"{part.observed}, {part.expected:.1f}"
    return allowed + interval + dot + text(LABEL - 6, y, name, "end") + text(WIDTH - FIGURES + 10, y, figures, "start")


def _bar(low: float, high: float, y: float, height: float, color: str) -> str:
    start, end = _x(low), _x(high)
    return f'<rect x="{start:.1f}" y="{y - 4 - height / 2:.1f}" width="{max(end - start, 1):.1f}" height="{height}" fill="{color}"/>'


def _x(ratio: float) -> float:
    """Return the position of a ratio; those beyond the scale are at its end."""
    part = math.log(min(max(ratio, 1 / MOST), MOST)) / math.log(MOST)
    return LABEL + (WIDTH - FIGURES - LABEL) * (1 + part) / 2
