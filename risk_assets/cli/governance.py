"""Commands that change which version is live, and show what is and was live."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Version, out, print_error, print_warning, user
from risk_assets.cli.models import show_gates, show_impact
from risk_assets.clock import parse_instant
from risk_assets.domain.governance.bindings import CHALLENGE, END_CHALLENGE, PROMOTE, ROLL_BACK
from risk_assets.errors import ModelError, RiskError

if TYPE_CHECKING:
    from risk_assets.lake.store import Store

Reason = Annotated[str, typer.Option("--reason", help="Why. Recorded in the binding.")]
By = Annotated[str, typer.Option("--by", help="Who decides. Recorded in the binding.", default_factory=user, show_default="user")]
ApprovedBy = Annotated[
    str | None, typer.Option("--approved-by", metavar="NAME", help="Second person, if the policy requires one. Recorded in the binding.")
]
Override = Annotated[
    bool,
    typer.Option("--override", help="Set aside gates that the version has not passed, if the policy allows it. Recorded in the binding."),
]


def promote(
    version: Version,
    reason: Reason,
    by: By,
    override: Override = False,
    approved_by: ApprovedBy = None,
    yes: Annotated[bool, typer.Option("--yes", help="Promote without showing the impact and asking.")] = False,
) -> None:
    """Make a version live, after measuring its gates again, showing its impact and asking."""
    show_gates(version)
    if not yes:
        show_impact(version)
        if not sys.stdin.isatty():
            raise RiskError(f"stdin is not a terminal: review the impact above and run again with --yes (risk promote {version} --yes).")
        typer.confirm(f"Promote {version}?", abort=True)
    _govern(action=PROMOTE, version=version, reason=reason, actor=by, override=override, approved_by=approved_by)


def rollback(reason: Reason, by: By) -> None:
    """Return to the version that was live before the last promotion."""
    _govern(action=ROLL_BACK, reason=reason, actor=by)


def challenge(  # noqa: PLR0913, PLR0917 - one parameter for each option
    reason: Reason,
    by: By,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="Challenger, such as model_v002.")] = None,
    share: Annotated[float | None, typer.Option("--share", help="Share of accounts that the challenger decides for, such as 0.1.")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="The challenger scores every account and decides for none.")] = False,
    end: Annotated[bool, typer.Option("--end", help="End the challenge.")] = False,
    override: Override = False,
    approved_by: ApprovedBy = None,
) -> None:
    """Run a challenger beside the live version: for a share of the accounts, or in shadow."""
    if [share is not None, shadow, end].count(True) != 1 or (version is None) != end:
        raise typer.BadParameter("give VERSION with either --share or --shadow, or --end alone")
    if version and share is not None:
        show_gates(version)
    action = END_CHALLENGE if end else CHALLENGE
    _govern(action=action, version=version, share=share, reason=reason, actor=by, override=override, approved_by=approved_by)


def live(
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Instant in UTC, such as 2026-01-31T12:00:00.")] = None,
) -> None:
    """Show which version is live, or was live at an instant: since when, by whom and why. Its files are verified."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log, registry

    lake = context.lake()
    binding = binding_log.live(lake, at and parse_instant(at))
    if binding is None:
        raise ModelError("no version was live at that time. See risk history." if at else "no model is live yet. Run risk train DATE.")
    report.binding(out(), binding, registry.read_version(lake, binding.champion))
    _report_unfinished(lake)
    problems = registry.binding_problems(lake, binding)
    for problem in problems:
        print_error("damaged", problem)
    if problems:
        raise typer.Exit(FAILED)


def history(
    verify: Annotated[bool, typer.Option("--verify", help="Verify the hash chain and each binding's seal.")] = False,
) -> None:
    """Show all bindings: what was live since when, by whom and why."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log

    if verify:
        _verify_history()
    else:
        lake = context.lake()
        report.history(out(), binding_log.read(lake))
        _report_unfinished(lake)


def _report_unfinished(lake: "Store") -> None:
    from risk_assets.lake import binding_log

    for problem in binding_log.unfinished(lake):
        print_warning("warning", problem)


def _verify_history() -> None:
    from risk_assets.lake import binding_log

    lake = context.lake()
    problems = binding_log.verify(lake)
    for problem in problems:
        print_error("broken", problem)
    if problems:
        raise typer.Exit(FAILED)
    head = binding_log.head(lake)
    if head is None:
        out().print("There are no bindings.")
        return
    out().print(f"The chain is complete. SHA-256 of the newest binding: {head}", soft_wrap=True)
    out().print("Store the hash outside the lake: a chain that still ends in it was not rewritten.")


def _govern(**change: str | float | bool | None) -> None:
    """Materialize `registry/champion` with a change and show the live version."""
    with context.runner(context.settings()) as runner:
        error = runner.govern(**{name: value for name, value in change.items() if value is not None})
        if error:
            raise RiskError(error)
        live()
