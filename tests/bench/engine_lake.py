"""Set-up of `engine`: a lake with a live model, and dates whose accounts landed in shards."""

import shutil
import sys
from itertools import chain
from pathlib import Path

import polars as pl

from risk_assets.lake import layout
from risk_assets.lake.landing import ACCOUNTS, folder_name
from tests.bench.engine import LARGE, LARGE_SHARDS, TINY_ROWS, TINY_SHARDS
from tests.bench.prepare import chunks, go_live, write_documents
from tests.bench.product import open_lakehouse
from tests.bench.workspace import TARGET, Workspace


def land(workspace: Workspace, date: str, rows: int, shards: int) -> None:
    """Land so many rows of a date in so many shards of the same size."""
    folder = workspace.landing / folder_name(ACCOUNTS, date)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size, left, number = -(-rows // shards), pl.DataFrame(), 0
    for frame in chain((frame.drop(TARGET) for frame in chunks(rows, 0.0, stream=0)), [None]):
        left = left if frame is None else pl.concat([left, frame])
        while left.height >= size or (frame is None and left.height):
            left[:size].write_csv(folder / f"part-{number:05d}.csv", float_precision=3)
            left, number = left[size:], number + 1
    (folder / "_SUCCESS").touch()


def main(root: str, rows: str) -> None:
    """Make the lake, unless it is there with so many rows."""
    workspace = Workspace(Path(root))
    made = workspace.root / f"made-of-{rows}-rows"
    if made.exists():
        return
    shutil.rmtree(workspace.root, ignore_errors=True)
    workspace.root.mkdir(parents=True)
    write_documents(workspace)
    lakehouse = open_lakehouse(workspace)
    go_live(lakehouse, workspace, 0.0)
    shutil.rmtree(workspace.lake / layout.version_folder(workspace.version("scorecard")))
    land(workspace, LARGE, int(rows), LARGE_SHARDS)
    for shards, date in TINY_SHARDS.items():
        land(workspace, date, shards * TINY_ROWS, shards)
    made.touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
