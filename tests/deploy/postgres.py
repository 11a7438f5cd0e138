"""A Postgres server of its own, in a temporary folder, on a free port of 127.0.0.1: with TLS and passwords, as a managed one."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

from tests.deploy.processes import ending_with_parent, free_port

INSTALLED = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"  # Postgres does not run as root
PASSWORD = "p@ss:w/rd%41 #1"  # every character that has a meaning in a URL
START_SECONDS = 60
STOP_SECONDS = 20
NOT_DURABLE = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
MISSING = "Postgres is not installed, so deployments are not tested: install it, for example with `apt-get install postgresql`"


@dataclass(frozen=True)
class Database:
    """The address of a database."""

    port: int
    name: str
    host: str = "127.0.0.1"
    user: str = ACCOUNT
    password: str = field(default=PASSWORD, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the shipped `dagster.yaml` files read."""
        return {
            "DAGSTER_POSTGRES_HOST": self.host,
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_DB": self.name,
            "DAGSTER_POSTGRES_USER": self.user,
            "DAGSTER_POSTGRES_PASSWORD": self.password,
        }

    def query(self, sql: str) -> None:
        """Execute a statement."""
        address = {"host": self.host, "port": self.port, "dbname": self.name, "user": self.user, "password": self.password}
        with closing(psycopg2.connect(**address)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)

    def create(self, prefix: str) -> "Database":
        """Create another database on the same server and return it; its name is unique, because a fixture can be set up again."""
        name = f"{prefix}_{secrets.token_hex(4)}"
        self.query(f"CREATE DATABASE {name}")
        return Database(self.port, name)


def require_postgres() -> Path:
    """Return the folder of Postgres' programs. Without them, skip the test; in CI, fail it."""
    found = max(INSTALLED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), default=None) or shutil.which("initdb")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    return Path(found).parent


@contextmanager
def running(programs: Path) -> Iterator[Database]:
    """Run a server until the block ends, and remove its files."""
    with tempfile.TemporaryDirectory(prefix="risk-postgres-") as temporary:
        folder = Path(temporary)
        _create(programs, folder)
        port = free_port()
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "ssl=on", *NOT_DURABLE]
        command = [programs / "postgres", "-D", folder / "data", *(part for option in options for part in ("-c", option))]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(_as_account(command), stdout=log, stderr=log, cwd=folder)
        try:
            database = Database(port, "postgres")
            _wait_for(database, server, folder / "log")
            yield database
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)


def _create(programs: Path, folder: Path) -> None:
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    _own(folder, password)
    initdb = [programs / "initdb", "-D", data, "-U", ACCOUNT, "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync"]
    _run(_as_account(initdb), folder)
    key, certificate = data / "server.key", data / "server.crt"
    names = ["-subj", "/CN=localhost", "-days", "1", "-keyout", key, "-out", certificate]
    _run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names], folder)
    _own(key, certificate)


def _own(*paths: Path) -> None:
    for path in paths:
        if os.getuid() == 0:
            shutil.chown(path, ACCOUNT, pwd.getpwnam(ACCOUNT).pw_gid)


def _as_account(command: list[str | Path]) -> list[str | Path]:
    if os.getuid() != 0:
        return ending_with_parent(command)
    return ending_with_parent(command, f"--reuid={ACCOUNT}", f"--regid={pwd.getpwnam(ACCOUNT).pw_gid}", "--init-groups")


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    if done.returncode != 0:
        pytest.fail(f"{command[0]} failed: {done.stderr[-2000:]}")


def _wait_for(database: Database, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            database.query("SELECT 1")
        except psycopg2.OperationalError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Postgres did not start in {START_SECONDS} s: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
