"""Commands that audit the lake and its scores: verify files, replay a date, and explain an account."""

from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Day, Until, dates_until, out
from risk_assets.clock import parse_date


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


def replay(date: Day, until: Until = None) -> None:
    """Score a past date again with its stored features, version and policy, and compare every row."""
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.replay import replay as replay_date

    lake = context.lake()
    replays = [replay_date(lake, day) for day in dates_until(date, until)]
    report.replays(out(), replays)
    if not all(each.agrees for each in replays):
        raise typer.Exit(FAILED)


def explain(date: Day, account: Annotated[str, typer.Argument(metavar="ID", help="Account id.")]) -> None:
    """Explain an account's score: log-odds, points and reasons of each feature; as stored and as recomputed."""
    from risk_assets.cli.report import audit as report
    from risk_assets.lake.replay import explain_account

    for explanation in explain_account(context.lake(), parse_date(date), account):
        report.explanation(out(), explanation)
