"""Section `monitoring`: false alerts and detection of drift on simulated books, and its cost on a large snapshot."""

from pathlib import Path

from tests.bench.measure import module, set_up, show
from tests.bench.workspace import Workspace, snapshot_name


def monitoring(root: Path, rows: int, books: int) -> None:
    """Report how often drift is alerted without and with shifts, and the cost relative to scoring."""
    show("## monitoring\n")
    show(set_up("books without drift and with shifts", module("drift", books)) + "\n")
    set_up(f"data and model, {rows:,} rows", module("prepare", root, 0.0, rows))
    show(f"{rows:,} rows:\n")
    show(set_up("cost of drift", module("drift_cost", root, snapshot_name(rows, 0.0))) + "\n")
    Workspace(root).clear()
