"""Section `azure`: the daily work on one large file of a storage account, beside polars copying it there. The account is Azurite."""

import shutil
from pathlib import Path

from tests.azurite.server import running
from tests.bench.measure import Figures, Task, interleaved, module, set_up, show, table
from tests.bench.workspace import Workspace, snapshot_name

CONTAINER = "lake"
LAKE = f"az://{CONTAINER}/bench"
PRODUCT, POLARS = "product: checks, points, bands, reasons, manifests", "bare polars, CSV to CSV"


def azure(root: Path, source: Path, rows: int, rounds: int, missing: float) -> None:
    """Report seconds and memory of the product and of bare polars, both from Azurite to Azurite; `source` has data and model on disk."""
    set_up(f"data and model, {rows:,} rows", module("prepare", source, missing, rows))
    workspace, snapshot = Workspace(source), snapshot_name(rows, missing)
    with running(root / "azurite") as azurite:
        azurite.create_container(CONTAINER)
        env = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
        set_up("the lake copied to Azurite", module("azure_lake", "copy", source, LAKE), env)

        def clear() -> None:
            set_up("what was made is deleted", module("azure_lake", "clear", source, LAKE), env)

        tasks = [
            Task(PRODUCT, module("product", source, snapshot, "logistic", LAKE), env, clear),
            Task(POLARS, module("azure_polars", LAKE, snapshot), env, clear),
        ]
        runs = interleaved(tasks, rounds)
    figures = {name: Figures.of(found) for name, found in runs.items()}
    size = workspace.accounts(snapshot).stat().st_size / 1e6
    show(f"## azure: {rows:,} rows x 20 features, {size:,.0f} MB of CSV, from Azurite to Azurite\n")
    head = ("", "seconds", "fastest to slowest", "CPU s", "peak MB", "time / bare polars", "CPU / bare polars")
    show(table(head, [_row(name, found, figures[POLARS]) for name, found in figures.items()]))
    show("Azurite is a process on the same cores, whose own time is in the seconds and not in the CPU seconds.\n")
    shutil.rmtree(root)


def _row(name: str, found: Figures, least: Figures) -> tuple[str, ...]:
    ratios = (f"{found.seconds / least.seconds:.2f}", f"{found.cpu / least.cpu:.2f}")
    return (name, f"{found.seconds:.1f}", found.spread, f"{found.cpu:.1f}", f"{found.megabytes:,.0f}", *ratios)
