"""Commands of the contract and the policy: compare the file with the bound document, and put the file in force."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import out
from risk_assets.cli.governance import ApprovedBy, By, Reason, govern
from risk_assets.domain.governance.bindings import ADOPT_CONTRACT, ADOPT_POLICY
from risk_assets.errors import LakeError, ModelError, RiskError

if TYPE_CHECKING:
    from risk_assets.domain.contract.differences import Difference
    from risk_assets.lake.documents import AnyDocument, Documents
    from risk_assets.lake.store import Store
    from risk_assets.settings import Settings

POLICY, CONTRACT = "policy", "contract"
Yes = Annotated[bool, typer.Option("--yes", help="Adopt without showing the impact and asking.")]


def policy(command: typer.Context) -> None:
    """The policy: compare the file with the one in force, and put the file in force."""
    if command.invoked_subcommand is None:
        _show(POLICY)


def contract(command: typer.Context) -> None:
    """The contract: infer one, compare the file with the one in force, and put the file in force."""
    if command.invoked_subcommand is None:
        _show(CONTRACT)


def show_policy() -> None:
    """Show what differs between the file of the policy and the one in force."""
    _show(POLICY)


def show_contract() -> None:
    """Show what differs between the file of the contract and the one in force."""
    _show(CONTRACT)


def adopt_policy(reason: Reason, by: By, approved_by: ApprovedBy = None, yes: Yes = False) -> None:
    """Put the file of the policy in force, after showing its impact and asking. Batch and service use it from then on."""
    _adopt(POLICY, yes, reason=reason, actor=by, approved_by=approved_by)


def adopt_contract(reason: Reason, by: By, approved_by: ApprovedBy = None, yes: Yes = False) -> None:
    """Put the file of the contract in force, after showing its impact and asking. The live models must fit it."""
    _adopt(CONTRACT, yes, reason=reason, actor=by, approved_by=approved_by)


def _show(kind: str) -> None:
    from risk_assets.cli.report import documents as report

    settings = context.settings()
    documents = context.documents(settings, settings.open_lake())
    if documents.binding is None:
        out().print(
            f"{getattr(settings, kind)} is in force, because no model is live yet. The first promotion binds it.",
            soft_wrap=True,
        )
        return
    found = _differences(settings, documents, kind)[1]
    report.differences(out(), kind, getattr(settings, kind), documents.binding, found)
    if found:
        out().print(f"The file is not in force. Put it in force: risk {kind} adopt --reason WHY", soft_wrap=True)


def _adopt(kind: str, yes: bool, **decision: str | None) -> None:
    from risk_assets.cli.report import documents as report
    from risk_assets.lake import impact_files

    settings = context.settings()
    lake = settings.open_lake()
    documents, digest = context.documents(settings, lake), None
    if documents.binding is not None:
        proposed, found = _differences(settings, documents, kind)
        report.differences(out(), kind, getattr(settings, kind), documents.binding, found)
        digest = proposed.digest
        if found:
            impact_files.require_adoptable(lake, documents, proposed)
        if found and not yes:
            _show_impact(lake, documents, proposed, kind)
            _confirm(kind)
    govern(action=ADOPT_POLICY if kind == POLICY else ADOPT_CONTRACT, document=digest, **decision)


def _show_impact(lake: "Store", documents: "Documents", proposed: "AnyDocument", kind: str) -> None:
    """Print the impact of a document; if it cannot be measured, print why: that does not stop an adoption."""
    from risk_assets.cli.report import governance
    from risk_assets.lake import impact_files

    try:
        impact, _ = impact_files.adoption(lake, documents, proposed)
    except (LakeError, ModelError) as error:
        text = f"The impact is not measured: {error}\nrisk {kind} adopt --reason WHY --yes adopts without it."
        out().print(text, soft_wrap=True)
    else:
        governance.impact(out(), impact)


def _confirm(kind: str) -> None:
    if not sys.stdin.isatty():
        raise RiskError("stdin is not a terminal: review the text above, add --yes to the same command, and run it again.")
    typer.confirm(f"Adopt this {kind}?", abort=True)


def _differences(settings: "Settings", documents: "Documents", kind: str) -> "tuple[AnyDocument, tuple[Difference, ...]]":
    """Return the document in the file, and how it differs from the one in force."""
    from risk_assets.domain.contract.differences import differences
    from risk_assets.lake.documents import read_file

    proposed = read_file(settings, kind)
    return proposed, differences(getattr(documents, kind), proposed)
