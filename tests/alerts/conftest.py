"""Receivers on 127.0.0.1, and reports of alerts."""

from collections.abc import Iterator

import pytest

from risk_assets.alerts.outbox import announce
from risk_assets.alerts.webhook import Webhook
from risk_assets.domain.monitoring.alerts import AlertReport, Cause, evaluate
from risk_assets.lake.store import Store
from tests.alerts.http_receiver import HttpReceiver, http_receiver
from tests.alerts.smtp_receiver import SmtpReceiver, smtp_receiver

DATE = "2026-01-07"
SECRET = "a long random text"


def cause(subject: str) -> Cause:
    return Cause("drift", subject, f"{subject}: PSI 0.3", "Look at it: risk monitor 2026-01-07.")


def report(*subjects: str, date: str = DATE, earlier: AlertReport | None = None) -> AlertReport:
    """Return a report whose causes are drift of these subjects."""
    return evaluate(date, earlier, map(cause, subjects))


def queue(store: Store, *subjects: str) -> AlertReport:
    """Queue a message for each of these subjects."""
    found = report(*subjects)
    assert announce(store, found, DATE) == len(subjects)
    return found


def webhook(receiver: HttpReceiver, timeout: float = 5.0) -> Webhook:
    return Webhook(receiver.url, SECRET, timeout)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send requests to 127.0.0.1 directly, whatever the proxy of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail_server() -> Iterator[SmtpReceiver]:
    with smtp_receiver() as receiver:
        yield receiver
