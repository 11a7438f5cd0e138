"""The identity of a process tells one that has ended from one that lives, also if its id is used again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from risk_assets.processes import Process, abandoned, is_gone, noted_signals, this_process, under_way

IDENTITY = """
import sys
import msgspec
from risk_assets.processes import this_process
print(msgspec.json.encode(this_process()).decode(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that prints its identity and waits."""
    with subprocess.Popen([sys.executable, "-c", IDENTITY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def identity(process: subprocess.Popen[bytes]) -> Process:
    assert process.stdout is not None
    return msgspec.json.decode(process.stdout.readline(), type=Process)


def test_a_killed_process_is_gone_before_it_is_waited_for(other: subprocess.Popen[bytes]) -> None:
    found = identity(other)
    assert is_gone(found) is False
    other.kill()
    for _ in range(1000):
        if is_gone(found):
            break
    other.wait()
    assert is_gone(found) is True


def test_this_process_lives() -> None:
    assert is_gone(this_process()) is False


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"started": "1"}, True),  # another process has its id now
        ({"boot": "another"}, True),  # the host has started again
        ({"host": "another"}, None),
        ({"namespace": "pid:[1]"}, None),  # another container of this host
    ],
    ids=["reused id", "restarted host", "another host", "another container"],
)
def test_what_differs_decides(change: dict[str, str], gone: bool | None) -> None:
    assert is_gone(msgspec.structs.replace(this_process(), **change)) is gone


def test_files_of_processes_that_ended_are_abandoned(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    killed = identity(other)
    other.kill()
    other.wait()
    (tmp_path / "killed.json").write_bytes(msgspec.json.encode(killed))
    (tmp_path / "torn.json").write_bytes(b"{")
    with under_way(tmp_path, "alive"):
        assert {path.name for path in tmp_path.iterdir()} == {"alive.json", "killed.json", "torn.json"}
        assert [path.name for path in abandoned(tmp_path)] == ["killed.json", "torn.json"]
    assert not (tmp_path / "alive.json").exists()
    assert abandoned(tmp_path / "missing") == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_handler_drops_is_noted(number: signal.Signals) -> None:
    before = signal.signal(number, lambda *_: None)
    try:
        with noted_signals() as interrupted:
            os.kill(os.getpid(), number)
        with noted_signals() as later:
            pass
    finally:
        signal.signal(number, before)
    assert interrupted() and not later()


def test_other_signals_do_not_interrupt() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with noted_signals() as interrupted:
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not interrupted()


def test_sigterm_is_not_ignored_after_a_block_that_ignores_it() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with noted_signals():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before
