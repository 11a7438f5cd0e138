"""What the fitted pipeline costs without any server: records to a data frame to probabilities, again and again."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import joblib
import pandas as pd

SECONDS = 1.0


def main(root: str, *sizes: str) -> None:
    """Write, for requests of each size, how many a second one process can answer at best."""
    pipeline = joblib.load(Path(root) / "model.joblib")
    found = (f"{int(size):,} record{'s' if size != '1' else ''} {_rate(pipeline, _batches(Path(root), size)):,.0f}/s" for size in sizes)
    sys.stdout.write(", ".join(found))


def _batches(root: Path, size: str) -> list[list[dict[str, object]]]:
    return [json.loads(line)["records"] for line in (root / f"records_{size}.jsonl").read_text(encoding="utf-8").splitlines()]


def _rate(pipeline: object, batches: Sequence[list[dict[str, object]]]) -> float:
    calls, began = 0, time.perf_counter()
    while (lasted := time.perf_counter() - began) < SECONDS:
        pipeline.predict_proba(pd.DataFrame(batches[calls % len(batches)]))
        calls += 1
    return calls / lasted


if __name__ == "__main__":
    main(*sys.argv[1:])
