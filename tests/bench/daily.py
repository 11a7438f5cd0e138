"""Sections `daily`, `memory` and `estimators`: the daily work on one large file, beside pandas and bare polars."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from risk_assets.domain.training.estimators import ESTIMATORS
from tests.bench.measure import Figures, Run, Task, interleaved, module, set_up, show, table
from tests.bench.workspace import Workspace, snapshot_name

PRODUCT, PANDAS, POLARS = "product: checks, points, bands, reasons, manifests", "plain pandas script", "bare polars, CSV to CSV"


def daily(root: Path, rows: int, rounds: int, missing: float) -> None:
    """Report seconds and memory of the product, a pandas script and bare polars on the same file."""
    workspace, snapshot = _prepared(root, [rows], missing), snapshot_name(rows, missing)
    runs = interleaved(_tasks(workspace, snapshot), rounds)
    figures = {name: Figures.of(found) for name, found in runs.items()}
    show(f"## daily: {rows:,} rows x 20 features{f', {missing:.0%} missing' if missing else ''}, {_size(workspace, snapshot)}\n")
    show(_comparison(figures))
    show("The product without Dagster, from the raw zone to the predictions' manifest. Where its seconds go (medians):\n")
    show(_steps(runs[PRODUCT]))
    same = set_up("compare", module("compare", workspace.predictions(snapshot), workspace.output("pandas")))
    show(f"Product and pandas script: {same}.\n")
    workspace.clear()


def memory(root: Path, rows: int, rounds: int, missing: float) -> None:
    """Report the product's peak memory at a tenth, a half and all of the rows."""
    sizes = [rows // 10, rows // 2, rows]
    workspace = _prepared(root, sizes, missing)
    tasks = {size: _product(workspace, snapshot_name(size, missing), f"{size:,} rows") for size in sizes}
    runs = interleaved(list(tasks.values()), rounds)
    figures = {size: Figures.of(runs[task.name]) for size, task in tasks.items()}
    show("## memory: the product's peak by rows\n")
    head = ("rows", "peak MB", "seconds", "million rows a second")
    show(table(head, [(f"{n:,}", f"{f.megabytes:,.0f}", f"{f.seconds:.1f}", f"{n / f.seconds / 1e6:.2f}") for n, f in figures.items()]))
    workspace.clear()


def estimators(root: Path, rows: int, rounds: int) -> None:
    """Report the daily work by each estimator, and how fast each is in memory beside the model that scikit-learn fitted."""
    workspace, snapshot = _prepared(root, [rows], 0.0), snapshot_name(rows, 0.0)
    tasks = {name: _product(workspace, snapshot, f"by {name}", name) for name in ESTIMATORS}
    runs = interleaved(list(tasks.values()), rounds)
    figures = {name: Figures.of(runs[task.name]) for name, task in tasks.items()}
    show(f"## estimators: {rows:,} rows x 20 features, from the raw zone to the predictions\n")
    head = ("", "seconds", "fastest to slowest", "peak MB", "time / logistic")
    first = figures["logistic"].seconds
    show(table(head, [(n, f"{f.seconds:.1f}", f.spread, f"{f.megabytes:,.0f}", f"{f.seconds / first:.2f}") for n, f in figures.items()]))
    workspace.clear()
    show(set_up("fitted and compiled", module("speed", workspace.root)))


def _prepared(root: Path, sizes: Sequence[int], missing: float) -> Workspace:
    set_up(f"data and model, {', '.join(f'{size:,}' for size in sizes)} rows", module("prepare", root, missing, *sizes))
    return Workspace(root)


def _tasks(workspace: Workspace, snapshot: str) -> list[Task]:
    source = workspace.accounts(snapshot)
    script = module("plain_pandas", source, workspace.pipeline("logistic"), workspace.output("pandas"))
    return [
        _product(workspace, snapshot, PRODUCT),
        Task(PANDAS, script, prepare=lambda: _drop(workspace, "pandas")),
        Task(POLARS, module("bare_polars", source, workspace.output("polars")), prepare=lambda: _drop(workspace, "polars")),
    ]


def _product(workspace: Workspace, snapshot: str, name: str, estimator: str = "logistic") -> Task:
    return Task(name, module("product", workspace.root, snapshot, estimator), prepare=workspace.clear)


def _drop(workspace: Workspace, who: str) -> None:
    workspace.output(who).unlink(missing_ok=True)


def _comparison(figures: dict[str, Figures]) -> str:
    pandas, polars = figures[PANDAS], figures[POLARS]
    head = (
        "",
        "seconds",
        "fastest to slowest",
        "CPU s",
        "peak MB",
        "time / pandas",
        "memory / pandas",
        "time / bare polars",
        "CPU / bare polars",
    )
    rows = (
        (
            name,
            f"{found.seconds:.1f}",
            found.spread,
            f"{found.cpu:.1f}",
            f"{found.megabytes:,.0f}",
            f"{found.seconds / pandas.seconds:.2f}",
            f"{found.megabytes / pandas.megabytes:.2f}",
            f"{found.seconds / polars.seconds:.2f}",
            f"{found.cpu / polars.cpu:.2f}",
        )
        for name, found in figures.items()
    )
    return table(head, rows)


def _steps(runs: Sequence[Run]) -> str:
    found = [json.loads(run.output) for run in runs]
    steps = {step: statistics.median(run[step] for run in found) for step in found[0]}
    rest = statistics.median(run.seconds - sum(step.values()) for run, step in zip(runs, found, strict=True))
    return table(("step", "seconds"), [(name, f"{seconds:.1f}") for name, seconds in {"start-up and end": rest, **steps}.items()])


def _size(workspace: Workspace, snapshot: str) -> str:
    return f"{workspace.accounts(snapshot).stat().st_size / 1e6:,.0f} MB of CSV"
