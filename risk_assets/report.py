"""What the `risk` command shows: tables for people."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from risk_assets.domain.contract import ACCOUNT_ID
from risk_assets.domain.features import count_issues
from risk_assets.lake import layout, run_log
from risk_assets.lake.registry import Binding, ModelVersion
from risk_assets.lake.store import Store
from risk_assets.lake.table import Manifest, find_manifest, read_table

RISKIEST = 10
LOG_COLUMNS = {
    "timestamp": "time (UTC)",
    "date": "date",
    "job": "job",
    "status": "status",
    "model_version": "version",
    "rows_in": "rows",
    "scored": "scored",
    "with_issues": "issues",
    "predicted_bad": "bad",
    "mean_score": "mean",
    "seconds": "seconds",
    "error": "error",
}


def models(console: Console, versions: Sequence[ModelVersion], live: str | None) -> None:
    """Show all versions, newest first."""
    table = _table("Model versions", "version", "trained for", "rows", "accuracy", "AUC", "Gini", "KS", "gates")
    for version in reversed(versions):
        metrics, metadata = version.metrics, version.metadata
        failed = [gate.name for gate in metadata.gates if not gate.passed]
        name = f"{version.name} (live)" if version.name == live else version.name
        figures = (f"{figure:.3f}" for figure in (metrics.accuracy, metrics.roc_auc, metrics.gini, metrics.ks))
        rows = f"{metrics.n_train}+{metrics.n_test}"
        table.add_row(name, metadata.origin.training_date, rows, *figures, "NOT " + ", ".join(failed) if failed else "passed")
    console.print(table)


def binding(console: Console, found: Binding, version: ModelVersion) -> None:
    """Show what is live, since when, by whom and why, and how good it was on its holdout."""
    table = _table(None, "", "", header=False)
    for name, value in (
        ("live", found.champion),
        ("since", found.effective_from),
        ("by", found.actor),
        ("because", found.reason),
        ("binding", str(found.seq)),
        ("trained for", version.metadata.origin.training_date),
        ("accuracy, AUC", f"{version.metrics.accuracy:.3f}, {version.metrics.roc_auc:.3f}"),
    ):
        table.add_row(name, value)
    console.print(table)


def log(console: Console, store: Store, last: int) -> None:
    """Show the run log's newest rows."""
    rows = list(run_log.read(store).values())
    table = _table("Run log", *LOG_COLUMNS.values())
    for row in rows[-last:]:
        shown = row | {"mean_score": f"{float(row['mean_score']):.4f}" if row["mean_score"] else ""}
        table.add_row(*[shown[name] for name in LOG_COLUMNS], style="red" if row["status"] != "success" else None)
    console.print(table)


def days(console: Console, store: Store, dates: Iterable[str]) -> None:
    """Show each date's rows, how many were scored, and the commonest issue."""
    table = _table("Snapshots", "date", "rows", "scored", "predicted bad", "mean score", "with issues", "commonest issue")
    for date in dates:
        features = find_manifest(store, layout.features(date))
        if features:
            table.add_row(*_day(date, features, find_manifest(store, layout.predictions(date))))
    console.print(table)


def riskiest(console: Console, store: Store, date: str) -> None:
    """Show the ten accounts with the highest probability."""
    frame = read_table(store, layout.predictions(date)).select(ACCOUNT_ID, "probability", "points", "band", "^reason_1$")
    top = frame.top_k(RISKIEST, by="probability").sort("probability", descending=True).collect(engine="streaming")
    table = _table(f"The {RISKIEST} riskiest accounts of {date}", "account", "probability", "points", "band", "first reason")
    for account, probability, points, band, *reason in top.iter_rows():
        table.add_row(account, f"{probability:.3f}", str(points), band, *(text or "" for text in reason))
    console.print(table)


def _day(date: str, features: Manifest, predictions: Manifest | None) -> tuple[str, ...]:
    kinds: Any = features.facts["kinds"]
    commonest = next(iter(count_issues(kinds).items()), None)
    facts: Any = predictions.facts if predictions else {}
    mean = facts.get("mean_score")
    return (
        date,
        str(features.rows),
        str(facts.get("scored", "not yet")),
        str(facts.get("predicted_bad", "")),
        f"{mean:.3f}" if mean is not None else "",
        str(features.facts["with_issues"]),
        f"{commonest[0]} ({commonest[1]})" if commonest else "",
    )


def _table(title: str | None, *columns: str, header: bool = True) -> Table:
    table = Table(*columns, title=title, box=box.SIMPLE, title_justify="left", show_header=header)
    table.title_style = "bold"
    return table
