"""`risk run DATE` in this process; writes its engine and seconds, as JSON, to the last line of standard output.

The seconds are those of each step, and the sum of all tasks of executors.
"""

import json
import sys
from pathlib import Path

import dagster as dg

from risk_assets.cli import main as cli
from risk_assets.settings import load_settings


def steps() -> dict[str, float]:
    """Return the seconds of each step of the newest run."""
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(limit=1)
        found = instance.get_run_step_stats(run.run_id)
    return {step.step_key: step.end_time - step.start_time for step in found if step.start_time and step.end_time}


def task_seconds(events: Path) -> float:
    """Return how long all tasks together have run, from the event logs of Spark in a folder."""
    logs = (file for file in events.rglob("events_*") if file.is_file())
    found = (json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines())
    infos = (event["Task Info"] for event in found if event["Event"] == "SparkListenerTaskEnd")
    return sum(info["Finish Time"] - info["Launch Time"] for info in infos) / 1000


def main(date: str, events: str) -> None:
    """Run a date; `events` is the folder of the event logs."""
    sys.argv = ["risk", "run", date]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    found = {"engine": load_settings().engine_name, "steps": steps(), "tasks": task_seconds(Path(events))}
    sys.stdout.write(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
