"""Where the benchmark keeps what it makes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from risk_assets.lake import layout

ESTIMATORS = ("logistic", "scorecard")  # the names of `domain.training.estimators`, which takes a second to import
ID, TARGET = "account_id", "defaulted"
TRAINING = "training"
SAMPLE_POLICY = Path(__file__).parents[1] / "policy.yml"  # trains on a book of 300 accounts


@dataclass(frozen=True)
class Workspace:
    """One lake for all sizes. A snapshot's "date" in it is its name here, such as `10000000_rows`."""

    root: Path

    @property
    def lake(self) -> Path:
        """The lake."""
        return self.root / "lake"

    @property
    def landing(self) -> Path:
        """Where files land before they are kept."""
        return self.root / "landing"

    @property
    def contract(self) -> Path:
        """The contract of the made-up data."""
        return self.root / "contract.yml"

    @property
    def policy(self) -> Path:
        """The policy by which they are scored."""
        return self.root / "policy.yml"

    def pipeline(self, estimator: str) -> Path:
        """Return the fitted pipeline of an estimator, for the scripts."""
        return self.root / f"{estimator}.joblib"

    def version(self, estimator: str) -> str:
        """Return the version of an estimator."""
        return layout.version_name(1 + list(ESTIMATORS).index(estimator))

    def accounts(self, snapshot: str) -> Path:
        """Return a snapshot's raw file."""
        return self.lake / layout.accounts(snapshot)

    def predictions(self, snapshot: str) -> Path:
        """Return what the product predicts for a snapshot."""
        return self.lake / layout.predictions(snapshot)

    def output(self, who: str) -> Path:
        """Return the output file of one of the others."""
        return self.root / f"{who}.csv"

    def clear(self) -> None:
        """Delete all that is made of snapshots, so that no run finds the files of another."""
        for path in (*(self.lake / layout.CURATED).glob("*_rows*"), *self.root.glob("*.csv")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def snapshot_name(rows: int, missing: float) -> str:
    """Return the name of a snapshot of so many rows, of whose values a share is missing."""
    return f"{rows}_rows" + (f"_{missing:g}_missing" if missing else "")
