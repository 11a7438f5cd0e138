"""Sends the messages of the outbox: in order, at least once, by one sender at a time."""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from risk_assets.alerts.messages import Message, test_message
from risk_assets.alerts.outbox import Outbox, Outgoing, Wait, pending, wait_of
from risk_assets.alerts.receivers import Receiver, Refused, Unavailable
from risk_assets.lake import layout
from risk_assets.lake.leases import TTL_SECONDS, Leases
from risk_assets.lake.store import Store

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 30.0, 3600.0  # between attempts of a receiver that is not available
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0  # a receiver that asks for more is tried earlier
REFUSED_WAIT_SECONDS = 6 * 3600.0  # between attempts of a message that a receiver refuses
LEASE_WAIT_SECONDS = TTL_SECONDS + 5  # in which a sender on another host that was killed is recognized
Now = Callable[[], datetime]


def utc() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Delivery:
    """What a receiver did.

    Attributes
    ----------
    accepted, refused, waiting
        The messages that it accepted, those that it refused, and those that it was not or could not be sent.
    reason
        Why messages were refused or wait; None if there are none.
    """

    receiver: str
    accepted: tuple[Message, ...] = ()
    refused: tuple[Message, ...] = ()
    waiting: tuple[Message, ...] = ()
    reason: str | None = None

    def __str__(self) -> str:
        """The numbers of messages, and why any were refused or wait."""
        counts = f"{self.receiver}: {len(self.accepted)} accepted, {len(self.refused)} refused, {len(self.waiting)} waiting"
        return f"{counts} ({self.reason})" if self.reason else counts


@dataclass
class _Progress:
    """The messages of a receiver in an attempt: to be sent, accepted, refused; and why any were refused or wait."""

    left: list[Outgoing]
    refused: list[Outgoing]
    accepted: list[Outgoing] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Attempt:
    """An attempt to send what is pending: until an instant of the monotonic clock no further batch is begun."""

    box: Outbox
    now: Now
    until: float

    def deliver(self, receiver: Receiver) -> Delivery:
        """Send the messages that are due, in order, until the receiver is not available."""
        messages, wait = _not_accepted(self.box.store, receiver), wait_of(self.box.store, receiver.name)
        if wait and wait.retry_at > self._at():
            return _waiting(receiver, messages, wait)
        done = self._begin(receiver, messages)
        while done.left and time.monotonic() < self.until and self._send_batch(receiver, done):
            pass
        reason = "; ".join(dict.fromkeys(done.reasons)) or ("the time for one delivery is over" if done.left else None)
        return Delivery(receiver.name, _messages(done.accepted), _messages(done.refused), _messages(done.left), reason)

    def _begin(self, receiver: Receiver, messages: Sequence[Outgoing]) -> _Progress:
        """Return what is to be sent, without what the receiver has refused and is not due yet."""
        at = self._at()
        refused = [one for one in messages if receiver.name in one.refused and one.refused[receiver.name].retry_at > at]
        reasons = [one.refused[receiver.name].reason for one in refused]
        return _Progress([one for one in messages if one not in refused], refused, reasons=reasons)

    def _send_batch(self, receiver: Receiver, done: _Progress) -> bool:
        """Send the next messages and note the answer; return whether the receiver is available."""
        batch = done.left[: receiver.batch]
        answer = receiver.send(_messages(batch))
        if isinstance(answer, Unavailable):
            done.reasons.append(_wait_text(self._unavailable(receiver.name, answer)))
            return False
        self.box.available(receiver.name)
        if isinstance(answer, Refused):
            self.box.refuse(batch, receiver.name, answer.reason, self._at(REFUSED_WAIT_SECONDS))
            done.refused += batch
            done.reasons.append(answer.reason)
        else:
            self.box.accept(batch, receiver.name, self._at())
            done.accepted += batch
        del done.left[: len(batch)]
        return True

    def _unavailable(self, receiver: str, answer: Unavailable) -> Wait:
        """Note when a receiver is tried again: when it says so, or after a time that doubles with each attempt, with jitter."""
        before = wait_of(self.box.store, receiver)
        failures = before.failures + 1 if before else 1
        longest = min(FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 20), LONGEST_WAIT_SECONDS)
        seconds = longest * random.uniform(0.5, 1)  # noqa: S311 - spreads attempts, protects nothing
        if answer.seconds is not None:
            seconds = min(answer.seconds, LONGEST_RETRY_AFTER_SECONDS)
        until = Wait(failures, answer.reason, self._at(seconds))
        self.box.wait(receiver, until)
        return until

    def _at(self, seconds: float = 0.0) -> str:
        return (self.now() + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def deliver_due(store: Store, receivers: Sequence[Receiver], seconds: float, now: Now = utc) -> tuple[Delivery, ...]:
    """Send what is pending to each receiver that is due, and return what each did. Without messages, writes nothing.

    Parameters
    ----------
    seconds
        After this time no further message is begun.
    now
        Returns the present time in UTC.

    Raises
    ------
    LakeError
        If another sender is at work, or storage cannot be reached. What was noted until then is kept.
    """
    return _deliver(store, receivers, seconds, now, ())


def deliver_all(store: Store, receivers: Sequence[Receiver], seconds: float, now: Now = utc) -> tuple[Delivery, ...]:
    """Do the same as `deliver_due`, also for receivers and messages that are not due."""
    return _deliver(store, receivers, seconds, now, [receiver.name for receiver in receivers])


def deliver_test(lake: str, date: str, receivers: Sequence[Receiver]) -> tuple[Delivery, ...]:
    """Send a test message to each receiver at once, not through the outbox, and return what each did."""
    message = test_message(lake, date, uuid.uuid4().hex)
    return tuple(_tested(receiver, message) for receiver in receivers)


def _tested(receiver: Receiver, message: Message) -> Delivery:
    answer = receiver.send((message,))
    if isinstance(answer, Unavailable):
        return Delivery(receiver.name, waiting=(message,), reason=f"{answer.reason}; a test message is not sent again")
    if isinstance(answer, Refused):
        return Delivery(receiver.name, refused=(message,), reason=answer.reason)
    return Delivery(receiver.name, accepted=(message,))


def _deliver(store: Store, receivers: Sequence[Receiver], seconds: float, now: Now, due_now: Sequence[str]) -> tuple[Delivery, ...]:
    if not receivers or not pending(store):
        return ()
    waits = {receiver: wait_of(store, receiver.name) for receiver in receivers}
    at = now().isoformat(timespec="seconds")
    if not due_now and all(wait and wait.retry_at > at for wait in waits.values()):
        return tuple(_waiting(receiver, _not_accepted(store, receiver), wait) for receiver, wait in waits.items() if wait)
    until, sender = time.monotonic() + seconds, uuid.uuid4().hex
    leases = Leases(lambda: store, LEASE_WAIT_SECONDS)
    leases.take(layout.OUTBOX, sender, sender)
    try:
        box = Outbox(store, partial(leases.guard, layout.OUTBOX))
        box.settle(receiver.name for receiver in receivers)
        box.forget_waits(due_now)
        attempt = _Attempt(box, now, until)
        found = tuple(attempt.deliver(receiver) for receiver in receivers)
        box.settle(receiver.name for receiver in receivers)
    finally:
        leases.release()
    return found


def _not_accepted(store: Store, receiver: Receiver) -> list[Outgoing]:
    return [one for one in pending(store) if receiver.name not in one.accepted]


def _waiting(receiver: Receiver, due: Sequence[Outgoing], wait: Wait) -> Delivery:
    return Delivery(receiver.name, waiting=_messages(due), reason=_wait_text(wait))


def _wait_text(wait: Wait) -> str:
    return f"{wait.reason}, tried again at {wait.retry_at}"


def _messages(outgoing: Sequence[Outgoing]) -> tuple[Message, ...]:
    return tuple(one.message for one in outgoing)
