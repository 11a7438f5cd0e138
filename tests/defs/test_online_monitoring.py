"""Requests to the service in the drift of a date: figures next to the batch, parity with it, and when a report is made again."""

import re
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from risk_assets.defs import checks
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import watch_scored
from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.monitoring.report import Drift, OnlineShift, Statistic
from risk_assets.lake import drift_files, layout, online_files, online_sample
from risk_assets.lake.online_measurement import independent_group
from tests.conftest import CONTRACT
from tests.defs.conftest import NEXT, Book
from tests.defs.test_monitoring import figures, measured, monitor, requested
from tests.logged import change, log_requests, records_of


def online(book: Book) -> OnlineShift:
    found = measured(book).online
    assert found
    return found


def indexes(drifts: Iterable[Drift]) -> dict[str, Statistic]:
    return {each.name: each.psi for each in drifts}


def changed_number(book: Book, name: str) -> str:
    """Change the first number with a name in the logged answers, and return the file."""
    path = book.lake.list(layout.online_folder(layout.ONLINE_OUTPUTS, NEXT))[0]
    found = re.search(rb'"%s":([0-9.]+)' % name.encode(), book.lake.get(path))
    assert found
    number = float(found[1]) + 1e-9 if name == "probability" else int(found[1]) + 1
    return change(book.lake, NEXT, layout.ONLINE_OUTPUTS, found[0], f'"{name}":{number!r}'.encode())


def test_requests_are_shown_next_to_the_batch(scored_book: Book) -> None:
    records = records_of(scored_book.lake, NEXT)
    log_requests(scored_book.lake, NEXT, records[:200])
    log_requests(scored_book.lake, NEXT, *([record] for record in records[200:]))
    found = monitor(scored_book)
    assert (found.error, found.warnings) == (None, ())
    report = drift_files.read(scored_book.lake, NEXT).report
    assert report.online and report.online.score
    assert (report.online.rows, report.online.independent) == (report.rows, report.independent) == (len(records), len(records))
    assert indexes(report.online.features) == indexes(report.features)  # the same accounts
    assert report.online.score.psi == report.score.psi
    assert report.online.score.points == pytest.approx(report.score.points)
    assert (report.online.parity.records, report.online.parity.agrees, report.online.files) == (len(records), True, 4)
    shown = figures(scored_book)
    assert (shown["online_rows"], shown["parity_differing"]) == (len(records), 0)
    assert shown["online_score_psi"] == shown["score_psi"]
    assert str(shown["online_shifts"]).startswith("| feature (batch / requests) | points (limit of requests) |")
    assert f"the batch gives the same answers to {len(records)} records of requests" in str(shown["parity"])


def test_a_report_names_the_part_of_the_log_that_was_read(scored_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    records = records_of(scored_book.lake, NEXT)
    log_requests(scored_book.lake, NEXT, records[:10])
    log_requests(scored_book.lake, NEXT, records[10:20])
    monkeypatch.setattr(online_sample, "SAMPLE_FILES", 1)
    found = online(scored_book)
    assert (found.rows, found.files, found.notes) == (10, 4, ("a sample of 1 of 2 files of requests was read",))


def test_without_requests_the_checks_pass(scored_book: Book) -> None:
    assert monitor(scored_book).warnings == ()
    assert drift_files.read(scored_book.lake, NEXT).report.online is None
    assert "online_rows" not in figures(scored_book)
    for check in (checks.parity, checks.online_within_limits):
        found = check(scored_book.lakehouse, NEXT)
        assert (found.passed, found.description) == (True, f"no requests on {NEXT}")


def test_requests_that_differ_from_training_warn(scored_book: Book) -> None:
    records = records_of(scored_book.lake, NEXT)
    log_requests(scored_book.lake, NEXT, [record | {"utilisation": (record["utilisation"] or 0) * 1.8} for record in records])
    found = monitor(scored_book)
    (warning,) = found.warnings
    assert warning.startswith(f"online_within_limits of monitoring/drift: {len(records)} records of requests compared with")
    assert "PSI of utilisation" in warning
    report = drift_files.read(scored_book.lake, NEXT).report
    assert report.exceeded == ()
    assert report.online and ("utilisation", "PSI") in [each[:2] for each in report.online.exceeded]
    assert figures(scored_book)["online_beyond_limits"] == len(report.online.exceeded)


@pytest.mark.parametrize("name", ["probability", "points"])
def test_a_changed_answer_is_found(scored_book: Book, name: str) -> None:
    log_requests(scored_book.lake, NEXT, records_of(scored_book.lake, NEXT)[:50])
    path = changed_number(scored_book, name)
    found = monitor(scored_book)
    assert (found.error, found.status) == (None, "warning")
    (warning,) = found.warnings
    assert warning.startswith("parity of monitoring/drift: 1 of 50 records of requests differs from the batch; request ")
    assert f"record 0 differs in {name} ({path}, line 1)" in warning
    assert figures(scored_book)["parity_differing"] == 1


def test_a_changed_record_is_found(scored_book: Book) -> None:
    records = records_of(scored_book.lake, NEXT)[:50]
    log_requests(scored_book.lake, NEXT, records)
    number = next(record["utilisation"] for record in records if record["utilisation"])
    change(scored_book.lake, NEXT, layout.ONLINE_INPUTS, f'"utilisation":{number}'.encode(), b'"utilisation":0.123')
    assert online(scored_book).parity.differing == 1


def test_a_damaged_file_is_named_without_its_values(scored_book: Book) -> None:
    records = records_of(scored_book.lake, NEXT)[:40]
    log_requests(scored_book.lake, NEXT, records[:20], [records[20] | {"id": "SECRET"}])
    path = change(scored_book.lake, NEXT, layout.ONLINE_OUTPUTS, b'"id":"SECRET"', b'"id":SECRET')
    log_requests(scored_book.lake, NEXT, records[21:])
    lost = next(each for each in scored_book.lake.list(layout.online_folder(layout.ONLINE_INPUTS, NEXT)) if each[-30:] != path[-30:])
    scored_book.lake.delete(lost)
    found = online(scored_book)
    assert (found.rows, found.parity.records, found.parity.problems) == (20, 20, 3)
    assert any(f"{path}, line 2 is not JSON" in message for message in found.parity.messages)
    assert any(f"{lost} is missing" in message for message in found.parity.messages)
    assert "SECRET" not in "".join(found.parity.messages)
    assert monitor(scored_book).status == "warning"
    assert not checks.parity(scored_book.lakehouse, NEXT).passed


def test_requests_of_another_version_are_counted_in_a_note(two_versions: Book) -> None:
    assert two_versions.score().error is None
    records = records_of(two_versions.lake, NEXT)
    log_requests(two_versions.lake, NEXT, records[:30])
    assert two_versions.runner.govern(action="promote", version="model_v002", reason="a test", override=True) is None
    log_requests(two_versions.lake, NEXT, records[30:100])
    found = online(two_versions)
    assert (found.rows, found.parity.records, found.parity.differing) == (30, 100, 0)
    assert found.notes == ("not compared: 70 records whose requests another version decided (model_v002 70)",)


def test_requests_of_another_version_only_have_no_figures(two_versions: Book) -> None:
    assert two_versions.score().error is None
    assert two_versions.runner.govern(action="promote", version="model_v002", reason="a test", override=True) is None
    log_requests(two_versions.lake, NEXT, records_of(two_versions.lake, NEXT)[:30])
    assert monitor(two_versions).warnings == ()
    found = online(two_versions)
    assert (found.rows, found.score, found.exceeded) == (0, None, ())
    description = checks.online_within_limits(two_versions.lakehouse, NEXT).description
    assert description and description.startswith(f"no record of a request on {NEXT} was scored by model_v001; not compared: 30 records")


def test_requests_under_a_contract_with_another_meaning_are_not_compared(scored_book: Book, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yml"
    edited.write_text(CONTRACT.read_text(encoding="utf-8").replace("max: 5000000", "max: 4000000"), encoding="utf-8")
    scored_book.with_documents(contract=edited).adopt("contract")
    log_requests(scored_book.lake, NEXT, records_of(scored_book.lake, NEXT)[:30])
    found = online(scored_book)
    assert (found.rows, found.parity.records, found.parity.agrees) == (0, 30, True)
    assert found.notes == ("not compared: 30 records under a contract that reads features in another way",)


def test_a_challenger_that_decides_for_some_requests_is_not_in_the_score(two_versions: Book) -> None:
    assert two_versions.score().error is None
    assert two_versions.runner.govern(action="challenge", version="model_v002", share=0.7, reason="a test") is None
    records = records_of(two_versions.lake, NEXT)
    log_requests(two_versions.lake, NEXT, records)
    found, batch = online(two_versions), measured(two_versions)
    assert (found.rows, found.parity.differing) == (len(records), 0)
    assert indexes(found.features) == indexes(batch.features)
    assert found.score and found.score.psi.limit > 1.5 * batch.score.psi.limit


def test_what_decided_a_request_is_missing(scored_book: Book) -> None:
    log_requests(scored_book.lake, NEXT, records_of(scored_book.lake, NEXT)[:3])
    change(scored_book.lake, NEXT, layout.ONLINE_OUTPUTS, b'"binding":1', b'"binding":9')
    found = online(scored_book)
    assert (found.rows, found.parity.records, found.parity.problems) == (0, 3, 1)
    assert "cannot be scored again" in found.parity.messages[0]


def test_an_account_that_is_scored_many_times_counts_once(scored_book: Book) -> None:
    record, *others = records_of(scored_book.lake, NEXT)[:21]
    log_requests(scored_book.lake, NEXT, *[[record]] * 80, others)
    assert online(scored_book).independent == pytest.approx(100**2 / (80**2 + 20))


def test_equal_records_without_an_id_count_once(scored_book: Book) -> None:
    plain = [{name: value for name, value in record.items() if name != "id"} for record in records_of(scored_book.lake, NEXT)[:21]]
    log_requests(scored_book.lake, NEXT, *[plain[:1]] * 80, plain[1:])
    assert online(scored_book).independent == pytest.approx(100**2 / (80**2 + 20))


def test_records_of_a_customer_are_of_one_group() -> None:
    rows = pl.DataFrame({GROUP: ["c1", "c1", None, None, None], "a": [1.0, 2.0, 3.0, 3.0, 4.0], "b": ["x"] * 5})
    groups = rows.select(independent_group(["a", "b"]))[GROUP].to_list()
    assert groups[:2] == ["c1", "c1"]
    assert groups[2] == groups[3] != groups[4]


def test_levels_of_requests_are_not_shown(scored_book: Book) -> None:
    """Twenty requests can be of one customer."""
    record = records_of(scored_book.lake, NEXT)[0] | {"region": "SECRET"}
    log_requests(scored_book.lake, NEXT, *[[record]] * 20)
    found = online(scored_book)
    region = next(each for each in found.features if each.name == "region")
    assert region.unseen and region.unseen.value == 1.0
    assert region.new_levels == {}


def test_a_report_is_made_again_when_the_log_of_its_date_has_grown(scored_book: Book) -> None:
    records = records_of(scored_book.lake, NEXT)
    assert monitor(scored_book).error is None
    assert requested(scored_book) == []
    log_requests(scored_book.lake, NEXT, records[:10])
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).error is None
    assert requested(scored_book) == []
    log_requests(scored_book.lake, NEXT, records[10:15])
    assert requested(scored_book) == [NEXT]
    assert monitor(scored_book).error is None
    assert online(scored_book).rows == 15
    policy = scored_book.lakehouse.policy.digest
    assert drift_files.is_current(scored_book.lake, NEXT, policy)


def test_requests_of_a_date_that_is_not_over_do_not_start_runs(scored_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert monitor(scored_book).error is None
    log_requests(scored_book.lake, NEXT, records_of(scored_book.lake, NEXT)[:10])
    monkeypatch.setattr(online_files, "utc_now", lambda: f"{NEXT}T23:59:59+00:00")
    assert requested(scored_book) == []
    monkeypatch.undo()
    assert requested(scored_book) == [NEXT]


def test_a_failed_run_is_requested_again_with_further_requests(scored_book: Book) -> None:
    def key() -> str | None:
        context = dg.build_sensor_context(instance=scored_book.runner.instance)
        (request,) = watch_scored(context, scored_book.lakehouse, partitions(scored_book.settings)).run_requests or ()
        return request.run_key

    before = key()
    assert key() == before
    log_requests(scored_book.lake, NEXT, records_of(scored_book.lake, NEXT)[:10])
    assert key() != before


def test_requests_are_read_on_disk_and_on_azure(stored_versions: Book) -> None:
    stored_versions.land_sample(f"accounts_{NEXT}.csv")
    assert stored_versions.score().error is None
    records = records_of(stored_versions.lake, NEXT)
    log_requests(stored_versions.lake, NEXT, records[:40])
    found = online(stored_versions)
    assert (found.rows, found.parity.agrees, found.files) == (40, True, 2)
    assert requested(stored_versions) == [NEXT]
    assert monitor(stored_versions).error is None
    assert requested(stored_versions) == []
