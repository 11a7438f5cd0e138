"""Choices by the hash of a group: the same in every run, version and language."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from risk_assets.domain.governance.arms import BUCKET_BYTES, bucket, bucket_end

# One salt for each choice, so that the choices are independent of each other.
OTHER_ACCOUNTS = b"other accounts:"
SNAPSHOT_DAY = b"snapshot day:"
SAMPLE = b"sample:"


def hashes(groups: Iterable[str], salt: bytes) -> npt.NDArray[np.uint64]:
    """Return the hash of each group, shape (n,): `bucket` of the salt and the group, read as a big-endian number."""
    content = b"".join(bucket(salt, group) for group in groups)
    return np.frombuffer(content, dtype=f">u{BUCKET_BYTES}").astype(np.uint64)


def never_train(groups: Iterable[str], share: float) -> npt.NDArray[np.bool_]:
    """Return which groups never train, shape (n,): those whose hash is below the share of all hashes."""
    return hashes(groups, OTHER_ACCOUNTS) < np.uint64(int.from_bytes(bucket_end(share), "big"))
