"""Run a `risk` command, and kill its process at one of its writes.

python -m tests.faults.kill list risk run 2026-01-04       # note the writes in ./writes.jsonl and print them
python -m tests.faults.kill 3 before risk run 2026-01-04   # SIGKILL before the third write; also `middle` and `after`
"""

import os
import sys
from pathlib import Path

from tests.faults.writes import AFTER, BEFORE, MIDDLE, Fault, arm, read_writes

USAGE = 2


def main(arguments: list[str]) -> None:
    """Run the command with a fault; exits as the command does."""
    first, *rest = arguments
    here = str(Path.cwd())
    if first == "list":
        Path("writes.jsonl").unlink(missing_ok=True)
        try:
            run(rest, Fault(folder=here))
        finally:
            for write in read_writes(Path(here)):
                sys.stdout.write(f"{write.number:4} {write.method:13} {write.path}\n")
        return
    when, *command = rest
    if not first.isdecimal() or when not in (BEFORE, MIDDLE, AFTER):
        sys.stderr.write(__doc__ or "")
        sys.exit(USAGE)
    run(command, Fault(int(first), when=when, folder=here))


def run(command: list[str], fault: Fault) -> None:
    """Run `risk` with arguments in this process, with a fault."""
    from risk_assets.cli.main import main as risk

    arm(fault)
    sys.argv = command
    risk()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(sys.argv[1:])
