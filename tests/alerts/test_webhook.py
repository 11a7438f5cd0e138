"""The webhook: what is posted, its signature, and what an answer means."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from risk_assets.alerts.messages import Message, message
from risk_assets.alerts.receivers import Accepted, Refused, Unavailable
from risk_assets.alerts.webhook import Webhook
from tests.alerts.conftest import DATE, SECRET, report, webhook
from tests.alerts.dripping_receiver import dripping_receiver
from tests.alerts.http_receiver import RESET, STALL, HttpReceiver
from tests.conftest import ROOT


@pytest.fixture
def opened() -> Message:
    return message(report("income").alerts[0], DATE, "file:///lake")


def test_a_message_is_posted_and_signed(hook: HttpReceiver, opened: Message) -> None:
    assert webhook(hook).send([opened]) == Accepted()
    (request,) = hook.requests
    assert request.message == {
        "id": opened.id,
        "lake": "file:///lake",
        "date": DATE,
        "cause": "drift:income",
        "kind": "drift",
        "subject": "income",
        "status": "opened",
        "since": DATE,
        "evidence": "income: PSI 0.3",
        "figures": [],
        "next_step": "Look at it: risk monitor 2026-01-07.",
        "text": "drift:income opened, since 2026-01-07: income: PSI 0.3. Look at it: risk monitor 2026-01-07.",
    }
    timestamp = request.headers["Risk-Alert-Timestamp"]
    assert abs(datetime.now(UTC).timestamp() - int(timestamp)) < 60
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["Risk-Alert-Signature"] == f"sha256={expected}"
    assert (request.headers["Risk-Alert-Id"], request.headers["Content-Type"]) == (opened.id, "application/json")


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_accepts(hook: HttpReceiver, opened: Message, status: int) -> None:
    hook.status = status
    assert webhook(hook).send([opened]) == Accepted()


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 422])
def test_other_answers_refuse(hook: HttpReceiver, opened: Message, status: int) -> None:
    hook.status, hook.headers = status, {"Location": hook.url}
    assert webhook(hook).send([opened]) == Refused(f"status {status}")
    assert len(hook.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_some_statuses_may_succeed_later(hook: HttpReceiver, opened: Message, status: int) -> None:
    hook.status = status
    assert webhook(hook).send([opened]) == Unavailable(f"status {status}")


@pytest.mark.parametrize(("header", "seconds"), [("120", 120.0), ("soon", None), ("-1", None)])
def test_retry_after_in_seconds(hook: HttpReceiver, opened: Message, header: str, seconds: float | None) -> None:
    hook.status, hook.headers = 429, {"Retry-After": header}
    assert webhook(hook).send([opened]) == Unavailable("status 429", seconds)


def test_retry_after_as_a_date(hook: HttpReceiver, opened: Message) -> None:
    hook.status, hook.headers = 503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}
    answer = webhook(hook).send([opened])
    assert isinstance(answer, Unavailable) and answer.seconds == pytest.approx(3600, abs=60)


def test_a_receiver_that_stalls_resets_or_is_not_there(hook: HttpReceiver, opened: Message) -> None:
    hook.answers = [STALL, RESET]
    assert webhook(hook, timeout=0.2).send([opened]) == Unavailable("no response (ReadTimeout)")
    assert webhook(hook).send([opened]) == Unavailable("no response (RemoteProtocolError)")
    assert Webhook("http://127.0.0.1:9/alerts", SECRET).send([opened]) == Unavailable("no response (ConnectError)")


@pytest.mark.parametrize(
    ("scheme", "start"),
    [
        ("http", b"HTTP/1.1 204 No Content\r\nX-Long: a"),
        ("http", b"H"),
        ("https", b"\x16\x03\x03\x40\x00"),  # the head of a record of TLS
    ],
)
def test_a_response_that_drips_is_ended(opened: Message, scheme: str, start: bytes) -> None:
    with dripping_receiver(start) as server:
        hook = Webhook(f"{scheme}://127.0.0.1:{server.port}/alerts", SECRET, timeout=60, longest=0.3)
        assert hook.send([opened]) == Unavailable("no complete response within 0.3 s")
        assert not server.was_waited_for.is_set()


def test_a_proxy_that_drips_is_ended(opened: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping_receiver(b"HTTP/1.1 200 OK\r\nX-Long: a") as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        hook = Webhook("https://hooks.test/alerts", SECRET, timeout=60, longest=0.3)
        assert hook.send([opened]) == Unavailable("no complete response within 0.3 s")
        assert not server.was_waited_for.is_set()


def test_address_and_secret_are_not_shown() -> None:
    shown = repr(Webhook("https://hooks.test/T0KEN", SECRET))
    assert "T0KEN" not in shown and SECRET not in shown


def test_the_readme_verifies_a_request(hook: HttpReceiver, opened: Message) -> None:
    readme = (ROOT / "risk_assets/README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(import hashlib\n.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)
    assert webhook(hook).send([opened]) == Accepted()
    (request,) = hook.requests
    headers = dict(request.headers)
    assert found["is_genuine"](SECRET, headers, request.body)
    assert not found["is_genuine"]("another secret", headers, request.body)
    assert not found["is_genuine"](SECRET, headers, request.body + b" ")
    assert not found["is_genuine"](SECRET, headers | {"Risk-Alert-Timestamp": "1"}, request.body)
    (shown,) = re.findall(r"^```json\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert msgspec.json.decode(shown).keys() == request.message.keys()
