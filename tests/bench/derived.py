"""Section `derived`: what a date costs whose states are carried and on which outcomes mature, by length of the window."""

import json
import shutil
from pathlib import Path

from tests.bench.measure import module, set_up, show, table


def derived(root: Path, rounds: int) -> None:
    """Report the processor milliseconds of a date with each window, on the same lake."""
    shutil.rmtree(root, ignore_errors=True)
    found: dict[str, list[float]] = json.loads(set_up("derived outcomes", module("derived_dates", root, rounds)))
    show("## derived: CPU ms a date, 100,000 accounts, 380 dates before it\n")
    head = ("window, days", "states", "outcomes", "both")
    show(table(head, [(window, *(f"{ms:.0f}" for ms in figures), f"{sum(figures):.0f}") for window, figures in found.items()]))
    shutil.rmtree(root)
