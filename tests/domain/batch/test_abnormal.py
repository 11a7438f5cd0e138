"""Missing shares and unseen levels of a night, compared with training."""

import polars as pl
import pytest

from risk_assets.domain.batch.abnormal import missing_shifts, unseen_shifts
from risk_assets.domain.governance.artifacts import LevelBins, NumberBins, Profile

PROFILE = Profile(
    rows=5000,
    features={
        "income": NumberBins((10.0,), (0.5, 0.5), 0.0),
        "score": NumberBins((600.0,), (0.4, 0.4), 0.2),
        "region": LevelBins({"north": 0.6, "south": 0.4}, 0.0),
    },
    score=NumberBins((), (1.0,), 0.0),
)


def missing(rows: int, **counts: int) -> dict[str, bool]:
    shifts = missing_shifts({"income": 0, "score": round(0.2 * rows), "region": 0} | counts, rows, PROFILE, 0.1)
    return {shift.feature: shift.abnormal for shift in shifts}


def test_a_normal_night_has_no_abnormal_shares() -> None:
    assert missing(300) == {"income": False, "score": False, "region": False}


def test_a_blank_column_is_abnormal_and_comes_first() -> None:
    shifts = missing_shifts({"income": 300, "score": 60, "region": 0}, 300, PROFILE, 0.1)
    assert shifts[0].feature == "income"
    assert shifts[0].abnormal
    assert str(shifts[0]) == "income 100.0% (in training 0.0%, limit 11.0%)"


@pytest.mark.parametrize(("count", "abnormal"), [(33, False), (34, True)])
def test_the_limit_is_the_increase_plus_sampling_noise(count: int, abnormal: bool) -> None:
    # 0 % in training: the limit is 10 % plus 3/300
    assert missing(300, income=count)["income"] is abnormal


def test_few_rows_need_a_larger_shift() -> None:
    assert missing(20, income=5)["income"] is False
    assert missing(2000, income=500)["income"] is True


def test_a_feature_that_training_does_not_know_is_not_compared() -> None:
    assert {shift.feature for shift in missing_shifts({"new": 300}, 300, PROFILE, 0.1)} == set()


def test_levels_that_training_did_not_see_are_counted() -> None:
    rows = pl.DataFrame({"region": ["north"] * 60 + ["north "] * 40, "income": [1.0] * 100, "excluded": [None] * 100}).lazy()
    (shift,) = unseen_shifts(rows, 100, PROFILE, 0.05)
    assert (shift.feature, shift.share, shift.abnormal) == ("region", 0.4, True)


def test_rows_that_are_not_eligible_are_not_compared() -> None:
    levels = {"region": ["north"] * 60 + ["elsewhere"] * 40, "excluded": [None] * 60 + ["closed"] * 40}
    (shift,) = unseen_shifts(pl.DataFrame(levels).lazy(), 60, PROFILE, 0.05)
    assert shift.share == 0
    assert unseen_shifts(pl.DataFrame(levels).lazy(), 0, PROFILE, 0.05) == ()
    assert missing_shifts({"region": 0, "income": 0}, 0, PROFILE, 0.05) == ()


def test_missing_is_not_an_unseen_level() -> None:
    rows = pl.DataFrame({"region": ["north"] * 60 + [None] * 40, "excluded": [None] * 100}).lazy()
    assert not unseen_shifts(rows, 100, PROFILE, 0.05)[0].abnormal


def test_without_categories_there_is_nothing_to_compare() -> None:
    assert unseen_shifts(pl.DataFrame({"income": [1.0]}).lazy(), 1, PROFILE, 0.05) == ()
