"""Set-up of `serving`: a live model, and the bodies to send with the probabilities they must be answered with."""

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import polars as pl

from risk_assets.lake import layout, registry
from risk_assets.lake.store import open_store
from tests.bench.rivals.servers import ARROW
from tests.bench.workspace import SAMPLE_POLICY

NEWEST = "2026-01-21"
BODIES = {1: 200, 100: 20, 1000: 4}
SEED = 20260101

Record = dict[str, Any]


def train(root: Path) -> None:
    """Train on the sample book and let the version go live, by the `risk` command."""
    env = {"RISK_LAKE": (root / "lake").as_uri(), "DAGSTER_HOME": str(root / "dagster"), "RISK_POLICY": str(SAMPLE_POLICY)}
    risk = str(Path(sys.executable).with_name("risk"))
    subprocess.run((risk, "train", NEWEST), env={**os.environ, **env}, check=True, stdout=sys.stderr)


def records_of(lake: Path) -> list[Record]:
    """Return records of the lake's curated features without missing values, each with an id of its own.

    In a data frame of one record, pandas holds a missing value as an object, which the fitted pipeline does not take for missing:
    the others would answer such a record otherwise than in a batch.
    """
    files = sorted(lake.glob(layout.features("*")))
    frames = (pl.read_parquet(path).filter(pl.col("issues").is_null()).drop("group", "excluded", "issues") for path in files)
    known = pl.concat(frames).drop_nulls().rename({"account_id": "id"}).with_row_index("row")
    return known.with_columns(pl.format("{}-{}", "id", "row").alias("id")).drop("row").to_dicts()


def columns(records: Sequence[Record], texts: Set[str]) -> Record:
    """Return records as the V2 inference protocol sends a data frame: an input a column."""
    return {"inputs": [_column(name, [record[name] for record in records], name in texts) for name in records[0]]}


def _column(name: str, values: list[Any], text: bool) -> Record:
    kind = {"datatype": "BYTES", "parameters": {"content_type": "str"}} if text else {"datatype": "FP64"}
    return {"name": name, "shape": [len(values), 1], "data": values, **kind}


def stream(records: Sequence[Record]) -> bytes:
    """Return records as an Arrow IPC stream."""
    content = io.BytesIO()
    pl.DataFrame(records).write_ipc_stream(content, compat_level=pl.CompatLevel.oldest())
    return content.getvalue()


def write(root: Path, records: Sequence[Record]) -> None:
    """Write the bodies of each size in each form, one a line, and what the fitted pipeline answers."""
    drawn = random.Random(SEED)
    lake = open_store((root / "lake").as_uri())
    model = root / "lake" / f"registry/{registry.champion(lake).version}" / layout.PIPELINE
    (root / layout.PIPELINE).write_bytes(model.read_bytes())
    pipeline = joblib.load(model)
    texts = {name for record in records for name, value in record.items() if isinstance(value, str)}
    for size, number in BODIES.items():
        batches = [drawn.sample(records, size) for _ in range(number)]
        forms = {
            "records": [{"records": batch} for batch in batches],
            "dataframe_records": [{"dataframe_records": batch} for batch in batches],
            "columns": [columns(batch, texts) for batch in batches],
            "own_columns": [{"answer": "columns", "columns": pl.DataFrame(batch).to_dict(as_series=False)} for batch in batches],
        }
        (root / f"{ARROW}_{size}.jsonl").write_text("\n".join(stream(batch).hex() for batch in batches), encoding="utf-8")
        for form, bodies in forms.items():
            (root / f"{form}_{size}.jsonl").write_text("\n".join(map(json.dumps, bodies)), encoding="utf-8")
        expected = [pipeline.predict_proba(pd.DataFrame(batch))[:, 1].tolist() for batch in batches]
        (root / f"expected_{size}.json").write_text(json.dumps(expected), encoding="utf-8")


def main(root: str) -> None:
    """Prepare the lake, the model and the bodies."""
    train(Path(root))
    write(Path(root), records_of(Path(root) / "lake"))


if __name__ == "__main__":
    main(*sys.argv[1:])
