"""How the long tests are shared between workers: files as wholes, but for those below."""

from pathlib import PurePosixPath
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
