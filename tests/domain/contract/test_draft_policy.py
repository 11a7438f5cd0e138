"""The draft policy of a book: manual promotion, cut-off and bands from the bad rate."""

import pytest

from risk_assets.domain.contract.draft_policy import draft_policy
from risk_assets.domain.contract.policy import Policy


@pytest.mark.parametrize("bad_rate", [0.0, 0.0005, 0.003, 0.02, 0.1, 0.2, 0.5, 0.9, 0.995, 1.0])
def test_a_draft_is_valid_for_every_bad_rate(bad_rate: float) -> None:
    policy = Policy.parse(draft_policy("book.csv", bad_rate), "book-policy.yml")
    assert policy.promotion.mode == "manual"
    assert policy.threshold == policy.bands["D"]
    assert list(policy.bands) == ["A", "B", "C", "D", "E", "F"]


def test_an_average_book_gets_the_default_bands() -> None:
    policy, default = Policy.parse(draft_policy("book.csv", 0.1), "book-policy.yml"), Policy()
    assert policy.threshold == default.threshold
    assert list(policy.bands.values()) == pytest.approx(list(default.bands.values()), abs=0.011)
    assert (policy.training, policy.checks) == (default.training, default.checks)


def test_the_name_of_the_file_stays_in_its_comment() -> None:
    text = draft_policy("book\nthreshold: 0.9\n.csv", 0.1)
    assert text.splitlines()[0].startswith("# Draft policy for book threshold: 0.9 .csv, whose bad rate is 10.0%")
