"""The messages about alerts: one when an alert is opened, one when it is resolved."""

import msgspec

from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED, Alert, Figure, Status
from risk_assets.lake.hashing import sha256

ID_DIGITS = 32


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What receivers get about an alert.

    Attributes
    ----------
    id
        The hash of cause, first date and status: a message that is sent again has the same id.
    lake
        The address of the lake.
    date
        The date of the alerts from which it was made.
    status
        `opened` or `resolved`.
    since
        The first date of the cause.
    text
        All of it in words.
    """

    id: str
    lake: str
    date: str
    cause: str
    kind: str
    subject: str
    status: Status
    since: str
    evidence: str
    figures: tuple[Figure, ...]
    next_step: str
    text: str


def message_id(alert: Alert, status: Status) -> str:
    """Return the id of the message that an alert was opened or resolved."""
    return sha256(msgspec.json.encode((alert.cause, alert.since, alert.reopened, status)))[:ID_DIGITS]


def test_message(lake: str, date: str, key: str) -> Message:
    """Return a message that shows whether a receiver gets messages."""
    evidence = "this is a test of the delivery"
    return Message(
        id=key,
        lake=lake,
        date=date,
        cause="test:delivery",
        kind="test",
        subject="delivery",
        status=OPENED,
        since=date,
        evidence=evidence,
        figures=(),
        next_step="",
        text=f"test:delivery: {evidence}. Nothing has to be done.",
    )


def message(alert: Alert, date: str, lake: str) -> Message:
    """Return the message about an alert: resolved, or opened, also if it is repeated and its opening was not announced."""
    status: Status = OPENED if alert.is_open else RESOLVED
    step = alert.next_step if alert.is_open else ""
    found = f"{alert.cause} {status}, since {alert.since}: {alert.evidence.rstrip('.')}."
    return Message(
        id=message_id(alert, status),
        lake=lake,
        date=date,
        cause=alert.cause,
        kind=alert.kind,
        subject=alert.subject,
        status=status,
        since=alert.since,
        evidence=alert.evidence,
        figures=alert.figures,
        next_step=step,
        text=f"{found} {step}".rstrip(),
    )
