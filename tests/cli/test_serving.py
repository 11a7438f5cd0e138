"""`risk serve`, `risk token` and `risk ui`: the scoring service and the UI as processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import RISK, Risk, run_process, without_settings
from tests.conftest import ROOT
from tests.process_tree import is_running

START_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple["subprocess.Popen[str]", httpx.Client]]:
    """Yield `risk serve` in the folder, once it responds, and a client to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(RISK), "serve", "--port", port]
    with (
        subprocess.Popen(command, cwd=folder, env=without_settings() | settings, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        try:
            wait_until_it_responds(process, client)
            yield process, client
        finally:
            process.kill()


def wait_until_it_responds(process: "subprocess.Popen[str]", client: httpx.Client) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client.get("/health/live")
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < end, "risk serve does not respond"
            time.sleep(0.05)
        else:
            return


def test_serve_responds_until_sigterm(folder: Path) -> None:
    with serving(folder, RISK_LAKE=str(folder / "lake"), RISK_SERVE_DRAIN_SECONDS="0") as (process, client):
        assert client.get("/health/live").status_code == 200
        assert client.post("/predict", json={"records": [{}]}).status_code == 503
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=STOP_SECONDS)
        assert process.returncode == 0
        assert "Traceback" not in errors


def test_serve_requires_access_control_beyond_localhost(folder: Path) -> None:
    done = run_process(folder, "serve", "--host", "0.0.0.0", code=1)
    assert "no access control is set" in done.text
    assert "Traceback" not in done.stderr


def test_serve_accepts_only_created_tokens(risk: Risk, folder: Path) -> None:
    secret, entry = (line.strip() for line in risk("token", "batch", "--role", "score").stdout.splitlines() if line.startswith("  "))
    with serving(folder, RISK_LAKE=str(folder / "lake"), RISK_SERVE_TOKENS=entry.removeprefix("RISK_SERVE_TOKENS=")) as (_, client):
        codes = [client.post("/predict", json={"records": [{}]}, headers=headers).status_code for headers in (
            {"Authorization": f"Bearer {secret}"}, {"Authorization": f"Bearer {secret[:-1]}"}, {},
        )]  # fmt: skip
    assert codes == [503, 401, 401]  # with the token, the only error is the missing model


def test_token_has_each_granted_role(risk: Risk) -> None:
    assert "RISK_SERVE_TOKENS=ops:score+operate:" in risk("token", "ops", "--role", "operate", "--role", "score").stdout
    assert "RISK_SERVE_TOKENS=team:label:" in risk("token", "team", "--role", "label").stdout


def test_ui_starts_dagster_on_the_run_history(risk: Risk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: started.append((program, arguments)))
    risk("ui", "--port", "3111")
    dagster = Path(sys.executable).with_name("dagster")
    workspace = str(folder / ".dagster/workspace.yaml")
    assert started == [(dagster, [str(dagster), "dev", "-w", workspace, "-h", "127.0.0.1", "-p", "3111"])]
    assert dagster.is_file() and Path(workspace).is_file()


@pytest.mark.parametrize("target", ["ui", "serve"])
def test_a_signal_to_make_ends_the_server(target: str, tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\necho $$\nexec sleep 60\n", encoding="utf-8")
    server.chmod(0o755)
    command = ["make", "--silent", target, f"RISK={server}"]
    with subprocess.Popen(command, cwd=ROOT, env=without_settings(), stdout=subprocess.PIPE, text=True) as make:
        assert make.stdout
        started = int(make.stdout.readline())
        make.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while is_running(started) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(started)
