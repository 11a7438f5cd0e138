"""Commands that audit scores: replay a date, and explain an account."""

from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Day, Until, dates_until, out
from risk_assets.clock import parse_date


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
