"""`risk monitor`: the report in the UI and on the command line is the same."""

from pathlib import Path

from risk_assets.lake import layout
from risk_assets.lake.store import open_store
from tests.cli.conftest import Risk, run_here
from tests.cli.test_imports import SLOW, imported
from tests.logged import change, log_requests, records_of


def test_the_newest_scored_date_is_shown(on_scored: Risk, scored: Path) -> None:
    shown = on_scored("monitor")
    assert "Drift of 2026-01-05" in shown.stdout
    assert "300 rows compared with 482 training rows of model_v001: nothing is beyond its limit" in shown.text
    assert "24 accounts predicted bad, +0 since 2026-01-04: no change." in shown.text
    assert (scored / "lakehouse" / layout.drift("2026-01-05")).is_file()
    assert on_scored("monitor", "2026-01-05").stdout == shown.stdout
    assert not imported(scored, "monitor") & SLOW


def test_requests_to_the_service_are_shown_next_to_the_batch(on_scored: Risk, scored: Path) -> None:
    lake = open_store(str(scored / "lakehouse"))
    records = records_of(lake, "2026-01-05")
    log_requests(lake, "2026-01-05", records[:100])
    shown = on_scored("monitor")
    assert "Requests of 2026-01-05 (UTC) next to the batch" in shown.text
    assert "feature (batch / requests)" in shown.text
    assert "PSI (limit of requests)" in shown.text
    assert "100 records of requests compared with 482 training rows of model_v001: nothing is beyond its limit" in shown.text
    assert "parity: the batch gives the same answers to 100 records of requests." in shown.text
    log_requests(lake, "2026-01-05", records[:1])
    change(lake, "2026-01-05", layout.ONLINE_OUTPUTS, b'"prediction":0', b'"prediction":1')
    again = on_scored("monitor")
    assert "parity: 1 of 101 records of requests differs from the batch; request" in again.text
    assert "differs in prediction" in again.text


def test_a_date_that_was_not_scored_is_an_error(on_scored: Risk) -> None:
    done = on_scored("monitor", "2026-01-02", code=1)
    assert "curated/accounts_2026-01-02_predictions.csv is not in the lake" in done.text
    assert "risk run 2026-01-02" in done.text
    assert "monitoring" not in on_scored("log").stdout  # there was no run


def test_without_a_live_model_the_next_step_is_training(folder: Path) -> None:
    assert "no model is live yet: train one" in run_here(folder, "monitor", "2026-01-02", code=1).text


def test_without_any_scored_date_the_next_step_is_to_run_one(folder: Path) -> None:
    assert "Run a date first: risk run DATE" in run_here(folder, "monitor", code=1).text


def test_a_date_that_is_not_one_is_wrong_usage(folder: Path) -> None:
    assert "is not a date" in run_here(folder, "monitor", "soon", code=2).text
