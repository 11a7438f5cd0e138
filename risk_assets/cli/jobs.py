"""Commands that run jobs by date: score, store outcomes, train, and show the run log."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import Day, Until, dates_until, each, finish, out, print_warning, track, user
from risk_assets.clock import date_range, parse_date, shift
from risk_assets.domain.wording import counted

if TYPE_CHECKING:
    from risk_assets.lake.store import Store
    from risk_assets.runner import Result, Runner
    from risk_assets.settings import Settings

REGISTERING = ("training/model", "registry/model_version", "registry/impact")
FEATURES = ("raw/accounts", "curated/features")
OUTCOMES = "curated/outcomes"


class Estimator(StrEnum):
    """Estimators that a training run may use."""

    LOGISTIC = "logistic"
    SCORECARD = "scorecard"
    BOTH = "both"


def run(
    date: Day,
    by: Annotated[str, typer.Option("--by", help="Person who releases a check.", default_factory=user, show_default="user")],
    until: Until = None,
    model: Annotated[
        str,
        typer.Option("--model", metavar="MODEL", help="live, as_of (the version that was live when the date was due), or a version."),
    ] = "live",
    release: Annotated[
        list[str] | None,
        typer.Option(
            "--release", metavar="CHECK", help="Blocking check to release for this run, such as missing_share. Repeat for several."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Reason for the release. Recorded in the run log and the manifest.")
    ] = None,
) -> None:
    """Score the accounts of a date: store, validate, score, list the riskiest, log.

    A date with warnings is scored, and the exit code is 0. A blocked date is not scored until its file or the policy is fixed,
    or the check is released.

    With RISK_ENGINE=spark://HOST:PORT or sc://HOST:PORT, executors of Spark store shards and compute the tables: the same files.
    """
    from risk_assets.cli.report import runs as report
    from risk_assets.defs.releases import release_tags

    tags = release_tags(release or (), by, reason)
    results = _run_dates("daily_scoring", date, until, tags, curated__predictions={"model": model})
    scored = [result.date for result in results if result.error is None]
    if scored:
        report.snapshots(out(), context.lake(), scored)
    finish(results)


def outcomes(date: Day, until: Until = None) -> None:
    """Store the outcomes of a snapshot in the lake: those of its landed file, and those sent to POST /outcomes.

    If the contract derives outcomes from later snapshots: carry the states of accounts up to DATE, and write the outcomes of the
    snapshot that matures on DATE. After a correction of the accounts of a date, repeat it from that date on with --until.
    """
    settings = context.settings()
    if context.documents(settings, settings.open_lake()).contract.target.derived is None:
        results = _run_dates("outcomes", date, until, {})
        out().print(
            f"outcomes: {sum(result.error is None for result in results)} of {counted(len(results), 'date is', 'dates are')} in the lake."
        )
        finish(results)
        return
    with context.runner(settings) as runner:
        carried, written = derive(runner, dates_until(date, until))
    stored = sum(result.error is None for result in written)
    out().print(
        f"states of {counted(len(carried), 'date')} carried; outcomes of {stored} of "
        f"{counted(len(written), 'snapshot that matured is', 'snapshots that matured are')} in the lake."
    )
    finish([*carried, *written])


def train(
    date: Day,
    known_by: Annotated[
        str | None,
        typer.Option(
            "--known-by",
            metavar="DATE",
            help="Use outcomes as they were known by this date. Defaults to the training date, so that training for it again gives the "
            "same model. A later date also uses outcomes that became known since.",
        ),
    ] = None,
    estimator: Annotated[Estimator | None, typer.Option("--estimator", help="Estimator. Defaults to the policy's.")] = None,
    register_only: Annotated[bool, typer.Option("--register-only", help="Register the version without promoting it.")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why the model is trained again. Stored in the version; starts the cool-down of the sensor retrain."),
    ] = None,
) -> None:
    """Train a version on the snapshots whose outcomes have matured by DATE; promote it if it passes all of the policy's gates.

    A version that fails a gate, or whose gates the data cannot decide, is registered and waits for `risk promote`, as all versions
    do if the policy's promotion.mode is manual. The exit code is then 0, and the next command is printed.

    Landed accounts and outcomes of the training window are stored in the lake first. If the features of a date cannot be made,
    nothing is trained. If outcomes cannot be derived for a date, the version is trained and shown, and may go live, without that
    date; the exit code is 1, because a date of the window is missing.
    """
    from risk_assets.defs.jobs import REASON_TAG

    settings = context.settings()
    assets = REGISTERING if register_only else ()
    config = {"estimator": estimator and estimator.value, "known_by": known_by and parse_date(known_by), "reason": reason}
    with context.runner(settings) as runner:
        runner.require_dates(date)
        context.warn_unbound_files(runner.lakehouse)
        _warn_without_landing(settings)
        window = runner.lakehouse.candidate.training_window(date)
        stored = refresh(runner, window.first, date if window.derived else window.last)
        _require_features(runner, stored, date)
        trained = runner.run("training", date, *assets, tags={REASON_TAG: reason} if reason else {}, training__model=config)
        if trained.error is None:
            lake = settings.open_lake()
            show_maturity(lake, date)
            show_models(lake)
            show_waiting(settings, lake, date)
            _show_left_out(lake, date, stored)
        finish([*stored, trained])


def show_waiting(settings: "Settings", lake: "Store", date: str) -> None:
    """Print why the version trained for a date is not live, and the command that promotes it; nothing if it is live."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log, registry

    version, binding = registry.newest_of(lake, date), binding_log.live(lake)
    if binding and binding.champion == version.name:
        return
    if binding and version.metadata.origin.contract != binding.contract:
        out().print(
            f"{version.name} was trained under another contract than the one in force, which never changes by itself.", soft_wrap=True
        )
    policy = context.documents(settings, lake).policy.promotion
    report.waiting(out(), version.name, version.metadata.gates.found, binding.champion if binding else None, policy)


def _require_features(runner: "Runner", stored: "Sequence[Result]", date: str) -> None:
    """Print the results and exit with 1 if a date that failed has no features of its landed file and of the contract."""
    from risk_assets.lake.staleness import outdated_features

    failed = {result.date for result in stored if result.error}
    outdated = outdated_features(runner.lakehouse.store, runner.lakehouse.contract_values, sorted(failed))
    if outdated:
        finish(
            stored,
            f"nothing was trained, because {', '.join(outdated)} failed. Correct the files and land them (risk land FILE --date DATE "
            f"--replace), or remove from the contract the columns that they lack; then risk train {date}.",
        )


def _show_left_out(lake: "Store", date: str, stored: "Sequence[Result]") -> None:
    """Print the dates whose outcomes failed before a training, which did without them."""
    from risk_assets.lake import layout, registry

    origin = registry.read_trained(lake, date).origin
    failed = {result.date for result in stored if result.error and result.date <= origin.matured_until}
    without = sorted(day for day in failed if layout.curated_outcomes(day) not in origin.inputs)
    if without:
        dates = ", ".join(without)
        print_warning("trained without", f"the outcomes of {dates}, which failed. Correct the cause, then train again: risk train {date}")


def show_maturity(lake: "Store", date: str) -> None:
    """Print which outcomes the model of a training date used."""
    from risk_assets.lake import registry

    origin = registry.read_trained(lake, date).origin
    window = (
        f"outcomes mature {counted(origin.performance_days, 'day')} after their snapshot"
        if origin.performance_days
        else "outcomes mature at once"
    )
    out().print(
        f"Training for {date}: {window}, snapshots up to {origin.matured_until} have matured; outcomes as known by {origin.known_by}."
    )


def show_models(lake: "Store") -> None:
    """Print all versions and mark the live one."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log, registry

    report.models(out(), registry.versions(lake), binding_log.live(lake))
    for problem in (*registry.damaged(lake), *binding_log.unfinished(lake)):
        print_warning("damaged", problem)


def log(last: Annotated[int, typer.Option("--last", min=1, help="Number of rows to show.")] = 20) -> None:
    """Show the newest rows of the run log, after adding rows of runs that were killed and repairing damaged files."""
    from risk_assets.cli.report import run_log as report
    from risk_assets.lake.run_log import read, repair

    settings = context.settings()
    lake = settings.open_lake()
    _settle(settings)
    for note in repair(lake):
        print_warning("run log", note)
    rows = list(read(lake).values())
    report.newest(out(), rows[-last:])


def _settle(settings: "Settings") -> None:
    """Add the rows of killed runs, and those that wait on this disk. Without any, Dagster is not imported: it costs a second."""
    from risk_assets.errors import HistoryError
    from risk_assets.lake.spool import lake_name, open_spool
    from risk_assets.processes import RUNNING, abandoned

    home = settings.dagster_home
    try:
        if abandoned(home / RUNNING / lake_name(settings.lake)) or open_spool(home, settings.lake).paths():
            with context.runner(settings):
                pass
    except HistoryError as error:
        print_warning("run log", f"rows of killed runs may be missing: {error}")
    except OSError as error:
        print_warning("run log", f"rows of killed runs may be missing: {home} cannot be read ({error.strerror}). Correct its permissions.")


def refresh(runner: "Runner", start: str, end: str) -> "list[Result]":
    """Store what has landed or changed from `start` to `end`: accounts with their features, and outcomes.

    Features of another contract than the one in force are made again, from the raw file of the lake if the landed one is gone;
    training makes those of a contract that is not bound. Derived outcomes are written if they have matured and have none, or if the
    accounts that decide them were corrected.
    """
    from risk_assets.defs.resources import Lakehouse
    from risk_assets.lake.dates import committed_dates
    from risk_assets.lake.landing import dates
    from risk_assets.lake.outcome_tables import outdated_outcomes, states_to_carry
    from risk_assets.lake.posted_outcomes import posted_shards
    from risk_assets.lake.staleness import changed_dates, outdated_features

    lake, landing = runner.settings.open_lake(), runner.settings.open_landing()
    lakehouse = Lakehouse(runner.settings)

    def landed(kind: str) -> list[str]:
        return [date for date in dates(landing, kind) if start <= date <= end]

    def changed(kind: str) -> set[str]:
        return set(changed_dates(lake, landing, kind, lakehouse.expected_columns(kind), landed(kind)))

    in_lake = [date for date in committed_dates(lake, FEATURES[-1]) if start <= date <= end]
    dates_of_accounts = sorted({*landed("accounts"), *in_lake})
    accounts = changed("accounts") | set(outdated_features(lake, lakehouse.contract_values, dates_of_accounts))
    stored = each(sorted(accounts), "features", lambda date: runner.run("daily_scoring", date, *FEATURES))
    if lakehouse.contract.target.derived:
        return [*stored, *_carry(runner, states_to_carry(lake, lakehouse.contract, start, end)), *_derive_outdated(runner, start, end)]
    posted = [date for date in posted_shards(lake) if start <= date <= end]
    outcomes = changed("outcomes") | set(outdated_outcomes(lake, lakehouse.contract, {*landed("outcomes"), *posted}))
    return [*stored, *each(sorted(outcomes), "outcomes", lambda date: runner.run("outcomes", date))]


def derive(runner: "Runner", dates: Sequence[str]) -> "tuple[list[Result], list[Result]]":
    """Carry the states of accounts up to the last of consecutive dates, then write the outcomes that mature on them.

    Returns the results of the states and of the outcomes. If a date cannot be carried, no outcomes are written.
    """
    from risk_assets.lake.dates import committed_dates
    from risk_assets.lake.outcome_tables import dates_to_carry

    runner.require_dates(*dates)
    lake, contract = runner.lakehouse.store, runner.lakehouse.contract
    stored = set(committed_dates(lake, FEATURES[-1]))
    carried = _carry(runner, sorted({*dates_to_carry(lake, contract, dates[-1]), *stored.intersection(dates)}))
    if any(result.error for result in carried):
        return carried, []
    matured = [day for date in dates if (day := shift(date, -contract.target.performance_days)) in stored]
    return carried, each(matured, "outcomes", lambda date: runner.run("outcomes", date, OUTCOMES))


def _carry(runner: "Runner", dates: Iterable[str]) -> "list[Result]":
    """Carry the states of accounts to one date after the other; a date that fails ends it, because later ones continue it."""
    results: list[Result] = []
    for date in track(dates, "account states"):
        results.append(runner.run("account_states", date))
        if results[-1].error:
            break
    return results


def _derive_outdated(runner: "Runner", start: str, end: str) -> "list[Result]":
    """Write the outcomes that matured by `end`: those that are missing from `start` on, and those that corrections outdate."""
    from risk_assets.lake.dates import committed_dates
    from risk_assets.lake.outcome_tables import outdated_outcomes

    lakehouse, days = runner.lakehouse, runner.lakehouse.contract.target.performance_days
    first, last = shift(start, -days), shift(end, -days)
    written = {date for date in committed_dates(lakehouse.store, OUTCOMES) if first <= date <= last}
    outdated = outdated_outcomes(lakehouse.store, lakehouse.contract, sorted({*written, *date_range(start, last)}))
    return each(outdated, "outcomes", lambda date: runner.run("outcomes", date, OUTCOMES))


def _warn_without_landing(settings: "Settings") -> None:
    """Print a warning if the landing folder does not exist."""
    from risk_assets.lake.landing import missing_folder

    if note := missing_folder(settings.open_landing()):
        print_warning("landing", note)


def _run_dates(job: str, date: str, until: str | None, tags: Mapping[str, str], **config: Mapping[str, str]) -> "list[Result]":
    settings = context.settings()
    with context.runner(settings) as runner:
        dates = dates_until(date, until)
        runner.require_dates(*dates)
        context.warn_unbound_files(runner.lakehouse)
        _warn_without_landing(settings)
        return each(
            dates,
            job,
            lambda day: runner.run(job, day, tags=tags, **config),
            lambda rest: f"run it again for {rest} --until {dates[-1]}",
        )
