"""Three-valued verdicts: within the limits, beyond them, or not known."""

import math

import pytest

from risk_assets.domain.governance.verdicts import LEVEL, Criterion, gate, impossible


def criterion(value: float, width: float, low: float = 0.5, high: float = math.inf, bads: int = 50) -> Criterion:
    """Return a figure whose interval has a width that grows as the tail falls, and shrinks with the square root of the data."""

    def interval(tail: float, times: float) -> tuple[float, float]:
        half = width * (1 + math.log10(LEVEL / tail)) / math.sqrt(times)
        return value - half, value + half

    return Criterion(f"figure {value}", value, low, high, interval, bads)


@pytest.mark.parametrize(
    ("value", "width", "status"),
    [(0.7, 0.1, "passed"), (0.6, 0.1, "passed"), (0.59, 0.1, "undecided"), (0.41, 0.1, "undecided"), (0.39, 0.1, "failed")],
)
def test_the_interval_decides(value: float, width: float, status: str) -> None:
    assert criterion(value, width).status(together=1) == status


def test_failing_allows_for_all_criteria_and_passing_does_not() -> None:
    low, high = criterion(0.39, 0.1), criterion(0.6, 0.1)
    assert [low.status(together) for together in (1, 100)] == ["failed", "undecided"]
    assert [high.status(together) for together in (1, 100)] == ["passed", "passed"]


def test_both_limits_count() -> None:
    assert [criterion(value, 0.1, 0.5, 1.0).status(1) for value in (0.3, 0.55, 0.75, 0.95, 1.2)] == [
        "failed",
        "undecided",
        "passed",
        "undecided",
        "failed",
    ]


@pytest.mark.parametrize("value", [0.553, 0.4683])
def test_more_bads_are_enough_and_one_less_is_not(value: float) -> None:
    found = criterion(value, 0.1)
    more = found.more_bads(together=1)
    assert more is not None
    assert found.status(1, 1 + more / 50) != "undecided"
    assert found.status(1, 1 + (more - 1) / 50) == "undecided"


def test_a_figure_at_its_limit_is_never_decided() -> None:
    assert criterion(0.5, 0.1).more_bads(1) is None
    assert criterion(0.55, 0.1, bads=0).more_bads(1) is None


def test_a_gate_shows_its_worst_figure() -> None:
    figures = criterion(0.9, 0.1), criterion(0.55, 0.1), criterion(0.52, 0.1)
    found = gate("stability", figures, 3, "; here")
    assert (found.status, found.value, found.limit) == ("undecided", 0.52, 0.5)
    assert found.interval == pytest.approx((0.42, 0.62))
    assert found.evidence == "figure 0.52, 90 % interval 0.4200 to 0.6200, at least 0.5; here"
    assert found.more_bads == figures[2].more_bads(3)
    failed = gate("stability", (*figures, criterion(0.1, 0.1)), 4, "")
    assert (failed.status, failed.value, failed.more_bads) == ("failed", 0.1, None)
    assert gate("stability", figures[:1], 1, "").status == "passed"


def test_a_limit_on_both_sides_is_shown() -> None:
    found = gate("calibration", (criterion(1.1, 0.3, 0.8, 1.3),), 1, "")
    assert (found.limit, found.status) == (1.3, "undecided")
    assert found.evidence.endswith("allowed 0.8 to 1.3")


def test_a_gate_without_a_figure_is_undecided() -> None:
    found = impossible("not_worse_than_live", "model_v001 cannot be compared")
    assert (found.status, found.value, found.interval, found.more_bads) == ("undecided", None, None, None)
