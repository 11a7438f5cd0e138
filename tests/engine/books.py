"""Books that are scored by `risk run` as a process: a trained model, and a date that has landed in shards."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import polars as pl

from risk_assets.engine.parts import DIVIDED_BYTES
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import read_table
from tests.azurite.server import Azurite
from tests.cli.conftest import Done, copy_sample, run_here, run_process
from tests.conftest import copy_documents
from tests.engine.lakes import azurite_credential

TRAINED, DATE, NEXT = "2026-01-03", "2026-01-04", "2026-01-05"
SHARDS, LARGE_SHARDS = 30, 60


@dataclass(frozen=True)
class Book:
    """A working folder, its lake, and the settings that lead to it."""

    folder: Path
    lake: Store
    settings: dict[str, str] = field(repr=False)

    def run(self, *arguments: str, code: int = 0, **settings: str) -> Done:
        """Run `risk` in the folder as a process."""
        return run_process(self.folder, *arguments, code=code, **self.settings | settings)

    def tables(self, date: str = DATE) -> tuple[bytes, pl.DataFrame, dict[str, str], bytes]:
        """Return the predictions, the features, the hashes of the index and the review list of a date."""
        features = read_table(self.lake, layout.features(date)).collect()
        index = require_manifest(self.lake, layout.account_index(date))
        return self.lake.get(layout.predictions(date)), features, index.sha256, self.lake.get(layout.review(date))

    def engine_of(self, key: str, date: str, name: str = "engine") -> object:
        """Return the engine, or who sampled, in the metadata of the newest materialization of a date."""
        records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(key.split("/")), asset_partitions=[date])
        with dg.DagsterInstance.from_config(str(self.folder / ".dagster")) as instance:
            (event,) = instance.fetch_materializations(records, limit=1).records
        assert event.asset_materialization
        return event.asset_materialization.metadata[name].value

    def leftovers(self, date: str = DATE) -> list[str]:
        """Return what is in the folders of the tables of a date and in no manifest."""
        kept = {part for path in (layout.features(date), layout.account_index(date)) for part in require_manifest(self.lake, path).parts}
        tables = (layout.shard(path, "") for path in (layout.features(date), layout.account_index(date)))
        folders = (*tables, f"{layout.RAW}/staged/", f"{layout.CURATED}/staged/")
        return [path for folder in folders for path in self.lake.list(folder) if path not in kept]


def make_book(folder: Path) -> None:
    """Train a model on three dates, and score another date, which has landed in shards; the next one has landed as a file."""
    copy_documents(folder)
    (folder / "data/landing").mkdir()
    copy_sample(folder, "accounts", range(1, 6))
    copy_sample(folder, "outcomes", range(1, 4))
    run_here(folder, "train", TRAINED)
    file = folder / "data/landing" / f"accounts_{DATE}.csv"
    land_in_shards(folder, file.read_bytes().splitlines(keepends=True), SHARDS)
    file.unlink()
    run_here(folder, "run", DATE)


def make_large_book(folder: Path) -> None:
    """Make a book whose date has 60,000 rows."""
    make_book(folder)
    lines = (folder / "data/landing" / f"accounts_{NEXT}.csv").read_bytes().splitlines(keepends=True)
    land_in_shards(folder, [lines[0], *(b"%d-%s" % (copy, line) for copy in range(200) for line in lines[1:])], LARGE_SHARDS)
    run_here(folder, "run", DATE)


def land_in_shards(folder: Path, lines: Sequence[bytes], shards: int) -> None:
    """Land lines, of which the first is the header, as shards of about the same size; one more has a header only."""
    header, *rows = lines
    landed = folder / "data/landing" / f"accounts_{DATE}"
    shutil.rmtree(landed, ignore_errors=True)
    landed.mkdir()
    size = -(-len(rows) // shards)
    for number in range(shards):
        (landed / f"part-{number:04d}.csv").write_bytes(header + b"".join(rows[number * size : (number + 1) * size]))
    (landed / "part-0002-nothing.csv").write_bytes(header)


def enlarge(folder: Path) -> list[str]:
    """Give each shard of the date a column without meaning, with a cell so long that executors store the shards; return their hashes."""
    shards = sorted((folder / "data/landing" / f"accounts_{DATE}").iterdir())
    cell = b"x" * (DIVIDED_BYTES // SHARDS)
    for shard in shards:
        header, *rows = shard.read_bytes().splitlines()
        lines = [header + b",note", *(row + b"," + (b"" if number else cell) for number, row in enumerate(rows))]
        shard.write_bytes(b"\n".join(lines) + b"\n")
    return [sha256(shard.read_bytes()) for shard in shards]


def on_disk(made: Path, folder: Path) -> Book:
    """Return a copy of a book."""
    shutil.copytree(made, folder, symlinks=True)
    return Book(folder, open_store(str(folder / "lakehouse")), {})


def on_azurite(made: Path, folder: Path, azurite: Azurite, address: str) -> Book:
    """Return a copy of a book whose lake is on Azurite."""
    disk = on_disk(made, folder)
    lake = open_store(address, azurite_credential(azurite))
    for path in disk.lake.list(""):
        lake.put(path, disk.lake.get(path))
    return Book(folder, lake, {"RISK_LAKE": address, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string})
