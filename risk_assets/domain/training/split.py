"""Which rows train a model, and which are held out to measure it: other accounts and later dates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import GROUP, OUTCOME, SNAPSHOT
from risk_assets.domain.training.dataset import count_groups
from risk_assets.domain.training.groups import never_train
from risk_assets.errors import ModelError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """The rows of each part, shape (n,). Every row is in one part.

    Attributes
    ----------
    train
        The rows that train: no other accounts, no later dates.
    other_accounts
        The rows of groups that never train, on the dates of the training rows.
    later_dates
        All rows of the newest dates. No row if there is only one date.
    """

    train: Mask
    other_accounts: Mask
    later_dates: Mask


def split(frame: pd.DataFrame, policy: Training) -> Split:
    """Return the parts of labelled rows.

    The newest of several dates are held out until they hold the policy's share of the rows and both classes. The oldest date
    always trains. Other accounts are the policy's share of groups, the same for all dates, windows and versions.

    Raises
    ------
    ModelError
        If a part that has rows would have only one class.
    """
    later = _newest(frame, policy.holdout)
    codes, groups = pd.factorize(frame[GROUP])
    others = never_train(groups, policy.other_accounts)[codes]
    parts = Split(~later & ~others, ~later & others, later)
    _require_both_classes(frame, parts.train, "the training rows", "Land outcomes of more dates, or widen training.window_days")
    _require_both_classes(
        frame,
        parts.other_accounts,
        f"the holdout of other accounts ({policy.other_accounts:.0%} of the accounts or customers, which never train)",
        "Land outcomes of more accounts, widen training.window_days, or raise training.other_accounts",
    )
    if later.any():
        _require_both_classes(frame, later, "the holdout of later dates", "Land outcomes of more dates, or widen training.window_days")
    return parts


def _newest(frame: pd.DataFrame, share: float) -> Mask:
    """Return the rows of the newest dates; none if there is one date."""
    dates, bad = frame[SNAPSHOT].to_numpy(dtype=str), frame[OUTCOME].to_numpy()
    held = np.zeros(len(dates), dtype=np.bool_)
    for date in np.unique(dates)[:0:-1]:
        held |= dates == date
        if held.mean() >= share and len(np.unique(bad[held])) == 2:
            break
    return held


def _require_both_classes(frame: pd.DataFrame, part: Mask, subject: str, advice: str) -> None:
    rows = frame[part]
    groups, bads, goods = count_groups(rows[GROUP].to_numpy(), rows[OUTCOME].to_numpy())
    if not (bads and goods):
        raise ModelError(
            f"only one class of outcome in {subject}: {groups} accounts or customers, {bads} of them bad and {goods} good. "
            f"{advice} in the policy."
        )
