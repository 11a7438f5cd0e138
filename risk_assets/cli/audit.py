"""Commands that look back: a date scored again, and one account explained."""

from typing import Annotated

import typer

from risk_assets.cli import report
from risk_assets.cli.console import FAILED, Day, Until, dates_until, out
from risk_assets.lake.replay import explain_account
from risk_assets.lake.replay import replay as replay_date
from risk_assets.settings import load_settings


def replay(date: Day, until: Until = None) -> None:
    """Score a past date again by its stored features, version and policy, and say whether every row agrees."""
    lake = load_settings().open_lake()
    found = [replay_date(lake, day) for day in dates_until(date, until)]
    report.replays(out, found)
    if not all(replayed.agrees for replayed in found):
        raise typer.Exit(FAILED)


def explain(date: Day, account: Annotated[str, typer.Argument(metavar="ID", help="The account's id.")]) -> None:
    """Show why an account has its score: features, what each adds, points, reasons; as stored and as worked out again."""
    for explanation in explain_account(load_settings().open_lake(), date, account):
        report.explanation(out, explanation)
