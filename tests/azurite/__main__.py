"""Run Azurite for local work until Ctrl-C: ``make azurite`` or ``python -m tests.azurite``."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.azurite.server import AzuriteError, OwnAzurite, running
from tests.npm import NpmError

CONTAINER = "lake"
LAKE = f"az://{CONTAINER}/book"
DEFAULT_PORT = 10000
DEFAULT_LOCATION = Path(".azurite")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _serve(options.location, options.port)
    except KeyboardInterrupt:
        return 0
    except (AzuriteError, NpmError) as error:
        print(f"azurite: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.azurite", description="Run the Azurite blob service.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="loopback port (default: %(default)s)")
    parser.add_argument("--location", type=Path, default=DEFAULT_LOCATION, help="folder for the data (default: %(default)s)")
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _serve(location: Path, port: int) -> int:
    print("Starting Azurite; the first start installs it.", file=sys.stderr, flush=True)
    with running(location, port) as azurite:
        azurite.create_container(CONTAINER)
        _print_settings(azurite)
        azurite.process.wait()
        raise AzuriteError(f"the server ended unexpectedly with status {azurite.process.returncode}")


def _print_settings(azurite: OwnAzurite) -> None:
    print(f"export RISK_LAKE={shlex.quote(LAKE)}")
    print(f"export AZURE_STORAGE_CONNECTION_STRING={shlex.quote(azurite.connection_string)}", flush=True)
    print(f"Azurite serves {azurite.location} at {azurite.endpoint}; Ctrl-C stops it.", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
