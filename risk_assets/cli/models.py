"""Commands about model versions: what there is, what is live, and what is to be."""

import getpass
import sys
from typing import Annotated, Any

import typer

from risk_assets.cli import report
from risk_assets.cli.console import FAILED, Version, err, escape, out
from risk_assets.cli.jobs import show_models
from risk_assets.clock import parse_instant
from risk_assets.domain.governance.bindings import CHALLENGE, END_CHALLENGE, PROMOTE, ROLL_BACK
from risk_assets.errors import RiskError
from risk_assets.lake import binding_log, impact_files, layout, registry
from risk_assets.lake.store import Store
from risk_assets.settings import Settings, load_settings

Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the binding.")]
By = Annotated[str, typer.Option("--by", help="Who decides.", default_factory=getpass.getuser, show_default="the user")]
Override = Annotated[bool, typer.Option("--override", help="Set aside the gates that the version did not pass; recorded.")]


def models(context: typer.Context) -> None:
    """List the model versions, their figures, and which one is live."""
    if context.invoked_subcommand is None:
        show_models(load_settings().open_lake())


def show(version: Version) -> None:
    """Show a version as a table: feature, step, points, share of accounts, bad rate."""
    settings = load_settings()
    lake = settings.open_lake()
    card = registry.read_scorecard(lake, version).scorecard
    report.scorecard(out, registry.read_version(lake, version), card, registry.read_steps(lake, version), settings.read_policy().points)


def impact(version: Version) -> None:
    """Show what changes if a version replaces the live one, on the newest dates in the lake; kept as impact.json beside it."""
    settings = load_settings()
    lake = settings.open_lake()
    _show_impact(settings, lake, version)
    out.print(f"Accounts: {lake.uri(layout.version_file(version, layout.IMPACT_ACCOUNTS))}", highlight=False, soft_wrap=True)


def promote(
    version: Version,
    reason: Reason,
    by: By,
    override: Override = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let a version go live, after showing what changes and asking."""
    settings = load_settings()
    if not yes:
        _show_impact(settings, settings.open_lake(), version)
        if not sys.stdin.isatty():
            raise RiskError(f"nobody is there to be asked: read the above and run risk promote {version} with --yes.")
        typer.confirm(f"Let {version} go live?", abort=True)
    _govern(settings, action=PROMOTE, version=version, reason=reason, actor=by, override=override)


def rollback(reason: Reason, by: By) -> None:
    """Go back to what was live before the live version was promoted."""
    _govern(load_settings(), action=ROLL_BACK, reason=reason, actor=by)


def challenge(
    reason: Reason,
    by: By,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="The challenger, such as model_v002.")] = None,
    share: Annotated[float | None, typer.Option("--share", help="The share of accounts it answers for, such as 0.1.")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="It scores every account and answers for none.")] = False,
    end: Annotated[bool, typer.Option("--end", help="End the challenge.")] = False,
    override: Override = False,
) -> None:
    """Set a challenger beside the live version: for a share of the accounts, or in shadow."""
    if [share is not None, shadow, end].count(True) != 1 or (version is None) != end:
        raise typer.BadParameter("give VERSION with either --share or --shadow, or --end alone")
    action = END_CHALLENGE if end else CHALLENGE
    _govern(load_settings(), action=action, version=version, share=share, reason=reason, actor=by, override=override)


def live(
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="An instant in UTC, such as 2026-01-31T12:00:00.")] = None,
) -> None:
    """Tell which version is live, or was at an instant: since when, by whom and why."""
    _show_live(load_settings().open_lake(), at and parse_instant(at))


def history(
    verify: Annotated[bool, typer.Option("--verify", help="Hold every binding against the next one's hash and its own seal.")] = False,
) -> None:
    """Show every binding: what was live from when on, by whom and why."""
    lake = load_settings().open_lake()
    if not verify:
        report.history(out, binding_log.read(lake))
        return
    problems = binding_log.verify(lake)
    for problem in problems:
        err.print(f"[bold red]broken:[/] {escape(problem)}")
    if problems:
        raise typer.Exit(FAILED)
    out.print(f"The chain is whole. SHA-256 of the newest binding: {binding_log.head(lake) or 'there is none yet'}", soft_wrap=True)
    out.print("Keep it elsewhere: a chain that ends in it was not rewritten.")


def _show_impact(settings: Settings, lake: Store, version: str) -> None:
    found = impact_files.compute(lake, version, settings.read_contract(), settings.read_policy())
    impact_files.write(lake, *found)
    report.impact(out, found[0])


def _govern(settings: Settings, **choice: Any) -> None:
    """Materialize `registry/champion` with a choice, and show what is live then."""
    from risk_assets.runner import open_runner

    with open_runner(settings) as runs:
        error = runs.govern(**{name: value for name, value in choice.items() if value is not None})
    if error:
        raise RiskError(error)
    _show_live(settings.open_lake(), None)


def _show_live(lake: Store, at: str | None) -> None:
    found = binding_log.live(lake, at)
    if found is None:
        raise RiskError("no version was live at that time." if at else "no model is live yet: risk train DATE.")
    report.binding(out, found, registry.read_version(lake, found.champion))
