"""Run a Spark master with two workers for local work until Ctrl-C: ``make cluster`` or ``python -m tests.engine``."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.engine.clusters import ClusterError, Standalone, standalone


def main() -> int:
    """Serve until interrupted, or until no worker is left; return the exit status."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _serve(Path(folder))
    except KeyboardInterrupt:
        return 0
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _serve(folder: Path) -> int:
    with standalone(folder) as cluster:
        _print_settings(cluster)
        while cluster.master.is_alive and any(worker.is_alive for worker in cluster.workers):
            time.sleep(0.5)
    raise ClusterError("the master or both workers have ended")


def _print_settings(cluster: Standalone) -> None:
    print(f"export RISK_ENGINE={shlex.quote(cluster.address)}")
    print("export SPARK_LOCAL_IP=127.0.0.1", flush=True)
    workers = " and ".join(str(worker.process.pid) for worker in cluster.workers)
    print(f"The workers are the processes {workers}: kill -9 one of them during a run. Ctrl-C stops all.", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
