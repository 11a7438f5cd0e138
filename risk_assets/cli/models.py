"""Commands that show model versions: all of them, one as a table of points, and the impact of a promotion."""

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Version, out
from risk_assets.cli.jobs import show_models


def models(command: typer.Context) -> None:
    """List the model versions with their metrics and mark the live one."""
    if command.invoked_subcommand is None:
        show_models(context.lake())


def show(version: Version) -> None:
    """Show a version: its outcomes, its figures, and a table of feature, step, points, share of accounts and bad rate."""
    from risk_assets.cli.report import governance as report
    from risk_assets.domain.contract.schema import Contract
    from risk_assets.lake import document_archive, registry

    settings = context.settings()
    lake = settings.open_lake()
    card = registry.read_scorecard(lake, version).scorecard
    scale = context.documents(settings, lake).policy.points
    registered = registry.read_version(lake, version)
    report.labels(out(), registered, document_archive.read(lake, Contract, registered.metadata.origin.contract).target)
    report.scorecard(out(), registered, card, registry.read_steps(lake, version), scale)


def reproduce(version: Version) -> None:
    """Train a version again from its stored tables, contract, policy and seed, and compare the scorecard bit by bit."""
    from risk_assets.cli.report import governance as report
    from risk_assets.reproduction import reproduce as train_again

    found = train_again(context.lake(), version)
    report.reproduction(out(), found)
    if not found.identical:
        raise typer.Exit(FAILED)


def impact(version: Version) -> None:
    """Show what changes if a version replaces the live one, on the newest dates in the lake. Also saved as impact.json."""
    from risk_assets.lake import layout

    show_impact(version)
    accounts = context.lake().uri(layout.version_file(version, layout.IMPACT_ACCOUNTS))
    out().print(f"Accounts: {accounts}", soft_wrap=True)


def show_gates(version: str) -> None:
    """Measure the gates of a version under the policy in force and against what is live, and print them."""
    from risk_assets.cli.report import governance as report
    from risk_assets.promotion import measure_again

    settings = context.settings()
    out().print(f"Gates of {version}, measured again:")
    lake = settings.open_lake()
    report.gates(out(), measure_again(lake, version, context.documents(settings, lake).policy).found)


def show_impact(version: str) -> None:
    """Compute, save and print the impact of a version on the newest dates in the lake."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import impact_files

    settings = context.settings()
    lake = settings.open_lake()
    found = context.documents(settings, lake)
    impact, accounts = impact_files.compute(lake, version, found.contract, found.policy)
    impact_files.write(lake, impact, accounts)
    report.impact(out(), impact)
