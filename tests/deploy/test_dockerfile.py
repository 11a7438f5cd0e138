"""The Dockerfile, .dockerignore and the health check of the image."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT
from tests.deploy.dockerfile import image_variables, instructions

HEALTH = ROOT / ".deploy/health.py"
DIGEST = "sha256:" + "0" * 64


def test_hadolint_accepts_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_copied_file_exists_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")}
    assert copied() == sent
    assert not [source for source in copied() if not (ROOT / source).exists()]


def test_the_base_image_is_required_with_a_digest() -> None:
    arguments = [rest for name, rest in instructions() if name == "ARG"]
    assert set(arguments) == {"BASE_IMAGE"}  # without a default: `FROM` fails
    assert {rest.split()[0] for name, rest in instructions() if name == "FROM"} == {"${BASE_IMAGE}"}
    check = next(rest for name, rest in instructions() if name == "RUN")
    assert run_with(check, f"python:3.11-slim@{DIGEST}") == (0, "")
    assert run_with(check, "python:3.11-slim") == (1, "BASE_IMAGE has no digest: --build-arg BASE_IMAGE=NAME:TAG@sha256:DIGEST\n")


def test_packages_are_installed_from_the_lock_alone() -> None:
    installs = [line for name, rest in instructions() if name == "RUN" for line in rest.split("&&") if re.search(r"\bpip\b", line)]
    verified, *others = installs
    assert "--require-hashes" in verified
    assert "--requirement requirements.lock" in verified
    assert others
    assert all("--no-index --find-links wheels" in other for other in others)


def test_the_image_does_not_run_as_root() -> None:
    assert [rest for name, rest in instructions() if name == "USER"] == ["10001:10001"]


def test_the_image_runs_from_its_own_environment() -> None:
    assert image_variables()["PATH"].startswith("/app/venv/bin:")


@pytest.mark.parametrize("command", ["dagster-webserver -p {port}", "python -m risk_serving --host 0.0.0.0 --port {port}"])
def test_a_server_that_answers_is_healthy(port: int, command: str) -> None:
    assert healthy(command.format(port=port))


@pytest.mark.parametrize("command", ["dagster-webserver -p {port}", "python -m risk_serving --host 0.0.0.0 --port {port}"])
def test_a_server_that_does_not_answer_is_not_healthy(command: str) -> None:
    assert not healthy(command.format(port=1))


def test_a_command_that_ends_by_itself_is_healthy() -> None:
    assert healthy("risk run 2026-01-07")


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that answers the paths of the health checks."""
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in {"/server_info", "/health/live"} else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def copied() -> set[str]:
    """Return the files and folders that are copied from the build context."""
    copies = [shlex.split(rest) for name, rest in instructions() if name == "COPY" and "--from=" not in rest]
    return {source for parts in copies for source in parts[:-1] if not source.startswith("--")}


def run_with(script: str, base_image: str) -> tuple[int, str]:
    done = subprocess.run(["/bin/sh", "-c", script], env={"BASE_IMAGE": base_image}, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def healthy(command: str) -> bool:
    """Return what the health check says about a process with this command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *command.split()])
    try:
        return subprocess.run([sys.executable, HEALTH, str(process.pid)], check=False).returncode == 0
    finally:
        process.kill()
        process.wait()
