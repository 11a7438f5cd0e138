"""Which rows are held out to measure a model."""

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.scorecard.arrays import Integers
from risk_assets.errors import ModelError


def holdout(dates: npt.NDArray[np.str_], bad: Integers, policy: Training) -> npt.NDArray[np.bool_]:
    """Return which rows are held out, shape (n,): the newest of several dates, or a stratified share of a single one.

    The newest dates are taken until they hold the policy's share of the rows and both classes. The oldest date always
    trains.

    Raises
    ------
    ModelError
        If either side would have only one class.
    """
    known = np.unique(dates)
    held = _newest(dates, known, bad, policy.holdout) if len(known) > 1 else _stratified(bad, policy)
    for subject, rows in (("the holdout has", held), ("the training rows have", ~held)):
        if len(np.unique(bad[rows])) < 2:
            raise ModelError(
                f"{subject} only one class of outcome. Land outcomes of more dates, or widen training.window_days in the policy."
            )
    return held


def _newest(dates: npt.NDArray[np.str_], known: npt.NDArray[np.str_], bad: Integers, share: float) -> npt.NDArray[np.bool_]:
    held = np.zeros(len(dates), dtype=np.bool_)
    for date in known[:0:-1]:
        held |= dates == date
        if held.mean() >= share and len(np.unique(bad[held])) == 2:
            break
    return held


def _stratified(bad: Integers, policy: Training) -> npt.NDArray[np.bool_]:
    random = np.random.default_rng(policy.random_state)
    held = np.zeros(len(bad), dtype=np.bool_)
    for label in (0, 1):
        rows = np.flatnonzero(bad == label)
        held[random.permutation(rows)[: round(len(rows) * policy.holdout)]] = True
    return held
