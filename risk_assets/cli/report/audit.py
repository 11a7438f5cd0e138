"""Reports of audits: verified files, replayed dates, and the explanation of an account."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from risk_assets.cli.report.tables import new_table, text
from risk_assets.domain.contract.schema import EXCLUDED, NOT_ELIGIBLE, STATUS
from risk_assets.domain.scorecard.explanation import Explanation, FeatureContribution
from risk_assets.domain.wording import counted
from risk_assets.lake.replay import Replay
from risk_assets.lake.verify import Verified

FEATURE_COLUMNS = ("feature", "value", "log-odds", "excess over reference", "points", "reason")


def verified(console: Console, found: Sequence[Verified]) -> None:
    """Print how many files of each date, and of each other part of the lake, were verified; then every difference."""
    table = new_table("Verified", "what", "files", "differences")
    for each in found:
        table.add_row(each.what, str(each.files), str(len(each.problems)), style="red" if each.problems else None)
    console.print(table)
    for problem in dict.fromkeys(problem for each in found for problem in each.problems):
        console.print(f"[bold red]different:[/] {escape(problem)}", soft_wrap=True, highlight=False)
    if not any(each.problems for each in found):
        console.print("Every file is as it was written.")


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
    """Print the features of an account, riskiest first, and its prediction as stored and as recomputed, or why it has none."""
    if explanation.stored[STATUS] == NOT_ELIGIBLE:
        console.print(f"[bold]Not eligible:[/] {escape(explanation.stored[EXCLUDED])}. The account is not scored.", soft_wrap=True)
    features = new_table(f"Base points: {explanation.base_points:.1f}", *FEATURE_COLUMNS)
    for contribution in sorted(explanation.contributions, key=lambda contribution: contribution.points):
        features.add_row(*_feature(contribution))
    console.print(features)
    prediction = new_table("Prediction", "", "stored", "recomputed")
    for name, value in explanation.stored.items():
        prediction.add_row(name, text(value), text(explanation.recomputed.get(name)))
    console.print(prediction)


def _differences(replay: Replay) -> str:
    columns = ", ".join(f"{column} ({counted(rows, 'row')})" for column, rows in replay.columns.items())
    return f"{columns}, first in row {replay.first}" if replay.first else ""


def _feature(contribution: FeatureContribution) -> tuple[str, ...]:
    value = contribution.value
    shown = "missing" if value is None else f"{value:g}" if isinstance(value, float) else value
    log_odds, excess, points = f"{contribution.log_odds:+z.4f}", f"{contribution.excess:+z.4f}", f"{contribution.points:+z.1f}"
    return (contribution.feature, shown, log_odds, excess, points, text(contribution.rank))
