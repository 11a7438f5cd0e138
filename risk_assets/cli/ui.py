"""`risk ui`: the Dagster UI."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from risk_assets.cli import context


def ui(port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI with schedules and sensors, on the same lake and run history."""
    from risk_assets.runner import prepare_home

    workspace = prepare_home(context.settings()) / "workspace.yaml"
    dagster = Path(sys.executable).with_name("dagster")
    # `dagster dev` works without the dg project tools, which it now recommends in a warning at each start.
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:Function `dev_command`")))
    os.execv(dagster, [str(dagster), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)])  # noqa: S606
