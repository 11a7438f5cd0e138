"""Tasks as Spark calls them: with batches or groups of rows in Arrow, and a job as JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from risk_assets.domain.morning.account_index import KEY, ROW
from risk_assets.engine import part_tasks, tasks
from risk_assets.engine.jobs import CopyJob, Failure, FeaturesJob, IndexJob, MeasureJob, PredictionsJob, Result, encode_result

RESULT = "result string"
HASHES = "piece bigint, first_hash bigint, second_hash bigint, rows bigint, failure string"
INDEX_ROWS = "bucket bigint, key bigint, row bigint, probability double, points int, prediction tinyint, failure string"
_HASHES = pa.schema(
    [("piece", pa.int64()), ("first_hash", pa.int64()), ("second_hash", pa.int64()), ("rows", pa.int64()), ("failure", pa.string())]
)
_INDEX_ROWS = pa.schema(
    [
        ("bucket", pa.int64()),
        ("key", pa.int64()),
        ("row", pa.int64()),
        ("probability", pa.float64()),
        ("points", pa.int32()),
        ("prediction", pa.int8()),
        ("failure", pa.string()),
    ]
)
_FAILED = -1  # the bucket of failures


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
    """Yield the hashes of the ids of each piece, or a failure."""
    decoded = msgspec.json.decode(job, type=FeaturesJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: tasks.repeatable_hashes(decoded, number))  # type: ignore[misc]
        if isinstance(found, Failure):
            yield _batch(_HASHES, piece=[number], first_hash=[None], second_hash=[None], rows=[0], failure=[encode_result(found)])
        else:
            yield _from_frame(
                found.with_columns(pl.lit(number, pl.Int64).alias("piece"), pl.lit(None, pl.String).alias("failure")), _HASHES
            )


def features(job: bytes, rows: pa.Table) -> pa.Table:
    """Make the features of a piece from its number, in all rows, and the hashes of its repeated ids."""
    decoded = msgspec.json.decode(job, type=FeaturesJob)
    group = _frame(rows)
    failures = group["failure"].drop_nulls()
    if len(failures):
        return _result(failures[0])
    number = int(group["piece"][0])
    repeated = group.select(tasks.FIRST_HASH, tasks.SECOND_HASH).drop_nulls()
    return _result(encode_result(tasks.reported(number, decoded, lambda: tasks.make_features(decoded, number, repeated))))


def predictions(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the result of each part of the features."""
    decoded = msgspec.json.decode(job, type=PredictionsJob)
    for number in _numbers(batches):
        result: Result = tasks.reported(number, decoded, lambda number=number: tasks.make_predictions(decoded, number))  # type: ignore[misc]
        yield _results([result])


def index_rows(job: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the index from each piece of the predictions, and a row without key for each bucket, or a failure."""
    decoded = msgspec.json.decode(job, type=IndexJob)
    for number in _numbers(batches):
        found = tasks.reported(number, decoded, lambda number=number: tasks.index_rows(decoded, number))  # type: ignore[misc]
        if isinstance(found, Failure):
            yield _sparse(_INDEX_ROWS, bucket=[_FAILED], failure=[encode_result(found)])
            continue
        if number == 0:
            yield _sparse(_INDEX_ROWS, bucket=list(range(-(-decoded.parts // decoded.parts_per_task))))
        signed = found.with_columns(
            pl.col(KEY).reinterpret(signed=True), pl.col(ROW).cast(pl.Int64), pl.lit(None, pl.String).alias("failure")
        )
        yield _from_frame(signed, _INDEX_ROWS)


def index_parts(job: bytes, rows: pa.Table) -> pa.Table:
    """Write the parts of a bucket of the index."""
    decoded = msgspec.json.decode(job, type=IndexJob)
    group = _frame(rows)
    bucket = int(group["bucket"][0])
    if bucket == _FAILED:
        return _result(group["failure"][0])
    keyed = group.filter(pl.col(KEY).is_not_null()).select(pl.exclude("bucket", "failure"))
    unsigned = keyed.with_columns(pl.col(KEY).reinterpret(signed=False), pl.col(ROW).cast(pl.UInt32))
    return _result(encode_result(tasks.reported(bucket, decoded, lambda: tasks.write_index_parts(decoded, bucket, unsigned))))


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


def _batch(schema: pa.Schema, **columns: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def _sparse(schema: pa.Schema, **columns: list[Any]) -> pa.RecordBatch:
    """Return a batch whose other columns are null."""
    length = len(next(iter(columns.values())))
    return _batch(schema, **{name: columns.get(name, [None] * length) for name in schema.names})


def _result(text: str) -> pa.Table:
    return pa.table({"result": pa.array([text], pa.string())})


def _results(results: Iterable[Result]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"result": pa.array([encode_result(result) for result in results], pa.string())})
