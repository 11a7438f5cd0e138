"""Tests of the limits of each caller: 429 with Retry-After, for the caller alone, in bounded memory."""

import pytest
from starlette.types import Scope

from risk_assets.lake.store import Store
from risk_serving.http import caller_limits
from risk_serving.http.caller_limits import MAX_CALLERS, CallerLimits
from risk_serving.http.problems import Problem
from tests.serving.conftest import Service, serving, token_entry


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(caller_limits, "monotonic", made)
    return made


def admitted(limits: CallerLimits, name: str, times: int) -> int:
    """Return how many of some requests are admitted."""
    count = 0
    for _ in range(times):
        try:
            limits.admit_name(name)
        except Problem as problem:
            assert problem.status == 429
        else:
            count += 1
    return count


def test_burst_is_admitted_and_then_the_rate(clock: Clock) -> None:
    limits = CallerLimits(2.0, 5)
    assert admitted(limits, "shop", 20) == 5
    assert admitted(limits, "bank", 20) == 5
    clock.now += 1.5
    assert admitted(limits, "shop", 20) == 3
    clock.now += 1000
    assert admitted(limits, "shop", 20) == 5


def test_retry_after_is_when_the_next_request_is_admitted(clock: Clock) -> None:
    limits = CallerLimits(0.25, 1)
    limits.admit_name("shop")
    clock.now += 0.5
    with pytest.raises(Problem) as caught:
        limits.admit_name("shop")
    assert caught.value.headers == ((b"retry-after", b"4"),)
    clock.now += 4
    limits.admit_name("shop")


def scope(address: str | None) -> Scope:
    return {"type": "http", "client": (address, 5) if address else None}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.10", False),
        ("testclient", "testclient", True),
        (None, None, True),
    ],
)
def test_unknown_callers_are_limited_by_address(clock: Clock, first: str | None, second: str | None, same: bool) -> None:
    limits = CallerLimits(0.1, 1)
    limits.admit_address(scope(first))
    limits.admit_name(first or "")
    if same:
        with pytest.raises(Problem, match=r"0\.1 requests per second"):
            limits.admit_address(scope(second))
    else:
        limits.admit_address(scope(second))


def test_memory_of_callers_is_bounded(clock: Clock) -> None:
    limits = CallerLimits(0.1, 1)
    for number in range(MAX_CALLERS + 10):
        limits.admit_name(f"caller {number}")
    assert len(limits._buckets) == MAX_CALLERS
    assert admitted(limits, f"caller {MAX_CALLERS + 9}", 1) == 0
    assert admitted(limits, "caller 0", 1) == 1


def test_service_limits_each_caller(lake: Store, records: list[dict[str, object]]) -> None:
    tokens = ",".join(
        (token_entry("shop", "shop-1", "score"), token_entry("bank", "bank-1", "score"), token_entry("ops", "ops-1", "operate"))
    )
    variables = {"RISK_SERVE_TOKENS": tokens, "RISK_SERVE_CALLER_RATE": "0.001", "RISK_SERVE_CALLER_BURST": "3"}
    with serving(lake, **variables) as limited:
        shop = [limited.predict(records[:1], Authorization="Bearer shop-1") for _ in range(4)]
        assert [answer.status_code for answer in shop] == [200] * 3 + [429]
        assert shop[-1].json()["type"] == "urn:risk-serving:too-many-requests"
        assert int(shop[-1].headers["retry-after"]) > 900
        assert limited.predict(records[:1], Authorization="Bearer bank-1").status_code == 200
        assert statuses(limited, "/docs", "Bearer wrong", 2) + statuses(limited, "/model", "Bearer wrong", 2) == [200, 200, 401, 429]
        assert statuses(limited, "/openapi.json", "", 1) == [429]
        assert statuses(limited, "/model", "Bearer ops-1", 1) == [200]
        assert statuses(limited, "/health/ready", "", 10) == [200] * 10


def statuses(service: Service, path: str, token: str, times: int) -> list[int]:
    return [service.client.get(path, headers={"Authorization": token}).status_code for _ in range(times)]
