"""Commands for Azure: the live binding as an Azure ML endpoint."""

from pathlib import Path
from typing import Annotated

import typer

from risk_assets.azure_ml.options import MAX_MIRROR_PERCENT, Options
from risk_assets.cli import context
from risk_assets.cli.console import out


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write. It must be new or empty.", show_default=False)],
    endpoint: Annotated[str, typer.Option("--endpoint", help="Name of the endpoint, unique in its region.")] = Options.endpoint,
    instance_type: Annotated[str, typer.Option("--instance-type", help="Machine type of each deployment.")] = Options.instance_type,
    instances: Annotated[int, typer.Option("--instances", min=1, help="Machines per deployment.")] = Options.instances,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes per machine. Use one per core.")] = Options.workers,
    mirror: Annotated[
        int, typer.Option("--mirror", min=1, max=MAX_MIRROR_PERCENT, help="Percentage of requests copied to a challenger in shadow.")
    ] = Options.mirror,
    sticky: Annotated[
        bool, typer.Option("--sticky", help="Serve both versions from one deployment and split by account, as batch does.")
    ] = False,
) -> None:
    """Export the live model as an Azure ML online endpoint: models, environment, deployments, traffic, code."""
    from risk_assets.azure_ml.export import export_binding

    settings = context.settings()
    options = Options(endpoint, instance_type, instances, workers, mirror, sticky)
    routing = export_binding(settings.open_lake(), folder, options)
    traffic = ", ".join(f"{name} {percent} %" for name, percent in routing.traffic.items())
    copies = "".join(f"; copies to {name} {percent} %" for name, percent in routing.mirror.items())
    console = out()
    console.print(f"{folder}: endpoint {endpoint}, traffic {traffic}{copies}. Next steps: {folder / 'README.md'}", soft_wrap=True)
    for note in routing.notes:
        console.print(note, soft_wrap=True)
