"""Sessions of Spark: what is missing or does not answer is reported in one line, and tokens are not shown."""

import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from risk_assets.domain.ingest import csv_counts
from risk_assets.engine import session
from risk_assets.engine.engines import ClusterEngine, LocalEngine, open_engine
from risk_assets.engine.session import opened_session, translated_errors
from risk_assets.engine.spark import BYTES_PER_TASK, MIN_TASKS, Spark, task_count
from risk_assets.errors import EngineError, LakeError
from risk_assets.lake import layout
from risk_assets.lake.manifests import require_manifest
from risk_assets.settings import Settings, load_settings
from tests.documents import SMALL
from tests.engine.lakes import DATE, landed, made, models
from tests.engine.test_equal_tables import require_equal, small

SECRET = "dapi0123456789"
DATABRICKS = f"sc://adb-1.2.azuredatabricks.net:443/;token={SECRET};x-databricks-cluster-id=7"


def refused(address: str, name: str | None = None) -> str:
    """Return the error of an address that cannot be opened."""
    with pytest.raises(EngineError) as caught, opened_session(address, name or address, Path("unused.log"), 120):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def silent() -> Iterator[int]:
    """Yield the port of a server that accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package and Java be found, whether they are installed or not."""
    monkeypatch.setattr(session, "_require_package", lambda _: None)
    monkeypatch.setattr(session, "_require_java", lambda _: None)


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("local", "local"),
        ("local[4]", "local[4]"),
        ("local[*]", "local[*]"),
        ("spark://one:7077,two:7077", "spark://one:7077,two:7077"),
        ("spark://[::1]:7077", "spark://[::1]:7077"),
        ("sc://host", "sc://host"),
        (DATABRICKS, "sc://adb-1.2.azuredatabricks.net:443"),
        (f"sc://host:1;token={SECRET}", "sc://host:1"),
    ],
)
def test_an_engine_is_shown_without_its_token(engine: str, name: str) -> None:
    settings = Settings(engine=engine, _env_file=None)
    assert settings.engine == engine
    assert settings.engine_name == name
    assert SECRET not in repr(settings) + repr(open_engine(settings))
    assert open_engine(settings).name == name


@pytest.mark.parametrize(
    "engine",
    [
        "",
        "Local",
        "local[0]",
        "local[x]",
        "spark://host",
        "spark://host:x",
        "spark://host:65536",
        "sc://host:0",
        "yarn",
        "sc://",
        "http://host:1",
        f"sc://h o/;{SECRET}",
    ],
)
def test_other_engines_are_refused_in_one_line(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_ENGINE", engine)
    with pytest.raises(Exception, match=r"RISK_ENGINE: it is not an engine. Set spark://HOST:PORT") as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    assert refused("local[2]") == (
        "RISK_ENGINE=local[2] needs the package pyspark, which is not installed. Install it: pip install 'risk-lakehouse[spark]'."
    )


def test_without_java_its_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(session, "_require_package", lambda _: None)
    monkeypatch.setattr(session, "_start", lambda address, name, log, wait_seconds: session._require_java(name))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs Java 17 or newer, and there is no java in PATH. Install it" in refused("local[2]")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "JAVA_HOME has no bin/java" in refused("local[2]")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["spark://127.0.0.1:1", "spark://127.0.0.1:1,127.0.0.1:2", "sc://127.0.0.1:1"])
def test_a_wrong_address_is_reported_at_once(name: str) -> None:
    began = time.monotonic()
    message = refused(f"{name}/;token={SECRET}" if name.startswith("sc://") else name, name)
    assert message.startswith(f"{name} cannot be reached (connection refused). Check the address in RISK_ENGINE")
    assert SECRET not in message
    assert time.monotonic() - began < 20


@pytest.mark.long
def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_SECONDS", 2.0)
    with silent() as port:
        message = refused(f"sc://127.0.0.1:{port}/;token={SECRET}", f"sc://127.0.0.1:{port}")
    assert message.startswith(f"sc://127.0.0.1:{port} does not answer as a server of Spark Connect within 2 s. Check the address")
    assert SECRET not in message


class SparkError(Exception):
    """An error in place of those of Spark's client."""


TEXTS = {
    "PythonException ModuleNotFoundError: No module named 'risk_assets'": "the executors cannot import risk_assets. Install this release",
    "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker": "the executors run another version of Python",
    'java.io.IOException: Cannot run program "/x/python"': "the executors have no Python at the path",
    "[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.": "Java ended when Spark started",
    "Py4JNetworkError: Answer from Java side is empty": "Java ended during the run",
    "Python worker exited unexpectedly (crashed)": "a task ended without an answer several times",
    "All masters are unresponsive! Giving up.": "the master does not answer",
    "<_InactiveRpcError status = StatusCode.UNAUTHENTICATED>": "the server does not accept the token",
    "<_InactiveRpcError status = StatusCode.UNAVAILABLE>": "the connection broke",
    "PythonException: Traceback ... polars.exceptions.ComputeError: secret 4711": "a task failed with ComputeError. Its trace is in",
}


@pytest.mark.parametrize(("text", "message"), TEXTS.items(), ids=[text[:30] for text in TEXTS])
def test_errors_of_spark_become_one_line(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setattr(session, "_spark_errors", lambda: (SparkError,))
    with pytest.raises(EngineError, match=rf"^spark://host:1: {message}") as caught, translated_errors("spark://host:1", Path("spark.log")):
        raise SparkError(f"{text}\n\tat java.lang.Thread.run\nsecret 4711")
    assert "4711" not in str(caught.value) and "\n" not in str(caught.value)


def test_warnings_of_spark_are_silent() -> None:
    with translated_errors("local[2]", Path("spark.log")):
        warnings.warn("pandas is too new", FutureWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("sizes", "tasks"),
    [([10], 1), ([10] * 20, 20), ([10] * 10_000, MIN_TASKS), ([BYTES_PER_TASK] * 500, 500), ([BYTES_PER_TASK // 4] * 1000, 250)],
)
def test_small_pieces_share_a_task(sizes: list[int], tasks: int) -> None:
    assert task_count(sizes) == tasks


@pytest.fixture
def spark(tmp_path: Path) -> Iterator[Spark]:
    opened = Spark("local[2]", "local[2]", tmp_path / "spark.log", 120)
    yield opened
    opened.close()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)


REPEATED = small(400) + b" A00007,30,north\nA00100\t,31,south\nA00007,32,east\n"


@pytest.mark.long
@pytest.mark.usefixtures("small_pieces")
def test_spark_finds_repeated_ids_across_pieces(tmp_path: Path, spark: Spark) -> None:
    lake = landed(tmp_path, [REPEATED, b"id,age,city\n", small(50).replace(b"A", b"B")])
    arms = models(lake, 0.4, challenged=True)
    local = made(lake, LocalEngine(), SMALL, arms)
    assert local.feature_rows["issues"].str.contains("account_id: repeated", literal=True).sum() == 5
    require_equal(local, made(lake, ClusterEngine(spark), SMALL, arms))


@pytest.mark.long
@pytest.mark.usefixtures("small_pieces")
def test_an_error_of_a_task_is_the_one_of_its_piece(tmp_path: Path, spark: Spark) -> None:
    lake = landed(tmp_path, [REPEATED, small(100).replace(b"A", b"B")])
    shard = [*require_manifest(lake, layout.accounts(DATE)).parts][1]
    content = lake.get(shard)
    lake.put(shard, content.replace(b"B00050", b"B99999"))
    table = ClusterEngine(spark).features(lake, SMALL, DATE, "run")
    with pytest.raises(LakeError, match=rf"^{shard} was changed since it was written\. Run the date: risk run {DATE}, or materialize"):
        table.write(lake, layout.features(DATE))
    assert lake.list(f"{layout.CURATED}/") == ()


@pytest.mark.long
def test_a_session_of_a_notebook_is_used_and_not_stopped(tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    with opened_session("local[1]", "local[1]", tmp_path / "spark.log", 120) as own:
        with opened_session("spark://127.0.0.1:1", "spark://127.0.0.1:1", tmp_path / "other.log", 120) as found:
            assert found.sparkContext is own.sparkContext
        assert own.range(3).count() == 3
    assert SparkSession.getActiveSession() is None


@pytest.mark.long
def test_java_that_was_killed_is_reported_and_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from pyspark import SparkContext

    spark = Spark("local[1]", "local[1]", tmp_path / "spark.log", 120)
    lake = landed(tmp_path, [small(50)])
    table = ClusterEngine(spark).features(lake, SMALL, DATE, "run")
    table.write(lake, layout.features(DATE))
    os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)  # sessions before this one may have started it
    with pytest.raises(EngineError, match=r"^local\[1\]: Java ended during the run"):
        table.write(lake, layout.features(DATE))
    spark.close()
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
    table.write(lake, layout.features(DATE))
    spark.close()


@pytest.mark.long
def test_a_session_leaves_interrupts_and_the_environment(tmp_path: Path) -> None:
    before, environment = signal.getsignal(signal.SIGINT), dict(os.environ)
    with opened_session("local[1]", "local[1]", tmp_path / "spark.log", 120) as own:
        assert signal.getsignal(signal.SIGINT) is before
        assert own.conf.get("spark.executorEnv.POLARS_MAX_THREADS") == "1"
        assert own.conf.get("spark.driver.host") == "127.0.0.1"
        assert own.sparkContext.pythonExec == sys.executable
    assert {name: value for name, value in os.environ.items() if environment.get(name) != value} == {}
