"""Delivery to real receivers: in order, at least once, one sender at a time, while receivers fail, stall, refuse and recover."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from risk_assets.alerts import delivery
from risk_assets.alerts.delivery import Delivery, deliver_all, deliver_due
from risk_assets.alerts.file import MessageFile
from risk_assets.alerts.mail import Mail
from risk_assets.alerts.messages import Message
from risk_assets.alerts.outbox import announce, pending
from risk_assets.alerts.receivers import Receiver
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.alerts.conftest import DATE, SECRET, queue, report, webhook
from tests.alerts.http_receiver import RESET, STALL, HttpReceiver
from tests.alerts.smtp_receiver import SmtpReceiver
from tests.conftest import ROOT

SECONDS = 60.0

KILLED = """
import os, sys
from risk_assets.alerts import delivery, webhook
from risk_assets.lake.store import open_store

send = webhook.Webhook.send

def send_and_die(self, messages):
    send(self, messages)
    os._exit(9)

webhook.Webhook.send = send_and_die
delivery.deliver_due(open_store(sys.argv[1]), [webhook.Webhook(sys.argv[2], sys.argv[3])], 60.0)
"""


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 1, 8, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk_store(disk_settings: Settings) -> Store:
    return disk_settings.open_lake()


def send(store: Store, *receivers: Receiver, now: Clock) -> tuple[Delivery, ...]:
    return deliver_due(store, receivers, SECONDS, now)


def causes(messages: tuple[Message, ...]) -> list[str]:
    return [message.cause for message in messages]


def test_messages_are_delivered_once_in_order(store: Store, hook: HttpReceiver, clock: Clock) -> None:
    opened = queue(store, "a", "b")
    announce(store, report("b", date="2026-01-08", earlier=opened), "2026-01-08")
    (found,) = send(store, webhook(hook), now=clock)
    assert (causes(found.accepted), found.refused, found.waiting, found.reason) == (["drift:a", "drift:b", "drift:a"], (), (), None)
    assert [request.message["status"] for request in hook.requests] == ["opened", "opened", "resolved"]
    assert pending(store) == ()
    assert send(store, webhook(hook), now=clock) == ()
    assert len(hook.requests) == 3
    assert announce(store, opened, DATE) == 0


def test_each_receiver_gets_each_message(store: Store, hook: HttpReceiver, mail_server: SmtpReceiver, tmp_path: Path, clock: Clock) -> None:
    queue(store, "a", "b")
    hook.answers = [204, 500]
    mail = Mail.to(f"smtp://127.0.0.1:{mail_server.port}", None, "risk@bank.test", "ann@bank.test")
    file = MessageFile(tmp_path / "alerts.jsonl")
    found = {each.receiver: each for each in send(store, webhook(hook), mail, file, now=clock)}
    assert str(found["mail"]) == "mail: 2 accepted, 0 refused, 0 waiting"
    assert str(found["webhook"]).startswith("webhook: 1 accepted, 0 refused, 1 waiting (status 500, tried again at 2026-01-08T06:00:")
    assert [one.message.cause for one in pending(store)] == ["drift:b"]
    clock.move(hours=2)
    found = {each.receiver: each for each in send(store, webhook(hook), mail, file, now=clock)}
    assert (causes(found["webhook"].accepted), found["mail"].accepted, found["file"].accepted) == (["drift:b"], (), ())
    assert pending(store) == ()
    assert hook.causes == ["drift:a", "drift:b", "drift:b"]
    assert (len(mail_server.mails), len((tmp_path / "alerts.jsonl").read_bytes().splitlines())) == (1, 2)


def test_a_receiver_that_is_down_for_a_day_gets_each_message_once(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    first = queue(disk_store, "a", "b")
    hook.status, attempts = 503, []
    for tick in range(24 * 6):
        if tick == 60:
            announce(disk_store, report("a", "b", "c", date="2026-01-08", earlier=first), "2026-01-08")
        send(disk_store, webhook(hook), now=clock)
        attempts += [clock.instant] * (len(hook.requests) - len(attempts))
        clock.move(minutes=10)
    assert 10 <= len(attempts) <= 60
    assert all(later - earlier >= timedelta(minutes=20) for earlier, later in pairwise(attempts[10:]))
    assert {*hook.causes} == {"drift:a"}  # in order: nothing overtakes the first message
    hook.status = 200
    clock.move(hours=1)
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert causes(found.accepted) == hook.causes[len(attempts) :] == ["drift:a", "drift:b", "drift:c"]
    assert pending(disk_store) == ()


def test_waits_double_up_to_an_hour(disk_store: Store, hook: HttpReceiver, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery.random, "uniform", lambda _, highest: highest)
    queue(disk_store, "a")
    hook.status = 500
    waits = []
    for _ in range(9):
        (found,) = send(disk_store, webhook(hook), now=clock)
        retry_at = datetime.fromisoformat(str(found.reason).rpartition(" ")[2])
        waits.append((retry_at - clock.instant).total_seconds())
        clock.instant = retry_at
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert len(hook.requests) == 9
    hook.answers = [200]
    queued = announce(disk_store, report("a", "b"), DATE)
    (found,) = send(disk_store, webhook(hook), now=clock)  # available for one message: the waits begin again
    assert (queued, len(found.accepted), str(found.reason).rpartition(" ")[2]) == (
        1,
        1,
        (clock.instant + timedelta(seconds=30)).isoformat(),
    )


def test_a_receiver_that_waits_costs_no_write(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a")
    hook.status = 500
    send(disk_store, webhook(hook), now=clock)
    before = disk_store.entries("")
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (causes(found.waiting), disk_store.entries("")) == (["drift:a"], before)


def test_retry_after_is_honoured(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a")
    hook.status, hook.headers = 429, {"Retry-After": "7200"}
    send(disk_store, webhook(hook), now=clock)
    hook.status = 200
    clock.move(minutes=119)
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (found.reason, causes(found.waiting)) == ("status 429, tried again at 2026-01-08T08:00:00+00:00", ["drift:a"])
    clock.move(minutes=1)
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (causes(found.accepted), len(hook.requests)) == (["drift:a"], 2)


def test_a_refused_message_does_not_hold_up_the_others(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a", "b")
    hook.answers = [400]
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (causes(found.accepted), causes(found.refused), found.reason) == (["drift:b"], ["drift:a"], "status 400")
    clock.move(hours=5)
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (causes(found.refused), len(hook.requests)) == (["drift:a"], 2)
    clock.move(hours=1)
    hook.answers = [422]
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert (causes(found.refused), found.reason) == (["drift:a"], "status 422")
    (one,) = pending(disk_store)
    assert (one.refused["webhook"].times, one.refused["webhook"].reason) == (2, "status 422")
    clock.move(hours=6)
    assert causes(send(disk_store, webhook(hook), now=clock)[0].accepted) == ["drift:a"]


def test_a_person_can_send_at_once_what_waits_and_what_was_refused(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a", "b")
    hook.answers = [400, 503]
    send(disk_store, webhook(hook), now=clock)
    assert len(hook.requests) == 2
    (found,) = deliver_all(disk_store, [webhook(hook)], SECONDS, clock)
    assert causes(found.accepted) == ["drift:a", "drift:b"]


def test_a_receiver_that_stalls_and_resets_recovers(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a")
    hook.answers = [STALL, RESET]
    (found,) = send(disk_store, webhook(hook, timeout=0.2), now=clock)
    assert str(found.reason).startswith("no response (ReadTimeout), tried again at")
    clock.move(hours=1)
    assert str(send(disk_store, webhook(hook), now=clock)[0].reason).startswith("no response (RemoteProtocolError)")
    clock.move(hours=1)
    assert causes(send(disk_store, webhook(hook), now=clock)[0].accepted) == ["drift:a"]
    assert len({*hook.ids}) == 1


def test_two_senders_at_once_send_each_message_once(store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(store, "a", "b")
    hook.answers = [STALL]
    found: list[tuple[Delivery, ...]] = []
    first = threading.Thread(target=lambda: found.append(send(store, webhook(hook, timeout=20.0), now=clock)))
    first.start()
    assert hook.arrived.wait(20)
    second = threading.Thread(target=lambda: found.append(send(store, webhook(hook), now=clock)))
    second.start()
    hook.go_on.set()  # the first request gets no response: it is sent again later, by whoever is next
    first.join(30)
    second.join(60)
    clock.move(hours=1)
    send(store, webhook(hook), now=clock)
    assert hook.causes == ["drift:a", "drift:a", "drift:b"]
    assert len({*hook.ids}) == 2
    assert pending(store) == ()


def test_a_second_sender_that_waits_too_long_sends_nothing(
    disk_store: Store, hook: HttpReceiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LEASE_WAIT_SECONDS", 0.0)
    queue(disk_store, "a")
    hook.answers = [STALL]
    first = threading.Thread(target=lambda: send(disk_store, webhook(hook, timeout=20.0), now=clock))
    first.start()
    assert hook.arrived.wait(20)
    with pytest.raises(LakeError, match="monitoring/outbox is being written by"):
        send(disk_store, webhook(hook), now=clock)
    hook.go_on.set()
    first.join(30)
    assert len(hook.requests) == 1


def test_a_sender_that_is_killed_before_it_notes_sends_the_same_id_again(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a", "b")
    command = [sys.executable, "-c", KILLED, disk_store.url, hook.url, SECRET]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 9
    (found,) = send(disk_store, webhook(hook), now=clock)
    assert causes(found.accepted) == ["drift:a", "drift:b"]
    assert hook.causes == ["drift:a", "drift:a", "drift:b"]
    assert hook.ids[0] == hook.ids[1]
    assert hook.requests[0].body == hook.requests[1].body


def test_a_message_that_was_moved_and_not_deleted_is_not_sent_again(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a")
    (path,) = disk_store.list(layout.pending_messages())
    content = disk_store.get(path)
    send(disk_store, webhook(hook), now=clock)
    disk_store.put(path, content)  # killed between the two, and it was queued before
    send(disk_store, webhook(hook), now=clock)
    assert (len(hook.requests), pending(disk_store)) == (1, ())


def test_the_time_for_a_delivery_is_bounded(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    queue(disk_store, "a")
    (found,) = deliver_due(disk_store, [webhook(hook)], 0.0, clock)
    assert (causes(found.waiting), found.reason, hook.requests) == (["drift:a"], "the time for one delivery is over", [])


def test_without_receivers_or_messages_nothing_is_written(disk_store: Store, hook: HttpReceiver, clock: Clock) -> None:
    assert send(disk_store, webhook(hook), now=clock) == ()
    assert disk_store.list("") == ()
    queue(disk_store, "a")
    before = disk_store.list("")
    assert send(disk_store, now=clock) == ()
    assert disk_store.list("") == before


def test_messages_of_a_file_are_those_of_the_outbox(disk_store: Store, tmp_path: Path, clock: Clock) -> None:
    queue(disk_store, "a", "b")
    file = MessageFile(tmp_path / "alerts.jsonl")
    (found,) = send(disk_store, file, now=clock)
    lines = (tmp_path / "alerts.jsonl").read_bytes().splitlines()
    assert tuple(msgspec.json.decode(line, type=Message) for line in lines) == found.accepted
