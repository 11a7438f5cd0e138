"""Key figures of a date next to those of earlier dates."""

from risk_assets.clock import shift
from risk_assets.domain.morning.facts import Day, Range
from risk_assets.domain.morning.figures import figures, score_distribution

DATE = "2026-01-28"


def day(back: int, flagged: int = 40, exposure: float | None = 1000.0) -> Day:
    return Day(
        shift(DATE, -back),
        predictions="id",
        received=300,
        scored=298,
        flagged=flagged,
        exposure=exposure,
        mean_probability=0.1,
        version="v",
    )


def unscored(back: int) -> Day:
    return Day(shift(DATE, -back), incident="failed")


def test_figures_are_compared_with_the_day_before_and_the_week_before() -> None:
    found = figures(day(0, flagged=47), [day(8), day(7, flagged=50), day(2), day(1, flagged=48)], "balance")
    assert (found.previous, found.week_before, found.exposure) == ("2026-01-27", "2026-01-21", "balance")
    flagged = found.named("flagged")
    assert (flagged.value, flagged.previous, flagged.week_before, flagged.change, flagged.week_change) == (47, 48, 50, -1, -3)
    assert found.named("expected bads").value == 298 * 0.1
    assert [figure.name for figure in found.shown] == [
        "received",
        "scored",
        "flagged",
        "flagged exposure",
        "mean probability",
        "expected bads",
    ]


def test_days_that_were_not_scored_count_for_nothing() -> None:
    found = figures(day(0), [day(3), unscored(2), unscored(1)], None)
    assert (found.previous, found.week_before) == ("2026-01-25", None)
    assert found.named("flagged").week_change is None


def test_the_first_date_has_nothing_to_compare_with() -> None:
    found = figures(day(0), [], None)
    assert all(figure.previous is None and figure.normal is None and not figure.unusual for figure in found.shown)


def test_a_figure_outside_its_range_is_unusual() -> None:
    earlier = [day(back, flagged=40 + back % 3) for back in range(20, 0, -1)]
    found = figures(day(0, flagged=60), earlier, None)
    assert found.named("flagged").position == "above"
    assert found.named("flagged").unusual and not found.named("scored").unusual
    assert figures(day(0, flagged=20), earlier, None).named("flagged").position == "below"


def test_ranges_are_of_the_last_28_days() -> None:
    found = figures(day(0), [*(day(back, flagged=5) for back in range(60, 28, -1)), *(day(back) for back in range(28, 0, -1))], None)
    assert found.named("flagged").normal == Range(39, 41, 28)


def test_dates_without_an_exposure_are_left_out_of_its_range() -> None:
    found = figures(day(0), [*(day(back, exposure=None) for back in range(20, 5, -1)), *(day(back) for back in range(5, 0, -1))], "b")
    assert found.named("flagged exposure").normal is None
    assert found.named("flagged").normal is not None


def test_each_date_counts_the_same_in_the_usual_distribution() -> None:
    found = score_distribution((10, 0), [(1, 3)] * 6 + [(100, 100)] + [(0, 0)])
    assert found.usual is not None
    assert found.usual[0] == (6 * 0.25 + 0.5) / 7
    assert (found.counts, found.dates) == ((10, 0), 7)
    assert score_distribution((10, 0), [(1, 3)] * 5).usual is None
