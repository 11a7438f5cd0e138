"""`python -m risk_serving` runs the scoring service on uvicorn; `risk serve` starts it."""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import tempfile
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from risk_assets.errors import RiskError
from risk_assets.settings import load_settings
from risk_serving.app import create_app
from risk_serving.auth.access import Access, is_loopback
from risk_serving.http.connections import BACKLOG, BoundedProtocol, Connections
from risk_serving.observability.metrics import WORKERS_FOLDER
from risk_serving.observability.tracing import open_tracing
from risk_serving.settings import DESK_PATH, ServingSettings

EXIT_FAILURE = 1
SHUTDOWN_SECONDS = 30
MAX_PORT = 65535
SESSION_KEY = "RISK_SERVE_SESSION_KEY"
KEY_PASSWORD = "RISK_SERVE_SSL_KEYFILE_PASSWORD"  # noqa: S105 - the variable's name


def main() -> None:
    """Serve until SIGTERM or SIGINT; if the settings or arguments are not valid, print the error in one line and exit with 1."""
    arguments = _parse_arguments()
    try:
        settings = load_settings(ServingSettings)
        access = Access(settings)
        _require_access_control(access, arguments.host)
        _require_usable(settings, arguments)
        listener = _listen(arguments.host, arguments.port)
    except RiskError as error:
        _exit(error)
    _print_address(access, arguments)
    with listener, tempfile.TemporaryDirectory(prefix="risk-serving-") as folder:
        if arguments.workers > 1:
            os.environ[WORKERS_FOLDER] = folder
            _share_session_key(settings)
        _run(_configure(settings, arguments), listener)


def app() -> FastAPI:
    """Return the service, for uvicorn's `--factory`; SIGTERM then stops it after `serve_drain_seconds`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = load_settings(ServingSettings)
        service = create_app(settings)
    except RiskError as error:
        _exit(error)
    _drain_at_sigterm(service.state.connections, settings.serve_drain_seconds)
    return service


def _share_session_key(settings: ServingSettings) -> None:
    """Give all workers one key, so that each knows the sessions of the others."""
    if settings.serve_session_key is None:
        os.environ[SESSION_KEY] = secrets.token_hex(32)


class _Workers(Multiprocess):
    """uvicorn's worker processes; the parent stops listening with them, so that no connection waits for a worker that has ended."""

    def terminate_all(self) -> None:
        for each in self.sockets:
            each.close()
        super().terminate_all()


def _exit(error: RiskError) -> NoReturn:
    sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
    sys.exit(EXIT_FAILURE)


def _configure(settings: ServingSettings, arguments: argparse.Namespace) -> uvicorn.Config:
    return uvicorn.Config(
        "risk_serving.__main__:app",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        http=BoundedProtocol,
        ws="none",
        loop="risk_serving.http.event_loop:new_event_loop",
        backlog=BACKLOG,
        timeout_keep_alive=settings.serve_keep_alive_seconds,
        ssl_certfile=arguments.ssl_certfile,
        ssl_keyfile=arguments.ssl_keyfile,
        ssl_keyfile_password=os.environ.get(KEY_PASSWORD),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        log_level="error",  # uvicorn warns of each malformed request, which `connections` logs
    )


def _run(config: uvicorn.Config, listener: socket.socket) -> None:
    # uvicorn stops at SIGTERM and then raises the signal again: this handler turns that into exit code 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if config.workers > 1:
        workers = _Workers(config, sockets=[listener])
        workers.run()
        failed = any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes)
    else:
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        failed = not server.started
    if failed:
        sys.exit(EXIT_FAILURE)


def _drain_at_sigterm(connections: Connections, seconds: float) -> None:
    """Delay uvicorn's own reaction to SIGTERM: until then, requests are answered, but the service is not ready."""
    stop, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()
    assert callable(stop)

    def drain(number: int, frame: FrameType | None) -> None:
        if not connections.stopping:
            connections.stopping = True
            loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, frame)

    signal.signal(signal.SIGTERM, drain)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; raises `RiskError` if it cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # IPv4 first
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise RiskError(f"the service cannot listen on {host}, port {port} ({error.strerror}). Choose others: --host, --port.") from None
    listener.set_inheritable(True)
    return listener


def _require_usable(settings: ServingSettings, arguments: argparse.Namespace) -> None:
    """Raise `RiskError` for what would otherwise fail in each worker."""
    if not 0 <= arguments.port <= MAX_PORT:
        raise RiskError(f"--port {arguments.port} is not a port. Give one of 0 to {MAX_PORT}.")
    if arguments.workers < 1:
        raise RiskError(f"--workers {arguments.workers} is not a number of processes. Give 1 or more.")
    settings.connect_lake()
    open_tracing(settings.serve_telemetry).close()
    _require_certificate(arguments.ssl_certfile, arguments.ssl_keyfile)


def _require_certificate(certificate: str | None, key: str | None) -> None:
    if certificate is None and key is None:
        return
    if certificate is None:
        raise RiskError("--ssl-keyfile requires a certificate. Give it: --ssl-certfile CERT.")
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, os.environ.get(KEY_PASSWORD, ""))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise RiskError(
            f"--ssl-certfile {certificate} and its key cannot be used ({reason}). Give PEM files that belong together; "
            f"{KEY_PASSWORD} has the key's password."
        ) from None


def _print_address(access: Access, arguments: argparse.Namespace) -> None:
    address = f"{'https' if arguments.ssl_certfile else 'http'}://{arguments.host}:{arguments.port}"
    callers = "No access control is set: only localhost is served." if access.localhost_only else "Callers need a token."
    sys.stderr.write(f"Serving POST {address}/predict, documented at {address}/docs. {callers}\n")
    sys.stderr.write(f"The desk, with the newest morning report: {address}{DESK_PATH}\n")


def _require_access_control(access: Access, host: str) -> None:
    if access.localhost_only and not (host == "localhost" or is_loopback(host)):
        raise RiskError(
            f"no access control is set, so the service does not listen on {host}. Set RISK_SERVE_TOKENS (risk token NAME creates one), "
            "or RISK_SERVE_ENTRA_TENANT and RISK_SERVE_ENTRA_AUDIENCE; or serve only this machine: --host 127.0.0.1."
        )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="risk serve", description="Serve POST /predict with the live model, and the desk: /desk.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1); others need access control")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes, which share only the lake (default: 1)")
    parser.add_argument("--ssl-certfile", help="certificate file (PEM), to serve HTTPS")
    parser.add_argument("--ssl-keyfile", help="private key file (PEM); its password is read from RISK_SERVE_SSL_KEYFILE_PASSWORD")
    return parser.parse_args()


if __name__ == "__main__":
    main()
