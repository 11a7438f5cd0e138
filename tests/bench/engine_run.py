"""`risk run DATE` in this process; writes the engine and the seconds of each step, as JSON, to the last line of standard output."""

import json
import sys

import dagster as dg

from risk_assets.cli import main as cli
from risk_assets.settings import load_settings


def steps() -> dict[str, float]:
    """Return the seconds of each step of the newest run."""
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(limit=1)
        found = instance.get_run_step_stats(run.run_id)
    return {step.step_key: step.end_time - step.start_time for step in found if step.start_time and step.end_time}


def main(date: str) -> None:
    """Run a date."""
    sys.argv = ["risk", "run", date]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    sys.stdout.write(f"\n{json.dumps({'engine': load_settings().engine_name, 'steps': steps()})}")


if __name__ == "__main__":
    main(*sys.argv[1:])
