"""The commands of the scoring service."""

import hashlib
import os
import secrets
import sys
from typing import Annotated

import typer

from risk_assets.cli.console import out
from risk_serving.settings import NAME, ROLES, SCORE


def serve(
    host: Annotated[str, typer.Option("--host", help="The address; other than this machine only with access control.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", help="Processes; they share nothing but the lake.")] = 1,
    ssl_certfile: Annotated[str | None, typer.Option("--ssl-certfile", help="A certificate, to serve HTTPS.")] = None,
    ssl_keyfile: Annotated[str | None, typer.Option("--ssl-keyfile", help="Its key.")] = None,
) -> None:
    """Answer POST /predict by the live model; what is promoted answers within two seconds."""
    asked = {"--host": host, "--port": port, "--workers": workers, "--ssl-certfile": ssl_certfile, "--ssl-keyfile": ssl_keyfile}
    given = [str(part) for option, value in asked.items() if value is not None for part in (option, value)]
    os.execv(sys.executable, [sys.executable, "-m", "risk_serving", *given])  # noqa: S606


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token it is: letters, digits and _ . -")],
    role: Annotated[
        list[str] | None, typer.Option("--role", help="What it may do: score (the default) or operate; both, given twice.")
    ] = None,
) -> None:
    """Make a token for the scoring service: it is shown once, and the settings hold its SHA-256 alone."""
    roles = role or [SCORE]
    if not NAME.fullmatch(name):
        raise typer.BadParameter("NAME may have letters, digits and _ . - alone")
    if not set(roles) <= set(ROLES):
        raise typer.BadParameter(f"--role is one of {', '.join(ROLES)}")
    made = secrets.token_urlsafe(32)
    entry = f"{name}:{'+'.join(each for each in ROLES if each in roles)}:{hashlib.sha256(made.encode()).hexdigest()}"
    lines = ("The token, shown this once:", f"  {made}", "Its entry, after a comma where there are others:", f"  RISK_SERVE_TOKENS={entry}")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
