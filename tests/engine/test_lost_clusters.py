"""A cluster that is lost, or has no executor, and signals: `risk run` ends in one line, leaves nothing, and can run again."""

import signal
import subprocess
from pathlib import Path

import pytest

from risk_assets.lake import layout
from tests.cli.conftest import RISK, process_environment
from tests.engine.books import DATE, NEXT, Book, make_book, make_large_book, on_disk
from tests.engine.clusters import Standalone, standalone
from tests.engine.test_spark import by, one_line, started, wait_until
from tests.prepared import prepared

pytestmark = pytest.mark.long
FEATURES = layout.shard(layout.features(DATE), "")
PATIENCE = "20"  # seconds: an executor starts in fewer
END_SECONDS = 90  # some seconds on an idle machine, after its patience


@pytest.fixture
def book(tmp_path_factory: pytest.TempPathFactory, worker_id: str, tmp_path: Path) -> Book:
    return on_disk(prepared("engine-book", tmp_path_factory, worker_id, make_book), tmp_path / "book")


@pytest.fixture
def large_book(tmp_path_factory: pytest.TempPathFactory, worker_id: str, tmp_path: Path) -> Book:
    return on_disk(prepared("engine-large-book", tmp_path_factory, worker_id, make_large_book), tmp_path / "book")


def test_a_lost_cluster_ends_the_run_and_it_runs_again(large_book: Book, breakable: Standalone) -> None:
    book, address = large_book, breakable.address
    expected = book.lake.get(layout.predictions(DATE))
    with started(book, **by(breakable), RISK_EXECUTOR_WAIT_SECONDS=PATIENCE) as run:
        wait_until(lambda: len(book.lake.list(FEATURES)) > 3, run)
        for server in (breakable.master, *breakable.workers):
            server.kill()
        out, _ = run.communicate(timeout=END_SECONDS)
    assert run.returncode == 1
    assert f"waiting for executors of {address}; the run ends if there is none after {PATIENCE} s" in out
    assert one_line(out, f"{DATE} failed").startswith(
        f"{DATE} failed: {address} has had no executor for {PATIENCE} s: its workers were lost"
    )
    assert book.leftovers() == []
    assert book.lake.get(layout.predictions(DATE)) == expected
    book.run("run", DATE)
    assert book.lake.get(layout.predictions(DATE)) == expected


def test_a_master_without_workers_is_reported(book: Book, tmp_path: Path) -> None:
    with standalone(tmp_path / "cluster", workers=0) as cluster:
        done = book.run("run", DATE, code=1, **by(cluster), RISK_EXECUTOR_WAIT_SECONDS="1")
    message = one_line(done.stdout + done.stderr, f"{DATE} failed")
    assert message.startswith(
        f"{DATE} failed: {cluster.address} accepted the application and gave it no executor for 1 s. Look at its page"
    )
    assert book.leftovers() == []


def test_a_signal_ends_a_range_by_spark(large_book: Book) -> None:
    book = large_book
    command = [str(RISK), "run", DATE, "--until", NEXT]
    environment = process_environment() | book.settings | {"RISK_ENGINE": "local[2]"}
    with subprocess.Popen(command, cwd=book.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        wait_until(lambda: len(book.lake.list(FEATURES)) > 3, run)
        run.send_signal(signal.SIGTERM)
        out, _ = run.communicate(timeout=END_SECONDS)
    assert run.returncode == 1
    message = "error: the command was interrupted (Ctrl-C, or SIGTERM of the system): 0 of 2 dates have run. To go on, run it again for"
    assert one_line(out, "error").startswith(f"{message} {DATE} --until {NEXT}.")
    assert book.leftovers() == []
    assert book.lake.size(layout.predictions(NEXT)) is None
    book.run("run", DATE, RISK_LEASE_WAIT_SECONDS="0")
