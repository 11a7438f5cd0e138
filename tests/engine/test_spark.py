"""Real engines: `risk run` makes the tables of one process, whatever happens to its executors and to its driver."""

import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from polars.testing import assert_frame_equal

from risk_assets.lake import layout
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import require_manifest
from tests.azurite.server import Azurite
from tests.cli.conftest import RISK, process_environment
from tests.engine.books import DATE, NEXT, SHARDS, TRAINED, Book, enlarge, make_book, make_large_book, on_azurite, on_disk
from tests.engine.clusters import Address, Standalone, connect_server
from tests.prepared import prepared

pytestmark = pytest.mark.long
SECONDS = 300
Tables = tuple[bytes, pl.DataFrame, dict[str, str], bytes]
LOCAL_SPARK = Address("local[2]", {})
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("engine-book", tmp_path_factory, worker_id, make_book)


@pytest.fixture(scope="session")
def made_large(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("engine-large-book", tmp_path_factory, worker_id, make_large_book)


@pytest.fixture
def book(made: Path, tmp_path: Path) -> Book:
    return on_disk(made, tmp_path / "book")


@pytest.fixture
def large_book(made_large: Path, tmp_path: Path) -> Book:
    return on_disk(made_large, tmp_path / "book")


@pytest.fixture
def large_book_on_azurite(made_large: Path, tmp_path: Path, azurite: Azurite, worker_id: str) -> Book:
    return on_azurite(made_large, tmp_path / "book", azurite, f"az://lake/{worker_id}-engine-{next(_numbers)}")


@pytest.fixture(params=["local[2]", "cluster", "connect"])
def engine(request: pytest.FixtureRequest) -> Address:
    return LOCAL_SPARK if request.param == "local[2]" else request.getfixturevalue(request.param)


def by(engine: Address) -> dict[str, str]:
    return {"RISK_ENGINE": engine.address, **engine.environment}


def require_same(found: Tables, expected: Tables) -> None:
    assert found[0] == expected[0]
    assert_frame_equal(found[1], expected[1])
    assert found[2:] == expected[2:]


def counted(book: Book) -> bool:
    """Return whether executors have counted the rows, and found the candidates of the review list."""
    facts = require_manifest(book.lake, layout.predictions(DATE)).facts_as(PredictionFacts)
    return facts.tallies is not None and facts.candidates is not None


def parts(book: Book, date: str = DATE) -> int:
    return len(require_manifest(book.lake, layout.features(date)).parts)


def one_line(done: str, start: str) -> str:
    """Return the only message of a command, without the lines that a terminal breaks; it is not a trace."""
    text = " ".join(done.split())
    assert "Traceback" not in text and "\tat " not in done and "Exception" not in text
    return text[text.index(start) :]


@contextmanager
def started(book: Book, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Score the date in a process, which is killed at the end if it still runs."""
    environment = process_environment() | book.settings | settings
    command = [str(RISK), "run", DATE]
    with subprocess.Popen(command, cwd=book.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            yield run
        finally:
            run.kill()


def wait_until(condition: Callable[[], bool], run: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()[0]
        time.sleep(0.02)


def test_dates_are_scored_as_by_one_process(book: Book, engine: Address) -> None:
    expected = book.tables()
    landed = enlarge(book.folder)
    done = book.run("run", DATE, "--until", NEXT, **by(engine))
    require_same(book.tables(), expected)
    assert (parts(book, DATE), parts(book, NEXT)) == (SHARDS + 1, 1) and counted(book)
    assert book.leftovers() == []
    assert "WARN" not in done.text and done.text.count("warning:") <= 1
    assert [line for line in done.stderr.splitlines() if "Spark" in line] == [f"starting Spark at {engine.address}"]  # once for all dates
    assert [*require_manifest(book.lake, layout.accounts(DATE)).sha256.values()] == landed
    engines = [book.engine_of(key, DATE) for key in ("raw/accounts", "curated/features", "curated/predictions")]
    assert engines == [engine.address] * 3
    assert book.engine_of("raw/accounts", NEXT) == "local"  # one file


def test_training_by_executors_gives_the_model_of_one_process(book: Book, cluster: Standalone) -> None:
    contract = book.folder / "data/contract.yml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("max: 5000000", "max: 4999999"), encoding="utf-8")
    assert contract.read_text(encoding="utf-8") != text
    book.run("train", TRAINED, "--register-only", **by(cluster))
    folders = [path for path in book.lake.list(f"{layout.CANDIDATES}/") if "_features/" in path]
    assert len(folders) == 3
    assert book.engine_of("training/model", TRAINED, "sampled_by") == cluster.address
    assert not book.lake.list(f"{layout.TRAINING}/{layout.STAGED}/")
    for name in (layout.PIPELINE, layout.SCORECARD, layout.PROFILE, layout.EXAMPLE):
        spark, local = (book.lake.get(layout.version_file(version, name)) for version in ("model_v002", "model_v001"))
        assert spark == local, name  # no value is between the two limits


@pytest.mark.parametrize("where", ["large_book", "large_book_on_azurite"])
def test_a_killed_worker_changes_nothing(request: pytest.FixtureRequest, where: str, breakable: Standalone, tmp_path: Path) -> None:
    book: Book = request.getfixturevalue(where)
    expected = book.tables()
    events = tmp_path / "events"
    events.mkdir()
    conf = {"enabled": "true", "compress": "false", "dir": events.as_uri()}
    log = " ".join([*(f"--conf spark.eventLog.{name}={value}" for name, value in conf.items()), "pyspark-shell"])
    folder = layout.shard(layout.features(DATE), "")
    with started(book, **by(breakable), PYSPARK_SUBMIT_ARGS=log) as run:
        wait_until(lambda: len(book.lake.list(folder)) > 5, run)
        breakable.kill_worker()
        out, _ = run.communicate(timeout=SECONDS)
        assert run.returncode == 0, out
    require_same(book.tables(), expected)
    assert book.leftovers() == []
    ends = [json.loads(line) for file in events.rglob("events_*") for line in file.read_text(encoding="utf-8").splitlines()]
    lost = [end for end in ends if end.get("Event") == "SparkListenerTaskEnd" and end["Task End Reason"]["Reason"] == "ExecutorLostFailure"]
    assert any(end.get("Event") == "SparkListenerExecutorRemoved" for end in ends)
    assert len(lost) <= 2


@pytest.mark.parametrize(("begun", "again"), [("features", "local"), ("predictions", "local[2]")])
def test_a_driver_that_was_killed_can_run_again(book: Book, begun: str, again: str) -> None:
    expected = book.tables()
    folder = layout.shard(layout.features(DATE), "") if begun == "features" else layout.staged_folder(layout.predictions(DATE))
    with started(book, RISK_ENGINE="local[2]") as run:
        wait_until(lambda: bool(book.lake.list(folder)), run)
        run.send_signal(signal.SIGKILL)
        run.wait(SECONDS)
    assert book.lake.get(layout.predictions(DATE)) == expected[0]
    book.run("run", DATE, RISK_ENGINE=again)
    require_same(book.tables(), expected)
    assert book.leftovers() == []


def test_of_two_drivers_on_a_date_one_waits(book: Book) -> None:
    expected = book.tables()
    with started(book, RISK_ENGINE="local[1]") as first:
        wait_until(lambda: bool(book.lake.list(layout.shard(layout.features(DATE), ""))), first)
        late = book.run("run", DATE, code=1, RISK_ENGINE="local[1]", RISK_LEASE_WAIT_SECONDS="0")
        assert re.search(r"is being written by the run \S+ \(process \d+ on ", one_line(late.stdout + late.stderr, f"{DATE} failed"))
        second = book.run("run", DATE, RISK_LEASE_WAIT_SECONDS="200")
        assert "failed" not in second.text
        out, _ = first.communicate(timeout=SECONDS)
        assert first.returncode == 0, out
    require_same(book.tables(), expected)
    assert book.leftovers() == []


def test_a_connect_server_that_ends_is_reported(large_book: Book, tmp_path: Path) -> None:
    book = large_book
    folder = layout.shard(layout.features(DATE), "")
    with connect_server(tmp_path / "connect") as server, started(book, **by(server)) as run:
        wait_until(lambda: bool(book.lake.list(folder)), run)
        server.server.kill()
        out, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    assert one_line(out, f"{DATE} failed").startswith(f"{DATE} failed: {server.address}: the connection broke. Check that Spark still runs")
    assert book.lake.list(folder) == ()


def test_executors_without_the_right_to_write_are_named(
    made: Path, tmp_path: Path, azurite: Azurite, worker_id: str, cluster: Standalone
) -> None:
    book = on_azurite(made, tmp_path / "book", azurite, f"az://lake/{worker_id}-engine-{next(_numbers)}")
    read_only = generate_account_sas(
        azurite.account,
        azurite.key,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    access = f"BlobEndpoint={azurite.endpoint};AccountName={azurite.account};SharedAccessSignature={read_only}"
    own = f"--conf {shlex.quote(f'spark.executorEnv.AZURE_STORAGE_CONNECTION_STRING={access}')} pyspark-shell"
    done = book.run("run", DATE, code=1, **by(cluster), PYSPARK_SUBMIT_ARGS=own)
    message = one_line(done.stdout + done.stderr, f"{DATE} failed")
    assert re.match(rf"{DATE} failed: the executor \S+: access denied: .*\(at az://lake/.*_features/", message)
    assert read_only not in message
    assert not book.lake.list(layout.shard(layout.features(DATE), ""))


def test_executors_without_the_product_are_reported(book: Book) -> None:
    bare = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    done = book.run("run", DATE, code=1, RISK_ENGINE="local[1]", PYSPARK_PYTHON=bare)
    message = one_line(done.stdout + done.stderr, f"{DATE} failed")
    assert re.match(rf"{DATE} failed: local\[1\]: the executors cannot import \w+. Install this release of risk-lakehouse on all", message)


def test_executors_without_python_are_reported(book: Book) -> None:
    done = book.run("run", DATE, code=1, RISK_ENGINE="local[1]", PYSPARK_PYTHON="/nowhere/python")
    assert "have no Python at the path" in one_line(done.stdout + done.stderr, f"{DATE} failed: local[1]: ")
