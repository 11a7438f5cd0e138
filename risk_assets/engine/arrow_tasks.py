"""Tasks as Spark calls them: with batches or groups of rows in Arrow, and a job as JSON."""

import gc
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from risk_assets.engine import check_tasks, part_tasks, tasks
from risk_assets.engine.jobs import (
    CheckJob,
    CopyJob,
    Failure,
    FeaturesJob,
    IndexJob,
    MeasureJob,
    PredictionsJob,
    Result,
    SampleJob,
    encode_result,
)

RESULT = "result string"
PACKED = "bucket bigint, piece bigint, rows binary, failure string"  # rows for a task, as bytes: Java does not handle them one by one
REPEATED = "piece bigint, first_hash bigint, second_hash bigint, failure string"
_PACKED = pa.schema([("bucket", pa.int64()), ("piece", pa.int64()), ("rows", pa.binary()), ("failure", pa.string())])
_REPEATED = pa.schema([("piece", pa.int64()), ("first_hash", pa.int64()), ("second_hash", pa.int64()), ("failure", pa.string())])
_FAILED = -1  # the bucket of failures
MERGED_BUCKETS = 4  # of picks, by one task: at most four times the policy's max_rows


def settled(task: Callable[[bytes, Any], Any]) -> Callable[[bytes, Any], Any]:
    """Return a task; before, exclude the imports of this process from the garbage collection that Spark runs after each task."""
    _exclude_imports()
    return task


@cache
def _exclude_imports() -> None:
    gc.freeze()


def measured_parts(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what the parts of a landed file contain."""
    decoded = msgspec.json.decode(job, type=MeasureJob)
    for batch in batches:
        yield _results(part_tasks.measure(decoded, batch.column(0).to_pylist()))


def copied_parts(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Stage copies of the parts of a landed file, and yield their results."""
    decoded = msgspec.json.decode(job, type=CopyJob)
    for batch in batches:
        yield _results(part_tasks.copy(decoded, batch.column(0).to_pylist()))


def hashes(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the hashes of the ids of each piece, packed for the tasks that compare them, or a failure."""
    decoded = msgspec.json.decode(job, type=FeaturesJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: tasks.repeatable_hashes(decoded, number))  # type: ignore[misc]
        yield _packed(number, found)


def repeated(job: bytes, rows: pa.Table) -> pa.Table:
    """Return the hashes of a bucket that occur in several rows, each with its piece, or the failures of pieces."""
    decoded = msgspec.json.decode(job, type=FeaturesJob)
    group = _frame(rows)
    failed = group.filter(pl.col("failure").is_not_null())
    if len(failed):
        batch = _sparse(_REPEATED, piece=failed["piece"].to_list(), failure=failed["failure"].to_list())
        return pa.Table.from_batches([batch])
    pieces = group["piece"].to_list()
    found = tasks.reported(pieces[0], decoded, lambda: tasks.repeated_hashes(dict(zip(pieces, _unpacked(group), strict=True))))
    if isinstance(found, Failure):
        return pa.Table.from_batches([_sparse(_REPEATED, piece=pieces[:1], failure=[encode_result(found)])])
    return pa.Table.from_batches([_from_frame(found.with_columns(pl.lit(None, pl.String).alias("failure")), _REPEATED)])


def features(job: bytes, rows: pa.Table) -> pa.Table:
    """Make the features of a piece from its number, in all rows, and the hashes of its repeated ids."""
    decoded = msgspec.json.decode(job, type=FeaturesJob)
    group = _frame(rows)
    failures = group["failure"].drop_nulls()
    if len(failures):
        return _result(failures[0])
    number = int(group["piece"][0])
    several = group.select(tasks.FIRST_HASH, tasks.SECOND_HASH).drop_nulls()
    return _result(encode_result(tasks.reported(number, decoded, lambda: tasks.make_features(decoded, number, several))))


def predictions(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the result of each part of the features."""
    decoded = msgspec.json.decode(job, type=PredictionsJob)
    for number in _numbers(batches):
        result: Result = tasks.reported(number, decoded, lambda number=number: tasks.make_predictions(decoded, number))  # type: ignore[misc]
        yield _results([result])


def index_rows(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the index from each piece of the predictions, packed for the tasks that write them, or a failure."""
    decoded = msgspec.json.decode(job, type=IndexJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: tasks.index_rows(decoded, number))  # type: ignore[misc]
        if number == 0:  # a bucket without rows has a task, too
            yield _sparse(_PACKED, bucket=list(range(-(-decoded.parts // decoded.parts_per_task))))
        yield _packed(number, found)


def index_parts(job: bytes, rows: pa.Table) -> pa.Table:
    """Write the parts of a bucket of the index."""
    decoded = msgspec.json.decode(job, type=IndexJob)
    group = _frame(rows)
    bucket = int(group["bucket"][0])
    if bucket == _FAILED:
        return _result(group["failure"][0])
    found = pl.concat([tasks.NO_INDEX_ROWS, *_unpacked(group)])
    return _result(encode_result(tasks.reported(bucket, decoded, lambda: tasks.write_index_parts(decoded, bucket, found))))


def checked(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what the checks need of each piece of the predictions."""
    decoded = msgspec.json.decode(job, type=CheckJob)
    for number in _numbers(batches):
        result: Result = tasks.reported(number, decoded, lambda number=number: check_tasks.check(decoded, number))  # type: ignore[misc]
        yield _results([result])


def pairs(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the accounts and groups of each piece of a window, packed for the tasks that compare them, or a failure."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    decoded = msgspec.json.decode(job, type=SampleJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: sample_tasks.pairs(decoded, number))  # type: ignore[misc]
        if number == 0:  # a bucket without rows has a task, too
            yield _sparse(_PACKED, bucket=list(range(decoded.buckets)))
        yield _packed(number, found)


def several(job: bytes, rows: pa.Table) -> pa.Table:
    """Stage the pairs of the accounts of a bucket that have several groups."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    return _staged(job, rows, sample_tasks.several)


def available(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the groups of each piece of a window with their numbers of rows, packed for the tasks that choose, or a failure."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    decoded = msgspec.json.decode(job, type=SampleJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: sample_tasks.available_groups(decoded, number))  # type: ignore[misc]
        if number == 0:  # without any row there is a choice, too
            yield _sparse(_PACKED, bucket=[0])
        yield _packed(number, found)


def picks(job: bytes, rows: pa.Table) -> pa.Table:
    """Return the leading picks of a bucket of groups, packed for the task that merges several buckets."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    return _merged(job, rows, sample_tasks.picks)


def leading(job: bytes, rows: pa.Table) -> pa.Table:
    """Return the leading picks of several buckets, packed for the task that merges several of these."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    return _merged(job, rows, sample_tasks.leading_picks)


def chosen(job: bytes, rows: pa.Table) -> pa.Table:
    """Stage the leading picks of all buckets."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    return _staged(job, rows, sample_tasks.chosen)


def merges(buckets: int) -> int:
    """Return how often the picks of so many buckets are merged until one task can have them all."""
    return 0 if buckets <= MERGED_BUCKETS else 1 + merges(-(-buckets // MERGED_BUCKETS))


def sampled_rows(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Stage the picked rows of each piece of a window, and yield the results."""
    from risk_assets.engine import sample_tasks  # imports pandas and scipy

    decoded = msgspec.json.decode(job, type=SampleJob)
    for number in _numbers(batches):
        result: Result = tasks.reported(number, decoded, lambda number=number: sample_tasks.picked_rows(decoded, number))  # type: ignore[misc]
        yield _results([result])


def _staged(job: bytes, rows: pa.Table, task: Callable[[SampleJob, int, list[pl.DataFrame]], Result]) -> pa.Table:
    """Return the result of a task for a bucket, or a failure of a piece."""
    decoded, group = msgspec.json.decode(job, type=SampleJob), _frame(rows)
    bucket = int(group["bucket"][0])
    if bucket == _FAILED:
        return _result(group["failure"][0])
    return _result(encode_result(tasks.reported(bucket, decoded, lambda: task(decoded, bucket, _unpacked(group)))))


def _merged(job: bytes, rows: pa.Table, task: Callable[[SampleJob, list[pl.DataFrame]], pl.DataFrame]) -> pa.Table:
    """Return what a task makes of the rows of a bucket, packed for the task that has several buckets, or the failures."""
    decoded, group = msgspec.json.decode(job, type=SampleJob), _frame(rows)
    bucket = int(group["bucket"][0])
    if bucket == _FAILED:
        return pa.Table.from_batches([_from_frame(group, _PACKED)])
    found = tasks.reported(bucket, decoded, lambda: task(decoded, _unpacked(group)))
    if isinstance(found, Failure):
        return pa.Table.from_batches([_packed(bucket, found)])
    content = found.write_ipc_stream(None, compression="uncompressed").getvalue()
    return pa.Table.from_batches([_sparse(_PACKED, bucket=[bucket // MERGED_BUCKETS], piece=[bucket], rows=[content])])


def _packed(number: int, found: pl.DataFrame | Failure) -> pa.RecordBatch:
    """Return the rows of a piece, packed for each bucket, or a failure."""
    if isinstance(found, Failure):
        return _sparse(_PACKED, bucket=[_FAILED], piece=[number], failure=[encode_result(found)])
    parts = found.partition_by(tasks.BUCKET, as_dict=True, include_key=False)
    contents = [part.write_ipc_stream(None, compression="uncompressed").getvalue() for part in parts.values()]
    return _sparse(_PACKED, bucket=[bucket for (bucket,) in parts], piece=[number] * len(parts), rows=contents)


def _unpacked(group: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the rows that pieces have for a bucket."""
    return [pl.read_ipc_stream(content) for content in group["rows"].drop_nulls()]


def _numbers(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    for batch in batches:
        yield from batch.column(0).to_pylist()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _from_frame(frame: pl.DataFrame, schema: pa.Schema) -> pa.RecordBatch:
    """Return a frame as one batch with exactly these columns and types, as Spark requires."""
    table = frame.select(schema.names).rechunk().to_arrow().cast(schema)
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)


def _sparse(schema: pa.Schema, **columns: list[Any]) -> pa.RecordBatch:
    """Return a batch whose other columns are null."""
    length = len(next(iter(columns.values())))
    return pa.RecordBatch.from_pydict({name: columns.get(name, [None] * length) for name in schema.names}, schema=schema)


def _result(text: str) -> pa.Table:
    return pa.table({"result": pa.array([text], pa.string())})


def _results(results: Iterable[Result]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"result": pa.array([encode_result(result) for result in results], pa.string())})
