"""A cluster without Spark: the tasks of executors, called in this process with the batches and groups that Spark gives them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl
import pyarrow as pa

from risk_assets.engine import arrow_tasks
from risk_assets.engine.jobs import CheckJob, CopyJob, FeaturesJob, IndexJob, MeasureJob, PredictionsJob, Result, SampleJob, decode_results

Task = Callable[[bytes, pa.Table], pa.Table]


@dataclass
class InProcess:
    """Tasks run one after the other, each piece `attempts` times. `calls` has the tasks in order."""

    attempts: int = 1
    name: str = "in process"
    calls: list[str] = field(default_factory=list)

    def measure(self, job: MeasureJob) -> list[Result]:
        self.calls.append("measure")
        found = frame(arrow_tasks.measured_parts(msgspec.json.encode(job), self._batches(len(job.sizes), self.attempts)))
        return decode_results(found["result"].to_list())

    def copy(self, job: CopyJob) -> list[Result]:
        self.calls.append("copy")
        found = frame(arrow_tasks.copied_parts(msgspec.json.encode(job), self._batches(len(job.sizes), self.attempts)))
        return decode_results(found["result"].to_list())

    def features(self, job: FeaturesJob, sizes: Sequence[int], distinct: bool) -> list[Result]:
        encoded = msgspec.json.encode(job)
        self.calls.append("features")
        markers = pl.DataFrame({"piece": range(len(sizes))}, schema={"piece": pl.Int64})
        rows = markers.with_columns(pl.lit(None, pl.Int64).alias(name) for name in ("first_hash", "second_hash"))
        rows = rows.with_columns(pl.lit(None, pl.String).alias("failure"))
        if not distinct:
            packed = frame(arrow_tasks.hashes(encoded, self._batches(len(sizes), 1)))
            tables = [arrow_tasks.repeated(encoded, group.to_arrow()) for _, group in packed.group_by("bucket")]
            found = [rows.clear(), *(frame(table.to_batches()) for table in tables if table.num_rows)]
            rows = pl.concat([rows, *found])
        return self._groups(rows, "piece", lambda group: arrow_tasks.features(encoded, group))

    def predictions(self, job: PredictionsJob, sizes: Sequence[int]) -> list[Result]:
        self.calls.append("predictions")
        found = frame(arrow_tasks.predictions(msgspec.json.encode(job), self._batches(len(sizes), self.attempts)))
        return decode_results(found["result"].to_list())

    def index(self, job: IndexJob, sizes: Sequence[int]) -> list[Result]:
        self.calls.append("index")
        return self._grouped(arrow_tasks.index_rows, (), arrow_tasks.index_parts, job, sizes)

    def checks(self, job: CheckJob, sizes: Sequence[int]) -> list[Result]:
        self.calls.append("checks")
        found = frame(arrow_tasks.checked(msgspec.json.encode(job), self._batches(len(sizes), self.attempts)))
        return decode_results(found["result"].to_list())

    def pairs(self, job: SampleJob) -> list[Result]:
        self.calls.append("pairs")
        return self._grouped(arrow_tasks.pairs, (), arrow_tasks.several, job, job.sizes)

    def picks(self, job: SampleJob) -> list[Result]:
        self.calls.append("picks")
        merges = (arrow_tasks.leading,) * arrow_tasks.merges(job.buckets)
        return self._grouped(arrow_tasks.available, (arrow_tasks.picks, *merges), arrow_tasks.chosen, job, job.sizes)

    def sampled_rows(self, job: SampleJob) -> list[Result]:
        self.calls.append("rows")
        found = frame(arrow_tasks.sampled_rows(msgspec.json.encode(job), self._batches(len(job.sizes), self.attempts)))
        return decode_results(found["result"].to_list())

    def close(self) -> None:
        self.calls.append("close")

    def _batches(self, count: int, attempts: int) -> Iterator[pa.RecordBatch]:
        for _ in range(attempts):
            yield pa.RecordBatch.from_pydict({"id": list(range(count))}, schema=pa.schema([("id", pa.int64())]))

    def _grouped(
        self,
        task: Callable[..., Iterator[pa.RecordBatch]],
        between: Sequence[Task],
        last: Task,
        job: IndexJob | SampleJob,
        sizes: Sequence[int],
    ) -> list[Result]:
        encoded = msgspec.json.encode(job)
        rows = frame(task(encoded, self._batches(len(sizes), 1)))
        for each in between:
            rows = frame(batch for _, group in rows.group_by("bucket") for batch in each(encoded, group.to_arrow()).to_batches())
        return self._groups(rows, "bucket", lambda group: last(encoded, group))

    def _groups(self, rows: pl.DataFrame, key: str, task: Callable[[pa.Table], pa.Table]) -> list[Result]:
        groups = [group.to_arrow() for _, group in rows.sample(fraction=1, shuffle=True, seed=7).group_by(key)] * self.attempts
        return decode_results(frame(batch for group in groups for batch in task(group).to_batches())["result"].to_list())


def frame(batches: Iterable[pa.RecordBatch]) -> pl.DataFrame:
    found = pl.from_arrow(pa.Table.from_batches(list(batches)))
    assert isinstance(found, pl.DataFrame)
    return found
