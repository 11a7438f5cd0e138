"""Runs whose process is gone are reported as failed and logged; runs that may be alive are left alone."""

import dagster as dg
import msgspec
import pytest

from risk_assets.defs import liveness
from risk_assets.defs.code_location import located_runs
from risk_assets.defs.failures import KILLED, PARTITION_TAG
from risk_assets.defs.liveness import PROCESS_TAG, RunProcess, is_dead, process_tags, sweep_killed
from risk_assets.defs.sensors import killed_runs
from risk_assets.processes import this_process
from tests.defs.conftest import NEXT, Book

STARTED = dg.DagsterRunStatus.STARTED


def started(book: Book, run_id: str = "11111111-0000-0000-0000-000000000001", **tags: str) -> dg.DagsterRun:
    """Return a run of the date that has started, without a process of its own."""
    instance, job = book.runner.instance, book.runner.definitions.resolve_job_def("daily_scoring")
    with located_runs(instance, "daily_scoring"):
        return instance.create_run_for_job(job, run_id=run_id, status=STARTED, tags={PARTITION_TAG: NEXT, **tags})


def of_process(run_id: str, **change: object) -> dict[str, str]:
    process = msgspec.structs.replace(this_process(), **change)
    return {PROCESS_TAG: msgspec.json.encode(RunProcess(run_id, process)).decode()}


def dead(book: Book, run: dg.DagsterRun) -> bool | None:
    record = book.runner.instance.get_run_record_by_id(run.run_id)
    assert record is not None
    return is_dead(record)


def test_a_run_whose_process_is_gone_is_failed_and_logged_once(book: Book) -> None:
    run = started(book, **of_process("11111111-0000-0000-0000-000000000001", started="1"))
    (note,) = sweep_killed(book.lakehouse, book.runner.instance)
    assert run.run_id in note and KILLED in note
    found = book.runner.instance.get_run_by_id(run.run_id)
    assert found is not None and found.status == dg.DagsterRunStatus.FAILURE
    assert sweep_killed(book.lakehouse, book.runner.instance) == ()
    (row,) = book.log()
    assert (row["date"], row["status"], row["run_id"], row["error"]) == (NEXT, "failed", run.run_id, KILLED)


def test_the_sensor_sweeps(book: Book) -> None:
    started(book, **of_process("11111111-0000-0000-0000-000000000001", started="1"))
    context = dg.build_sensor_context(instance=book.runner.instance, resources={"lakehouse": book.lakehouse})
    skipped = killed_runs(context)
    assert isinstance(skipped, dg.SkipReason) and KILLED in str(skipped.skip_message)
    assert [row["status"] for row in book.log()] == ["failed"]


@pytest.mark.parametrize("change", [{}, {"host": "another"}], ids=["alive", "another host"])
def test_a_run_that_may_be_alive_is_left_alone(book: Book, change: dict[str, str]) -> None:
    run = started(book, **of_process("11111111-0000-0000-0000-000000000001", **change))
    assert sweep_killed(book.lakehouse, book.runner.instance) == ()
    found = book.runner.instance.get_run_by_id(run.run_id)
    assert found is not None and found.status == STARTED


def test_a_run_without_a_mark_is_dead_after_ten_minutes(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(book)
    assert dead(book, run) is None
    monkeypatch.setattr(liveness, "UNMARKED_SECONDS", -1)
    assert dead(book, run) is True


def test_a_run_of_another_code_location_is_left_alone(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "UNMARKED_SECONDS", -1)
    instance, job = book.runner.instance, book.runner.definitions.resolve_job_def("daily_scoring")
    assert dead(book, instance.create_run_for_job(job, status=STARTED)) is None


def test_the_mark_of_the_first_run_does_not_count_for_its_retry(book: Book) -> None:
    first = "11111111-0000-0000-0000-000000000001"
    assert dead(book, started(book, "22222222-0000-0000-0000-000000000002", **of_process(first, started="1"))) is None


def test_runs_of_the_runner_and_of_others_are_marked(book: Book) -> None:
    assert book.score().error is None
    definition = book.runner.definitions.resolve_job_def("daily_scoring")
    instance = book.runner.instance
    stale = of_process("11111111-0000-0000-0000-000000000001", started="1")
    assert definition.execute_in_process(instance=instance, partition_key=NEXT, tags=stale).success
    for run in instance.get_runs():
        assert run.tags[PROCESS_TAG] == process_tags(run.run_id, book.settings.lake)[PROCESS_TAG]
