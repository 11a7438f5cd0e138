"""How the long tests are found, and shared between workers: files as wholes, but for those below."""

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from xdist.scheduler import LoadFileScheduling

WAITING: Final = ("test_orchestration.py", "test_killed.py", "test_storage_faults.py")
SPARK: Final = (
    "test_spark.py",
    "test_spark_sessions.py",
    "test_memory.py",
    "test_clusters.py",
    "test_lost_clusters.py",
    "test_several_machines.py",
)
SPREAD: Final = (
    *("test_kills.py", "test_kills_on_azurite.py", "test_corruption.py", "test_interleavings.py", "test_detection.py", "test_odd_files.py"),
)
MARK: Final = "mark.long"


@cache
def may_be_long(file: Path) -> bool:
    """Return whether a file of tests, or a `conftest.py` beside it, has the mark of long tests."""
    return any(each.exists() and MARK in each.read_text(encoding="utf-8") for each in (file, file.with_name("conftest.py")))


class Scheduling(LoadFileScheduling):
    """Gives each worker files, as `--dist loadfile` does.

    The files in `WAITING`, whose tests mostly wait for ticks, retries and time limits, or use the same deployment, are for one
    worker: the others use the cores meanwhile. So are those in `SPARK`, which share clusters, and of which two at a time would
    have more processes of Java than cores. Of the files in `SPREAD`, any worker runs any test: they are the long ones.
    """

    def _split_scope(self, nodeid: str) -> str:
        name = PurePosixPath(nodeid.partition("::")[0]).name
        if name in WAITING:
            return "waiting"
        if name in SPARK:
            return "spark"
        return nodeid if name in SPREAD else super()._split_scope(nodeid)
