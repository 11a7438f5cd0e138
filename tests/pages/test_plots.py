"""The geometry of plots."""

import pytest

from risk_assets.domain.morning.facts import Figure, Range
from risk_assets.pages import plots
from risk_assets.pages.plots import BOTTOM, LEFT, RIGHT, TOP
from risk_assets.pages.scales import RootScale, Scale, ticks

DATES = [f"2026-01-{day:02d}" for day in range(1, 8)]


def test_scale_stays_inside_its_ends() -> None:
    scale = Scale(10, 20, 100, 200)
    assert [scale.at(value) for value in (5, 10, 15, 25)] == [100, 100, 150, 200]
    assert Scale(3, 3, 0, 10).at(3) == 5


def test_root_scale_separates_small_shares() -> None:
    scale = RootScale(1.0, 0, 100)
    assert [scale.at(share) for share in (0, 0.01, 0.25, 1)] == [0, 10, 50, 100]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 5, 10]), (199, 224, [190, 200, 210, 220, 230]), (0, 0.37, [0, 0.1, 0.2, 0.3, 0.4]), (3, 3, [3])],
)
def test_ticks_are_round_and_cover_the_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_ticks_of_counts_are_whole() -> None:
    assert ticks(211, 213, smallest=1.0) == [211, 212, 213]


def test_history_has_a_gap_where_a_date_was_not_scored() -> None:
    found = plots.history(DATES, [50, 51, None, 49, None, 52, 53], (48, 54), {DATES[2]: (1, True)}, {DATES[0]: "1 Jan"})
    assert [line.count(",") for line in found.lines] == [2, 2]
    assert len(found.dots) == 1
    assert found.last == (RIGHT - 6, found.last[1] if found.last else 0)
    assert [(mark.number, mark.incident) for mark in found.marks] == [(1, True)]
    assert found.usual is not None
    assert TOP <= found.usual.y <= BOTTOM


def test_stacked_bands_fill_the_height_once() -> None:
    found = plots.stack(DATES[:2], ["A", "B"], [[75, 25], None], {})
    safest, riskiest = found.layers
    assert safest.path.count("M") == riskiest.path.count("M") == 1
    assert f"M{LEFT}.0 {TOP}.0" in safest.path
    assert f"V{BOTTOM}.0" in riskiest.path
    assert (safest.color, riskiest.color) == (0, plots.COLORS - 1)


def test_distribution_draws_shares() -> None:
    found = plots.distribution([0, 0.1, 0.2], [30, 10], [0.5, 0.5], {0.1: "10%"})
    assert (found.bars[0].height / found.bars[1].height) ** 2 == pytest.approx(3, abs=0.1)
    assert found.usual is not None
    assert [tick.text for tick in found.x] == ["10%"]


def test_distribution_without_accounts() -> None:
    assert [bar.height for bar in plots.distribution([0, 1], [0], None, {}).bars] == [0]


def test_calibration_marks_bands_outside_their_limits() -> None:
    found = plots.calibration([("A", 0.01, 0.02, (0.0, 0.04), False), ("B", 0.3, 0.5, (0.4, 0.6), True)])
    assert [band.outside for band in found.bands] == [False, True]
    assert found.bands[1].high == TOP
    assert [tick.text for tick in found.y] == ["0%", "1%", "5%", "10%", "20%", "40%", "60%"]


def test_shifts_point_to_the_riskier_side_on_the_left() -> None:
    riskier, safer = plots.shifts([("a", -4.0, True), ("b", 2.0, False)]).bars
    assert riskier.box.x + riskier.box.width == pytest.approx(safer.box.x)
    assert (riskier.anchor, safer.anchor) == ("end", "start")
    assert riskier.box.width == pytest.approx(2 * safer.box.width)


def test_the_strip_shows_where_a_figure_is() -> None:
    inside, outside = (plots.range_strip(Figure("flagged", value, normal=Range(40, 60, 20))) for value in (50, 200))
    assert inside
    assert outside
    assert inside.low < inside.at < inside.low + inside.width
    assert outside.at > outside.low + outside.width
    assert plots.range_strip(Figure("flagged", 50)) is None


def test_colors_go_from_the_safest_to_the_riskiest() -> None:
    assert [plots.color(at, 6) for at in range(6)] == [0, 1, 2, 4, 5, 6]
    assert plots.color(0, 1) == plots.COLORS - 1
