"""Drawing accounts for a challenger: the result is the same everywhere, and shares are met."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.governance.arms import Arms, bucket
from risk_assets.domain.scorecard.scorecard import Scorecard, VersionedScorecard
from tests.conftest import ROOT

CHAMPION, CHALLENGER = (VersionedScorecard(f"model_v00{number}", Scorecard("logistic", 0.0, ())) for number in (1, 2))
MANY = [f"AC{number:06d}" for number in range(100_000)]
PROCESS = """
import hashlib
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.domain.scorecard.scorecard import Scorecard

card = Scorecard("logistic", 0.0, ())
arms = Arms(VersionedScorecard("model_v001", card), VersionedScorecard("model_v002", card), 0.3, "salt")
taken = arms.challenged([f"AC{number:06d}" for number in range(2000)])
print(hash("salt"), hashlib.sha256(bytes(taken)).hexdigest())
"""


def drawn(arms: Arms, accounts: Iterable[str | None]) -> npt.NDArray[np.bool_]:
    return np.array(arms.challenged(accounts), dtype=np.bool_)


def shared(share: float, salt: str = "salt") -> Arms:
    return Arms(CHAMPION, CHALLENGER, share, salt)


def place(salt: str, account: str) -> Fraction:
    """Return the position of an account in [0, 1), as `bucket` documents it."""
    return Fraction(int(hashlib.sha256(f"{salt}:{account}".encode()).hexdigest()[:16], 16), 2**64)


# printf 'salt:AC000001' | sha256sum, and so on
@pytest.mark.parametrize(
    ("account", "known"),
    [("AC000001", "7ddb9096d8383cd5"), ("AC000002", "27f272dd925e9ca3"), ("Zürich-É-客户-7", "14b08f7f05470ca5")],
)
def test_bucket_equals_sha256sum(account: str, known: str) -> None:
    assert bucket(b"salt:", account).hex() == known
    at = int(known, 16) / 2**64
    assert [bool(drawn(shared(share), [account])[0]) for share in (at - 1e-9, at + 1e-9)] == [False, True]


def test_known_accounts_are_drawn_by_hand() -> None:
    # their positions are 0.4916, 0.1560 and 0.0808
    accounts = ["AC000001", "AC000002", "Zürich-É-客户-7"]
    expected = {0.08: [], 0.081: [2], 0.156: [2], 0.157: [1, 2], 0.4916: [1, 2], 0.4917: [0, 1, 2]}
    assert {share: drawn(shared(share), accounts).nonzero()[0].tolist() for share in expected} == expected


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.text("aZ09é客:_ -", max_size=12), st.lists(st.text(max_size=12), max_size=20), st.floats(0, 1, exclude_min=True, exclude_max=True)
)
def test_challenger_decides_for_accounts_below_the_share(salt: str, accounts: list[str], share: float) -> None:
    expected = [place(salt, account) < Fraction(share) for account in accounts]
    assert drawn(shared(share, salt), accounts).tolist() == expected


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_drawn_share_of_many_accounts_is_near_the_share(share: float) -> None:
    off = drawn(shared(share), MANY).mean() - share
    assert abs(off) < 4 * (share * (1 - share) / len(MANY)) ** 0.5


def test_larger_share_includes_the_accounts_of_a_smaller_one() -> None:
    shares = [drawn(shared(share), MANY) for share in (0.05, 0.1, 0.11, 0.4, 0.99)]
    for smaller, larger in pairwise(shares):
        assert not (smaller & ~larger).any()
        assert smaller.sum() < larger.sum()


def test_different_salt_draws_independent_accounts() -> None:
    one, other = drawn(shared(0.3), MANY), drawn(shared(0.3, "salz"), MANY)
    assert (one & other).mean() == pytest.approx(0.3 * 0.3, abs=0.005)


def test_same_accounts_are_drawn_in_every_process() -> None:
    found = []
    for seed in ("1", "2"):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", PROCESS], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(done.stdout.split())
    here = np.array([place("salt", account) < Fraction(0.3) for account in MANY[:2000]])
    assert found[0][0] != found[1][0]  # the two processes have different hash seeds
    assert [digest for _, digest in found] == [hashlib.sha256(here.tobytes()).hexdigest()] * 2


def test_champion_decides_for_accounts_without_id() -> None:
    accounts = [None, "AC000002", None]
    for share in (0.2, 1 - 2**-53):
        assert drawn(shared(share), accounts).tolist() == [False, True, False]
    assert drawn(shared(0.2), pl.Series(accounts)).tolist() == [False, True, False]


def test_id_is_hashed_without_normalisation() -> None:
    # é as one and as two characters, spaces, case and the empty id have different positions
    accounts = ["\u00e9", "e\u0301", "a", "A", " a", ""]
    assert [int.from_bytes(bucket(b"s:", account), "big") for account in accounts] == [place("s", account) * 2**64 for account in accounts]
    assert len({bucket(b"s:", account) for account in accounts}) == len(accounts)


@pytest.mark.parametrize("arms", [Arms(CHAMPION), Arms(CHAMPION, CHALLENGER), Arms(CHAMPION, CHALLENGER, None, "salt")])
def test_champion_without_a_share_decides_for_all(arms: Arms) -> None:
    for accounts in (["AC000001", None, "AC000002"], iter(["AC000001", None, "AC000002"]), pl.Series(["AC000001", None, "AC000002"])):
        assert drawn(arms, accounts).tolist() == [False] * 3


def test_no_accounts_give_an_empty_result() -> None:
    for arms in (Arms(CHAMPION), shared(0.5)):
        found = drawn(arms, [])
        assert (found.shape, found.dtype) == ((0,), np.bool_)


def test_arms_list_their_models_and_the_shadow() -> None:
    alone, shadow, both = Arms(CHAMPION), Arms(CHAMPION, CHALLENGER), shared(0.1)
    assert (alone.models, alone.shadow) == ((CHAMPION,), None)
    assert (shadow.models, shadow.shadow) == ((CHAMPION, CHALLENGER), CHALLENGER)
    assert (both.models, both.shadow) == ((CHAMPION, CHALLENGER), None)
