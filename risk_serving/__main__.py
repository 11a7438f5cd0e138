"""`python -m risk_serving`: the scoring service on uvicorn. `risk serve` starts it."""

import argparse
import ipaddress
import logging
import os
import signal
import sys
import tempfile

import uvicorn

from risk_assets.errors import RiskError
from risk_assets.settings import load_settings
from risk_serving.app import create_app
from risk_serving.auth.access import Access
from risk_serving.observability.metrics import WORKERS
from risk_serving.settings import ServingSettings

FAILED = 1
STOP_SECONDS = 30


def main() -> None:
    """Serve until told to stop; settings that can't be used are told, and the exit code is 1."""
    asked = _arguments()
    try:
        settings = load_settings(ServingSettings)
        _require_guard(settings, asked.host)
        _say(settings, asked)
    except RiskError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(FAILED)
    if asked.workers == 1:
        _run(asked)
        return
    with tempfile.TemporaryDirectory(prefix="risk-serving-") as folder:
        os.environ[WORKERS] = folder
        _run(asked)


def app() -> object:
    """Return the service, for uvicorn's `--factory`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return create_app(load_settings(ServingSettings))


def _run(asked: argparse.Namespace) -> None:
    # uvicorn stops by itself at the signal and then raises it again: a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    uvicorn.run(
        "risk_serving.__main__:app",
        factory=True,
        host=asked.host,
        port=asked.port,
        workers=asked.workers,
        ssl_certfile=asked.ssl_certfile,
        ssl_keyfile=asked.ssl_keyfile,
        ssl_keyfile_password=os.environ.get("RISK_SERVE_SSL_KEYFILE_PASSWORD"),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        log_level="warning",
    )


def _say(settings: ServingSettings, asked: argparse.Namespace) -> None:
    address = f"{'https' if asked.ssl_certfile else 'http'}://{asked.host}:{asked.port}"
    guard = "No access control is set: this machine alone is answered." if Access(settings).open else "Callers need a token."
    sys.stderr.write(f"POST {address}/predict, described at {address}/docs. {guard}\n")


def _require_guard(settings: ServingSettings, host: str) -> None:
    if Access(settings).open and not _is_loopback(host):
        raise RiskError(
            f"no access control is set, so {host} is not served: set RISK_SERVE_TOKENS (risk token NAME makes one), or "
            "RISK_SERVE_ENTRA_TENANT and RISK_SERVE_ENTRA_AUDIENCE; or serve this machine alone: --host 127.0.0.1."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="risk serve", description="Answer POST /predict by the live model.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="the port (8000)")
    parser.add_argument("--workers", type=int, default=1, help="processes, which share nothing but the lake (1)")
    parser.add_argument("--ssl-certfile", help="a certificate, to serve HTTPS")
    parser.add_argument("--ssl-keyfile", help="its key; its password is read from RISK_SERVE_SSL_KEYFILE_PASSWORD")
    return parser.parse_args()


if __name__ == "__main__":
    main()
