"""Commands that change which version is live, and show what is and was live."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import FAILED, Version, literal, out, print_error, print_warning, user
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
    """Make a version live, after measuring its gates again, showing its impact and asking.

    The contract that the version was trained with comes into force with it; the keys that change are shown.
    """
    _show_contract_change(version)
    show_gates(version)
    if not yes:
        show_impact(version)
        if not sys.stdin.isatty():
            raise RiskError("stdin is not a terminal: review the impact above, add --yes to the same command, and run it again.")
        typer.confirm(f"Promote {literal(version)}?", abort=True)
    govern(action=PROMOTE, version=version, reason=reason, actor=by, override=override, approved_by=approved_by)


def rollback(reason: Reason, by: By) -> None:
    """Return to the version that was live before the last promotion."""
    govern(action=ROLL_BACK, reason=reason, actor=by)


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
    govern(action=action, version=version, share=share, reason=reason, actor=by, override=override, approved_by=approved_by)


def live(
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Instant in UTC, such as 2026-01-31T12:00:00.")] = None,
) -> None:
    """Show which version is live, or was live at an instant: since when, by whom and why. Its files are verified."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log, registry
    from risk_assets.lake.documents import of_binding

    settings = context.settings()
    lake = settings.open_lake()
    binding = binding_log.live(lake, at and parse_instant(at))
    if binding is None:
        raise ModelError("no version was live at that time. See risk history." if at else "no model is live yet. Run risk train DATE.")
    report.binding(out(), binding, registry.read_version(lake, binding.champion))
    _report_unfinished(lake)
    problems = registry.binding_problems(lake, binding)
    if at is None and not problems:
        context.warn_unused_files(settings, of_binding(lake, binding))
    for problem in problems:
        print_error("damaged", problem)
    if problems:
        raise typer.Exit(FAILED)


def history(
    verify: Annotated[bool, typer.Option("--verify", help="Verify the hash chain and each binding's seal.")] = False,
) -> None:
    """Show all bindings: what was live since when, what changed in policy and contract, by whom and why."""
    from risk_assets.cli.report import governance as report
    from risk_assets.lake import binding_log
    from risk_assets.lake.documents import changed_keys

    if verify:
        _verify_history()
    else:
        lake = context.lake()
        bindings = binding_log.read(lake)
        changes = [changed_keys(lake, before, found) for before, found in zip((None, *bindings), bindings, strict=False)]
        report.history(out(), bindings, changes)
        _report_unfinished(lake)


def _show_contract_change(version: str) -> None:
    """Print which keys of the contract change if a version is promoted; nothing if the contract stays."""
    from risk_assets.domain.contract.differences import differences
    from risk_assets.domain.contract.schema import Contract
    from risk_assets.lake import document_archive, registry

    settings = context.settings()
    lake = settings.open_lake()
    documents = context.documents(settings, lake)
    origin = registry.read_version(lake, version).metadata.origin
    if documents.binding is None or documents.binding.contract == origin.contract:
        return
    own = document_archive.read(lake, Contract, origin.contract)
    keys = ", ".join(found.key for found in differences(documents.contract, own))
    out().print(
        f"The contract changes too, to the one that {version} was trained with: {keys}. Dates that are run later are validated under it.",
        soft_wrap=True,
    )


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


def govern(**change: str | float | bool | None) -> None:
    """Materialize `registry/champion` with a change and show the live version."""
    with context.runner(context.settings()) as runner:
        error = runner.govern(**{name: value for name, value in change.items() if value is not None})
        if error:
            raise RiskError(error)
        live()
