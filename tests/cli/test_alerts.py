"""`risk alerts`: the alerts as of a date, and their delivery."""

from pathlib import Path

import pytest

from risk_assets.lake import layout
from tests.alerts.http_receiver import http_receiver
from tests.cli.conftest import Risk, run_here
from tests.cli.test_imports import SLOW, imported


@pytest.mark.long
def test_the_newest_date_is_evaluated_once_and_shown(on_scored: Risk, scored: Path) -> None:
    on_scored("run", "2026-01-06", code=1)
    shown = on_scored("alerts")
    assert "Alerts as of 2026-01-06" in shown.stdout
    assert "run:daily_scoring:2026-01-06" in shown.stdout
    assert "1 alert open as of 2026-01-06, 1 of them new, 0 resolved." in shown.text
    assert "not evaluated: drift: there is no drift report of 2026-01-06" in shown.text
    assert (scored / "lakehouse" / layout.alerts("2026-01-06")).is_file()
    assert on_scored("alerts", "2026-01-06").stdout == shown.stdout
    assert not imported(scored, "alerts") & SLOW
    assert "no receiver is configured: set RISK_ALERT_WEBHOOK" in on_scored("alerts", "--send").text
    path = scored / "alerts.jsonl"
    sent = on_scored("alerts", "--send", RISK_ALERT_FILE=str(path), RISK_END_DATE="2026-01-06")
    assert "the alerts of 2026-01-06 are not sent, because it is more than 3 days before today" in sent.text
    assert "no message is pending" in sent.text
    assert not path.exists()


def test_a_test_message_reaches_the_receivers_and_leaves_nothing(on_scored: Risk, scored: Path, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    sent = on_scored("alerts", "--test", RISK_ALERT_FILE=str(path))
    assert "file: 1 accepted, 0 refused, 0 waiting" in sent.text
    assert '"cause":"test:delivery"' in path.read_text(encoding="utf-8")
    assert "delivery" not in str([*(scored / "lakehouse").rglob("outbox/*/*.json")])
    assert "no receiver is configured" in on_scored("alerts", "--test").text


def test_what_was_and_was_not_accepted_is_shown(on_scored: Risk, scored: Path, tmp_path: Path) -> None:
    from risk_assets.alerts.outbox import announce
    from risk_assets.lake.store import open_store
    from tests.alerts.conftest import report

    assert announce(open_store(str(scored / "lakehouse")), report("income", "region", date="2026-01-05"), "2026-01-05") == 2
    with http_receiver() as hook:
        hook.answers = [400, 503]
        settings = {
            "RISK_ALERT_FILE": str(tmp_path / "alerts.jsonl"),
            "RISK_ALERT_WEBHOOK": hook.url,
            "RISK_ALERT_SECRET": "a long random text",
        }
        sent = on_scored("alerts", "--send", NO_PROXY="127.0.0.1", **settings)
    assert "webhook: 0 accepted, 1 refused, 1 waiting (status 400; status 503, tried again at" in sent.text
    assert "refused: drift:income opened, since 2026-01-05 waiting: drift:region opened, since 2026-01-05" in sent.text
    assert "file: 2 accepted, 0 refused, 0 waiting" in sent.text


def test_a_lake_without_a_date_names_the_next_step(folder: Path) -> None:
    assert "Run a date first: risk run DATE" in run_here(folder, "alerts", code=1).text


def test_a_date_that_is_not_one_is_wrong_usage(folder: Path) -> None:
    assert "is not a date" in run_here(folder, "alerts", "soon", code=2).text
