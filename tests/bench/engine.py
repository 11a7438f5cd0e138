"""Section `engine`: `risk run` on Spark executors beside one process, the overhead of a shard, and what follows for a billion rows."""

import json
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import BenchError, Run, Task, interleaved, module, set_up, show, table
from tests.bench.workspace import Workspace
from tests.engine.clusters import standalone

LARGE, LARGE_SHARDS = "2026-01-08", 8
TINY_ROWS = 10
TINY_SHARDS = {10: "2026-01-09", 100: "2026-01-10", 1000: "2026-01-11"}
BILLION = 1_000_000_000
EXECUTORS = (10, 100)
LOCAL, ONE, TWO = "one process", "Spark, 1 worker", "Spark, 2 workers"
DIVIDED = ("accounts", "features", "predictions")  # the steps that executors do


@dataclass(frozen=True)
class Seconds:
    """Medians of the runs of a date: whole processes, each step, and all tasks of executors together."""

    whole: float
    steps: Mapping[str, float]
    tasks: float

    @staticmethod
    def of(runs: Sequence[Run], engine: str) -> "Seconds":
        """Sum up the runs of a date by an engine."""
        found = [json.loads(run.output.splitlines()[-1]) for run in runs]
        if any(run["engine"] != engine for run in found):
            raise BenchError(f"a run used another engine than {engine}")
        keys = found[0]["steps"]
        steps = {key: statistics.median(run["steps"][key] for run in found) for key in keys}
        return Seconds(statistics.median(run.seconds for run in runs), steps, statistics.median(run["tasks"] for run in found))

    @property
    def divided(self) -> float:
        """The steps that executors do."""
        return sum(seconds for key, seconds in self.steps.items() if key.endswith(DIVIDED))

    @property
    def rest(self) -> float:
        """All else: start-up, checks, review list, run log."""
        return self.whole - self.divided


def engine(root: Path, rows: int, rounds: int) -> None:
    """Report the seconds of one process and of one and two workers with a core each, and of dates with many tiny shards."""
    root = root.absolute()
    set_up(f"a model, {rows:,} rows in {LARGE_SHARDS} shards, and tiny shards", module("engine_lake", root, rows))
    workspace = Workspace(root)
    with ExitStack() as running:
        clusters = {
            name: running.enter_context(standalone(root / f"cluster-{workers}", workers=workers, conf=_logged(root)))
            for name, workers in ((ONE, 1), (TWO, 2))
        }
        engines = {LOCAL: ("local", {}), **{name: (cluster.address, cluster.environment) for name, cluster in clusters.items()}}
        few = (ONE, next(iter(TINY_SHARDS.values())))
        cases = [(name, LARGE) for name in engines] + [few] + [(name, date) for date in TINY_SHARDS.values() for name in (LOCAL, TWO)]
        tasks = [_task(workspace, name, date, *engines[name]) for name, date in cases]
        runs = interleaved(tasks, rounds)
    found = {case: Seconds.of(runs[task.name], engines[case[0]][0]) for case, task in zip(cases, tasks, strict=True)}
    large = {name: found[name, LARGE] for name in engines}
    tiny = {name: {shards: found[name, date] for shards, date in TINY_SHARDS.items()} for name in (LOCAL, TWO)}
    show(f"## engine: `risk run` of {rows:,} rows x 20 features in {LARGE_SHARDS} shards; workers have a core each\n")
    show(_comparison(large))
    show(_by_step(large))
    show(_overhead(tiny))
    show(_estimate(rows, large, tiny, found[few]))


def _task(workspace: Workspace, name: str, date: str, address: str, environment: Mapping[str, str]) -> Task:
    own = {
        "RISK_ENGINE": address,
        "RISK_LAKE": workspace.lake.as_uri(),
        "RISK_LANDING": workspace.landing.as_uri(),
        "RISK_CONTRACT": str(workspace.contract),
        "RISK_POLICY": str(workspace.policy),
        "RISK_START_DATE": "2026-01-01",
        "DAGSTER_HOME": str(workspace.root / "dagster"),
    }
    events = _events(workspace.root)
    return Task(f"{name}, {date}", module("engine_run", date, events), {**environment, **own}, _forgetting(workspace, date))


def _events(root: Path) -> Path:
    """Return the folder of the event logs of Spark."""
    return root / "events"


def _logged(root: Path) -> dict[str, str]:
    """Return the settings of Spark for event logs."""
    return {"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false", "spark.eventLog.dir": _events(root).as_uri()}


def _forgetting(workspace: Workspace, date: str) -> Callable[[], None]:
    """Return what deletes all that runs of a date have made, and all event logs."""

    def forget() -> None:
        shutil.rmtree(_events(workspace.root), ignore_errors=True)
        _events(workspace.root).mkdir()
        for path in (*workspace.lake.glob(f"raw/*_{date}*"), *workspace.lake.glob(f"curated/**/*_{date}*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return forget


def _comparison(large: Mapping[str, Seconds]) -> str:
    local = large[LOCAL].whole
    head = ("", "seconds", "time / one process", "accounts, features and predictions, s", "all else, s")
    return table(
        head, [(name, f"{s.whole:.1f}", f"{s.whole / local:.2f}", f"{s.divided:.1f}", f"{s.rest:.1f}") for name, s in large.items()]
    )


def _by_step(large: Mapping[str, Seconds]) -> str:
    keys = dict.fromkeys(key for seconds in large.values() for key in seconds.steps)
    return table(("step, s", *large), [(key, *(f"{seconds.steps.get(key, 0):.1f}" for seconds in large.values())) for key in keys])


def _overhead(tiny: Mapping[str, Mapping[int, Seconds]]) -> str:
    first, *_, last = TINY_SHARDS
    head = (f"shards of {TINY_ROWS} rows, s", *map(str, TINY_SHARDS), f"seconds a shard, {first:,} to {last:,}")
    rows = []
    for name, by in tiny.items():
        more = (by[last].whole - by[first].whole) / (last - first)
        rows.append((name, *(f"{seconds.whole:.1f}" for seconds in by.values()), f"{more:.4f}"))
    return table(head, rows)


def _estimate(rows: int, large: Mapping[str, Seconds], tiny: Mapping[str, Mapping[int, Seconds]], few: Seconds) -> str:
    """Return the time for a billion rows, with the calculation, and whether Spark pays; `few` is a date of few rows with one worker."""
    one, factor = large[ONE], BILLION / rows
    work, start, local_start = one.tasks - few.tasks, few.whole, min(seconds.whole for seconds in tiny[LOCAL].values())
    serial, local = max(0.0, one.whole - start - work), large[LOCAL].whole - local_start
    alone = local_start + factor * local
    spark = {executors: start + factor * (serial + work / executors) for executors in EXECUTORS}
    lines = [
        f"- Tasks of one worker, of {rows:,} rows without those of few rows: {one.tasks:.1f} - {few.tasks:.1f} = {work:.1f} s.",
        f"- Start and end, which is a date of few rows: {start:.1f} s.",
        f"- The driver alone (commits, checks, review list): {one.whole:.1f} - {start:.1f} - {work:.1f} = {serial:.1f} s.",
        f"- A billion rows are {factor:,.0f} times as many. One process: {local_start:.1f} + {factor:,.0f} x {local:.1f} = {_long(alone)}.",
    ]
    for executors, seconds in spark.items():
        sum_of = f"{start:.1f} + {factor:,.0f} x ({serial:.1f} + {work:.1f} / {executors})"
        lines.append(f"- {executors} executors of one core: {sum_of} = {_long(seconds)}.")
    return "\n".join(lines) + "\n\n" + _verdict(rows, large, spark, alone) + "\n"


def _verdict(rows: int, large: Mapping[str, Seconds], spark: Mapping[int, float], alone: float) -> str:
    """Return in words when Spark pays."""
    here = large[TWO].whole / large[LOCAL].whole
    paying = [executors for executors, seconds in spark.items() if seconds < alone]
    small = (
        f"Spark does not pay for {rows:,} rows: two workers on the cores of this machine take {here:.2f} times as long as one process."
        if here >= 1
        else f"Two workers on the cores of this machine take {here:.2f} times as long as one process."
    )
    if not paying:
        return f"{small} It does not pay for a billion rows either, with up to {max(spark)} executors: what is not divided takes longer."
    ratios = ", ".join(f"{alone / spark[executors]:.1f} times as fast with {executors}" for executors in paying)
    return f"{small} For a billion rows it pays: {ratios} executors by this estimate."


def _long(seconds: float) -> str:
    return f"{seconds:,.0f} s ({seconds / 60:,.0f} min)"
