"""Champion and challenger: which of two models answers for an account."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from risk_assets.domain.scorecard.scorecard import VersionedScorecard

CHAMPION, CHALLENGER = "champion", "challenger"
BUCKET_BYTES = 8


@dataclass(frozen=True)
class Arms:
    """The models that score: a champion, and perhaps a challenger.

    With a `share`, in (0, 1), the challenger answers for that share of the accounts; without one it is a shadow: it scores
    all accounts and answers for none.
    """

    champion: VersionedScorecard
    challenger: VersionedScorecard | None = None
    share: float | None = None
    salt: str = ""

    @property
    def shadow(self) -> VersionedScorecard | None:
        """The challenger where it scores without answering."""
        return self.challenger if self.share is None else None

    @property
    def models(self) -> tuple[VersionedScorecard, ...]:
        """All models that score."""
        return (self.champion, self.challenger) if self.challenger else (self.champion,)

    def challenged(self, accounts: Iterable[str | None]) -> npt.NDArray[np.bool_]:
        """Return for which accounts the challenger answers; for one without an id it never does."""
        if self.challenger is None or self.share is None:
            return np.zeros(len(list(accounts)), dtype=np.bool_)
        below = limit(self.share)
        start = f"{self.salt}:".encode()
        taken = (account is not None and bucket(start, account) < below for account in accounts)
        return np.fromiter(taken, dtype=np.bool_)


def bucket(start: bytes, account: str) -> bytes:
    """Return where an account falls: the first 8 bytes of the SHA-256 of `start` (the salt and a colon) and its id in UTF-8.

    Read as a big-endian number, they are below `share * 2**64` for the accounts of the challenger: the same in every process
    and language. A larger share holds the accounts of a smaller one with the same salt; another salt shuffles them anew.
    """
    return hashlib.sha256(start + account.encode()).digest()[:BUCKET_BYTES]


def limit(share: float) -> bytes:
    """Return the bucket from which on accounts are the champion's."""
    return int(share * 2 ** (8 * BUCKET_BYTES)).to_bytes(BUCKET_BYTES, "big")
