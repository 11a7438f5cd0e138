"""`risk demo`: all steps on the files that have landed."""

from typing import TYPE_CHECKING

from risk_assets.cli import context
from risk_assets.cli.console import each, finish, out
from risk_assets.cli.jobs import refresh, show_models
from risk_assets.errors import RiskError

if TYPE_CHECKING:
    from risk_assets.settings import Settings


def demo() -> None:
    """Train on all landed outcomes, promote the model, score the dates without outcomes, and show the results."""
    from risk_assets.cli.report import runs as report
    from risk_assets.lake.landing import dates

    settings = context.settings()
    landing = settings.open_landing()
    accounts, outcomes = dates(landing, "accounts"), dates(landing, "outcomes")
    if not accounts or not outcomes:
        raise RiskError(
            f"no data for the demo: {landing.url} needs accounts_DATE.csv and outcomes_DATE.csv. Run it in the project's folder."
        )
    newest = [date for date in accounts if date > outcomes[-1]] or [accounts[-1]]
    with context.runner(settings) as runner:
        finish([*refresh(runner, outcomes[0], outcomes[-1]), runner.run("training", outcomes[-1])])
        finish(each(newest, "scoring", lambda date: runner.run("daily_scoring", date)))
    lake = settings.open_lake()
    report.snapshots(out(), lake, newest)
    show_models(lake)
    report.riskiest(out(), lake, newest[-1])
    _show_next_steps(settings, newest[-1])


def _show_next_steps(settings: "Settings", date: str) -> None:
    from risk_assets.lake import layout, registry

    lake = settings.open_lake()
    steps = (
        ("make ui", "asset graph, checks and plots, at http://127.0.0.1:3000"),
        ("make serve", "POST /predict with the same model, documented at http://127.0.0.1:8000/docs"),
        (f".venv/bin/risk models show {registry.champion(lake).version}", "the model as a table of points"),
        (".venv/bin/risk log", f"the run log, {lake.uri(layout.RUN_LOG)}"),
        (f".venv/bin/risk run {date}", f"score the date again, into {lake.uri(layout.predictions(date))}"),
        (f".venv/bin/risk explain {date} ID", f"explain an account's score; the riskiest are in {lake.uri(layout.review(date))}"),
        ("README.md", "your own data in five commands"),
    )
    console = out()
    console.print("[bold]What to do next[/]")
    for step, result in steps:
        console.print(f"  {step:<40} {result}", highlight=False, soft_wrap=True)
