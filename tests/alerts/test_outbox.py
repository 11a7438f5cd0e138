"""The outbox: what is announced, once, by which dates; and what is left out."""

import msgspec
import pytest

from risk_assets.alerts.messages import message_id
from risk_assets.alerts.outbox import announce, not_announced, pending
from risk_assets.clock import shift
from risk_assets.domain.monitoring.alerts import OPENED, AlertReport, Gap, evaluate
from risk_assets.lake import layout, run_log
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.store import Store
from tests.alerts.conftest import DATE, cause, queue, report

NEXT_DATE = shift(DATE, 1)


def announced(store: Store) -> list[tuple[str, str]]:
    return [(one.message.cause, one.message.status) for one in pending(store)]


def test_opened_alerts_are_announced_once_in_order(store: Store) -> None:
    opened = queue(store, "b", "a")
    assert announced(store) == [("drift:a", "opened"), ("drift:b", "opened")]
    assert announce(store, opened, DATE) == 0
    repeated = report("a", "b", "c", date=NEXT_DATE, earlier=opened)
    assert announce(store, repeated, NEXT_DATE) == 1
    assert announced(store)[2] == ("drift:c", "opened")
    (first, *_) = pending(store)
    assert (first.message.since, first.message.lake, first.message.date) == (DATE, store.url, DATE)


def test_a_resolved_alert_is_announced_if_it_was_announced(store: Store) -> None:
    opened = queue(store, "a")
    silent = report("a", "b")  # b was not announced
    assert announce(store, report(date=NEXT_DATE, earlier=silent), NEXT_DATE) == 1
    assert announced(store) == [("drift:a", "opened"), ("drift:a", "resolved")]
    assert announce(store, report(date=NEXT_DATE, earlier=opened), NEXT_DATE) == 0


def test_an_alert_that_was_not_announced_when_it_opened_is_announced_later(store: Store) -> None:
    repeated = report("a", date=NEXT_DATE, earlier=report("a"))
    assert announce(store, repeated, NEXT_DATE) == 1
    (one,) = pending(store)
    assert (one.message.status, one.message.since) == ("opened", DATE)


def test_what_was_delivered_is_not_queued_again(store: Store) -> None:
    opened = queue(store, "a")
    key = message_id(opened.alerts[0], OPENED)
    store.put(layout.delivered_message(key), store.get(layout.pending_message(key)))
    store.delete(layout.pending_message(key))
    assert announce(store, opened, DATE) == 0
    assert announce(store, report(date=NEXT_DATE, earlier=opened), NEXT_DATE) == 1


def test_an_alert_that_is_opened_again_on_its_date_is_another_message(store: Store) -> None:
    opened = queue(store, "a")
    resolved = evaluate(DATE, None, [], before=opened)
    assert announce(store, resolved, DATE) == 1
    back = evaluate(DATE, None, [cause("a")], before=resolved)
    assert announce(store, back, DATE) == 1
    assert len({one.message.id for one in pending(store)}) == 3


def test_an_alert_that_is_not_evaluated_is_not_announced_again(store: Store) -> None:
    opened = queue(store, "a")
    assert announce(store, evaluate(NEXT_DATE, opened, [], [Gap(("drift:",), "not scored")]), NEXT_DATE) == 0


@pytest.mark.parametrize(("days", "number"), [(0, 1), (3, 1), (4, 0), (300, 0)])
def test_only_recent_dates_are_announced(store: Store, days: int, number: int) -> None:
    assert announce(store, report("a"), shift(DATE, days)) == number


def test_only_the_newest_date_is_announced(store: Store) -> None:
    run_log.add(store, RunRecord(timestamp="2026-01-08T00:00:00+00:00", date=NEXT_DATE, job="landing", status="late", run_id="late"))
    assert announce(store, report("a"), NEXT_DATE) == 0
    assert announce(store, report("a", date=NEXT_DATE), NEXT_DATE) == 1


def test_a_damaged_message_is_left_out_and_queued_again(store: Store) -> None:
    opened = queue(store, "a", "b")
    (path, _) = store.list(layout.pending_messages())
    store.put(path, b"")
    assert len(pending(store)) == 1
    assert announce(store, opened, DATE) == 1
    assert len(pending(store)) == 2


def test_an_alert_that_ended_on_a_date_that_is_not_announced_is_resolved_with_the_next(store: Store) -> None:
    opened = queue(store, "a", "b")
    ended = evaluate(DATE, None, [cause("b")], before=opened)  # evaluated again when it was not the newest date any more
    newest = report("b", date=NEXT_DATE, earlier=ended)
    assert [alert.cause for alert in newest.alerts] == ["drift:b"]
    assert announce(store, newest, NEXT_DATE) == 1
    (*_, last) = pending(store)
    assert (last.message.cause, last.message.status, last.message.date, last.message.next_step) == ("drift:a", "resolved", NEXT_DATE, "")
    assert announce(store, newest, NEXT_DATE) == 0


def test_an_end_is_not_announced_if_the_writer_was_killed_before_the_beginning(store: Store) -> None:
    opened = report("a")
    key = message_id(opened.alerts[0], OPENED)
    store.put(layout.announced_alert(key), msgspec.json.encode(opened.alerts[0]))
    assert announce(store, report(date=NEXT_DATE, earlier=opened), NEXT_DATE) == 0
    assert store.list("") == ()


def test_why_a_date_is_not_announced(store: Store) -> None:
    assert not_announced(store, report("a"), DATE) is None
    assert "more than 3 days before today" in str(not_announced(store, report("a"), shift(DATE, 4)))
    run_log.add(store, RunRecord(timestamp="2026-01-08T00:00:00+00:00", date=NEXT_DATE, job="landing", status="late", run_id="late"))
    assert f"{NEXT_DATE} is newer" in str(not_announced(store, report("a"), DATE))


def test_a_report_without_alerts_writes_nothing(store: Store) -> None:
    assert announce(store, AlertReport(DATE, ()), DATE) == 0
    assert store.list("") == ()
