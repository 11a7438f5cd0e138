"""Why the number of accounts that are predicted bad changed between two scored dates."""

from dataclasses import dataclass

import msgspec
import polars as pl

from risk_assets.domain.contract.schema import ACCOUNT_ID


class FlaggedChange(msgspec.Struct, frozen=True):
    """The change of the number of flagged accounts since an earlier date; the parts add up to it.

    Attributes
    ----------
    since
        The earlier date.
    before, now
        The flagged accounts of the two dates.
    joined, left
        The flagged accounts that were scored on the later date only, and minus those that were scored on the earlier one only.
    model, policy
        The change if the accounts of both dates, with the features of the earlier one, are scored by the later models, then also
        under the later policy.
    features
        The change by their features, which is the rest.
    """

    since: str
    before: int
    now: int
    joined: int
    left: int
    model: int
    policy: int
    features: int


@dataclass(frozen=True)
class ScoredDate:
    """A scored date: its table of predictions, and the ids of the accounts that were scored, each once, as `account_id`."""

    predictions: pl.LazyFrame
    accounts: pl.LazyFrame


def flagged_change(
    since: str,
    before: ScoredDate,
    now: ScoredDate,
    by_models: pl.LazyFrame | None = None,
    by_policy: pl.LazyFrame | None = None,
) -> FlaggedChange:
    """Return the change between two scored dates.

    Parameters
    ----------
    by_models
        The predictions of the earlier features by the later models under the earlier policy; None if the models are the same.
    by_policy
        The predictions of the earlier features by the later models under the later policy; None if the policy decides the same.
    """
    earlier, later = _flagged(before.predictions), _flagged(now.predictions)
    counts = [
        _count(earlier),
        _count(later),
        _count(_among(earlier, now)),
        _count(_among(later, before)),
        *(_count(_among(_among(_flagged(table), now), before)) for table in (by_models, by_policy) if table is not None),
    ]
    n_before, n_now, stayed_before, stayed_now, *again = (frame.item() for frame in pl.collect_all(counts, engine="streaming"))
    after_models = again.pop(0) if by_models is not None else stayed_before
    after_policy = again.pop(0) if by_policy is not None else after_models
    return FlaggedChange(
        since=since,
        before=n_before,
        now=n_now,
        joined=n_now - stayed_now,
        left=stayed_before - n_before,
        model=after_models - stayed_before,
        policy=after_policy - after_models,
        features=stayed_now - after_policy,
    )


def _flagged(predictions: pl.LazyFrame) -> pl.LazyFrame:
    return predictions.filter(pl.col("prediction") == 1).select(ACCOUNT_ID)


def _among(flagged: pl.LazyFrame, date: ScoredDate) -> pl.LazyFrame:
    """Return the flagged accounts that were scored on a date."""
    return date.accounts.select(ACCOUNT_ID).join(flagged, on=ACCOUNT_ID, how="semi")


def _count(accounts: pl.LazyFrame) -> pl.LazyFrame:
    return accounts.select(pl.len())
