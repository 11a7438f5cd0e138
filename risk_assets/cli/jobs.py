"""Commands that run jobs by date: score, store outcomes, train, and show the run log."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import Day, Until, dates_until, each, finish, out
from risk_assets.clock import shift

if TYPE_CHECKING:
    from risk_assets.lake.store import Store
    from risk_assets.runner import Result, Runner

REGISTERING = ("training/model", "registry/model_version", "registry/impact")
FEATURES = ("raw/accounts", "curated/features")


class Estimator(StrEnum):
    """Estimators that a training run may use."""

    LOGISTIC = "logistic"
    SCORECARD = "scorecard"
    BOTH = "both"


def run(
    date: Day,
    until: Until = None,
    model: Annotated[
        str,
        typer.Option("--model", metavar="MODEL", help="live, as_of (the version that was live when the date was due), or a version."),
    ] = "live",
) -> None:
    """Score the accounts of a date: store, validate, score, list the riskiest, log."""
    from risk_assets.cli.report import runs as report

    results = _run_dates("daily_scoring", date, until, curated__predictions={"model": model})
    report.snapshots(out(), context.lake(), (result.date for result in results if result.error is None))
    finish(results)


def outcomes(date: Day, until: Until = None) -> None:
    """Store the outcomes of a date in the lake."""
    results = _run_dates("outcomes", date, until)
    out().print(f"outcomes: {sum(result.error is None for result in results)} of {len(results)} dates are in the lake.")
    finish(results)


def train(
    date: Day,
    estimator: Annotated[Estimator | None, typer.Option("--estimator", help="Estimator. Defaults to the policy's.")] = None,
    register_only: Annotated[bool, typer.Option("--register-only", help="Register the version without promoting it.")] = False,
) -> None:
    """Train a version on the labelled dates up to DATE; promote it if it passes the policy's gates.

    Landed accounts and outcomes of the training window are stored in the lake first.
    """
    settings = context.settings()
    window = settings.read_policy().training.window_days
    assets = REGISTERING if register_only else ()
    with context.runner(settings) as runner:
        runner.require_dates(date)
        stored = run_missing(runner, shift(date, 1 - window), date)
        finish([*stored, runner.run("training", date, *assets, training__model={"estimator": estimator and estimator.value})])
    show_models(settings.open_lake())


def show_models(lake: "Store") -> None:
    """Print all versions and mark the live one."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log, registry

    report.models(out(), registry.versions(lake), binding_log.live(lake))


def log(last: Annotated[int, typer.Option("--last", min=1, help="Number of rows to show.")] = 20) -> None:
    """Show the newest rows of the run log."""
    from risk_assets.cli.report import run_log as report
    from risk_assets.lake.run_log import read

    rows = list(read(context.lake()).values())
    report.newest(out(), rows[-last:])


def run_missing(runner: "Runner", start: str, end: str) -> "list[Result]":
    """Store features and outcomes that have landed from `start` to `end` and are not in the lake."""
    from risk_assets.lake import layout
    from risk_assets.lake.landing import dates
    from risk_assets.lake.tables import partitions

    lake, landing = runner.settings.open_lake(), runner.settings.open_landing()

    def landed(kind: str) -> list[str]:
        return [date for date in dates(landing, kind) if start <= date <= end]

    def missing(paths: Mapping[str, str]) -> Iterable[str]:
        stored = partitions(lake, paths)
        return (date for date in paths if date not in stored)

    accounts = missing({date: layout.features(date) for date in landed("accounts")})
    labels = missing({date: layout.outcomes(date) for date in landed("outcomes")})
    return [
        *each(accounts, "features", lambda date: runner.run("daily_scoring", date, *FEATURES)),
        *each(labels, "outcomes", lambda date: runner.run("outcomes", date)),
    ]


def _run_dates(job: str, date: str, until: str | None, **config: Mapping[str, str]) -> "list[Result]":
    with context.runner(context.settings()) as runner:
        return each(dates_until(date, until), job, lambda day: runner.run(job, day, **config))
