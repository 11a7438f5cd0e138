"""The `risk` command: the same assets, on the same history, as the UI."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from risk_assets.cli import audit, azure, jobs, landing, models, report, serving
from risk_assets.cli.console import FAILED, USAGE, each, err, escape, finish, out
from risk_assets.clock import DateError
from risk_assets.errors import RiskError
from risk_assets.lake import landing as landed
from risk_assets.lake import layout, registry
from risk_assets.settings import Settings, load_settings


def main() -> None:
    """Run the command; a failure that has a message shows it and exits with 1, wrong use exits with 2."""
    try:
        app()
    except RiskError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(USAGE if isinstance(error, DateError) else FAILED)


def demo() -> None:
    """Run the main job on all that has landed: train, go live, score the dates that have no outcomes yet, show what came out."""
    from risk_assets.runner import open_runner

    settings = load_settings()
    landing = settings.open_landing()
    dates, labelled = landed.dates(landing, "accounts"), landed.dates(landing, "outcomes")
    if not dates or not labelled:
        raise RiskError(f"nothing to show: {landing.url} needs accounts_DATE.csv and outcomes_DATE.csv. Run in the project's folder.")
    with open_runner(settings) as runner:
        finish([*jobs.bring_in(runner, labelled[0], labelled[-1]), runner.run("training", labelled[-1])])
        newest = [date for date in dates if date > labelled[-1]] or [dates[-1]]
        finish(each(newest, "scoring", lambda date: runner.run("daily_scoring", date)))
    lake = settings.open_lake()
    report.snapshots(out, lake, newest)
    jobs.show_models(lake)
    report.riskiest(out, lake, newest[-1])
    _next_steps(settings, newest[-1])


def ui(port: Annotated[int, typer.Option("--port", help="The port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI, its schedules and sensors on the same lake and history."""
    from risk_assets.runner import prepare_home

    workspace = prepare_home(load_settings()) / "workspace.yaml"
    dagster = Path(sys.executable).with_name("dagster")
    os.execv(dagster, [str(dagster), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)])  # noqa: S606


def _next_steps(settings: Settings, date: str) -> None:
    lake = settings.open_lake()
    steps = (
        ("make ui", "the graph, the checks and the plots, at http://127.0.0.1:3000"),
        ("make serve", "POST /predict by the same model, tried out at http://127.0.0.1:8000/docs"),
        (f".venv/bin/risk models show {registry.champion(lake).version}", "the model as a table that adds up to the points"),
        (".venv/bin/risk log", f"the run log, {lake.uri(layout.RUN_LOG)}"),
        (f".venv/bin/risk run {date}", f"the date again, into {lake.uri(layout.predictions(date))}"),
        (f".venv/bin/risk explain {date} ID", f"one account's score; the riskiest are in {lake.uri(layout.review(date))}"),
        ("README.md", "your own data in five commands"),
    )
    out.print("[bold]What to do next[/]")
    for step, what in steps:
        out.print(f"  {step:<40} {what}", highlight=False, soft_wrap=True)


app = typer.Typer(
    help="A credit-risk lakehouse: land snapshots, train, score, govern, see what happened. Settings: RISK_* variables or .env.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
contract = typer.Typer(help="What an account is: the contract.", no_args_is_help=True)
contract.command("infer")(landing.infer_contract)
versions = typer.Typer(invoke_without_command=True)
versions.callback()(models.models)
versions.command("show")(models.show)
cloud = typer.Typer(help="The live model on Azure ML.", no_args_is_help=True)
cloud.command("export")(azure.export)
app.add_typer(contract, name="contract")
app.add_typer(cloud, name="azure")
app.add_typer(versions, name="models")
COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    landing.land,
    jobs.run,
    jobs.outcomes,
    jobs.train,
    jobs.log,
    models.impact,
    models.promote,
    models.rollback,
    models.challenge,
    models.live,
    models.history,
    audit.replay,
    audit.explain,
    ui,
    serving.serve,
    serving.token,
)
for command in COMMANDS:
    app.command()(command)
