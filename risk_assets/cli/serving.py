"""Commands of the scoring service: start it, and create tokens for it."""

import hashlib
import os
import secrets
import sys
from typing import Annotated

import typer

from risk_assets.cli.console import out


def serve(
    host: Annotated[str, typer.Option("--host", help="Address. Addresses other than localhost require access control.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", help="Number of processes. They share only the lake.")] = 1,
    ssl_certfile: Annotated[str | None, typer.Option("--ssl-certfile", help="Certificate, to serve HTTPS.")] = None,
    ssl_keyfile: Annotated[str | None, typer.Option("--ssl-keyfile", help="Private key of the certificate.")] = None,
) -> None:
    """Serve POST /predict with the live model, and the desk with the morning reports; a promotion takes effect within two seconds."""
    options = {"--host": host, "--port": port, "--workers": workers, "--ssl-certfile": ssl_certfile, "--ssl-keyfile": ssl_keyfile}
    arguments = [str(part) for option, value in options.items() if value is not None for part in (option, value)]
    os.execv(sys.executable, [sys.executable, "-m", "risk_serving", *arguments])  # noqa: S606


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner of the token: letters, digits and _ . -")],
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Role to grant: score (default), operate, label or review. Repeat for several.", show_default=False),
    ] = None,
) -> None:
    """Create a token for the scoring service. It is shown once; the settings contain only its SHA-256."""
    from risk_serving.settings import NAME, ROLES, SCORE

    roles = role or [SCORE]
    if not NAME.fullmatch(name):
        raise typer.BadParameter("NAME may contain only letters, digits and _ . -")
    if not set(roles) <= set(ROLES):
        raise typer.BadParameter(f"--role is one of {', '.join(ROLES)}")
    secret = secrets.token_urlsafe(32)
    entry = f"{name}:{'+'.join(each for each in ROLES if each in roles)}:{hashlib.sha256(secret.encode()).hexdigest()}"
    lines = (
        "The token, shown only once:",
        f"  {secret}",
        "Its entry; separate several entries with commas:",
        f"  RISK_SERVE_TOKENS={entry}",
    )
    for line in lines:
        out().print(line, soft_wrap=True)
