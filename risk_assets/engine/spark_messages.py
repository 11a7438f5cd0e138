"""What errors of Spark mean, in one line with the next step."""

import re
from pathlib import Path
from typing import Final

JAVA: Final = "Java 17 or newer"
_CLASS = re.compile(r"([A-Za-z][A-Za-z0-9]*(?:Exception|Error))\b")
_MODULE = re.compile(r"No module named '([A-Za-z0-9_.]+)'")
_SIGNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("PYTHON_VERSION_MISMATCH", "different minor versions"),
        "the executors run another version of Python than this process. Set PYSPARK_PYTHON to the path of the same one on all machines",
    ),
    (
        ("Cannot run program",),
        "the executors have no Python at the path that this process uses. Install the product at the same path on all machines, or set "
        "PYSPARK_PYTHON to its path there",
    ),
    (
        ("JAVA_GATEWAY_EXITED", "Java gateway process exited"),
        f"Java ended when Spark started; it has to be {JAVA}. Its output is in {{log}}",
    ),
    (
        ("exited unexpectedly", "ExecutorLostFailure", "OutOfMemory"),
        "a task ended without an answer several times: its process was killed, or had no memory left. Give executors more "
        "(spark.executor.memoryOverhead), or fewer cores (spark.executor.cores)",
    ),
    (
        ("All masters are unresponsive", "Cannot call methods on a stopped SparkContext", "SparkContext was shut down", "has been stopped"),
        "the master does not answer, or has ended the application. Check that it runs the version of Spark of the package pyspark, and "
        "look at its page. The output of this side is in {log}",
    ),
    (
        ("Py4JError", "Py4JNetworkError", "Answer from Java side is empty", "Error while sending or receiving", "ConnectionRefusedError"),
        "Java ended during the run: it was killed, or had no memory left. Its output is in {log}; run again",
    ),
    (
        ("UNAUTHENTICATED", "PERMISSION_DENIED", "Unauthenticated"),
        "the server does not accept the token or the user. Check the parameters of the address in RISK_ENGINE",
    ),
    (
        ("UNAVAILABLE", "INVALID_HANDLE", "Connection refused", "Connection reset"),
        "the connection broke. Check that Spark still runs there, then run again",
    ),
)


def explain(error: BaseException, name: str, log: Path) -> str:
    """Return one line for an error of Spark's client, without its text, which can quote rows.

    Parameters
    ----------
    name
        The address of Spark as it may be shown.
    log
        The file with the output of Spark's own process.
    """
    text = f"{type(error).__name__} {error}"
    if module := _MODULE.search(text):
        return (
            f"{name}: the executors cannot import {module[1].partition('.')[0]}. Install this release of risk-lakehouse on all of them, in "
            "the Python that PYSPARK_PYTHON names."
        )
    for signs, message in _SIGNS:
        if any(sign in text for sign in signs):
            return f"{name}: {message.format(log=log)}."
    classes = _CLASS.findall(text)
    return (
        f"{name}: a task failed with {classes[-1] if classes else type(error).__name__}. Its trace is in the log of its executor, or {log}."
    )
