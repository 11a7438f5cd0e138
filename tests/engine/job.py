"""A small Spark job, as a process: `python -m tests.engine.job ADDRESS TASKS SECONDS` prints the sum of what its tasks return."""

import sys
import time
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession


def main(address: str, tasks: str, seconds: str) -> None:
    pause = float(seconds)

    def numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(pause)
            yield batch

    builder = SparkSession.builder
    session = (builder.remote(address) if address.startswith("sc://") else builder.master(address)).getOrCreate()
    rows = session.range(0, int(tasks), 1, int(tasks)).mapInArrow(numbered, "id long").collect()
    session.stop()
    sys.stdout.write(f"{len(rows)} rows, sum {sum(row.id for row in rows)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
