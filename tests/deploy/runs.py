"""Runs as the UI sees them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

RETRY_TAG = "dagster/will_retry"


@dataclass(frozen=True)
class Run:
    """A run: its id, status and tags, and when it was created, started and ended, in seconds since the epoch."""

    id: str
    status: str
    tags: dict[str, str]
    created: float
    started: float | None
    end: float | None

    @classmethod
    def parse(cls, run: dict[str, Any]) -> "Run":
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        return cls(run["runId"], run["status"], tags, run["creationTime"], run["startTime"], run["endTime"])

    @property
    def ended(self) -> bool:
        """Whether the run has ended and, if it failed, Dagster has decided whether to retry it, which it stores a moment later."""
        return self.status in {"SUCCESS", "CANCELED"} or (self.status == "FAILURE" and RETRY_TAG in self.tags)

    @property
    def will_retry(self) -> bool:
        return self.tags.get(RETRY_TAG) == "true"


def overlapping(runs: list[Run]) -> list[tuple[str, str]]:
    """Return the pairs of runs that executed at the same time."""
    executed = sorted((run for run in runs if run.started and run.end), key=lambda run: run.started or 0)
    return [(one.id, two.id) for one, two in pairwise(executed) if (one.end or 0) > (two.started or 0)]


def most_at_once(runs: list[Run]) -> int:
    """Return how many runs executed at the same time at most."""
    starts = [(run.started, 1) for run in runs if run.started]
    ends = [(run.end, -1) for run in runs if run.started and run.end]
    running = most = 0
    for _, change in sorted((*starts, *ends)):
        running += change
        most = max(most, running)
    return most
