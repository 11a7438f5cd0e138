"""The plot of the shifts of the score."""

from xml.etree import ElementTree as ET

import pytest

from risk_assets.defs.shift_plot import BEYOND, WITHIN, svg
from risk_assets.domain.monitoring.report import Drift, Statistic

WITHIN_LIMIT, BEYOND_LIMIT = Statistic(0.1, 0.0, 0.2), Statistic(0.3, 0.0, 0.2)


def test_bars_texts_and_colors() -> None:
    features = [
        Drift("income & debt", BEYOND_LIMIT, points=-4.0, max_points=5.0),
        Drift("x" * 40, WITHIN_LIMIT, points=1.0),
        Drift("unused", WITHIN_LIMIT),
    ]
    root = ET.fromstring(svg(features))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"income & debt", "-4.0", "0.300 (0.200)", "+1.0", "x" * 21 + "…", "unused"} <= set(texts)
    bars = [bar for bar in root.iter("{http://www.w3.org/2000/svg}rect") if bar.get("height") == "12"]
    assert [bar.get("fill") for bar in bars] == [BEYOND, WITHIN, WITHIN]
    assert float(bars[0].get("width") or 0) == pytest.approx(4 * float(bars[1].get("width") or 0), rel=0.01)


def test_no_shift_gives_an_image() -> None:
    ET.fromstring(svg([Drift("x", WITHIN_LIMIT, points=0.0)]))
    ET.fromstring(svg([]))
