"""Alerts of a date: the job, its check and metadata, runs that failed, late files, overrides, and the sensor."""

import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest

from risk_assets.alerts.receivers import NO_RECEIVER
from risk_assets.defs import io_managers
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import send_alerts, watch_alerts
from risk_assets.domain.monitoring.alerts import OPENED, REPEATED, RESOLVED, Alert, AlertReport
from risk_assets.errors import LakeError
from risk_assets.lake import alert_files, layout, run_log
from risk_assets.lake.run_log import LATE, RunRecord
from risk_assets.lake.verify import verify_all
from risk_assets.runner import Result, Runner
from tests.conftest import POLICY
from tests.defs.conftest import LABELLED, NEXT, Book
from tests.defs.test_monitoring import land_with, multiplied

LAST = LABELLED[-1]
ASSET = dg.AssetKey(["monitoring", "alerts"])


def evaluate(book: Book, date: str = NEXT) -> Result:
    done = book.runner.run("alerts", date)
    assert done.error is None
    return done


def report(book: Book, date: str = NEXT) -> AlertReport:
    return alert_files.read(book.lake, date).report


def states(book: Book, date: str = NEXT) -> dict[str, str]:
    return {alert.cause: alert.status for alert in report(book, date).alerts}


def alert(book: Book, cause: str, date: str = NEXT) -> Alert:
    return next(each for each in report(book, date).alerts if each.cause == cause)


def figures(book: Book) -> dict[str, object]:
    event = book.runner.instance.get_latest_materialization_event(ASSET)
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def requested(book: Book) -> list[str | None]:
    found = watch_alerts(dg.build_sensor_context(instance=book.runner.instance), book.lakehouse, partitions(book.settings))
    return [request.partition_key for request in found.run_requests or ()]


def record(date: str, job: str, status: str, number: int, **more: str) -> RunRecord:
    stamp = f"2026-02-01T00:00:{number:02d}+00:00"
    return RunRecord(timestamp=stamp, date=date, job=job, status=status, run_id=f"run-{job}-{number}", **more)


def test_a_date_without_alerts(scored_book: Book) -> None:
    assert scored_book.runner.run("monitoring", NEXT).error is None
    done = evaluate(scored_book)
    assert (done.status, done.warnings) == ("success", ())
    found = report(scored_book)
    assert (found.date, found.alerts) == (NEXT, ())
    assert [gap.names for gap in found.gaps] == [("performance:",), ("flagged:",)]
    shown = figures(scored_book)
    assert (shown["open"], shown["opened"], shown["resolved"]) == (0, 0, 0)
    assert alert_files.problems(scored_book.lake, NEXT) == []
    (verified,) = (each for each in verify_all(scored_book.lake) if each.what == "alert reports")
    assert (verified.files, verified.problems) == (1, ())


def test_drift_opens_an_alert_that_the_check_describes(book: Book) -> None:
    land_with(book, multiplied("utilisation", 1.8))
    assert book.score().error is None
    assert book.runner.run("monitoring", NEXT).error is None
    done = evaluate(book)
    assert done.status == "warning"
    (warning,) = done.warnings
    assert warning.startswith("no_open_alerts of monitoring/alerts: ")
    assert "drift:utilisation: utilisation, compared with the training of model_v001: PSI " in warning
    found = alert(book, "drift:utilisation")
    assert (found.status, found.since) == (OPENED, NEXT)
    assert all(figure.beyond > 0 for figure in found.figures)
    assert "above the limit of" in found.evidence
    assert f"risk monitor {NEXT}" in found.next_step
    shown = figures(book)
    assert shown["open"] == shown["opened"] == len(report(book).alerts) >= 1
    assert str(shown["alerts"]).startswith("| alert | status | since |")


def test_a_run_that_failed_gives_a_report_and_a_later_one_resolves_it(book: Book) -> None:
    content = book.landing.get(f"accounts_{NEXT}.csv")
    book.landing.delete(f"accounts_{NEXT}.csv")
    assert book.score().error is not None
    assert requested(book) == [NEXT]
    evaluate(book)
    found = alert(book, f"run:daily_scoring:{NEXT}")
    assert (found.status, found.since) == (OPENED, NEXT)
    assert f"the newest run of daily_scoring for {NEXT} failed: no accounts for {NEXT}" in found.evidence
    assert found.next_step == f"Fix the cause, then: risk run {NEXT}."
    assert (f"{NEXT} was not scored" in [gap.why for gap in report(book).gaps]) and requested(book) == []
    book.land(f"accounts_{NEXT}.csv", content)
    assert book.score().error is None
    assert requested(book) == [NEXT]
    evaluate(book)
    assert states(book)[f"run:daily_scoring:{NEXT}"] == RESOLVED
    before = report(book)
    evaluate(book)
    assert report(book) == before


def test_a_success_after_a_failure_of_the_same_job_is_in_the_run_log(book: Book) -> None:
    assert book.runner.run("monitoring", NEXT).error is not None
    assert book.score().error is None
    assert book.runner.run("monitoring", NEXT).error is None
    assert book.runner.run("monitoring", NEXT).error is None
    assert [row["status"] for row in book.log() if row["job"] == "monitoring"] == ["failed", "success"]


def test_a_late_file_is_one_alert_until_it_arrives(book: Book) -> None:
    run_log.add(book.lake, record(NEXT, "daily_scoring", "failed", 1, error="no accounts"))
    run_log.add(book.lake, record(NEXT, "landing", LATE, 2))
    evaluate(book)
    assert states(book) == {f"late:accounts:{NEXT}": OPENED}
    assert f"risk land FILE --date {NEXT}" in alert(book, f"late:accounts:{NEXT}").next_step
    assert book.score().error is None
    evaluate(book)
    assert states(book) == {f"late:accounts:{NEXT}": RESOLVED}


def test_a_warning_of_a_scored_date_stays_until_the_check_passes(book: Book) -> None:
    rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines()
    book.land(f"accounts_{NEXT}.csv", b"\n".join(rows[:100]) + b"\n")
    assert book.score().error is None
    evaluate(book)
    found = alert(book, "check:raw/accounts.row_count")
    assert found.status == OPENED
    assert f"row_count of raw/accounts warned for {NEXT}: 99 rows" in found.evidence
    evaluate(book, "2026-01-08")
    found = alert(book, "check:raw/accounts.row_count", "2026-01-08")
    assert (found.status, found.since, found.not_evaluated) == (REPEATED, NEXT, "2026-01-08 was not scored")
    book.land("accounts_2026-01-08.csv", b"\n".join(rows) + b"\n")
    assert book.score("2026-01-08").error is None
    evaluate(book, "2026-01-08")
    assert states(book, "2026-01-08")["check:raw/accounts.row_count"] == RESOLVED


def test_an_override_is_an_alert_until_the_next_binding(two_versions: Book, tmp_path: Path) -> None:
    strict = tmp_path / "strict.yml"
    strict.write_text(re.sub(r"min_roc_auc: \S+", "min_roc_auc: 0.99", POLICY.read_text(encoding="utf-8")), encoding="utf-8")
    book = two_versions.with_documents(policy=strict)
    book.adopt("policy")
    assert book.runner.govern(action="promote", version="model_v002", reason="a test", override=True) is None
    evaluate(book)
    found = alert(book, "override:model_v002")
    assert "model_v002 is live although these gates were set aside: " in found.evidence
    assert book.runner.govern(action="rollback", reason="a test") is None
    evaluate(book)
    assert states(book)["override:model_v002"] == RESOLVED


def test_the_sensor_evaluates_one_date_at_a_time_in_order(scored_book: Book) -> None:
    assert scored_book.score(LAST).error is None
    assert requested(scored_book) == [LABELLED[-1]]
    evaluate(scored_book, LAST)
    assert requested(scored_book) == [NEXT]
    evaluate(scored_book)
    assert requested(scored_book) == []
    run_log.add(scored_book.lake, record(LAST, "outcomes", "failed", 1, error="a test"))
    assert requested(scored_book) == [LAST]
    evaluate(scored_book, LAST)
    assert requested(scored_book) == [NEXT]
    evaluate(scored_book)
    assert alert(scored_book, f"run:outcomes:{LAST}").since == LAST


def test_alerts_are_stored_on_disk_and_on_azure(stored_versions: Book) -> None:
    run_log.add(stored_versions.lake, record(NEXT, "monitoring", "failed", 1, error="a test"))
    evaluate(stored_versions)
    assert states(stored_versions) == {f"run:monitoring:{NEXT}": OPENED}
    assert requested(stored_versions) == []


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_a_damaged_report_is_made_again(scored_book: Book, content: bytes) -> None:
    evaluate(scored_book)
    scored_book.lake.put(layout.alerts(NEXT), content)
    assert alert_files.problems(scored_book.lake, NEXT)
    assert requested(scored_book) == [NEXT]
    evaluate(scored_book)
    assert alert_files.problems(scored_book.lake, NEXT) == []


def test_a_changed_report_is_not_used(scored_book: Book) -> None:
    evaluate(scored_book)
    content = scored_book.lake.get(layout.alerts(NEXT))
    scored_book.lake.put(layout.alerts(NEXT), content.replace(b'"code_version": "', b'"code_version": "1'))
    (problem,) = alert_files.problems(scored_book.lake, NEXT)
    assert f"was changed since it was written. Evaluate it: risk alerts {NEXT}" in problem


def test_messages_have_no_values_of_customers(book: Book, tmp_path: Path, on: Callable[[str], None]) -> None:
    on("2026-01-08")
    book = with_file(book, tmp_path / "alerts.jsonl")
    land_with(book, multiplied("utilisation", 1.8), pl.lit("a secret plan").alias("region"), pl.lit("8765432109.25").alias("balance"))
    assert book.score().error is not None  # blocked by its levels
    evaluate(book)
    assert send_alerts(book.lakehouse).startswith("file: ")
    accounts = pl.read_csv(book.landing.get(f"accounts_{NEXT}.csv"), infer_schema=False)["account_id"]
    for text in (book.lake.get(layout.alerts(NEXT)).decode(), (tmp_path / "alerts.jsonl").read_text(encoding="utf-8")):
        assert f"run:daily_scoring:{NEXT}" in text
        assert not any(value in text for value in ("a secret", "8765432109.25", *accounts))


def with_file(book: Book, path: Path) -> Book:
    """Return the book with a file as receiver of messages."""
    settings = book.settings.model_copy(update={"alert_file": path})
    return Book(settings, Runner(settings, book.runner.instance))


@pytest.fixture
def failed_book(book: Book, tmp_path: Path) -> Book:
    """A book with a receiver, and a date whose run has failed."""
    run_log.add(book.lake, record(NEXT, "daily_scoring", "failed", 1, error="a test"))
    return with_file(book, tmp_path / "alerts.jsonl")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the day on which alerts are announced."""
    return lambda day: monkeypatch.setattr(io_managers, "utc_now", lambda: f"{day}T06:00:00+00:00")


def messages(book: Book) -> list[dict[str, str]]:
    path = book.settings.alert_file
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path and path.exists() else []


def test_the_newest_date_is_announced_and_sent_once(failed_book: Book, on: Callable[[str], None]) -> None:
    on("2026-01-08")
    evaluate(failed_book)
    assert figures(failed_book)["messages"] == 1
    assert send_alerts(failed_book.lakehouse) == "file: 1 accepted, 0 refused, 0 waiting"
    evaluate(failed_book)
    assert figures(failed_book)["messages"] == 0
    assert send_alerts(failed_book.lakehouse) == "no message is pending"
    assert failed_book.score().error is None
    evaluate(failed_book)
    assert send_alerts(failed_book.lakehouse).startswith("file: 1 accepted")
    cause = f"run:daily_scoring:{NEXT}"
    assert [(each["cause"], each["status"], each["since"]) for each in messages(failed_book)] == [
        (cause, "opened", NEXT),
        (cause, "resolved", NEXT),
    ]


def test_a_backfill_records_alerts_and_sends_nothing(failed_book: Book) -> None:
    evaluate(failed_book)  # months later: today is the day of the test
    assert (len(report(failed_book).open), figures(failed_book)["messages"]) == (1, 0)
    assert send_alerts(failed_book.lakehouse) == "no message is pending"


def test_a_date_before_the_newest_one_sends_nothing(failed_book: Book, on: Callable[[str], None]) -> None:
    on("2026-01-08")
    run_log.add(failed_book.lake, record(LAST, "monitoring", "failed", 2, error="a test"))
    evaluate(failed_book, LAST)
    assert figures(failed_book)["messages"] == 0
    evaluate(failed_book)
    assert figures(failed_book)["messages"] == 2


def test_without_a_receiver_nothing_is_queued(book: Book, on: Callable[[str], None]) -> None:
    on("2026-01-08")
    run_log.add(book.lake, record(NEXT, "daily_scoring", "failed", 1, error="a test"))
    evaluate(book)
    assert "messages" not in figures(book)
    assert book.lake.list(layout.OUTBOX) == ()
    assert send_alerts(book.lakehouse) == NO_RECEIVER


def test_a_run_that_was_killed_before_its_report_announces_when_it_is_repeated(
    failed_book: Book, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on("2026-01-08")
    with monkeypatch.context() as patch:
        patch.setattr(alert_files, "write", lambda *_: (_ for _ in ()).throw(LakeError("storage is down.")))
        assert failed_book.runner.run("alerts", NEXT).error is not None
    assert requested(failed_book) == [NEXT]
    evaluate(failed_book)
    assert send_alerts(failed_book.lakehouse).startswith("file: 1 accepted")


def test_the_sensor_reports_a_lake_that_cannot_be_reached(failed_book: Book, on: Callable[[str], None]) -> None:
    on("2026-01-08")
    evaluate(failed_book)
    folder = Path(failed_book.settings.lake.removeprefix("file://"))
    (folder / "format.json").write_bytes(b'{"format": 99}')
    assert "format" in send_alerts(failed_book.lakehouse)


def test_features_made_again_do_not_resolve_what_scoring_warned_of(scored_book: Book) -> None:
    run_log.add(scored_book.lake, record(NEXT, "daily_scoring", "warning", 1, warnings="unique_ids of curated/features: 3 rows"))
    before = run_log.records(scored_book.lake, NEXT)
    assert scored_book.runner.run("daily_scoring", NEXT, "curated/features").error is None
    assert run_log.records(scored_book.lake, NEXT) == before
