"""Runs tasks on Spark. Only DataFrames, so that it works with a Spark Connect server as well."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from risk_assets.engine import arrow_tasks
from risk_assets.engine.jobs import (
    CheckJob,
    CopyJob,
    FeaturesJob,
    IndexJob,
    Job,
    MeasureJob,
    PredictionsJob,
    Result,
    SampleJob,
    decode_results,
)
from risk_assets.engine.queries import collected
from risk_assets.engine.session import opened_session, translated_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BYTES_PER_TASK = 16 * 1024 * 1024
MIN_TASKS = 32  # of a date with as many pieces


class Cluster(Protocol):
    """Where tasks run; returns their results in order."""

    @property
    def name(self) -> str:
        """The address as it may be shown."""

    def measure(self, job: MeasureJob) -> list[Result]:
        """Measure all parts of a landed file."""

    def copy(self, job: CopyJob) -> list[Result]:
        """Stage copies of all parts of a landed file."""

    def features(self, job: FeaturesJob, sizes: Sequence[int], distinct: bool) -> list[Result]:
        """Make the features of all pieces, of which `sizes` are the bytes; with ids to compare unless they are `distinct` anyway."""

    def predictions(self, job: PredictionsJob, sizes: Sequence[int]) -> list[Result]:
        """Make the predictions of all parts of the features."""

    def index(self, job: IndexJob, sizes: Sequence[int]) -> list[Result]:
        """Make the index of all pieces of the predictions, of which `sizes` are the bytes."""

    def checks(self, job: CheckJob, sizes: Sequence[int]) -> list[Result]:
        """Compare all pieces of the predictions with those of the raw file."""

    def pairs(self, job: SampleJob) -> list[Result]:
        """Stage the accounts of a window that have several groups, with these, a result for each bucket."""

    def picks(self, job: SampleJob) -> list[Result]:
        """Stage the picks of a window with the smallest hashes: one result."""

    def sampled_rows(self, job: SampleJob) -> list[Result]:
        """Stage the picked rows of all pieces of a window."""


@dataclass
class Spark:
    """A cluster, or Spark on this machine, by the address in `RISK_ENGINE`. The session opens when it is first used."""

    address: str = field(repr=False)
    name: str
    log: Path
    wait_seconds: float
    _opened: ExitStack = field(default_factory=ExitStack, repr=False)
    _session: "SparkSession | None" = field(default=None, repr=False)

    def close(self) -> None:
        """Stop the session, if this object has opened it."""
        self._session = None
        self._opened.close()

    def measure(self, job: MeasureJob) -> list[Result]:
        """Measure all parts of a landed file."""
        return self._each(arrow_tasks.measured_parts, job, job.sizes)

    def copy(self, job: CopyJob) -> list[Result]:
        """Stage copies of all parts of a landed file."""
        return self._each(arrow_tasks.copied_parts, job, job.sizes)

    def features(self, job: FeaturesJob, sizes: Sequence[int], distinct: bool) -> list[Result]:
        """Make the features of all pieces: Spark groups hashes of ids, and each piece gets those that are in several rows."""

        def plan(spark: "SparkSession") -> "DataFrame":
            rows = spark.range(len(sizes)).selectExpr(
                "id AS piece",
                "CAST(NULL AS BIGINT) AS first_hash",
                "CAST(NULL AS BIGINT) AS second_hash",
                "CAST(NULL AS STRING) AS failure",
            )
            if not distinct:
                hashes = _numbers(spark, sizes).mapInArrow(_with_job(arrow_tasks.hashes, job), arrow_tasks.PACKED)
                found = hashes.groupBy("bucket").applyInArrow(_with_job(arrow_tasks.repeated, job), arrow_tasks.REPEATED)
                rows = rows.unionByName(found)
            grouped = rows.repartition(task_count(sizes), "piece").groupBy("piece")
            return grouped.applyInArrow(_with_job(arrow_tasks.features, job), arrow_tasks.RESULT)

        return self._collect(plan)

    def predictions(self, job: PredictionsJob, sizes: Sequence[int]) -> list[Result]:
        """Make the predictions of all parts of the features."""
        return self._each(arrow_tasks.predictions, job, sizes)

    def index(self, job: IndexJob, sizes: Sequence[int]) -> list[Result]:
        """Make the index: Spark groups the rows of all pieces by the task that writes them."""
        return self._grouped(arrow_tasks.index_rows, (arrow_tasks.index_parts,), job, sizes)

    def checks(self, job: CheckJob, sizes: Sequence[int]) -> list[Result]:
        """Compare all pieces of the predictions with those of the raw file."""
        return self._each(arrow_tasks.checked, job, sizes)

    def pairs(self, job: SampleJob) -> list[Result]:
        """Stage the accounts that have several groups: Spark groups the pairs of all pieces by the task that compares them."""
        return self._grouped(arrow_tasks.pairs, (arrow_tasks.several,), job, job.sizes)

    def picks(self, job: SampleJob) -> list[Result]:
        """Stage the picks with the smallest hashes: Spark groups the groups of all pieces by ranges of hashes, and then these ranges."""
        merges = (arrow_tasks.leading,) * arrow_tasks.merges(job.buckets)
        return self._grouped(arrow_tasks.available, (arrow_tasks.picks, *merges, arrow_tasks.chosen), job, job.sizes)

    def sampled_rows(self, job: SampleJob) -> list[Result]:
        """Stage the picked rows of all pieces of a window."""
        return self._each(arrow_tasks.sampled_rows, job, job.sizes)

    def _each(self, task: Callable[[bytes, Any], Any], job: Job, sizes: Sequence[int]) -> list[Result]:
        """Run a task whose pieces do not depend on each other."""
        return self._collect(lambda spark: _numbers(spark, sizes).mapInArrow(_with_job(task, job), arrow_tasks.RESULT))

    def _grouped(
        self, task: Callable[[bytes, Any], Any], grouped: Sequence[Callable[[bytes, Any], Any]], job: Job, sizes: Sequence[int]
    ) -> list[Result]:
        """Run a task for each piece, and then tasks of buckets, one after the other; the last one returns results."""

        def plan(spark: "SparkSession") -> "DataFrame":
            rows = _numbers(spark, sizes).mapInArrow(_with_job(task, job), arrow_tasks.PACKED)
            for bucket_task in grouped:
                schema = arrow_tasks.RESULT if bucket_task is grouped[-1] else arrow_tasks.PACKED
                rows = rows.groupBy("bucket").applyInArrow(_with_job(bucket_task, job), schema)
            return rows

        return self._collect(plan)

    def _collect(self, plan: "Callable[[SparkSession], DataFrame]") -> list[Result]:
        """Return the results of a plan; if there are none, the session is stopped, so that its executors write nothing any more."""
        try:
            if self._session is None:
                self._session = self._opened.enter_context(opened_session(self.address, self.name, self.log, self.wait_seconds))
            with translated_errors(self.name, self.log):
                return decode_results(collected(self._session, plan, self.name, self.wait_seconds))
        except BaseException:
            self.close()
            raise


def task_count(sizes: Sequence[int]) -> int:
    """Return how many tasks share the pieces: one for each piece, or for several small ones, which cost less than a task."""
    return min(len(sizes), max(MIN_TASKS, -(-sum(sizes) // BYTES_PER_TASK)))


def _with_job(task: Callable[[bytes, Any], Any], job: Job) -> Callable[[Any], Any]:
    """Return a task with its job. Spark looks at the arguments and annotations of what it is given: a plain function has none."""
    encoded = msgspec.json.encode(job)
    return lambda rows: arrow_tasks.settled(task)(encoded, rows)


def _numbers(spark: "SparkSession", sizes: Sequence[int]) -> "DataFrame":
    return spark.range(0, len(sizes), 1, task_count(sizes))
