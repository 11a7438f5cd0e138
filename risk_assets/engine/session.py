"""Spark sessions, opened by the address in `RISK_ENGINE`; every failure in one line. No module at start-up imports pyspark."""

import logging
import os
import shutil
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from risk_assets.engine.calls import POLL_SECONDS, Patience, watched
from risk_assets.engine.spark_messages import JAVA, explain
from risk_assets.errors import EngineError

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

APPLICATION = "risk-lakehouse"
CONNECT_SECONDS = 20.0  # for a master, or a server of Spark Connect, to answer
SPARK_CONNECT_PORT = 15002
# Java plans, and groups hashes; what takes long is done by processes of Python. It starts in half the processor time.
QUICK_JAVA = MappingProxyType({"spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"})
_INSTALL = "pip install 'risk-lakehouse[spark]'"
logger = logging.getLogger(__name__)
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy")


@contextmanager
def opened_session(address: str, name: str, log: Path, wait_seconds: float) -> Iterator["SparkSession"]:
    """Yield a session of Spark, and stop it at the end, unless it was there before, as in a notebook of Databricks.

    Parameters
    ----------
    address
        `spark://host:port`, `local[n]` or `sc://host:port`; of an address of Spark Connect, the parameters can contain a token.
    name
        The address as it may be shown.
    log
        The file that gets the output of Spark's own process.
    wait_seconds
        How long to wait for the first executor.

    Raises
    ------
    EngineError
        If Spark or Java is not installed, or the address does not answer in time.
    """
    existing = _active_session()
    if existing is not None:
        yield existing
        return
    _require_package(name)
    logger.info("starting Spark at %s", name)
    with translated_errors(name, log):
        session = _connect(address, name) if address.startswith("sc://") else _start(address, name, log, wait_seconds)
    try:
        yield session
    finally:
        _stop(session)


def _stop(session: "SparkSession") -> None:
    """Stop a session: what was written is committed, or an error is on its way. If Java has ended, the next session starts it again."""
    with _quiet():
        if not is_classic(session):
            session.client.set_retry_policies([])  # do not wait for a server that has ended
        try:
            session.stop()
        except _spark_errors():
            from pyspark import SparkContext

            SparkContext._active_spark_context = SparkContext._gateway = SparkContext._jvm = None


@contextmanager
def translated_errors(name: str, log: Path) -> Iterator[None]:
    """Turn errors of Spark, whose texts are long and can quote rows, into an `EngineError` of one line; silence its warnings."""
    with _quiet():
        try:
            yield
        except ImportError as error:
            raise _missing_package(name, error.name) from None
        except _spark_errors() as error:
            raise EngineError(explain(error, name, log)) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings, and what the bridge to Java logs: it writes traces of the errors that it raises to the root logger."""
    root = logging.getLogger()
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    root.addFilter(_is_not_of_the_bridge)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_is_not_of_the_bridge)


def _is_not_of_the_bridge(record: logging.LogRecord) -> bool:
    return "py4j" not in Path(record.pathname).parts


def _require_package(name: str) -> None:
    if find_spec("pyspark") is None:
        raise _missing_package(name, "pyspark")


def _missing_package(name: str, package: str | None) -> EngineError:
    return EngineError(f"RISK_ENGINE={name} needs the package {package or 'pyspark'}, which is not installed. Install it: {_INSTALL}.")


def _spark_errors() -> tuple[type[Exception], ...]:
    """Return the classes of the errors that Spark's client raises."""
    found: list[type[Exception]] = [ConnectionError]
    with suppress(ImportError):
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        found += [Py4JError, PySparkException]
    with suppress(ImportError):
        import grpc

        found.append(grpc.RpcError)
    return tuple(found)


def _active_session() -> "SparkSession | None":
    """Return the session that this process has already, without importing Spark."""
    if sys.modules.get("pyspark") is None:
        return None
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _connect(address: str, name: str) -> "SparkSession":
    """Return a session of a server of Spark Connect."""
    _require_answer(*_host_and_port(name.removeprefix("sc://"), SPARK_CONNECT_PORT), name)
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    _require_channel(address, name)
    builder: Any = SparkSession.builder
    session: SparkSession = builder.remote(address).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=8, max_backoff=10_000)])  # a minute instead of ten
    _ = session.version  # the first request: it fails here if the server does not accept this client
    return session


def _require_channel(address: str, name: str) -> None:
    """Verify that the server speaks the protocol: the client itself would try for ten minutes."""
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder

    channel = DefaultChannelBuilder(address).toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
    except grpc.FutureTimeoutError:
        raise EngineError(
            f"{name} does not answer as a server of Spark Connect within {CONNECT_SECONDS:.0f} s. Check the address in RISK_ENGINE, "
            "whether it needs ;use_ssl=true, and the network."
        ) from None
    finally:
        channel.close()


def _start(address: str, name: str, log: Path, wait_seconds: float) -> "SparkSession":
    """Return a session whose driver is a process of Java beside this one."""
    _require_java(name)
    if address.startswith("spark://"):
        _require_master(address, name)
    from pyspark.sql import SparkSession

    abandoned = threading.Event()
    return SparkSession(watched(lambda: _context(address, name, log, wait_seconds, abandoned), lambda: None, abandoned.set))


def _context(address: str, name: str, log: Path, wait_seconds: float, abandoned: threading.Event) -> "SparkContext":
    """Return a context of Spark that has an executor; it is stopped if nobody waits for it any more.

    In a thread that is not the main one, Spark leaves the reaction of the process to Ctrl-C as it is.
    """
    from pyspark import SparkContext

    context = SparkContext(conf=_configuration(address, log))
    context._accumulatorServer.handle_error = _report_nothing
    if "PYSPARK_PYTHON" not in os.environ:
        context.pythonExec = sys.executable
    try:
        _wait_for_executors(context, name, wait_seconds, abandoned)
    except BaseException:
        context.stop()
        raise
    return context


def _report_nothing(*_: object) -> None:
    """Replace the trace that Spark prints when Java has ended: the error is raised as well."""


def _configuration(address: str, log: Path) -> Any:
    """Return the configuration: what `spark-defaults.conf` and `PYSPARK_SUBMIT_ARGS` set stays."""
    from pyspark import SparkConf, SparkContext

    is_local = address.startswith("local[")
    _launch(log, QUICK_JAVA if is_local else {})
    conf = SparkConf(_jvm=SparkContext._jvm)
    defaults = {
        "spark.ui.enabled": "false",
        "spark.executorEnv.POLARS_MAX_THREADS": "1",  # Spark runs a task on each core
        "spark.python.task.killTimeout": "100ms",  # a task that is cancelled has nothing to tidy up
    }
    if is_local:
        defaults |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    for key, value in defaults.items():
        conf.setIfMissing(key, value)
    return conf.setMaster(address).setAppName(APPLICATION).set("spark.ui.showConsoleProgress", "false")


def _launch(log: Path, options: Mapping[str, str]) -> None:
    """Start Java once in this process; its output goes to a file."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None:
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        conf = SparkConf(loadDefaults=False).setAll(list(options.items()))
        gateway = launch_gateway(conf, {"stdout": output, "stderr": output})
    SparkContext._ensure_initialized(gateway=gateway)


def _require_java(name: str) -> None:
    home = os.environ.get("JAVA_HOME")
    if home and not Path(home, "bin", "java").exists():
        raise EngineError(f"RISK_ENGINE={name} needs {JAVA}, and JAVA_HOME has no bin/java: set JAVA_HOME to its folder, or unset it.")
    if not home and shutil.which("java") is None:
        raise EngineError(
            f"RISK_ENGINE={name} needs {JAVA}, and there is no java in PATH. Install it (on Debian and Ubuntu: "
            "apt-get install default-jre-headless), or set JAVA_HOME."
        )


def _require_master(address: str, name: str) -> None:
    """Verify that one of the masters accepts connections: Spark itself would try for a minute and report nothing."""
    problems = []
    for place in address.removeprefix("spark://").split(","):
        try:
            _require_answer(*_host_and_port(place, 0), name)
        except EngineError as error:
            problems.append(error)
        else:
            return
    raise problems[0]


def _host_and_port(place: str, default: int) -> tuple[str, int]:
    found = urlsplit(f"//{place}")
    return found.hostname or "", found.port or default


def _require_answer(host: str, port: int, name: str) -> None:
    """Verify that an address accepts connections; nothing is known behind a proxy."""
    if any(os.environ.get(variable) or os.environ.get(variable.upper()) for variable in _PROXIES):
        return
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise EngineError(
            f"{name} cannot be reached ({reason.lower()}). Check the address in RISK_ENGINE and that Spark runs there, then run again; "
            "or unset RISK_ENGINE to use this machine alone."
        ) from None


def _wait_for_executors(context: "SparkContext", name: str, wait_seconds: float, abandoned: threading.Event) -> None:
    """Wait until an executor has started: Spark itself has no limit."""
    needs = (
        "Look at its page: it needs a worker with a free core and the memory of spark.executor.memory (1 GiB), which can reach this "
        "machine (SPARK_LOCAL_IP, spark.driver.host)."
    )
    problem = f"{name} accepted the application and gave it no executor for {wait_seconds:.0f} s. {needs}"
    patience = Patience(name, lambda: has_executor(context), wait_seconds, problem)
    while not has_executor(context):
        if context._jsc.sc().isStopped():
            raise EngineError(f"{name} accepted the application and ended the application. {needs}")
        if abandoned.is_set():
            raise EngineError(f"{name}: the run ended while it waited for an executor. Run again.")
        patience.look()
        time.sleep(POLL_SECONDS)


def has_executor(context: "SparkContext") -> bool:
    """Return whether a cluster has an executor; on one machine, the driver is one."""
    scala = context._jsc.sc()
    return bool(scala.isLocal() or scala.getExecutorMemoryStatus().size() > 1)  # the driver is in this list, too


def is_classic(session: "SparkSession") -> bool:
    """Return whether the driver of a session is a process beside this one, not a server of Spark Connect."""
    from pyspark.sql import SparkSession

    return isinstance(session, SparkSession)
