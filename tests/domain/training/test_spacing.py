"""Spacing: in any period of `spacing_days`, a group has one snapshot in training."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import polars as pl
import pytest

from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.training.groups import SNAPSHOT_DAY, hashes, never_train
from risk_assets.domain.training.spacing import DAY, ROWS, ordinal, spaced

GROUPS = [f"AC{number:06d}" for number in range(300)]
HASHES = [2496039794493766644, 10467253274382028241]
NEVER = ["AC000001", "AC000013", "AC000019"]
START = ordinal("2026-01-01")


def picks(available: Mapping[int, Iterable[str]], spacing: int) -> dict[str, list[int]]:
    """Return the days that are picked for each group, as days after 2026-01-01."""
    tables = [
        (START + day, pl.DataFrame({GROUP: list(names)}).with_columns(pl.lit(1, pl.Int64).alias(ROWS))) for day, names in available.items()
    ]
    found = spaced(tables, tables[0][0], tables[-1][0], spacing)
    days = found.group_by(GROUP).agg((pl.col(DAY) - START).sort())
    return dict(days.iter_rows())


def daily(first: int, last: int) -> dict[int, list[str]]:
    return dict.fromkeys(range(first, last + 1), GROUPS)


def test_hashes_never_change() -> None:
    # written down, so that a release, library or platform that draws otherwise is noticed
    assert hashes(["AC000001", "Ünïcode"], SNAPSHOT_DAY).tolist() == HASHES
    assert [name for name, held in zip(GROUPS[:20], never_train(GROUPS[:20], 0.2), strict=True) if held] == NEVER


def test_a_group_that_is_always_there_has_one_snapshot_in_each_period() -> None:
    found = picks(daily(0, 83), 28)
    assert found.keys() == set(GROUPS)
    for days in found.values():
        assert len(days) == 3
        assert [later - earlier for earlier, later in pairwise(days)] == [28, 28]


def test_snapshots_are_spread_over_the_dates() -> None:
    first = [days[0] for days in picks(daily(0, 27), 28).values()]
    counts = [first.count(day) for day in range(28)]
    assert sum(counts) == 300
    assert max(counts) < 30


def test_a_later_window_picks_the_same_snapshots() -> None:
    early, late = picks(daily(0, 83), 28), picks(daily(10, 93), 28)
    for name in GROUPS:
        assert {day for day in early[name] if day >= 10} == {day for day in late[name] if day <= 83}


def test_spacing_of_one_day_keeps_every_snapshot() -> None:
    assert set(map(tuple, picks(daily(0, 4), 1).values())) == {(0, 1, 2, 3, 4)}


def test_a_window_shorter_than_the_spacing_has_one_snapshot_of_each() -> None:
    found = picks(daily(0, 6), 28)
    assert {len(days) for days in found.values()} == {1}
    assert {days[0] for days in found.values()} == set(range(7))


@pytest.mark.parametrize("spacing", [5, 28])
def test_two_snapshots_are_never_closer_than_the_spacing(spacing: int) -> None:
    """Groups come and go: each is there on the days that its number selects."""
    gaps = {day: [name for at, name in enumerate(GROUPS) if (day * 7 + at * 3) % 11 < 3 + at % 8] for day in range(90)}
    found = picks(gaps, spacing)
    assert found.keys() == set(GROUPS)
    for days in found.values():
        assert all(later - earlier >= spacing for earlier, later in pairwise(days))


def test_a_group_that_left_early_keeps_one_snapshot() -> None:
    leaving = {day: GROUPS if day < 3 else GROUPS[:10] for day in range(56)}
    found = picks(leaving, 28)
    assert found.keys() == set(GROUPS)
    assert all(days[0] < 3 for name, days in found.items() if name not in GROUPS[:10])


def test_a_group_is_picked_on_the_first_day_it_is_there() -> None:
    """Without snapshots at weekends, the next one is taken."""
    weekdays = {day: GROUPS for day in range(56) if day % 7 < 5}
    for days in picks(weekdays, 28).values():
        assert len(days) == 2
        assert days[1] - days[0] == 28
