"""The command that shows what happened in the night."""

from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import finish, out
from risk_assets.clock import parse_date


def report(
    date: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Date, YYYY-MM-DD. Defaults to the last one.")] = None,
) -> None:
    """Make the morning report of a date, print its first sections, and name its files.

    Verdict, key figures and changes, as plain text without ids of accounts. The page also has the work list, data, model and decisions.
    There is a report of a date that was not scored, too: it says why, and shows the newest earlier list.
    """
    from risk_assets.lake import layout

    settings = context.settings()
    day = parse_date(date) if date else settings.last_date
    with context.runner(settings) as runner:
        runner.require_dates(day)
        made = runner.run("morning_report", day)
        if made.error is None:
            store = runner.lakehouse.store
            console = out()
            console.print(store.get(layout.morning_text(day)).decode(), soft_wrap=True)
            for path in (layout.morning_page(day), layout.morning(day), layout.morning_text(day), layout.MORNING_INDEX):
                console.print(store.uri(path), soft_wrap=True)
    finish([made])
