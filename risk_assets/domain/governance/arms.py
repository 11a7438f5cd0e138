"""Champion and challenger: which of two models decides for an account."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from risk_assets.domain.scorecard.scorecard import VersionedScorecard

CHAMPION, CHALLENGER = "champion", "challenger"
BUCKET_BYTES = 8


@dataclass(frozen=True)
class Arms:
    """The models that score: a champion, and optionally a challenger.

    With a `share` in (0, 1), the challenger decides for that share of the groups: of the customers if the contract has `group`,
    else of the accounts. Without one it is a shadow: it scores all accounts and decides for none.
    """

    champion: VersionedScorecard
    challenger: VersionedScorecard | None = None
    share: float | None = None
    salt: str = ""

    @property
    def shadow(self) -> VersionedScorecard | None:
        """The challenger if it is a shadow."""
        return self.challenger if self.share is None else None

    @property
    def models(self) -> tuple[VersionedScorecard, ...]:
        """All models that score, champion first."""
        return (self.champion, self.challenger) if self.challenger else (self.champion,)

    @property
    def required(self) -> tuple[str, ...]:
        """The features without which no account is scored: those that a model that decides for accounts requires.

        They do not depend on the account, so that the draw does not decide whether it is scored. A shadow requires none.
        """
        deciding = (self.champion,) if self.shadow else self.models
        return tuple(dict.fromkeys(name for model in deciding for name in model.scorecard.required))

    def challenged(self, groups: Iterable[str | None]) -> list[bool]:
        """Return for which groups the challenger decides, in order; never for a record without a group and an account id."""
        if self.challenger is None or self.share is None:
            return [False for _ in groups]
        end = bucket_end(self.share)
        prefix = f"{self.salt}:".encode()
        return [group is not None and bucket(prefix, group) < end for group in groups]


def bucket(prefix: bytes, group: str) -> bytes:
    """Return a group's bucket: the first 8 bytes of the SHA-256 of `prefix` (salt and colon) and the group in UTF-8.

    The challenger decides for buckets below `share * 2**64`, read as big-endian numbers. The result is the same in every
    process and language. A larger share includes the groups of a smaller one with the same salt; another salt draws
    independently.
    """
    return hashlib.sha256(prefix + group.encode()).digest()[:BUCKET_BYTES]


def bucket_end(share: float) -> bytes:
    """Return the first bucket that belongs to the champion."""
    return int(share * 2 ** (8 * BUCKET_BYTES)).to_bytes(BUCKET_BYTES, "big")
