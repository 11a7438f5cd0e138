"""Reports of scored dates."""

from collections.abc import Iterable

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report.tables import new_table, text
from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract
from risk_assets.domain.ingest.outcome_history import matures_on
from risk_assets.domain.ingest.validation import count_issues
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts, OutcomeFacts, PredictionFacts
from risk_assets.lake.manifests import Manifest, find_manifest
from risk_assets.lake.outcome_tables import outcome_coverage
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table

RISKIEST = 10
COLUMNS = ("date", "rows", "scored", "predicted bad", "mean score", "with issues", "most frequent issue", "not eligible")


def snapshots(console: LiteralConsole, lake: Store, dates: Iterable[str]) -> None:
    """Print rows, scores, the most frequent issue and the rows not eligible of each date that has features; nothing if no date has."""
    stored = {date: features for date in dates if (features := find_manifest(lake, layout.features(date)))}
    if not stored:
        return
    table = new_table("Snapshots", *COLUMNS)
    for date, features in stored.items():
        table.add_row(*_day(date, features, find_manifest(lake, layout.predictions(date))))
    console.print(table)
    newest = max(stored)
    excluded = stored[newest].facts_as(FeatureFacts).excluded_counts
    if excluded:
        reasons = ", ".join(f"{rows} {reason}" for reason, rows in excluded.items())
        console.print(f"Not eligible on {newest}: {reasons}.\n", soft_wrap=True)


def outcomes(console: LiteralConsole, lake: Store, contract: Contract, dates: Iterable[str]) -> None:
    """Print when the outcomes of each date matured, and its accounts with an outcome and without, by reason; nothing if no date has any."""
    table = new_table("Outcomes", "date", "matured", "accounts", "with an outcome", "bad", "without an outcome")
    for date in dates:
        stored = find_manifest(lake, layout.curated_outcomes(date))
        if stored and find_manifest(lake, layout.features(date)):
            found = outcome_coverage(lake, contract, date)
            reasons = ", ".join(f"{rows} {reason}" for reason, rows in found.reasons.items() if rows)
            bad = stored.facts_as(OutcomeFacts).bad
            table.add_row(date, matures_on(date, contract).isoformat(), str(found.accounts), str(found.labelled), str(bad), reasons or "0")
    if table.row_count:
        console.print(table)


def riskiest(console: LiteralConsole, lake: Store, date: str) -> None:
    """Print the accounts with the highest probabilities of a date."""
    predictions = read_table(lake, layout.predictions(date)).select(ACCOUNT_ID, "probability", "points", "band", "^reason_1$")
    top = predictions.top_k(RISKIEST, by="probability").sort("probability", descending=True).collect(engine="streaming")
    table = new_table(f"The {RISKIEST} riskiest accounts of {date}", "account", "probability", "points", "band", "first reason")
    for account, probability, points, band, *reason in top.iter_rows():
        table.add_row(account, f"{probability:.3f}", str(points), band, *map(text, reason))
    console.print(table)


def _day(date: str, features: Manifest, predictions: Manifest | None) -> tuple[str, ...]:
    checked = features.facts_as(FeatureFacts)
    scored = predictions.facts_as(PredictionFacts) if predictions else None
    issue, rows = next(iter(count_issues(checked.issue_counts).items()), ("", 0))
    return (
        date,
        str(features.rows),
        str(scored.scored) if scored else "not yet",
        str(scored.predicted_bad) if scored else "",
        f"{scored.mean_score:.3f}" if scored and scored.mean_score is not None else "",
        str(checked.with_issues),
        f"{issue} ({rows})" if rows else "",
        str(checked.not_eligible),
    )
