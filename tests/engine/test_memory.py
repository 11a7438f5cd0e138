"""The memory of an executor's process: that of one piece, however many it has handled."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from risk_assets.engine.engines import ClusterEngine
from risk_assets.engine.jobs import FeaturesJob, PredictionsJob, Result
from risk_assets.lake import layout
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.store import Store
from tests.cli.conftest import process_environment
from tests.conftest import ROOT
from tests.documents import SAMPLE_POLICY, SMALL
from tests.engine.in_process import InProcess
from tests.engine.lakes import DATE, MADE_FROM, landed, models

pytestmark = pytest.mark.long
PIECES = 6
TASKS = """
import sys
import msgspec
import polars as pl
from pathlib import Path
from risk_assets.engine import tasks
from risk_assets.engine.jobs import FeaturesJob, PredictionsJob

features = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=FeaturesJob)
predictions = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=PredictionsJob)
none = pl.DataFrame(schema={tasks.FIRST_HASH: pl.Int64, tasks.SECOND_HASH: pl.Int64})
peaks = []
for number in range(int(sys.argv[3])):
    tasks.repeatable_hashes(features, number)
    tasks.make_features(features, number, none)
    tasks.make_predictions(predictions, number)
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    peaks.append(int(peak.split()[1]) // 1024)
print(peaks)
"""


class Recording(InProcess):
    """A cluster that keeps the jobs it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[FeaturesJob | PredictionsJob] = []

    def features(self, job: FeaturesJob, sizes: list[int], distinct: bool) -> list[Result]:  # type: ignore[override]
        self.jobs.append(job)
        return super().features(job, sizes, distinct)

    def predictions(self, job: PredictionsJob, sizes: list[int]) -> list[Result]:  # type: ignore[override]
        self.jobs.append(job)
        return super().predictions(job, sizes)


def content(shard: int) -> bytes:
    """Return a shard of about the size of a piece."""
    rows = b"".join(b"%02d%08d,%d,a city with a long name\n" % (shard, row, row % 70 + 18) for row in range(400_000))
    return b"id,age,city\n" + rows


def jobs(lake: Store) -> list[FeaturesJob | PredictionsJob]:
    """Make the tables of the date once, and return the jobs."""
    cluster = Recording()
    ClusterEngine(cluster).features(lake, SMALL, DATE, "run").write(lake, layout.features(DATE))
    features = require_manifest(lake, layout.features(DATE))
    table = ClusterEngine(cluster).predictions(lake, features, models(lake), SAMPLE_POLICY, MADE_FROM)
    table.write(lake, layout.predictions(DATE))
    return cluster.jobs


def test_a_process_needs_the_memory_of_one_piece(tmp_path: Path) -> None:
    lake = landed(tmp_path, [content(shard) for shard in range(PIECES)])
    files = []
    for number, job in enumerate(jobs(lake)):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_bytes(msgspec.json.encode(job))
    command = [sys.executable, "-c", TASKS, *map(str, files), str(PIECES)]
    environment = process_environment() | {"POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    assert len(peaks) == PIECES
    assert peaks[-1] < 1.15 * peaks[1], peaks
    assert peaks[-1] < 600
