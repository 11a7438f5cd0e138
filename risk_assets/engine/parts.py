"""The driver's part of storing what landed: executors measure and stage the shards of a date, and it commits them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from risk_assets.engine.jobs import CopiedPart, CopyJob, Failure, LandingAddress, MeasuredPart, MeasureJob, Result
from risk_assets.engine.spark import Cluster
from risk_assets.engine.tables import address, complete, lake_address
from risk_assets.engine.tasks import packages
from risk_assets.errors import EngineError, LakeError, RemovedError
from risk_assets.lake.hashing import Content
from risk_assets.lake.landed_parts import LandedFile, Measured, PartReader, first_dialect, require_records, require_unchanged
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.staging import commit_each, discard_staged, new_token
from risk_assets.lake.store import Store

DIVIDED_BYTES = 64 * 1024 * 1024


def can_be_divided(landed: LandedFile) -> bool:
    """Return whether executors store a landed file sooner than one process: it has several parts, and is large.

    A single file is read from its beginning to its end: where a record ends depends on the quotes before it.
    """
    return len(landed.parts) > 1 and sum(entry.size for entry in landed.entries) >= DIVIDED_BYTES


@dataclass(frozen=True)
class ClusterParts:
    """The parts of a landed file, which executors measure and copy. They do not have the lease: they stage, and the driver commits."""

    cluster: Cluster
    lake: Store
    landed: LandedFile

    @property
    def engine(self) -> str:
        """The engine that measures and copies."""
        return self.cluster.name

    def measure(self) -> Measured:
        """Let executors read each part once; raises as `PartWork`."""
        dialect = first_dialect(PartReader(self.landed))
        self.lake.begin()  # executors find the lake by its format
        job = MeasureJob(
            lake=lake_address(self.lake),
            landing=self._landing,
            packages=packages(),
            parts=self.landed.parts,
            sizes=self._sizes,
            expected=self.landed.expected,
            dialect=dialect,
        )
        results = self.cluster.measure(job)
        self._require_same_landing(results)
        found = complete(results, MeasuredPart, len(job.parts), job.lake, job.landing)
        return Measured(dialect, [require_records(self.landed, part, one.counts) for part, one in zip(job.parts, found, strict=True)])

    def copy(self, targets: Mapping[str, tuple[str, Content]], guard: Guard = no_guard) -> None:
        """Let executors stage a copy of each part, and commit those that have the measured content; raises as `PartWork`."""
        paths = tuple(path for path, _ in targets.values())
        job = CopyJob(
            lake=lake_address(self.lake),
            landing=self._landing,
            packages=packages(),
            parts=tuple(targets),
            sizes=self._sizes,
            targets=paths,
            token=new_token(),
        )
        try:
            results = self.cluster.copy(job)
            self._require_same_landing(results)
            found = complete(results, CopiedPart, len(paths), job.lake, job.landing)
            for (part, (_, measured)), one in zip(targets.items(), found, strict=True):
                require_unchanged(self.landed.store.uri(part), Content(one.staged.segments), measured)
            commit_each(self.lake, {path: one.staged for path, one in zip(paths, found, strict=True)}, guard)
        finally:
            with suppress(LakeError):  # storage cannot be reached: the next write of the file does it
                discard_staged(self.lake, paths[0], job.token)

    @property
    def _landing(self) -> LandingAddress:
        return LandingAddress(address(self.landed.store), self.landed.store.retry_seconds)

    @property
    def _sizes(self) -> tuple[int, ...]:
        sizes = {entry.path: entry.size for entry in self.landed.entries}
        return tuple(sizes.get(part, 0) for part in self.landed.parts)

    def _require_same_landing(self, results: Sequence[Result]) -> None:
        """Raise `EngineError` if the first failure is a part that an executor does not find and this process does."""
        first = next((result for result in results if isinstance(result, Failure)), None)
        if first is None or first.error != RemovedError.__name__:
            return
        part = self.landed.parts[first.number]
        if self.landed.store.entry(part):
            raise EngineError(
                f"an executor does not find the landed file {self.landed.store.uri(part)} (host {first.host}). With several machines, the "
                "landing folder must be on Azure, or in a folder that all of them have mounted at the same path."
            )
