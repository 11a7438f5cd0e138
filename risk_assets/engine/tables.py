"""The driver's part: it starts tasks, adds up what they counted, and commits what they wrote. It reads no rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from risk_assets import errors
from risk_assets.domain.batch.predictions import prediction_descriptions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.validation import feature_descriptions
from risk_assets.domain.morning.account_index import part_count
from risk_assets.engine.jobs import (
    Failure,
    FeaturesJob,
    FeaturesPart,
    IndexJob,
    IndexParts,
    LakeAddress,
    LandingAddress,
    Models,
    PredictedPiece,
    PredictionsJob,
    R,
    Result,
)
from risk_assets.engine.spark import Cluster
from risk_assets.engine.tasks import packages
from risk_assets.errors import EngineError, LakeError, RiskError
from risk_assets.lake import layout
from risk_assets.lake.account_index_tables import commit_index
from risk_assets.lake.facts import RawFacts, joined_features
from risk_assets.lake.hashing import Content
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.prediction_tables import joined_pieces
from risk_assets.lake.references import find_comparable
from risk_assets.lake.staging import commit_staged, discard_staged, new_token
from risk_assets.lake.store import Store
from risk_assets.lake.tables import commit_parts, discard_kept, discard_parts, keep_replaced
from risk_assets.lake.verification import remember

HASHES_PER_TASK = 1_000_000
INDEX_PARTS_PER_TASK = 8  # about half a million rows


@dataclass(frozen=True)
class ClusterFeatures:
    """Features of a raw file, a part for each of its pieces."""

    cluster: Cluster
    contract: Contract
    date: str
    raw: Manifest
    made_from: Provenance

    @property
    def engine(self) -> str:
        """The engine that computes the table."""
        return self.cluster.name

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""
        return feature_descriptions(self.contract)

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Let executors write the parts, and commit them."""
        token = new_token()
        job = FeaturesJob(
            lake=lake_address(store),
            packages=packages(),
            raw=self.raw.path,
            seal=self.raw.seal,
            date=self.date,
            contract=self.contract.canonical.decode(),
            token=token,
            buckets=-(-self.raw.rows // HASHES_PER_TASK),
        )
        sizes = [piece.bytes for piece in self.raw.facts_as(RawFacts).pieces or ()]
        store.begin()
        try:
            found = complete(self.cluster.features(job, sizes, self.contract.has_row_ids), FeaturesPart, len(sizes), job.lake)
            rows = sum(part.rows for part in found)
            _require_rows(path, rows, self.raw.rows)
            facts = replace(joined_features(part.facts for part in found), part_rows=tuple(part.rows for part in found))
            contents = {part.path: Content(part.segments) for part in found}
            return (commit_parts(store, path, contents, rows, found[0].columns, self.made_from, facts, guard),)
        except BaseException:
            _discard(discard_parts, store, path, token)
            raise


@dataclass(frozen=True)
class ClusterPredictions:
    """Predictions of a features table in parts, a piece for each part, and the index of their accounts."""

    cluster: Cluster
    features: Manifest
    arms: Arms
    policy: Policy
    made_from: Provenance

    @property
    def engine(self) -> str:
        """The engine that computes the table."""
        return self.cluster.name

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""
        return prediction_descriptions(self.policy)

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Let executors stage the pieces, commit them, and let executors write the index."""
        manifest, pieces = self._write_predictions(store, path, guard)
        return manifest, self._write_index(store, manifest, pieces, guard)

    @property
    def _date(self) -> str:
        return layout.date_of(self.features.path) or ""

    def _write_predictions(self, store: Store, path: str, guard: Guard) -> tuple[Manifest, list[PredictedPiece]]:
        token = new_token()
        job = PredictionsJob(
            lake=lake_address(store),
            packages=packages(),
            features=self.features.path,
            seal=self.features.seal,
            date=self._date,
            policy=self.policy.canonical.decode(),
            models=_models(self.arms),
            token=token,
            tallied=find_comparable(store, self.arms.champion.version, self.features) is not None,
        )
        sizes = [*self.features.parts.values()]
        try:
            found = complete(self.cluster.predictions(job, sizes), PredictedPiece, len(sizes), job.lake)
            rows = sum(made.piece.rows for made in found)
            _require_rows(path, rows, self.features.rows)
            kept = keep_replaced(store, path)
            content = commit_staged(store, path, token, [made.staged for made in found], guard)
        except BaseException:
            _discard(discard_staged, store, path, token)
            raise
        facts = joined_pieces([made.piece for made in found], self.policy.review)
        written = Written(path, {path: content}, rows, found[0].columns, self.made_from, facts)
        manifest = commit(store, written, guard)
        remember(store, manifest)
        discard_kept(store, manifest, kept)
        return manifest, found

    def _write_index(self, store: Store, predictions: Manifest, pieces: Sequence[PredictedPiece], guard: Guard) -> Manifest:
        parts = part_count(sum(made.named for made in pieces))
        job = IndexJob(
            lake=lake_address(store),
            packages=packages(),
            predictions=predictions.path,
            seal=predictions.seal,
            date=self._date,
            parts=parts,
            parts_per_task=INDEX_PARTS_PER_TASK,
        )
        results = self.cluster.index(job, [made.piece.bytes for made in pieces])
        found = complete(results, IndexParts, -(-parts // INDEX_PARTS_PER_TASK), job.lake)
        segments = [part for task in found for part in task.segments]
        contents = {layout.account_index_part(self._date, number): Content(part) for number, part in enumerate(segments)}
        rows, scored = sum(task.rows for task in found), sum(task.scored for task in found)
        return commit_index(store, self._date, contents, rows, scored, predictions, guard)


def lake_address(store: Store) -> LakeAddress:
    """Return where executors find a lake."""
    return LakeAddress(address(store), store.retry_seconds, layout.candidate_contract(store.actual(layout.features(""))))


def address(store: Store) -> str:
    """Return the address of a store for another process."""
    return store.folder.absolute().as_uri() if store.folder else store.url


def complete(results: Iterable[Result], kind: type[R], count: int, *places: LakeAddress | LandingAddress) -> list[R]:
    """Return the results of all tasks, in order; raises the first failure as the error that it was on the executor.

    `places` is what the tasks read and write.
    """
    found: list[R] = []
    for result in results:
        if isinstance(result, Failure):
            raise _error(result, places)
        assert isinstance(result, kind)
        found.append(result)
    if [result.number for result in found] != [*range(count)]:
        raise EngineError(f"{len(found)} of {count} tasks returned a result. Run again; if it fails again, open an issue.")
    return found


def _models(arms: Arms) -> Models:
    return Models(arms.champion.version, arms.challenger.version if arms.challenger else None, arms.share, arms.salt)


def _require_rows(path: str, rows: int, expected: int) -> None:
    """Verify that no row is lost."""
    if rows != expected:
        raise LakeError(f"{path} would have {rows} rows instead of {expected}. {layout.how_to_make(path)}")


def _error(failure: Failure, places: Sequence[LakeAddress | LandingAddress]) -> RiskError:
    """Return the error that an executor has reported; if its own access to storage is the cause, with its name."""
    kind = getattr(errors, failure.error, EngineError)
    is_its_own = any(f"(at {place.url}" in failure.message for place in places)
    message = f"the executor {failure.host}: {failure.message}" if is_its_own else failure.message
    return kind(message) if isinstance(kind, type) and issubclass(kind, RiskError) else EngineError(message)


def _discard(discard: Callable[[Store, str, str], None], store: Store, path: str, token: str) -> None:
    """Delete what tasks have written, if storage can be reached; otherwise the next write of the path does."""
    with suppress(LakeError):
        discard(store, path, token)
