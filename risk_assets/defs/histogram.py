"""The score distribution as a small SVG: every scoring run draws one, so it must not cost the import of a plotting library."""

import base64
from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN, TOP = 416, 240, 34, 26
BAR, INK = "#1f77b4", "#333333"
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def histogram(counts: Sequence[int]) -> str:
    """Return a Markdown image of the rows in bins of equal width from probability 0 to 1."""
    return f"![score distribution](data:image/svg+xml;base64,{base64.b64encode(svg(counts).encode()).decode()})"


def svg(counts: Sequence[int]) -> str:
    """Return the histogram as SVG with a text alternative."""
    most, inner, base = max(*counts, 1), WIDTH - 2 * MARGIN, HEIGHT - MARGIN
    step = inner / len(counts)
    bars = "".join(
        f'<rect x="{MARGIN + at * step:.1f}" y="{base - (base - TOP) * count / most:.1f}" '
        f'width="{step * 0.92:.1f}" height="{(base - TOP) * count / most:.1f}" fill="{BAR}"/>'
        for at, count in enumerate(counts)
    )
    ticks = "".join(_text(MARGIN + tick * inner, base + 14, f"{tick:g}") for tick in TICKS)
    labels = _text(WIDTH / 2, 14, "Scores") + _text(WIDTH / 2, HEIGHT - 4, "probability of default") + _text(MARGIN / 2, TOP + 4, str(most))
    axis = f'<line x1="{MARGIN}" y1="{base}" x2="{WIDTH - MARGIN}" y2="{base}" stroke="{INK}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="accounts by probability of default, {sum(counts)} in all"><rect width="100%" height="100%" fill="#ffffff"/>'
        f"{bars}{axis}{ticks}{labels}</svg>"
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="11" fill="{INK}" text-anchor="middle">{text}</text>'
