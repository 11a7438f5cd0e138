"""A webhook: one POST for each message, with its id, the time, and a signature of time and body."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from risk_assets.alerts.messages import Message
from risk_assets.alerts.receivers import WEBHOOK, Accepted, Answer, Refused, Unavailable

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "Risk-Alert-Id", "Risk-Alert-Timestamp", "Risk-Alert-Signature"
TIMEOUT_SECONDS = 5.0  # for each of: connect, send, wait for the response
_MAY_SUCCEED_LATER = (408, 429)  # of 4xx


@dataclass(frozen=True)
class Webhook:
    """An address that takes messages by POST. Requests follow the proxy of the environment, and no redirects."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout: float = TIMEOUT_SECONDS
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
        try:
            with httpx.Client(timeout=self.timeout) as client, client.stream("POST", self.url, content=body, headers=headers) as response:
                return _answer(response.status_code, response.headers.get("Retry-After"))
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # their texts contain the address, which can be a secret
            return Unavailable(f"no response ({type(error).__name__})")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a request: HMAC-SHA256 of the timestamp, a full stop, and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


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
