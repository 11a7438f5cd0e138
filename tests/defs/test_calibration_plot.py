"""The plot of observed bads relative to expected ones: valid SVG, limits, and a part beyond them in red."""

from xml.etree import ElementTree

from risk_assets.defs.calibration_plot import ALLOWED, MOST, calibration, svg
from risk_assets.defs.shift_plot import BEYOND, LABEL, WITHIN
from risk_assets.domain.monitoring.performance_report import Part

WITHIN_LIMITS = Part("A & B", 100, 100, 10.0, 12, (6.0, 20.0), 0.5, 2.0)
ABOVE = Part("C", 100, 100, 10.0, 900, (850.0, 950.0), 0.5, 2.0)
UNLIMITED = Part("D", 100, 100, 10.0, 0, (0.0, 3.0))


def test_parts_have_their_names_figures_and_colors() -> None:
    drawn = svg([WITHIN_LIMITS, ABOVE, UNLIMITED])
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"A & B", "12, 10.0", "C", "D"} <= set(texts)
    assert drawn.count(ALLOWED) == 2
    assert BEYOND in drawn and WITHIN in drawn
    assert BEYOND not in svg([WITHIN_LIMITS, UNLIMITED])


def test_ratios_beyond_the_scale_are_at_its_end() -> None:
    circles = ElementTree.fromstring(svg([ABOVE, UNLIMITED])).iter("{http://www.w3.org/2000/svg}circle")
    right, left = (float(circle.attrib["cx"]) for circle in circles)
    assert left == LABEL < right
    assert UNLIMITED.ratio < 1 / MOST and ABOVE.ratio > MOST


def test_the_plot_is_an_image_in_markdown() -> None:
    assert calibration([WITHIN_LIMITS]).startswith("![observed relative to expected bads](data:image/svg+xml;base64,")
