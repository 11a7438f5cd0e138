"""Prints how the file of a contract or a policy differs from the bound document."""

from collections.abc import Sequence
from pathlib import Path

from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table
from risk_assets.domain.contract.differences import Difference
from risk_assets.domain.governance.bindings import Binding


def differences(console: LiteralConsole, kind: str, path: Path, binding: Binding, found: Sequence[Difference]) -> None:
    """Print the keys that differ with both values, or that there are none."""
    bound = f"the bound {kind} (binding {binding.seq}, {getattr(binding, kind)[:12]})"
    if not found:
        console.print(f"{path} is {bound}.", soft_wrap=True)
        return
    console.print(styled((str(path), "bold"), f" differs from {bound}:"), soft_wrap=True)
    table = new_table(None, "key", "in force", "in the file")
    for each in found:
        table.add_row(each.key, each.before, each.after)
    console.print(table)
