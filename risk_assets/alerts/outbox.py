"""The outbox in the lake: messages until every receiver has accepted them, and when a receiver is tried again.

A message is written once, under its id, by the run that evaluated the alerts. Senders note on it which receivers have accepted it, and move
it to the delivered ones at the end, where it stays, so that it is never queued again. What was noted survives a sender that is killed; what
was sent and not noted is sent again, with the same id.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from risk_assets.alerts.messages import Message, message, message_id
from risk_assets.clock import shift, utc_now
from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED, Alert, AlertReport
from risk_assets.lake import layout
from risk_assets.lake.alert_evidence import dates_with_evidence
from risk_assets.lake.objects import Guard
from risk_assets.lake.store import Store

MAX_AGE_DAYS = 3  # between a date and today, for its alerts to be announced
T = TypeVar("T")


class Refusal(msgspec.Struct, frozen=True):
    """A message that a receiver has refused: why, how often, and when it is tried again (ISO 8601, UTC)."""

    reason: str
    times: int
    retry_at: str


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way.

    Attributes
    ----------
    queued_at, number
        When it was queued (ISO 8601, UTC), and its place among the messages of its report: the order of sending.
    accepted
        When each receiver accepted it.
    refused
        The receivers that have refused it.
    """

    message: Message
    queued_at: str
    number: int
    accepted: dict[str, str] = {}
    refused: dict[str, Refusal] = {}


class Wait(msgspec.Struct, frozen=True):
    """A receiver that is not available: since how many attempts, why, and when it is tried again (ISO 8601, UTC)."""

    failures: int
    reason: str
    retry_at: str


def announce(store: Store, report: AlertReport, today: str) -> int:
    """Queue messages about the alerts of a date that were not announced yet, and return their number.

    Nothing is queued if there is a reason in `not_announced`. An alert that was not announced when it was opened is announced when it is
    repeated. Its end is announced if its beginning was, also if it ended on an earlier date whose report was not announced.
    """
    if not_announced(store, report, today):
        return 0
    now, queued = utc_now("microseconds"), 0
    for alert in (*report.open, *_ended(store, report)):
        made = message(alert, report.date, store.url)
        if alert.is_open:
            store.create(layout.announced_alert(made.id), msgspec.json.encode(alert))
        queued += _queue(store, Outgoing(message=made, queued_at=now, number=queued))
        if not alert.is_open:
            store.delete(layout.announced_alert(message_id(alert, OPENED)))
    return queued


def not_announced(store: Store, report: AlertReport, today: str) -> str | None:
    """Return why no message about the alerts of a date is queued; None if they are.

    Only the newest date is announced, and only if it is at most `MAX_AGE_DAYS` before today: backfills announce nothing.
    """
    newest = max(dates_with_evidence(store), default=report.date)
    if report.date < newest:
        return f"the alerts of {report.date} are not sent, because {newest} is newer"
    if report.date < shift(today, -MAX_AGE_DAYS):
        return f"the alerts of {report.date} are not sent, because it is more than {MAX_AGE_DAYS} days before today, {today}"
    return None


def _queue(store: Store, outgoing: Outgoing) -> bool:
    """Queue a message unless it was queued before, and return whether it was queued now; one that is damaged is replaced."""
    path, content = layout.pending_message(outgoing.message.id), msgspec.json.encode(outgoing)
    if _is_known(store, outgoing.message.id):
        return False
    if not store.create(path, content):
        store.put(path, content)
    return True


def _ended(store: Store, report: AlertReport) -> Iterator[Alert]:
    """Yield the alerts that were announced as opened and are not open any more, as resolved."""
    still_open = {message_id(alert, OPENED) for alert in report.open}
    for path in store.list(layout.announced_alerts()):
        alert = _decode(store.find(path), Alert)
        if alert is None or not _is_known(store, message_id(alert, OPENED)):  # damaged, or its writer was killed before the message
            store.delete(path)
        elif message_id(alert, OPENED) not in still_open:
            yield msgspec.structs.replace(alert, status=RESOLVED, not_evaluated=None)


def pending(store: Store) -> tuple[Outgoing, ...]:
    """Return the messages that a receiver has not accepted, in the order in which they were queued; damaged ones are left out."""
    found = (_decode(store.find(path), Outgoing) for path in store.list(layout.pending_messages()))
    return tuple(sorted((outgoing for outgoing in found if outgoing), key=lambda one: (one.queued_at, one.number, one.message.id)))


def wait_of(store: Store, receiver: str) -> Wait | None:
    """Return since when a receiver is not available; None if it is."""
    return _decode(store.find(layout.receiver_state(receiver)), Wait)


@dataclass(frozen=True)
class Outbox:
    """The outbox as its only sender sees it; `guard` verifies that it is the only one before each change."""

    store: Store
    guard: Guard

    def wait(self, receiver: str, until: Wait) -> None:
        """Note that a receiver is not available."""
        self.store.put(layout.receiver_state(receiver), msgspec.json.encode(until), self.guard)

    def available(self, receiver: str) -> None:
        """Note that a receiver is available."""
        if self.store.size(layout.receiver_state(receiver)) is not None:
            self.store.delete(layout.receiver_state(receiver))

    def accept(self, batch: Iterable[Outgoing], receiver: str, at: str) -> None:
        """Note that a receiver has accepted messages."""
        self._change(
            batch, lambda one: msgspec.structs.replace(one, accepted=one.accepted | {receiver: at}, refused=_without(one, receiver))
        )

    def refuse(self, batch: Iterable[Outgoing], receiver: str, reason: str, retry_at: str) -> None:
        """Note that a receiver has refused messages."""

        def refused(one: Outgoing) -> Outgoing:
            times = one.refused[receiver].times + 1 if receiver in one.refused else 1
            return msgspec.structs.replace(one, refused=one.refused | {receiver: Refusal(reason, times, retry_at)})

        self._change(batch, refused)

    def forget_waits(self, receivers: Iterable[str]) -> None:
        """Let receivers and the messages that they refused be due at once."""
        for receiver in receivers:
            self.available(receiver)
            refused = [one for one in pending(self.store) if receiver in one.refused]
            self._change(refused, partial(_due, receiver=receiver))

    def settle(self, receivers: Iterable[str]) -> None:
        """Move the messages that all receivers have accepted to the delivered ones; remove what a killed sender had moved already."""
        names = {*receivers}
        for one in pending(self.store):
            key = one.message.id
            if self.store.size(layout.delivered_message(key)) is None:
                if not names <= one.accepted.keys():
                    continue
                self.store.put(layout.delivered_message(key), msgspec.json.encode(one), self.guard)
            self.store.delete(layout.pending_message(key))

    def _change(self, batch: Iterable[Outgoing], change: Callable[[Outgoing], Outgoing]) -> None:
        for one in batch:
            path = layout.pending_message(one.message.id)
            newest = _decode(self.store.find(path), Outgoing) or one
            self.store.put(path, msgspec.json.encode(change(newest)), self.guard)


def _due(one: Outgoing, receiver: str) -> Outgoing:
    """Return a message whose refusal by a receiver is over; how often it was refused stays."""
    refusal = msgspec.structs.replace(one.refused[receiver], retry_at="")
    return msgspec.structs.replace(one, refused=one.refused | {receiver: refusal})


def _without(one: Outgoing, receiver: str) -> dict[str, Refusal]:
    return {name: refusal for name, refusal in one.refused.items() if name != receiver}


def _is_known(store: Store, key: str) -> bool:
    """Return whether a message was queued; one that is damaged before it was delivered has to be queued again."""
    if store.size(layout.delivered_message(key)) is not None:
        return True
    return _decode(store.find(layout.pending_message(key)), Outgoing) is not None


def _decode(content: bytes | None, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
