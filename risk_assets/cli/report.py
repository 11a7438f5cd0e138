"""What the `risk` command shows: tables for people."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from risk_assets.domain.contract.policy import Points
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.bindings import Binding, challenger_label
from risk_assets.domain.governance.impact import Impact
from risk_assets.domain.ingest.validation import count_issues
from risk_assets.domain.scorecard.explanation import Explanation
from risk_assets.domain.scorecard.scorecard import Scorecard, Step
from risk_assets.domain.scorecard.scoring import base_points, feature_points
from risk_assets.lake import layout, run_log
from risk_assets.lake.facts import FeatureFacts, PredictionFacts
from risk_assets.lake.registry import ModelVersion
from risk_assets.lake.replay import Replay
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Manifest, find_manifest, read_table

RISKIEST = 10
EXPLAINED = ("feature", "value", "log-odds", "above what reasons are held against", "points", "reason")
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


def models(console: Console, versions: Sequence[ModelVersion], live: Binding | None) -> None:
    """Show all versions, newest first, which one is live and which one challenges it."""
    table = _table("Model versions", "version", "estimator", "trained for", "rows", "accuracy", "AUC", "Gini", "KS", "gates")
    roles = {live.challenger: " (challenger)", live.champion: " (live)"} if live else {}
    for version in reversed(versions):
        metrics, metadata = version.metrics, version.metadata
        failed = [gate.name for gate in metadata.gates if not gate.passed]
        figures = (f"{figure:.3f}" for figure in (metrics.accuracy, metrics.roc_auc, metrics.gini, metrics.ks))
        table.add_row(
            version.name + roles.get(version.name, ""),
            metadata.origin.estimator,
            metadata.origin.training_date,
            f"{metrics.n_train}+{metrics.n_test}",
            *figures,
            "NOT " + ", ".join(failed) if failed else "passed",
        )
    console.print(table)


def scorecard(console: Console, version: ModelVersion, card: Scorecard, steps: Sequence[Step], scale: Points) -> None:
    """Show a version as a table that adds up: base points, and each feature's steps."""
    metrics, origin = version.metrics, version.metadata.origin
    console.print(f"[bold]{version.name}[/], {origin.estimator}, trained for {origin.training_date} on {metrics.n_train} accounts")
    console.print(f"AUC {metrics.roc_auc:.3f}, calibration error {metrics.holdout.calibration_error:.4f}, on {metrics.n_test} held out")
    for gate in version.metadata.gates:
        console.print(
            f"  {'passed' if gate.passed else '[red]NOT passed[/]'} {gate.name}: {gate.evidence}", highlight=False, soft_wrap=True
        )
    table = _table(f"Points: {base_points(card, scale):.1f} to begin with, and", "feature", "step", "points", "accounts", "bad rate")
    feature = None
    for step in steps:
        rate = f"{step.bad / step.rows:.1%}" if step.rows else ""
        name = step.feature if step.feature != feature else ""
        feature = step.feature
        table.add_row(name, step.step, f"{feature_points(step.log_odds, scale):+z.1f}", f"{step.rows / metrics.n_train:.1%}", rate)
    console.print(table)


def impact(console: Console, found: Impact) -> None:
    """Show who would be treated differently: bands, flags, and the predicted bad rate by category."""
    dates = f"{found.dates[0]} to {found.dates[-1]}" if len(found.dates) > 1 else found.dates[0]
    console.print(
        f"[bold]{found.candidate}[/] against {found.against or 'no live model'}, on {dates}: {found.rows} rows of {found.accounts} accounts"
    )
    rates = _table(None, "", found.candidate, found.against or "")
    rates.add_row("predicted bad rate", f"{found.predicted_bad_rate:.2%}", _share(found.live_predicted_bad_rate))
    rates.add_row("flagged", str(found.flagged), _text(found.live_flagged))
    rates.add_row("newly flagged", f"{_text(found.newly_flagged)} ({_text(found.newly_flagged_accounts)} accounts)", "")
    rates.add_row("no longer flagged", f"{_text(found.no_longer_flagged)} ({_text(found.no_longer_flagged_accounts)} accounts)", "")
    console.print(rates)
    if found.migration:
        console.print("[bold]Rows by band: the live model's down, the candidate's across[/]")
        bands = _table(None, "", *next(iter(found.migration.values())))
        for band, row in found.migration.items():
            bands.add_row(band, *map(str, row.values()))
        console.print(bands)
    categories = _table("Predicted bad rate by category", "feature", "level", "rows", found.candidate, found.against or "")
    for part in found.categories:
        categories.add_row(part.feature, part.level, str(part.rows), _share(part.predicted_bad_rate), _share(part.live_predicted_bad_rate))
    console.print(categories)


def binding(console: Console, found: Binding, version: ModelVersion) -> None:
    """Show what is live, since when, by whom and why, what challenges it, and how good it was on its holdout."""
    table = _table(None, "", "", header=False)
    for name, value in (
        ("live", found.champion),
        ("since", found.effective_from),
        ("by", found.actor),
        ("because", found.reason),
        ("action", found.action + (f", in spite of {', '.join(found.overrides)}" if found.overrides else "")),
        ("challenger", challenger_label(found) or "none"),
        ("binding", str(found.seq)),
        ("estimator", version.metadata.origin.estimator),
        ("trained for", version.metadata.origin.training_date),
        ("accuracy, AUC", f"{version.metrics.accuracy:.3f}, {version.metrics.roc_auc:.3f}"),
    ):
        table.add_row(name, value)
    console.print(table)


def history(console: Console, found: Sequence[Binding]) -> None:
    """Show all bindings, newest first."""
    table = _table("Bindings", "number", "since", "action", "live", "challenger", "by", "because")
    for one in reversed(found):
        table.add_row(str(one.seq), one.effective_from, one.action, one.champion, challenger_label(one), one.actor, one.reason)
    console.print(table)


def replays(console: Console, found: Sequence[Replay]) -> None:
    """Show how each date went when it was scored again, and what was changed."""
    table = _table("Scored again", "date", "rows", "version", "agrees", "differs in")
    for one in found:
        differs = ", ".join(f"{column} ({rows} rows)" for column, rows in one.columns.items())
        where = f"{differs}, first in row {one.first}" if one.first else ""
        table.add_row(
            one.date, str(one.rows), one.version, "every row" if not one.columns else "NO", where, style=None if one.agrees else "red"
        )
    console.print(table)
    for problem in (problem for one in found for problem in one.changed):
        console.print(f"[bold red]changed:[/] {problem}", soft_wrap=True)


def explanation(console: Console, found: Explanation) -> None:
    """Show an account's parts, riskiest first, and its prediction as stored and as worked out again."""
    table = _table(f"Points: {found.base_points:.1f} to begin with, and", *EXPLAINED)
    for part in sorted(found.contributions, key=lambda part: part.points):
        value = "missing" if part.value is None else f"{part.value:g}" if isinstance(part.value, float) else part.value
        figures = f"{part.log_odds:+z.4f}", f"{part.excess:+z.4f}", f"{part.points:+z.1f}"
        table.add_row(part.feature, value, *figures, str(part.rank) if part.rank else "")
    console.print(table)
    both = _table("The prediction", "", "stored", "worked out again")
    for name, value in found.stored.items():
        both.add_row(name, _text(value), _text(found.recomputed[name]) if name in found.recomputed else "")
    console.print(both)


def log(console: Console, store: Store, last: int) -> None:
    """Show the run log's newest rows."""
    rows = list(run_log.read(store).values())
    table = _table("Run log", *LOG_COLUMNS.values())
    for row in rows[-last:]:
        shown = row | {"mean_score": f"{float(row['mean_score']):.4f}" if row["mean_score"] else ""}
        table.add_row(*[shown[name] for name in LOG_COLUMNS], style="red" if row["status"] != "success" else None)
    console.print(table)


def snapshots(console: Console, store: Store, dates: Iterable[str]) -> None:
    """Show each date's rows, how many were scored, and the commonest issue; nothing where no date has features."""
    table = _table("Snapshots", "date", "rows", "scored", "predicted bad", "mean score", "with issues", "commonest issue")
    for date in dates:
        features = find_manifest(store, layout.features(date))
        if features:
            table.add_row(*_day(date, features, find_manifest(store, layout.predictions(date))))
    if table.row_count:
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
    checked = features.facts_as(FeatureFacts)
    scored = predictions.facts_as(PredictionFacts) if predictions else None
    commonest = next(iter(count_issues(checked.issue_counts).items()), None)
    return (
        date,
        str(features.rows),
        str(scored.scored) if scored else "not yet",
        str(scored.predicted_bad) if scored else "",
        f"{scored.mean_score:.3f}" if scored and scored.mean_score is not None else "",
        str(checked.with_issues),
        f"{commonest[0]} ({commonest[1]})" if commonest else "",
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _table(title: str | None, *columns: str, header: bool = True) -> Table:
    table = Table(*columns, title=title, box=box.SIMPLE, title_justify="left", show_header=header)
    table.title_style = "bold"
    return table
