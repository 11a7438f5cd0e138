"""Reports of audits: replayed dates, and the explanation of an account."""

from collections.abc import Sequence

from rich.console import Console

from risk_assets.cli.report.tables import new_table, text
from risk_assets.domain.scorecard.explanation import Explanation, Part
from risk_assets.lake.replay import Replay

FEATURE_COLUMNS = ("feature", "value", "log-odds", "excess over reference", "points", "reason")


def replays(console: Console, replays: Sequence[Replay]) -> None:
    """Print the outcome of each replayed date, then the files that were changed since."""
    table = new_table("Replay", "date", "rows", "version", "agrees", "differs in")
    for replay in replays:
        agrees = "NO" if replay.columns else "every row"
        style = None if replay.agrees else "red"
        table.add_row(replay.date, str(replay.rows), replay.version, agrees, _differences(replay), style=style)
    console.print(table)
    for problem in (problem for replay in replays for problem in replay.changed):
        console.print(f"[bold red]changed:[/] {problem}", soft_wrap=True)


def explanation(console: Console, explanation: Explanation) -> None:
    """Print the features of an account, riskiest first, and its prediction as stored and as recomputed."""
    features = new_table(f"Base points: {explanation.base_points:.1f}", *FEATURE_COLUMNS)
    for part in sorted(explanation.parts, key=lambda part: part.points):
        features.add_row(*_feature(part))
    console.print(features)
    recomputed = explanation.again
    prediction = new_table("Prediction", "", "stored", "recomputed")
    for name, value in explanation.stored.items():
        prediction.add_row(name, text(value), text(recomputed.get(name)))
    console.print(prediction)


def _differences(replay: Replay) -> str:
    columns = ", ".join(f"{column} ({rows} rows)" for column, rows in replay.columns.items())
    return f"{columns}, first in row {replay.first}" if replay.first else ""


def _feature(part: Part) -> tuple[str, ...]:
    value = "missing" if part.value is None else f"{part.value:g}" if isinstance(part.value, float) else part.value
    return (part.feature, value, f"{part.log_odds:+z.4f}", f"{part.above:+z.4f}", f"{part.points:+z.1f}", text(part.rank))
