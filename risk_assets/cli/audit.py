"""Commands that audit the lake and its scores: verify files, replay a date or its requests, and explain an account or an answer."""

from collections.abc import Sequence
from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Day, Until, dates_until, out
from risk_assets.clock import parse_date

MOST_EXPLAINED = 20  # records of a request


def verify(
    date: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Snapshot date.")] = None,
    all_dates: Annotated[bool, typer.Option("--all", help="Verify all dates, versions, bindings, policies and the run log.")] = False,
) -> None:
    """Compare every file with its hash, and every table with what it was made from, back to the raw files."""
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.verify import verify_all, verify_date

    if (date is None) != all_dates:
        raise typer.BadParameter("give either DATE or --all")
    lake = context.lake()
    found = verify_all(lake) if date is None else [verify_date(lake, parse_date(date))]
    report.verified(out(), found)
    if any(each.problems for each in found):
        raise typer.Exit(FAILED)


def replay(
    date: Day,
    until: Until = None,
    online: Annotated[bool, typer.Option("--online", help="Score the requests that the service logged on a date (UTC) instead.")] = False,
) -> None:
    """Score a past date again with its stored features, version and policy, and compare every row.

    With --online: all requests in the prediction log of the date, by what decided each of them.
    """
    days = dates_until(date, until)
    agrees = _replay_online(days) if online else _replay_batch(days)
    if not agrees:
        raise typer.Exit(FAILED)


def explain(
    date: Annotated[str | None, typer.Argument(metavar="DATE", help="Snapshot date, YYYY-MM-DD.")] = None,
    account: Annotated[str | None, typer.Argument(metavar="ID", help="Account id.")] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A request to the service: X-Request-ID of its answer, or the caller's id, which several can have."
        ),
    ] = None,
    on: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Date (UTC) of the request. Default: the newest 31.")] = None,
    record: Annotated[int | None, typer.Option(min=0, help="Position of one record in the request, from 0. Default: the first 20.")] = None,
) -> None:
    """Explain a score: log-odds, points and reasons of each feature; as stored and as recomputed.

    Give DATE and ID for an account's score in the batch, or --request for an answer of the service.
    """
    if request is not None and date is None and account is None:
        _explain_request(request, None if on is None else parse_date(on), record)
    elif request is None and date is not None and account is not None and on is None and record is None:
        _explain_account(parse_date(date), account)
    else:
        raise typer.BadParameter("give either DATE and ID, or --request with or without --date and --record")


def _replay_batch(days: Sequence[str]) -> bool:
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.replay import replay as replay_date

    lake = context.lake()
    replays = [replay_date(lake, day) for day in days]
    report.replays(out(), replays)
    return all(each.agrees for each in replays)


def _replay_online(days: Sequence[str]) -> bool:
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.online_replay import replay_online

    lake, console = context.lake(), out()
    replays = [replay_online(lake, day, lambda message: report.difference(console, message)) for day in days]
    report.online_replays(console, replays)
    return all(each.agrees for each in replays)


def _explain_account(date: str, account: str) -> None:
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.replay import explain_account

    for explanation in explain_account(context.lake(), date, account):
        report.explanation(out(), explanation)


def _explain_request(request: str, date: str | None, record: int | None) -> None:
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.online_replay import explain_request

    found = explain_request(context.lake(), request, date, record, MOST_EXPLAINED)
    for each in found:
        report.explained_request(out(), each)
    report.matches(out(), request, found)
    if any(explained.differs for each in found for explained in each.records):
        raise typer.Exit(FAILED)
