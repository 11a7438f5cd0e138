"""`python -m risk_serving` runs the scoring service on uvicorn; `risk serve` starts it."""

import argparse
import logging
import os
import signal
import sys
import tempfile

import uvicorn
from fastapi import FastAPI

from risk_assets.errors import RiskError
from risk_assets.settings import load_settings
from risk_serving.app import create_app
from risk_serving.auth.access import Access, is_loopback
from risk_serving.observability.metrics import WORKERS_FOLDER
from risk_serving.settings import ServingSettings

EXIT_FAILURE = 1
SHUTDOWN_SECONDS = 30


def main() -> None:
    """Serve until SIGTERM or SIGINT; if the settings are not valid, print the error and exit with 1."""
    arguments = _parse_arguments()
    try:
        access = Access(load_settings(ServingSettings))
        _require_access_control(access, arguments.host)
    except RiskError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_FAILURE)
    _print_address(access, arguments)
    if arguments.workers == 1:
        _run(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="risk-serving-") as folder:
        os.environ[WORKERS_FOLDER] = folder
        _run(arguments)


def app() -> FastAPI:
    """Return the service, for uvicorn's `--factory`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return create_app(load_settings(ServingSettings))


def _run(arguments: argparse.Namespace) -> None:
    # uvicorn stops at SIGTERM and then raises the signal again: this handler turns that into exit code 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    uvicorn.run(
        "risk_serving.__main__:app",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        ssl_certfile=arguments.ssl_certfile,
        ssl_keyfile=arguments.ssl_keyfile,
        ssl_keyfile_password=os.environ.get("RISK_SERVE_SSL_KEYFILE_PASSWORD"),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        log_level="warning",
    )


def _print_address(access: Access, arguments: argparse.Namespace) -> None:
    address = f"{'https' if arguments.ssl_certfile else 'http'}://{arguments.host}:{arguments.port}"
    callers = "No access control is set: only localhost is served." if access.localhost_only else "Callers need a token."
    sys.stderr.write(f"Serving POST {address}/predict, documented at {address}/docs. {callers}\n")


def _require_access_control(access: Access, host: str) -> None:
    if access.localhost_only and not (host == "localhost" or is_loopback(host)):
        raise RiskError(
            f"no access control is set, so the service does not listen on {host}. Set RISK_SERVE_TOKENS (risk token NAME creates one), "
            "or RISK_SERVE_ENTRA_TENANT and RISK_SERVE_ENTRA_AUDIENCE; or serve only this machine: --host 127.0.0.1."
        )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="risk serve", description="Serve POST /predict with the live model.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1); others need access control")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes, which share only the lake (default: 1)")
    parser.add_argument("--ssl-certfile", help="certificate file (PEM), to serve HTTPS")
    parser.add_argument("--ssl-keyfile", help="private key file (PEM); its password is read from RISK_SERVE_SSL_KEYFILE_PASSWORD")
    return parser.parse_args()


if __name__ == "__main__":
    main()
