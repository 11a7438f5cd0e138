"""`risk demo`: all steps on the simulated bank, or on the files that have landed."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, each, finish, out, styled
from risk_assets.cli.jobs import refresh, show_maturity, show_models, show_waiting
from risk_assets.clock import shift
from risk_assets.errors import RiskError

if TYPE_CHECKING:
    from risk_assets.lake.store import Store
    from risk_assets.runner import Runner
    from risk_assets.settings import Settings

BANK_SETTINGS = Path("data/bank/settings.env")
OWN_DATA = {"landing", "contract", "policy"}  # with one of these settings, the demo runs on the files that have landed


def demo() -> None:
    """Train on the dates with outcomes, promote the model, score the dates after them, and show the results.

    Without RISK_LANDING, RISK_CONTRACT and RISK_POLICY, the files of a simulated bank land first.
    """
    from risk_assets.cli.report import runs as report
    from risk_assets.lake import binding_log
    from risk_assets.lake.documents import in_force
    from risk_assets.lake.landing import dates

    settings = context.settings()
    simulated = not settings.model_fields_set & OWN_DATA
    if simulated:
        settings = _simulated_bank()
    landing = settings.open_landing()
    accounts, outcomes = dates(landing, "accounts"), dates(landing, "outcomes")
    if not accounts or not outcomes:
        raise RiskError(
            f"no data for the demo: {landing.url} needs accounts_DATE.csv and outcomes_DATE.csv. Land them (risk land), or unset "
            "RISK_LANDING, RISK_CONTRACT and RISK_POLICY for the simulated bank."
        )
    newest = [date for date in accounts if date > outcomes[-1]] or [accounts[-1]]
    trained = max(outcomes[-1], shift(newest[0], -1))  # the outcomes may be known long after their snapshots
    with context.runner(settings) as runner:
        finish([*refresh(runner, outcomes[0], outcomes[-1]), runner.run("training", trained)])
        lake = settings.open_lake()
        if binding_log.live(lake) is None:
            show_waiting(settings, lake, trained)
            raise typer.Exit(FAILED)
        finish(each(newest, "scoring", lambda date: runner.run("daily_scoring", date)))
        _monitor(runner, newest[-1])
        finish(each(newest, "morning reports", lambda date: runner.run("morning_report", date)))
        report.outcomes(out(), lake, in_force(lake, settings).contract, outcomes)
        report.snapshots(out(), lake, newest)
        show_maturity(lake, trained)
        show_models(lake)
        report.riskiest(out(), lake, newest[-1])
        _show_health(lake, newest[-1])
        _show_next_steps(settings, newest[-1], simulated)


def _simulated_bank() -> "Settings":
    """Land the files of the simulated bank and return its settings; raises `RiskError` if these are not in this folder."""
    from risk_assets.settings import load_settings
    from risk_assets.simulation import demo as bank

    if not BANK_SETTINGS.is_file():
        raise RiskError(
            f"no data for the demo: {BANK_SETTINGS} with the settings of the simulated bank is not here. Run it in the project's "
            "folder, or set RISK_LANDING, RISK_CONTRACT and RISK_POLICY."
        )
    settings = load_settings(defaults=BANK_SETTINGS)
    landing = settings.open_landing()
    for name, content in bank.demo_files():
        landing.put(name, content)
    out().print(
        f"A simulated bank: {bank.BANK.accounts} accounts, {len(bank.LABELLED)} weekly snapshots from {bank.LABELLED[0]} to "
        f"{bank.LABELLED[-1]} with outcomes, and daily ones from {bank.UNLABELLED[0]} to {bank.UNLABELLED[-1]}, in {landing.url}.\n"
        f"Bad: at least {bank.DEFINITION.days_past_due} days past due within {bank.DEFINITION.within_days} days of the snapshot.",
        soft_wrap=True,
    )
    return settings


def _monitor(runner: "Runner", date: str) -> None:
    """Monitor a date and evaluate its alerts; what is beyond a limit is in the report and in the health, which follow."""
    failed = [made for job in ("monitoring", "performance", "alerts") if (made := runner.run(job, date)).error]
    if failed:
        finish(failed)


def _show_health(lake: "Store", date: str) -> None:
    """Print how far a date is from training, and how well the model predicts."""
    from risk_assets.cli.report import monitoring
    from risk_assets.lake import drift_files, performance_files

    monitoring.health(out(), drift_files.read(lake, date).report, performance_files.read(lake, date).report)


def _show_next_steps(settings: "Settings", date: str, simulated: bool) -> None:
    from risk_assets.lake import layout, registry

    lake = settings.open_lake()
    steps = (
        ("make ui", "asset graph, checks and plots, at http://127.0.0.1:3000"),
        ("make serve", "the morning reports at http://127.0.0.1:8000/desk; POST /predict with the same model, documented at /docs"),
        *([(f"set -a; . {BANK_SETTINGS}; set +a", "the bank's settings in this shell, for the commands below")] if simulated else []),
        (f".venv/bin/risk models show {registry.champion(lake).version}", "the model as a table of points"),
        (".venv/bin/risk log", f"the run log, {lake.uri(layout.RUN_LOG)}"),
        (f".venv/bin/risk run {date}", f"score the date again, into {lake.uri(layout.predictions(date))}"),
        (f".venv/bin/risk monitor {date}", "drift of each feature, and performance"),
        (f".venv/bin/risk report {date}", f"the morning report, {lake.uri(layout.morning_page(date))}"),
        (f".venv/bin/risk alerts {date}", "what is beyond a limit or failed, and what to do"),
        (f".venv/bin/risk explain {date} ID", f"explain an account's score; the riskiest are in {lake.uri(layout.review(date))}"),
        ("README.md", "your own data in five commands"),
    )
    console = out()
    console.print(styled(("What to do next", "bold")))
    for step, result in steps:
        console.print(f"  {step:<42} {result}", soft_wrap=True)
