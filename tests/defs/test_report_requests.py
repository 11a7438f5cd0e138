"""Sensors request a report again until it is current: after a flip of the evidence, killed runs, and deleted reports."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from risk_assets.defs.failures import PARTITION_TAG
from risk_assets.defs.partitions import Partitions, partitions
from risk_assets.defs.report_requests import MAX_ATTEMPTS, Reports, request_reports
from risk_assets.defs.resources import Lakehouse
from risk_assets.defs.sensors import watch_alerts, watch_outcomes, watch_scored
from risk_assets.lake import layout
from tests.conftest import POLICY
from tests.defs.conftest import LABELLED, NEXT, Book, in_memory, on_disk

LAST = LABELLED[-1]
Watch = Callable[[dg.SensorEvaluationContext, Lakehouse, Partitions], dg.SensorResult]
WATCHES: tuple[tuple[Watch, Callable[[str], str]], ...] = (
    (watch_scored, layout.drift),
    (watch_outcomes, layout.performance),
    (watch_alerts, layout.alerts),
)


class Sensor:
    """A sensor with its cursor, on a run history where no run is executed."""

    def __init__(self, book: Book, at_once: int = 2) -> None:
        self.book, self.at_once, self.cursor, self.said = book, at_once, None, ""
        self.requests: list[dg.RunRequest] = []
        self.keys: set[str | None] = set()

    def tick(self, **outdated: str) -> list[str | None]:
        """Return the dates that a tick requests; `_07` is the evidence of 2026-01-07."""
        evidence = {f"2026-01{date.replace('_', '-')}": value for date, value in outdated.items()}
        reports = Reports("monitoring", "risk monitor", self.at_once, "all reports are current")
        return self.take(lambda context: request_reports(context, self.book.lakehouse, reports, evidence))

    def watch(self, watch: Watch) -> list[str | None]:
        """Return the dates that a tick of a sensor requests."""
        return self.take(lambda context: watch(context, self.book.lakehouse, partitions(self.book.settings)))

    def take(self, evaluate: Callable[[dg.SensorEvaluationContext], dg.SensorResult]) -> list[str | None]:
        result = evaluate(dg.build_sensor_context(instance=self.book.runner.instance, cursor=self.cursor))
        self.cursor, reason = result.cursor, result.skip_reason
        self.said = str(reason.skip_message if isinstance(reason, dg.SkipReason) else reason)
        self.requests = list(result.run_requests or ())
        assert self.keys.isdisjoint(request.run_key for request in self.requests)  # Dagster would start no run
        return [request.partition_key for request in self.requests]

    def start(self, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> list[dg.DagsterRun]:
        """Return the runs of the last requests, which have started or have another status."""
        self.keys |= {request.run_key for request in self.requests}
        return [self._create(request, status) for request in self.requests]

    def kill(self) -> None:
        """Start the runs of the last requests, and report them as failed."""
        for run in self.start():
            self.book.runner.instance.report_run_failed(run, message="the process is gone")

    def run(self) -> None:
        """Run what the last tick requested."""
        self.keys |= {request.run_key for request in self.requests}
        for request in self.requests:
            assert request.job_name and request.partition_key
            assert self.book.runner.run(request.job_name, request.partition_key, tags=request.tags).error is None

    def _create(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        assert request.job_name and request.partition_key
        job = self.book.runner.definitions.resolve_job_def(request.job_name)
        tags = {**request.tags, PARTITION_TAG: request.partition_key}
        return self.book.runner.instance.create_run_for_job(job, status=status, tags=tags)


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Sensor]:
    """A sensor that reads nothing of the lake, so one on disk is enough."""
    with in_memory(on_disk(tmp_path)) as book:
        yield Sensor(book)


def test_evidence_that_changes_back_is_requested_again(sensor: Sensor) -> None:
    for evidence in ("A", "B", "A", "B", "A"):
        assert sensor.tick(_07=evidence) == [NEXT]
        sensor.kill()


def test_a_killed_run_is_requested_again_three_times_at_most(sensor: Sensor) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert sensor.tick(_07="A") == [NEXT]
        sensor.kill()
    assert sensor.tick(_07="A") == sensor.tick(_07="A") == []
    assert sensor.said == (
        f"the job monitoring was requested 3 times from the same evidence, and left no current report of {NEXT}. "
        f"Read the errors of its runs, fix the cause, then: risk monitor {NEXT}."
    )
    assert sensor.tick(_07="B") == [NEXT]


def test_a_report_that_was_current_has_all_its_attempts(sensor: Sensor) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        assert sensor.tick(_07="A") == [NEXT]
        sensor.kill()
        assert sensor.tick() == []
        assert sensor.said == "all reports are current"


def test_a_stuck_date_does_not_hold_newer_ones(sensor: Sensor) -> None:
    sensor.at_once = 1
    for _ in range(MAX_ATTEMPTS):
        assert sensor.tick(_06="A", _07="A") == [LAST]
        sensor.kill()
    assert sensor.tick(_06="A", _07="A") == [NEXT]
    sensor.kill()
    assert sensor.tick(_06="A") == []
    assert f"no current report of {LAST}" in sensor.said


def test_nothing_is_requested_while_as_many_are_under_way(sensor: Sensor) -> None:
    sensor.at_once = 1
    assert sensor.tick(_06="A", _07="A") == [LAST]
    (run,) = sensor.start()
    assert sensor.tick(_06="A", _07="A") == sensor.tick(_06="B", _07="A") == []
    assert sensor.said == f"under way: {LAST}"
    sensor.at_once = 2
    assert sensor.tick(_06="A", _07="A") == [NEXT]
    sensor.book.runner.instance.report_run_failed(run, message="the process is gone")
    sensor.start()
    assert sensor.tick(_06="A", _07="A") == [LAST]


def test_a_run_that_was_not_submitted_is_requested_by_the_same_key(sensor: Sensor) -> None:
    assert sensor.tick(_07="A") == [NEXT]
    before = sensor.requests
    sensor.start(dg.DagsterRunStatus.NOT_STARTED)
    sensor.keys.clear()
    assert sensor.tick(_07="A") == [NEXT]
    assert sensor.requests[0].run_key == before[0].run_key


def test_runs_of_another_lake_are_not_under_way(sensor: Sensor) -> None:
    other = Sensor(Book(sensor.book.settings.model_copy(update={"lake": "file:///another/lake"}), sensor.book.runner))
    assert sensor.tick(_07="A") == [NEXT]
    sensor.start()
    assert other.tick(_07="A") == [NEXT]


@pytest.mark.parametrize(("watch", "report"), WATCHES, ids=["drift", "performance", "alerts"])
def test_a_report_that_was_deleted_is_made_again(scored_book: Book, watch: Watch, report: Callable[[str], str]) -> None:
    sensor = Sensor(scored_book)
    for _ in range(2):
        assert sensor.watch(watch) == [NEXT]
        (run,) = sensor.start()
        assert sensor.watch(watch) == []
        scored_book.runner.instance.report_run_failed(run, message="the process is gone")
        assert sensor.watch(watch) == [NEXT]
        sensor.run()
        assert sensor.watch(watch) == []
        scored_book.lake.delete(report(NEXT))


def test_a_policy_that_changes_back_is_monitored_again(scored_book: Book, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.yml"
    narrow.write_text(POLICY.read_text(encoding="utf-8") + "monitoring: {max_psi: 0.01}\n", encoding="utf-8")
    sensor = Sensor(scored_book)
    assert sensor.watch(watch_scored) == [NEXT]
    sensor.run()
    for policy in (narrow, POLICY):
        sensor.book = scored_book.with_documents(policy=policy)
        sensor.book.adopt("policy")
        assert sensor.watch(watch_scored) == [NEXT]
        sensor.run()
        assert sensor.watch(watch_scored) == []
