"""Tests of named tokens and of the Authorization header."""

import asyncio
import hmac
import time

import pytest

from risk_serving.auth import bearer
from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Caller
from risk_serving.settings import OPERATE, SCORE, ServingSettings
from tests.serving.auth.conftest import NEW, OLD, admit, bearing, denied, request, sha256


@pytest.fixture
def named() -> Access:
    entries = (f"batch:score:{sha256(OLD)}", f" batch:score+operate:{sha256(NEW).upper()}", f"ops:operate:{sha256('third')}")
    return Access(ServingSettings(serve_tokens=",".join(entries)))


def test_each_named_token_has_its_own_roles(named: Access) -> None:
    assert not named.localhost_only
    assert admit(named, bearing(OLD)) == Caller("batch", frozenset({"score"}))
    assert admit(named, bearing(NEW)) == Caller("batch", frozenset({"score", "operate"}))
    assert admit(named, bearing("third"), OPERATE) == Caller("ops", frozenset({"operate"}))


def test_named_token_without_role_is_forbidden(named: Access) -> None:
    error = denied(named, bearing(OLD), OPERATE)
    assert (error.status, error.challenge) == (403, None)
    assert "operate" in error.detail


@pytest.mark.parametrize("token", ["wrong", OLD[:-1], OLD + "x", OLD.lower(), sha256(OLD), "batch", f"batch:score:{sha256(OLD)}", "a.b.c"])
def test_unknown_token_is_unauthorized_and_not_shown(named: Access, token: str) -> None:
    error = denied(named, bearing(token))
    assert error.status == 401
    assert error.challenge is not None
    assert error.challenge.startswith("Bearer ")
    assert token not in error.detail + error.challenge + str(error)


def test_all_unknown_tokens_get_the_same_detail(named: Access) -> None:
    assert len({denied(named, bearing(token)).detail for token in ("wrong", OLD[:-1], sha256(OLD), "a.b.c")}) == 1


@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Bearer ", OLD.encode(), b"Basic " + OLD.encode(), b"Bearer " + OLD.encode() + b" x", b"Bearer\t" + OLD.encode(),
     b"Bearer " + OLD.encode() + b"\n", b"Bearer \xff\xfe", b"Bearer " + b"a" * 60_000],
)  # fmt: skip
def test_malformed_authorization_header_is_unauthorized(named: Access, value: bytes) -> None:
    error = denied(named, request([(b"authorization", value)]))
    assert error.status == 401
    assert error.challenge == 'Bearer realm="risk-serving", error="invalid_request"'


def test_missing_or_repeated_header_is_unauthorized(named: Access) -> None:
    assert denied(named, request([])).challenge == 'Bearer realm="risk-serving"'
    twice = [(b"authorization", f"Bearer {token}".encode()) for token in (OLD, OLD)]
    assert denied(named, request(twice)).status == 401


def test_bearer_scheme_is_case_insensitive(named: Access) -> None:
    assert admit(named, request([(b"authorization", f"bEARER  {OLD}".encode())])).name == "batch"


def test_every_digest_is_compared_after_a_match(named: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(bearer, "hmac", type("counting", (), {"compare_digest": staticmethod(counting)}))
    admit(named, bearing(OLD))
    assert len(compared) == 3


def test_named_token_is_checked_in_microseconds(named: Access) -> None:
    scope = bearing(OLD)

    async def seconds_each() -> float:
        started = time.perf_counter()
        for _ in range(100):
            await named.admit(scope, SCORE)
        return (time.perf_counter() - started) / 100

    assert min(asyncio.run(seconds_each()) for _ in range(20)) < 50e-6
