"""Commands about Azure: the live binding as an Azure ML endpoint."""

from pathlib import Path
from typing import Annotated

import typer

from risk_assets.azure_ml.export import export_binding
from risk_assets.azure_ml.options import MAX_MIRROR_PERCENT, Options
from risk_assets.cli.console import out
from risk_assets.settings import load_settings


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or empty.", show_default=False)],
    endpoint: Annotated[str, typer.Option("--endpoint", help="The endpoint's name, unique in its region.")] = Options.endpoint,
    instance_type: Annotated[str, typer.Option("--instance-type", help="The machines of a deployment.")] = Options.instance_type,
    instances: Annotated[int, typer.Option("--instances", min=1, help="How many machines a deployment has.")] = Options.instances,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes on a machine: one for a core.")] = Options.workers,
    mirror: Annotated[
        int, typer.Option("--mirror", min=1, max=MAX_MIRROR_PERCENT, help="Percentage of requests copied to a shadow.")
    ] = Options.mirror,
    sticky: Annotated[bool, typer.Option("--sticky", help="One deployment holds both versions and draws by account, as batch.")] = False,
) -> None:
    """Write what an Azure ML online endpoint needs to answer by the live model: assets, deployments, traffic, code."""
    settings = load_settings()
    options = Options(endpoint, instance_type, instances, workers, mirror, sticky)
    exported = export_binding(settings.open_lake(), settings.read_contract(), settings.read_policy(), folder, options)
    split = ", ".join(f"{name} {percent} %" for name, percent in exported.traffic.items())
    copies = "".join(f"; copies to {name} {percent} %" for name, percent in exported.mirror.items())
    out.print(f"{folder}: endpoint {endpoint}, traffic {split}{copies}. What to do with it: {folder / 'README.md'}", soft_wrap=True)
    for note in exported.notes:
        out.print(note, soft_wrap=True)
