"""Print the coverage of the last test run: the total, and the files below 90 %."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from coverage import Coverage

LIMIT = 90.0


def main() -> int:
    """Print the report and return the exit status."""
    coverage = Coverage()
    coverage.load()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        total = coverage.json_report(outfile=str(path))
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    shares = {name: file["summary"]["percent_covered"] for name, file in files.items()}
    low = sorted((share, name) for name, share in shares.items() if share < LIMIT)
    print(f"Coverage: {total:.1f} % of the statements in {len(files)} files. Below {LIMIT:.0f} %:")
    for share, name in low:
        print(f"  {share:5.1f} %  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
