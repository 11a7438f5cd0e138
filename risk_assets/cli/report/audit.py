"""Reports of audits: verified files, replayed dates and requests, and the explanation of an account or an answer."""

from collections.abc import Sequence

from rich.text import Text

from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table, text
from risk_assets.domain.contract.schema import EXCLUDED, NOT_ELIGIBLE, STATUS
from risk_assets.domain.scorecard.explanation import Explanation, FeatureContribution
from risk_assets.domain.wording import counted
from risk_assets.lake.online_log import LoggedRequest
from risk_assets.lake.online_replay import ExplainedRecord, ExplainedRequest, OnlineReplay
from risk_assets.lake.replay import Replay
from risk_assets.lake.verify import Verified

FEATURE_COLUMNS = ("feature", "value", "log-odds", "excess over reference", "points", "reason")


def verified(console: LiteralConsole, found: Sequence[Verified]) -> None:
    """Print how many files of each date, and of each other part of the lake, were verified; then every difference."""
    table = new_table("Verified", "what", "files", "differences")
    for each in found:
        table.add_row(each.what, str(each.files), str(len(each.problems)), style="red" if each.problems else None)
    console.print(table)
    for problem in dict.fromkeys(problem for each in found for problem in each.problems):
        console.print(styled(("different:", "bold red"), f" {problem}"), soft_wrap=True)
    if not any(each.problems for each in found):
        console.print("Every file is as it was written.")


def replays(console: LiteralConsole, replays: Sequence[Replay]) -> None:
    """Print the outcome of each replayed date, then the files that were changed since."""
    table = new_table("Replay", "date", "rows", "version", "agrees", "differs in")
    for replay in replays:
        agrees = "NO" if replay.columns else "every row"
        style = None if replay.agrees else "red"
        table.add_row(replay.date, str(replay.rows), replay.version, agrees, _differences(replay), style=style)
    console.print(table)
    for problem in (problem for replay in replays for problem in replay.changed):
        console.print(styled(("changed:", "bold red"), f" {problem}"), soft_wrap=True)


def explanation(console: LiteralConsole, explanation: Explanation) -> None:
    """Print the features of an account, riskiest first, and its prediction as stored and as recomputed, or why it has none."""
    if explanation.stored[STATUS] == NOT_ELIGIBLE:
        console.print(styled(("Not eligible:", "bold"), f" {explanation.stored[EXCLUDED]}. The account is not scored."), soft_wrap=True)
    features = new_table(f"Base points: {explanation.base_points:.1f}", *FEATURE_COLUMNS)
    for contribution in sorted(explanation.contributions, key=lambda contribution: contribution.points):
        features.add_row(*_feature(contribution))
    console.print(features)
    prediction = new_table("Prediction", "", "stored", "recomputed")
    for name, value in explanation.stored.items():
        prediction.add_row(name, text(value), text(explanation.recomputed.get(name)))
    console.print(prediction)


def difference(console: LiteralConsole, message: str) -> None:
    """Print a message about a logged request that differs or cannot be scored again, or about a damaged line."""
    console.print(styled(("different:", "bold red"), f" {message}"), soft_wrap=True)


def online_replays(console: LiteralConsole, replays: Sequence[OnlineReplay]) -> None:
    """Print the outcome of each date of the prediction log."""
    table = new_table("Replay of logged requests", "date (UTC)", "requests", "records", "not checked", "differing", "problems")
    for replay in replays:
        counts = (replay.requests, replay.records, replay.unchecked, replay.differing, replay.problems)
        table.add_row(replay.date, *map(str, counts), style=None if replay.agrees else "red")
    console.print(table)
    if any(replay.unchecked for replay in replays):
        console.print("Not checked: records with an issue that no file can have; the log does not have the values of another type.")
    if all(replay.agrees for replay in replays):
        console.print("Every answer agrees.")


def explained_request(console: LiteralConsole, explained: ExplainedRequest) -> None:
    """Print who asked and what decided, then each record's explanation and whether it agrees with the answer."""
    request = explained.request
    facts = new_table(f"Request {request.id}", "", "", header=False)
    caller = {"caller's id": request.client_id} if request.client_id != request.id else {}
    decided = {"binding": str(request.binding), "contract": request.contract, "policy": request.policy}
    for name, value in {"time": request.time, "caller": request.caller or "", **caller, **decided, "line": _line(request)}.items():
        facts.add_row(name, value)
    console.print(facts)
    for record in explained.records:
        console.print(styled((f"Record {record.position}", "bold")))
        explanation(console, record.explanation)
        console.print(_agreement(record), soft_wrap=True)
    if explained.more:
        console.print(f"{counted(explained.more, 'more record')}: choose one with --record.")


def matches(console: LiteralConsole, request: str, found: Sequence[ExplainedRequest]) -> None:
    """Print how many requests have a caller's id, if it is not the service's own, which is unique."""
    if any(each.request.id != request for each in found):
        console.print(
            f"{counted(len(found), 'request')} of this date with this id of the caller; those of other dates are not shown.", soft_wrap=True
        )


def _line(request: LoggedRequest) -> str:
    return f"{request.path}, line {request.line}"


def _agreement(record: ExplainedRecord) -> Text:
    if record.differs is None:
        return styled("Not checked: the record has an issue that no file can have, and the log does not have the value.")
    if not record.differs:
        return styled("Agrees with the answer.")
    return styled(("DIFFERS", "bold red"), f" from the answer in {', '.join(record.differs)}.")


def _differences(replay: Replay) -> str:
    columns = ", ".join(f"{column} ({counted(rows, 'row')})" for column, rows in replay.columns.items())
    return f"{columns}, first in row {replay.first}" if replay.first else ""


def _feature(contribution: FeatureContribution) -> tuple[str, ...]:
    value = contribution.value
    shown = "missing" if value is None else f"{value:g}" if isinstance(value, float) else value
    log_odds, excess, points = f"{contribution.log_odds:+z.4f}", f"{contribution.excess:+z.4f}", f"{contribution.points:+z.1f}"
    return (contribution.feature, shown, log_odds, excess, points, text(contribution.rank))
