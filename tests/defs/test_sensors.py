"""The landing sensor starts exactly one run for each arrival, and late files are reported once."""

from datetime import time
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from risk_assets.cli.jobs import FEATURES
from risk_assets.clock import Calendar
from risk_assets.defs import sensors
from risk_assets.defs.failures import PARTITION_TAG
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import ARRIVAL_TAG, report_late, watch_landing
from risk_assets.lake.store import Store
from tests.defs.conftest import LABELLED, NEXT, Book

CALENDAR = Calendar(ZoneInfo("UTC"), time(2), time(6), frozenset(range(7)))


class Sensor:
    """The landing sensor with its cursor."""

    def __init__(self, book: Book) -> None:
        self.book, self.cursor, self.said = book, None, ""

    def tick(self) -> list[str | None]:
        """Return the run keys of a tick."""
        context = dg.build_sensor_context(instance=self.book.runner.instance, cursor=self.cursor)
        result = watch_landing(context, self.book.lakehouse, partitions(self.book.settings))
        self.cursor = result.cursor
        self.said = result.skip_reason.skip_message if isinstance(result.skip_reason, dg.SkipReason) else result.skip_reason or ""
        self.requests = list(result.run_requests or ())
        return [request.partition_key for request in self.requests]

    def run(self) -> None:
        """Run what the last tick requested."""
        for request in self.requests:
            assert request.job_name and request.partition_key
            self.book.runner.run(request.job_name, request.partition_key, tags=request.tags)


@pytest.fixture
def sensor(book: Book) -> Sensor:
    return Sensor(book)


def test_dates_in_the_lake_start_no_run_when_switched_on(sensor: Sensor) -> None:
    assert sensor.tick() == []
    assert sensor.said == "13 landed, 1 may still change, 12 need no run"
    assert sensor.tick() == [NEXT]  # the only date that is not in the lake
    sensor.run()
    assert sensor.tick() == sensor.tick() == []
    assert sensor.said == "13 landed, 0 may still change, 13 need no run"


def test_a_new_date_that_training_stored_is_scored(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick(), sensor.run(), sensor.tick()
    later = "2026-01-08"
    sensor.book.land_sample(f"accounts_{later}.csv")
    assert sensor.book.runner.run("daily_scoring", later, *FEATURES).error is None
    assert sensor.book.runner.run("monitoring", later).error is not None  # a failed run of another job is not a scoring run
    assert sensor.tick() == []
    assert sensor.tick() == [later]
    sensor.run()
    assert sensor.tick() == sensor.tick() == []


def test_a_corrected_or_restored_file_starts_one_run(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick(), sensor.run(), sensor.tick()
    name = f"accounts_{NEXT}.csv"
    first = sensor.book.landing.get(name)
    for content in (first.replace(b",north,", b",south,"), first):
        sensor.book.land(name, content)
        assert sensor.tick() == []  # it may still change
        assert sensor.tick() == [NEXT]
        sensor.run()
        assert sensor.tick() == sensor.tick() == []
    assert [row["status"] for row in sensor.book.log()] == ["success"] * 3


def test_the_same_bytes_again_start_no_run(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick(), sensor.run()
    name = f"accounts_{NEXT}.csv"
    sensor.book.land(name, sensor.book.landing.get(name))
    assert sensor.tick() == sensor.tick() == sensor.tick() == []


def test_a_folder_with_success_is_complete_at_once(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick(), sensor.run()
    content = sensor.book.landing.get(f"accounts_{NEXT}.csv")
    sensor.book.landing.delete(f"accounts_{NEXT}.csv")
    header, *rows = content.splitlines(keepends=True)
    sensor.book.land(f"accounts_{NEXT}/part-0.csv", header + b"".join(rows[:100]))
    assert sensor.tick() == []
    sensor.book.land(f"accounts_{NEXT}/part-1.csv", header + b"".join(rows[100:]))
    assert sensor.tick() == []  # another version than a tick ago
    sensor.book.land(f"accounts_{NEXT}/_SUCCESS", b"")
    assert sensor.tick() == [NEXT]


def test_a_killed_run_is_started_again_three_times_at_most(sensor: Sensor) -> None:
    sensor.tick()
    keys = []
    for _ in range(5):
        sensor.tick()
        keys += [request.run_key for request in sensor.requests]
        for request in sensor.requests:
            run = sensor.book.runner.instance.create_run_for_job(
                sensor.book.runner.definitions.resolve_job_def("daily_scoring"), tags={**request.tags, PARTITION_TAG: NEXT}
            )
            sensor.book.runner.instance.report_run_failed(run, message="the process is gone")
    assert [key and key[-2:] for key in keys] == ["_1", "_2", "_3"]


def test_a_run_killed_after_it_stored_the_file_is_started_again(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick()
    (request,) = sensor.requests
    assert sensor.book.runner.run("daily_scoring", NEXT, "raw/accounts").error is None
    run = sensor.book.runner.instance.create_run_for_job(
        sensor.book.runner.definitions.resolve_job_def("daily_scoring"), tags={**request.tags, PARTITION_TAG: NEXT}
    )
    sensor.book.runner.instance.report_run_failed(run, message="the process is gone")
    assert sensor.tick() == [NEXT]


def test_a_run_that_failed_by_itself_is_not_started_again(sensor: Sensor) -> None:
    sensor.book.land(f"accounts_{NEXT}.csv", b"account_id\n1\n")
    sensor.tick()
    assert sensor.tick() == [NEXT]
    sensor.run()
    assert sensor.tick() == sensor.tick() == []
    assert sensor.said == "13 landed, 0 may still change, 13 need no run"


def test_a_run_under_way_is_not_started_twice(sensor: Sensor) -> None:
    sensor.tick(), sensor.tick()
    (request,) = sensor.requests
    sensor.book.runner.instance.create_run_for_job(
        sensor.book.runner.definitions.resolve_job_def("daily_scoring"), tags={ARRIVAL_TAG: request.tags[ARRIVAL_TAG], PARTITION_TAG: NEXT}
    )
    assert sensor.tick() == []


def test_other_files_and_dates_without_a_partition_are_ignored(sensor: Sensor) -> None:
    for name in ("accounts_2999-01-01.csv", "accounts_backup.csv", "notes.txt", "accounts_2026-02-30.csv"):
        sensor.book.land(name, b"x\n1\n")
    sensor.tick()
    assert sensor.said.startswith("13 landed")


def test_a_tick_lists_the_landing_folder_once(sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    listings = []
    entries = Store.entries
    monkeypatch.setattr(Store, "entries", lambda store, prefix: listings.append(prefix) or entries(store, prefix))
    sensor.tick(), sensor.tick()
    assert listings == ["", ""]


def late(book: Book, monkeypatch: pytest.MonkeyPatch, now: str, calendar: Calendar = CALENDAR) -> list[str]:
    monkeypatch.setattr(sensors, "utc_now", lambda: now)
    return report_late(book.lakehouse, partitions(book.settings), calendar)


def test_a_file_that_does_not_arrive_is_reported_once(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert late(book, monkeypatch, "2026-01-09T05:59:00+00:00") == []
    assert late(book, monkeypatch, "2026-01-09T06:01:00+00:00") == ["2026-01-08"]
    assert late(book, monkeypatch, "2026-01-09T07:00:00+00:00") == ["2026-01-08"]
    (row,) = book.log()
    assert (row["date"], row["status"]) == ("2026-01-08", "late")
    assert "by 2026-01-09 06:00 UTC. Land them: risk land FILE --date 2026-01-08." in row["error"]


def test_a_file_that_landed_or_is_stored_is_not_late(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert late(book, monkeypatch, "2026-01-08T12:00:00+00:00") == []
    for path in book.landing.list(""):
        book.landing.delete(path)
    assert late(book, monkeypatch, "2026-01-08T12:00:00+00:00") == [NEXT]
    assert LABELLED[-1] not in {row["date"] for row in book.log()}


def test_days_without_a_snapshot_are_not_late(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    weekdays = Calendar(ZoneInfo("UTC"), time(2), time(6), frozenset(range(5)))
    # 10 and 11 January 2026 are a weekend
    assert late(book, monkeypatch, "2026-01-12T12:00:00+00:00", weekdays) == ["2026-01-08", "2026-01-09"]


def test_the_deadline_is_in_the_teams_time_zone(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    berlin = Calendar(ZoneInfo("Europe/Berlin"), time(2), time(6), frozenset(range(7)))
    assert late(book, monkeypatch, "2026-01-09T05:30:00+00:00", berlin) == ["2026-01-08"]  # 06:30 in Berlin
