"""Flagged accounts that are held out: drawn by their id, kept off the review list, and marked."""

import polars as pl
import pytest

from risk_assets.domain.batch.hold_out import held_out
from risk_assets.domain.batch.review_list import HELD_OUT, LISTED, NOT_LISTED, riskiest, treatment
from risk_assets.domain.contract.policy import Review


def predictions(number: int, flagged: int | None = None) -> pl.DataFrame:
    """Return accounts, the riskiest first; so many are predicted bad, all by default."""
    at = pl.int_range(number)
    return pl.select(
        account_id=pl.format("A{}", at),
        probability=1 - at / number,
        prediction=(at < (number if flagged is None else flagged)).cast(pl.Int8),
    )


def held(frame: pl.DataFrame, share: float) -> set[str]:
    return set(frame.filter(held_out(share))["account_id"])


def test_the_share_of_the_flagged_accounts_is_held_out() -> None:
    frame = predictions(20_000, flagged=10_000)
    assert len(held(frame, 0.1)) == pytest.approx(1_000, abs=100)
    assert held(frame, 0.1) <= set(frame["account_id"].head(10_000))
    assert held(frame, 0) == set()


def test_the_same_accounts_are_held_out_every_day() -> None:
    frame = predictions(2_000)
    other_day = frame.reverse().with_columns(pl.col("probability") / 2, account_id=pl.format(" {} ", "account_id"))
    assert {name.strip() for name in held(other_day, 0.1)} == held(frame, 0.1)
    assert held(frame, 0.1) < held(frame, 0.2)
    assert sorted(held(predictions(100), 0.1)) == ["A33", "A56", "A64", "A71"]  # as any other process and release draws them


def test_accounts_without_a_prediction_or_an_id_are_not_held_out() -> None:
    frame = predictions(100).with_columns(prediction=pl.lit(None, pl.Int8))
    assert held(frame, 0.9) == set()
    assert held(predictions(100).with_columns(account_id=pl.lit(None, pl.String)), 0.9) == set()


def test_the_review_list_is_filled_with_the_next_accounts() -> None:
    frame = predictions(200, flagged=100)
    review = Review(size=50, hold_out=0.2)
    listed = riskiest(frame.lazy(), review)["account_id"].to_list()
    assert listed == [name for name in frame["account_id"] if name not in held(frame, 0.2)][:50]
    many = Review(size=150, hold_out=0.2)
    assert len(riskiest(frame.lazy(), many)) == 150
    assert "A150" in riskiest(frame.lazy(), many)["account_id"]  # accounts that are not flagged are listed as before


def test_each_flagged_account_is_listed_held_out_or_below_the_list() -> None:
    frame = predictions(200, flagged=100)
    review = Review(size=50, hold_out=0.2)
    state = dict(zip(frame["account_id"], treatment(frame, review), strict=True))
    listed = riskiest(frame.lazy(), review)["account_id"]
    assert {name for name, found in state.items() if found == LISTED} == set(listed)
    assert {name for name, found in state.items() if found == HELD_OUT} == held(frame, 0.2)
    assert [found for name, found in state.items() if int(name[1:]) >= 100] == [None] * 100
    assert NOT_LISTED in state.values()
