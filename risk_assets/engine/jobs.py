"""What the driver sends to executors, and what tasks return: names, numbers, counts and hashes, as JSON; no rows and no secrets."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec

from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.lake.facts import FeatureFacts, PieceFacts
from risk_assets.lake.hashing import Segment
from risk_assets.lake.landed_parts import PartCounts
from risk_assets.lake.staging import StagedPiece


class LakeAddress(msgspec.Struct, frozen=True):
    """Where executors find the lake; their own environment decides how they reach it.

    `candidate` is the digest of a contract that is not bound, whose tables are kept apart.
    """

    url: str
    retry_seconds: float
    candidate: str | None = None


class LandingAddress(msgspec.Struct, frozen=True):
    """Where executors find the landing folder; their own environment decides how they reach it."""

    url: str
    retry_seconds: float


class MeasureJob(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a landed file, and their sizes in bytes as they were found, to be measured before anything is written.

    `dialect` is that of the first part.
    """

    lake: LakeAddress
    landing: LandingAddress
    packages: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    expected: tuple[str, ...]
    dialect: Dialect


class CopyJob(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a landed file, and the path in the lake of each, to be staged."""

    lake: LakeAddress
    landing: LandingAddress
    packages: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    targets: tuple[str, ...]
    token: str


class FeaturesJob(msgspec.Struct, frozen=True, kw_only=True):
    """Features of a raw file under a contract (JSON): a part for each of its pieces.

    `packages` are the versions that executors must have, `raw` is the path of the raw file, and `seal` is the seal of its manifest.
    `buckets` is the number of tasks that compare the hashes of ids.
    """

    lake: LakeAddress
    packages: tuple[tuple[str, str], ...]
    raw: str
    seal: str | None
    date: str
    contract: str
    token: str
    buckets: int


class Models(msgspec.Struct, frozen=True):
    """The versions that score; see `domain.governance.arms.Arms`."""

    champion: str
    challenger: str | None
    share: float | None
    salt: str


class PredictionsJob(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions of a features table in parts, by models and a policy (JSON): a staged piece for each of its parts.

    `tallied` is whether rows are counted in the bins of the champion's profile.
    """

    lake: LakeAddress
    packages: tuple[tuple[str, str], ...]
    features: str
    seal: str | None
    date: str
    policy: str
    models: Models
    token: str
    tallied: bool


class IndexJob(msgspec.Struct, frozen=True, kw_only=True):
    """The index of the accounts of committed predictions: `parts` parts, of which a task writes `parts_per_task`."""

    lake: LakeAddress
    packages: tuple[tuple[str, str], ...]
    predictions: str
    seal: str | None
    date: str
    parts: int
    parts_per_task: int


class CheckJob(msgspec.Struct, frozen=True, kw_only=True):
    """The predictions of a date beside its raw file, in the same pieces, under a contract and the review settings of a policy (JSON)."""

    lake: LakeAddress
    packages: tuple[tuple[str, str], ...]
    raw: str
    raw_seal: str | None
    predictions: str
    seal: str | None
    contract: str
    review: str


class SampledDate(msgspec.Struct, frozen=True):
    """A date of a training window, and the seals of the manifests of its features and of its outcomes."""

    date: str
    features: str | None
    outcomes: str | None


class SampledPiece(msgspec.Struct, frozen=True):
    """A piece of the features of a date, given by its number: `start` to `stop` of the parts, or of the rows of a table of one file."""

    date: int
    start: int
    stop: int
    bytes: int


class SampleJob(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a window that can train, under a contract and a training policy (JSON), with outcomes as known by a date.

    Tasks stage rows for the write `token` of the `folder` of the training date. The driver stages what is only known after earlier
    tasks: at `names` the names under which groups count, and at `picks` the groups of each date whose rows are wanted. `buckets` is
    the number of tasks that compare accounts, and that choose groups.
    """

    lake: LakeAddress
    packages: tuple[tuple[str, str], ...]
    dates: tuple[SampledDate, ...]
    pieces: tuple[SampledPiece, ...]
    contract: str
    policy: str
    known_by: str
    folder: str
    token: str
    buckets: int
    names: str | None = None
    picks: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The bytes of the pieces."""
        return tuple(piece.bytes for piece in self.pieces)


class MeasuredPart(msgspec.Struct, frozen=True, tag="measured"):
    """What a part of a landed file contains."""

    number: int
    counts: PartCounts


class CopiedPart(msgspec.Struct, frozen=True, tag="copied"):
    """A copy of a part of a landed file that is staged."""

    number: int
    staged: StagedPiece


class FeaturesPart(msgspec.Struct, frozen=True, tag="features"):
    """A part of a features table that is in the lake."""

    number: int
    path: str
    rows: int
    columns: tuple[str, ...]
    segments: tuple[Segment, ...]
    facts: FeatureFacts


class PredictedPiece(msgspec.Struct, frozen=True, tag="predictions"):
    """A piece of predictions that is staged.

    Attributes
    ----------
    named
        The rows with an id, which the index of accounts has.
    """

    number: int
    columns: tuple[str, ...]
    staged: StagedPiece
    piece: PieceFacts
    named: int


class IndexParts(msgspec.Struct, frozen=True, tag="index"):
    """Consecutive parts of an index that are in the lake: their contents, and the rows and scored rows of all of them."""

    number: int
    segments: tuple[tuple[Segment, ...], ...]
    rows: int
    scored: int


class CheckedPiece(msgspec.Struct, frozen=True, tag="checked"):
    """What the checks need of a piece: the rows with different ids, the candidates of the review list, and the rows that are held out."""

    number: int
    out_of_place: int
    candidates: tuple[float, ...]
    held_out: int


class StagedRows(msgspec.Struct, frozen=True, tag="rows"):
    """Rows that are staged in the lake: the path and the hash of an Arrow file."""

    number: int
    path: str
    sha256: str


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """An error of a task with a message for the user: the class of the error, its message, and the host of the executor."""

    number: int
    error: str
    message: str
    host: str


Result: TypeAlias = MeasuredPart | CopiedPart | FeaturesPart | PredictedPiece | IndexParts | CheckedPiece | StagedRows | Failure
Job: TypeAlias = MeasureJob | CopyJob | FeaturesJob | PredictionsJob | IndexJob | CheckJob | SampleJob
R = TypeVar("R", MeasuredPart, CopiedPart, FeaturesPart, PredictedPiece, IndexParts, CheckedPiece, StagedRows)

_results = msgspec.json.Decoder(Result)


def encode_result(result: Result) -> str:
    """Return a result as JSON."""
    return msgspec.json.encode(result).decode()


def decode_results(texts: Sequence[str]) -> list[Result]:
    """Return results from their JSON, in the order of their numbers; of a task that ran twice, one."""
    found = {(result.number, type(result)): result for result in map(_results.decode, texts)}
    return sorted(found.values(), key=lambda result: result.number)
