"""The training window ends with the last snapshot that has matured."""

import pytest

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.training.window import training_window
from risk_assets.errors import ContractError, ModelError

TEXT = "{id: id, target: {column: bad_one, bad: 1, matures_after_days: %d}, features: {age: {type: number, reason: Age}}}"


def contract(days: int) -> Contract:
    return Contract.parse(TEXT % days, "contract.yml")


@pytest.mark.parametrize(
    ("days", "window", "expected"),
    [(0, 28, ("2026-02-03", "2026-03-02")), (60, 28, ("2025-12-05", "2026-01-01")), (365, 1, ("2025-03-02", "2025-03-02"))],
)
def test_the_window_counts_back_from_the_last_matured_date(days: int, window: int, expected: tuple[str, str]) -> None:
    found = training_window("2026-03-02", contract(days), Training(window_days=window))
    assert (found.first, found.last) == expected
    assert found.first in found and found.last in found and "2026-03-03" not in found


def test_both_windows_have_a_limit() -> None:
    training_window("2026-03-02", contract(1798), Training(window_days=28))
    with pytest.raises(ContractError, match="1799 days and the training window of 28 days are longer than 1826 days together"):
        training_window("2026-03-02", contract(1799), Training(window_days=28))


def test_a_window_without_labels_explains_maturity() -> None:
    window = training_window("2026-03-02", contract(30), Training(window_days=7))
    window.require_labelled({"2026-01-31"}, {"2026-01-31"}, "2026-03-02")
    with pytest.raises(ModelError, match=r"2026-02-10 has both and has not matured by 2026-03-02.*risk train 2026-03-12"):
        window.require_labelled({"2026-01-31", "2026-02-10"}, {"2026-02-10"}, "2026-03-02")
    with pytest.raises(
        ModelError, match=r"2026-01-25 to 2026-01-31, has both features and outcomes \(1 have features, 0 outcomes\). Outcomes"
    ):
        window.require_labelled({"2026-01-31"}, {"2026-02-10"}, "2026-03-02")
