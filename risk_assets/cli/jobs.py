"""Commands that run jobs by date: score, take in outcomes, train, and see what ran."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import report
from risk_assets.cli.console import Day, Until, dates_until, each, finish, out
from risk_assets.clock import shift
from risk_assets.lake import binding_log, registry
from risk_assets.lake import landing as landed
from risk_assets.lake.staleness import changed_dates, outdated_features
from risk_assets.lake.store import Store
from risk_assets.settings import load_settings

if TYPE_CHECKING:
    from risk_assets.runner import Result, Runner

REGISTERING = ("training/model", "registry/model_version", "registry/impact")


class Estimator(StrEnum):
    """The estimators that a model may be trained by."""

    LOGISTIC = "logistic"
    SCORECARD = "scorecard"
    BOTH = "both"


def run(
    date: Day,
    until: Until = None,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="live; as_of, what was live when the date fell due; or a version, model_v002.")
    ] = "live",
) -> None:
    """Score a date's accounts: land, check, score, list the riskiest, log."""
    _run_job("daily_scoring", date, until, curated__predictions={"model": model})


def outcomes(date: Day, until: Until = None) -> None:
    """Bring a date's outcomes into the lake."""
    _run_job("outcomes", date, until)


def train(
    date: Day,
    estimator: Annotated[Estimator | None, typer.Option("--estimator", help="By which estimator; the policy's by default.")] = None,
    register_only: Annotated[bool, typer.Option("--register-only", help="Register the version and leave what is live as it is.")] = False,
) -> None:
    """Train a version on the labelled dates up to DATE and let it go live when it passes the policy's gates.

    First brings into the lake what has landed in the training window: accounts, features, outcomes.
    """
    from risk_assets.runner import open_runner

    settings = load_settings()
    window = settings.read_policy().training.window_days
    start = shift(date, 1 - window)
    with open_runner(settings) as runner:
        runner.require_dates(date)
        brought = bring_in(runner, start, date)
        only = REGISTERING if register_only else ()
        finish([*brought, runner.run("training", date, *only, training__model={"estimator": estimator and estimator.value})])
    show_models(settings.open_lake())


def show_models(lake: Store) -> None:
    """Show all versions, and which one is live."""
    report.models(out, registry.versions(lake), binding_log.live(lake))


def log(last: Annotated[int, typer.Option("--last", min=1, help="How many rows to show.")] = 20) -> None:
    """Show the newest rows of the run log."""
    report.log(out, load_settings().open_lake(), last)


def _run_job(job: str, date: str, until: str | None, **config: Mapping[str, str]) -> None:
    from risk_assets.runner import open_runner

    settings = load_settings()
    with open_runner(settings) as runner:
        dates = dates_until(date, until)
        results = each(dates, job, lambda day: runner.run(job, day, **config))
    if job == "daily_scoring":
        report.snapshots(out, settings.open_lake(), (result.date for result in results if result.error is None))
    else:
        out.print(f"{job}: {sum(result.error is None for result in results)} of {len(results)} dates are in the lake.")
    finish(results)


def bring_in(runner: "Runner", start: str, end: str) -> "list[Result]":
    """Bring into the lake what has landed or changed from `start` to `end`: accounts with their features, and outcomes."""
    from risk_assets.defs.resources import Lakehouse

    lakehouse = Lakehouse(runner.settings)
    lake, landing = lakehouse.store, lakehouse.landing

    def stale(kind: str) -> set[str]:
        dates = [date for date in landed.dates(landing, kind) if start <= date <= end]
        changed = set(changed_dates(lake, landing, kind, lakehouse.expected_columns(kind), dates))
        if kind == "accounts":
            changed |= set(outdated_features(lake, lakehouse.contract_values, dates))
        return changed

    features = each(
        sorted(stale("accounts")), "features", lambda date: runner.run("daily_scoring", date, "raw/accounts", "curated/features")
    )
    outcomes = each(sorted(stale("outcomes")), "outcomes", lambda date: runner.run("outcomes", date))
    return [*features, *outcomes]
