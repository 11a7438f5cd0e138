"""A webhook: one POST for each message, with its id, the time, and a signature of time and body."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from risk_assets.alerts.deadline import Deadline
from risk_assets.alerts.messages import Message
from risk_assets.alerts.receivers import WEBHOOK, Accepted, Answer, Refused, Unavailable

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "Risk-Alert-Id", "Risk-Alert-Timestamp", "Risk-Alert-Signature"
TIMEOUT_SECONDS = 5.0  # for each step: the connection, a write, a read
LONGEST_SECONDS = 10.0  # for the whole request
_MAY_SUCCEED_LATER = (408, 429)  # of 4xx


@dataclass(frozen=True)
class Webhook:
    """An address that takes messages by POST. Requests follow the proxy of the environment, and no redirects."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout: float = TIMEOUT_SECONDS
    longest: float = LONGEST_SECONDS
    name: str = WEBHOOK
    batch: int = 1

    def send(self, messages: Sequence[Message]) -> Answer:
        """Post a message. Only the status of the response is read, and `Retry-After`."""
        (message,) = messages
        body, timestamp = msgspec.json.encode(message), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: message.id,
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: signature(self.secret, timestamp, body),
        }
        deadline = Deadline(self.longest)
        try:
            with deadline, httpx.Client(timeout=self.timeout) as client:
                return _post(client, self.url, body, headers, deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # their texts contain the address, which can be a secret
            return Unavailable(deadline.reason if deadline.is_over else f"no response ({type(error).__name__})")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a request: HMAC-SHA256 of the timestamp, a full stop, and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
    with client.stream("POST", url, content=body, headers=headers, extensions={"trace": _watching(deadline)}) as response:
        return _answer(response.status_code, response.headers.get("Retry-After"))


def _watching(deadline: Deadline) -> Callable[[str, Mapping[str, Any]], None]:
    """Return a trace of httpcore that lets the deadline watch each connection before anything is sent on it."""

    def trace(event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            deadline.watch(details["return_value"].get_extra_info("socket"))

    return trace


def _answer(status: int, retry_after: str | None) -> Answer:
    if 200 <= status < 300:
        return Accepted()
    if status >= 500 or status in _MAY_SUCCEED_LATER:
        return Unavailable(f"status {status}", _seconds(retry_after))
    return Refused(f"status {status}")


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a header `Retry-After`, which has seconds or a date; None if it has neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
