"""The driver's part of choosing the rows that train: executors read the window, and it gets the sample."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import polars as pl
from msgspec.structs import replace

from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.training.dataset import NO_PAIRS, picked_on
from risk_assets.engine.engines import Window
from risk_assets.engine.jobs import Result, SampledDate, SampledPiece, SampleJob, StagedRows
from risk_assets.engine.sample_tasks import NAME, arrow_file, read_staged
from risk_assets.engine.spark import Cluster
from risk_assets.engine.tables import complete, lake_address
from risk_assets.engine.tasks import packages
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest, require_manifest
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.staging import discard_objects, new_token
from risk_assets.lake.store import Store

ROWS_PER_PIECE = 500_000
ROWS_PER_BUCKET = 1_000_000


@dataclass(frozen=True)
class ClusterRows:
    """The rows of a window that can train, which executors read: this process gets the sample, and accounts of several groups."""

    cluster: Cluster
    store: Store
    has_customers: bool
    job: SampleJob

    @property
    def engine(self) -> str:
        """The engine that reads the window."""
        return self.cluster.name

    def regrouped(self) -> pl.DataFrame:
        """Return the pairs of the accounts that have several groups."""
        return self._read(self.cluster.pairs(self.job), self.job.buckets) if self.has_customers else NO_PAIRS

    def picks(self, names: Mapping[str, str]) -> pl.DataFrame:
        """Return the leading picks."""
        return self._read(self.cluster.picks(self._with_names(names)), 1)

    def rows(self, names: Mapping[str, str], picked: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of those groups and days."""
        paths = tuple(self._put(f"picks-{found.date}", picked_on(picked, found.date).to_frame()) for found in self.job.dates)
        return self._read(self.cluster.sampled_rows(replace(self._with_names(names), picks=paths)), len(self.job.pieces))

    def _with_names(self, names: Mapping[str, str]) -> SampleJob:
        if not names:
            return self.job
        return replace(self.job, names=self._put("names", pl.DataFrame({GROUP: [*names], NAME: [*names.values()]})))

    def _put(self, name: str, rows: pl.DataFrame) -> str:
        path = layout.staged(self.job.folder, self.job.token) + name
        self.store.put(path, arrow_file(self.store, rows))
        return path

    def _read(self, results: Iterable[Result], count: int) -> pl.DataFrame:
        """Return the rows that tasks have staged, in the order of the tasks."""
        found = complete(results, StagedRows, count, self.job.lake)
        return pl.concat(in_threads(lambda one: read_staged(self.store, one.path, one.sha256), found))


@contextmanager
def cluster_rows(cluster: Cluster, store: Store, window: Window, features: Mapping[str, Manifest]) -> Iterator[ClusterRows]:
    """Yield the rows of a window, given the manifests of the features of its dates with outcomes. At the end, what was staged is deleted.

    The caller has the lease of the training date: what killed trainings for it have left is deleted first.
    """
    folder = layout.training_folder(window.date)
    outcomes = {date: require_manifest(store, layout.curated_outcomes(date)) for date in features}
    rows = sum(min(features[date].rows, outcomes[date].rows) for date in features)
    job = SampleJob(
        lake=lake_address(store),
        packages=packages(),
        dates=tuple(SampledDate(date, features[date].seal, outcomes[date].seal) for date in features),
        pieces=tuple(piece for at, manifest in enumerate(features.values()) for piece in _pieces(at, manifest)),
        contract=window.contract.canonical.decode(),
        policy=window.policy.model_dump_json(),
        known_by=window.known_by,
        folder=folder,
        token=new_token(),
        buckets=max(1, -(-rows // ROWS_PER_BUCKET)),
    )
    discard_objects(store, folder)
    try:
        yield ClusterRows(cluster, store, window.contract.group is not None, job)
    finally:
        with suppress(LakeError):  # storage cannot be reached: the next training for the date does it
            discard_objects(store, folder)


def _pieces(date: int, manifest: Manifest) -> Iterator[SampledPiece]:
    """Yield pieces of a table of features: several of its parts together, or some rows of a table of one file; at least one."""
    part_rows, sizes = manifest.facts_as(FeatureFacts).part_rows, [*manifest.parts.values()]
    if not part_rows:
        for start in range(0, max(manifest.rows, 1), ROWS_PER_PIECE):
            stop = min(start + ROWS_PER_PIECE, manifest.rows)
            yield SampledPiece(date, start, stop, manifest.bytes * (stop - start) // max(manifest.rows, 1))
        return
    start, rows = 0, 0
    for number, count in enumerate(part_rows):
        if number > start and rows + count > ROWS_PER_PIECE:
            yield SampledPiece(date, start, number, sum(sizes[start:number]))
            start, rows = number, 0
        rows += count
    yield SampledPiece(date, start, len(part_rows), sum(sizes[start:]))
