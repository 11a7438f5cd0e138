"""Tests of Entra ID tokens: which are accepted, and when the issuer's keys are fetched."""

import asyncio
import base64
import hmac
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from risk_serving.auth import entra as entra_tokens
from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Caller, Denied
from risk_serving.settings import OPERATE, SCORE
from tests.serving.auth.conftest import admit, bearing, denied
from tests.serving.auth.issuer import AUDIENCE, ISSUER, TENANT, Issuer, Keys, claims, entra_settings, signed


@pytest.fixture
def entra(issuer: Issuer) -> Access:
    return Access(entra_settings(issuer))


def test_token_of_the_issuer_is_accepted(entra: Access, keys: Keys, issuer: Issuer) -> None:
    assert not entra.localhost_only
    assert admit(entra, bearing(signed(keys[0]))) == Caller("app-1", frozenset({"score"}))
    assert admit(entra, bearing(signed(keys[0], roles=["operate", "score", "label", "other"])), OPERATE).roles == {
        "score",
        "operate",
        "label",
    }
    assert admit(entra, bearing(signed(keys[0], aud=["x", AUDIENCE]))).name == "app-1"
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"azp": None, "appid": "app-0", "oid": "o"}, "app-0"),
        ({"azp": "app-2", "appid": "app-0"}, "app-2"),
        ({"azp": 7, "appid": "app-0"}, "app-0"),
    ],
)
def test_caller_name_is_the_application_of_the_token(entra: Access, keys: Keys, other: dict[str, Any], name: str) -> None:
    assert admit(entra, bearing(signed(keys[0], **other))).name == name


@pytest.mark.parametrize("other", [{"azp": None}, {"azp": ""}, {"nonce": "n"}, {"at_hash": "h"}, {"c_hash": "h"}])
def test_id_token_is_unauthorized(entra: Access, keys: Keys, other: dict[str, Any]) -> None:
    error = denied(entra, bearing(signed(keys[0], **other)))
    assert error.status == 401
    assert "not an access token" in error.detail


NOW = int(time.time())


@pytest.mark.parametrize(
    "other",
    [
        {"exp": NOW - 60},
        {"exp": None},
        {"exp": "soon"},
        {"exp": [1]},
        {"iat": None},
        {"iat": NOW + 1_000_000},
        {"nbf": NOW + 1_000_000},
        {"aud": "api://other"},
        {"aud": None},
        {"aud": 7},
        {"iss": ISSUER.replace(TENANT, "other")},
        {"iss": None},
        {"sub": 7},
    ],
)
def test_signed_token_with_other_claims_is_unauthorized(entra: Access, keys: Keys, other: dict[str, Any]) -> None:
    header = {"kid": "k1"}
    payload = json.dumps(claims(**other)).encode()
    token = jwt.api_jws.PyJWS().encode(payload, keys[0], "RS256", headers=header)
    assert denied(entra, bearing(token)).status == 401


def test_clocks_may_differ_by_thirty_seconds(entra: Access, keys: Keys) -> None:
    now = int(time.time())
    assert admit(entra, bearing(signed(keys[0], exp=now - 20))).name == "app-1"
    assert admit(entra, bearing(signed(keys[0], nbf=now + 20, iat=now + 20))).name == "app-1"


@pytest.mark.parametrize("roles", [None, [], ["other"], "score", [["score"]], {"score": 1}, ["operate"]])
def test_token_without_app_role_is_forbidden(entra: Access, keys: Keys, roles: object) -> None:
    assert denied(entra, bearing(signed(keys[0], roles=roles))).status == 403


def test_token_with_foreign_signature_is_unauthorized(entra: Access, keys: Keys) -> None:
    assert denied(entra, bearing(signed(keys[2]))).status == 401
    head, body, _ = signed(keys[0]).split(".")
    other = signed(keys[0], roles=["score", "operate"]).split(".")
    assert denied(entra, bearing(f"{head}.{other[1]}.{signed(keys[0]).split('.')[2]}")).status == 401
    assert denied(entra, bearing(f"{head}.{body}.")).status == 401


def part(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS512", "PS256", "", None, 7, ["RS256"]])
def test_token_with_forged_algorithm_is_unauthorized(entra: Access, keys: Keys, issuer: Issuer, algorithm: object) -> None:
    """The classic attack is `HS256` with the public key as the secret."""
    public = keys[0].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"{part({'alg': algorithm, 'kid': 'k1', 'typ': 'JWT'})}.{part(claims())}"
    forged = part(hmac.digest(public, text.encode(), "sha256"))
    for token in (f"{text}.", f"{text}.{forged}"):
        assert denied(entra, bearing(token)).status == 401
    assert issuer.fetches == 0


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_issuers_key_with_other_algorithm_is_unauthorized(entra: Access, keys: Keys, algorithm: str) -> None:
    assert denied(entra, bearing(signed(keys[0], algorithm=algorithm))).status == 401


@pytest.mark.parametrize(
    "token",
    [
        "x", "a.b", "a.b.c", "....", f"{part([1])}.{part({})}.x", f"{part(b'[' * 9000)}.{part({})}.x", f"{part(b'{')}.{part({})}.x",
        f"{part({'alg': 'RS256'})}.{part({})}.x", f"{part({'alg': 'RS256', 'kid': 7})}.{part({})}.x",
        f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part([])}.x", f"{part({'alg': 'RS256', 'kid': 'k1', 'crit': ['b64'], 'b64': False})}..x",
    ],
)  # fmt: skip
def test_malformed_token_is_unauthorized(entra: Access, token: str) -> None:
    error = denied(entra, bearing(token))
    assert (error.status, error.challenge) == (401, 'Bearer realm="risk-serving", error="invalid_token"')


def test_new_key_is_fetched_when_a_token_names_it(entra: Access, keys: Keys, issuer: Issuer) -> None:
    admit(entra, bearing(signed(keys[0])))
    issuer.keys.clear()
    issuer.publish("k2", keys[1])
    assert admit(entra, bearing(signed(keys[1], "k2"))).name == "app-1"
    assert denied(entra, bearing(signed(keys[0]))).status == 401
    assert issuer.fetches == 2


def test_many_unknown_keys_cause_one_fetch(entra: Access, keys: Keys, issuer: Issuer) -> None:
    good, wrong = bearing(signed(keys[0])), [bearing(signed(keys[2], f"random-{number}")) for number in range(200)]

    async def send_all() -> list[object]:
        await entra.admit(good, SCORE)
        return await asyncio.gather(*(entra.admit(scope, SCORE) for scope in [*wrong, good]), return_exceptions=True)

    *errors, last = asyncio.run(send_all())
    assert last == Caller("app-1", frozenset({"score"}))
    assert all(isinstance(one, Denied) and one.status == 401 for one in errors)
    assert issuer.fetches == 2


def test_concurrent_requests_share_one_fetch(entra: Access, keys: Keys, issuer: Issuer) -> None:
    scope = bearing(signed(keys[0]))

    async def together() -> list[Caller]:
        return await asyncio.gather(*(entra.admit(scope, SCORE) for _ in range(50)))

    assert len(asyncio.run(together())) == 50
    assert issuer.fetches == 1


def test_request_succeeds_after_a_cancelled_fetch(entra: Access, keys: Keys, issuer: Issuer) -> None:
    scope, reached, go_on = bearing(signed(keys[0])), threading.Event(), threading.Event()

    def slow() -> bytes:
        reached.set()
        go_on.wait(5)
        return json.dumps({"keys": issuer.keys}).encode()

    async def cancelled_then_again() -> Caller:
        issuer.answer = slow
        first = asyncio.create_task(entra.admit(scope, SCORE))
        await asyncio.to_thread(reached.wait, 5)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        return await entra.admit(scope, SCORE)

    assert asyncio.run(cancelled_then_again()).name == "app-1"


BROKEN = [
    None,
    b"",
    b"{}",
    b'{"keys": []}',
    b"<html>",
    b'{"keys": [{"kty": "EC", "kid": "k1"}]}',
    b'{"keys": [{"kty": "RSA", "kid": "k1"}]}',
    b'{"keys": [{"kty": "RSA", "kid": "k1", "n": "!", "e": "AQAB"}]}',
    b'{"keys": [' + b" " * (entra_tokens.MAX_KEYS_BYTES + 1) + b"]}",
]


@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
def test_broken_key_set_is_reported_and_fetched_once(entra: Access, keys: Keys, issuer: Issuer, answer: bytes | None) -> None:
    issuer.break_with(answer)
    errors = [denied(entra, bearing(signed(keys[0]))) for _ in range(5)]
    assert {one.status for one in errors} == {401}
    assert {"keys cannot be fetched" in one.detail for one in errors} == {True}
    assert issuer.fetches == 1


def test_weak_key_is_ignored(entra: Access, issuer: Issuer) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    issuer.keys.clear()
    issuer.publish("k1", weak)
    head = f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(claims())}"
    assert "keys cannot be fetched" in denied(entra, bearing(f"{head}.{part(b'x' * 128)}")).detail


def test_key_that_is_not_for_signing_is_ignored(entra: Access, keys: Keys, issuer: Issuer) -> None:
    issuer.publish("k2", keys[1], use="enc")
    assert denied(entra, bearing(signed(keys[1], "k2"))).status == 401


def test_known_keys_work_while_the_issuer_is_down(entra: Access, keys: Keys, issuer: Issuer) -> None:
    admit(entra, bearing(signed(keys[0])))
    issuer.break_with(None)
    assert denied(entra, bearing(signed(keys[1], "k2"))).status == 401
    assert admit(entra, bearing(signed(keys[0]))).name == "app-1"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(entra_tokens, "monotonic", made)
    return made


def test_keys_expire_after_an_hour_and_stay_if_fetch_fails(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, scope = Access(entra_settings(issuer)), bearing(signed(keys[0]))
    admit(entra, scope)
    clock.now += 3599
    admit(entra, scope)
    assert issuer.fetches == 1
    clock.now += 1
    issuer.break_with(None)
    for _ in range(3):
        assert admit(entra, scope).name == "app-1"
    assert issuer.fetches == 2
    clock.now += 10
    issuer.answer = None
    issuer.keys.clear()
    issuer.publish("k2", keys[1])
    assert denied(entra, scope).status == 401
    assert issuer.fetches == 3


def test_failed_or_useless_fetch_is_repeated_after_ten_seconds(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, scope = Access(entra_settings(issuer)), bearing(signed(keys[0]))
    issuer.break_with(None)
    denied(entra, scope)
    issuer.answer = None
    clock.now += 9.9
    denied(entra, scope)
    clock.now += 0.2
    assert admit(entra, scope).name == "app-1"
    for later, fetches in ((0, 3), (9.9, 3), (0.2, 4)):
        clock.now += later
        denied(entra, bearing(signed(keys[2], "random")))
        assert issuer.fetches == fetches


def test_expired_keys_are_used_while_one_request_fetches(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, scope = Access(entra_settings(issuer)), bearing(signed(keys[0]))
    reached, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        reached.set()
        go_on.wait(5)
        raise OSError

    async def one_waits() -> bool:
        await entra.admit(scope, SCORE)
        clock.now += 3600
        issuer.answer = slow
        waiting = asyncio.create_task(entra.admit(scope, SCORE))
        await asyncio.to_thread(reached.wait, 5)
        for _ in range(10):
            await entra.admit(scope, SCORE)
        still_waits = not waiting.done()
        go_on.set()
        assert (await waiting).name == "app-1"
        return still_waits

    assert asyncio.run(one_waits())


def test_fetch_has_a_time_limit(monkeypatch: pytest.MonkeyPatch, keys: Keys, issuer: Issuer) -> None:
    monkeypatch.setattr(entra_tokens, "FETCH_SECONDS", 0.2)
    go_on = threading.Event()
    issuer.answer = lambda: str(go_on.wait(5)).encode()
    started = time.perf_counter()
    assert "keys cannot be fetched" in denied(Access(entra_settings(issuer)), bearing(signed(keys[0]))).detail
    assert time.perf_counter() - started < 2
    go_on.set()


def test_keys_are_fetched_while_other_threads_are_busy(entra: Access, keys: Keys) -> None:
    go_on = threading.Event()

    async def admit_while_busy() -> Caller:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, go_on.wait, 10)
        try:
            return await entra.admit(bearing(signed(keys[0])), SCORE)
        finally:
            go_on.set()
            await busy

    assert asyncio.run(admit_while_busy()).name == "app-1"


def test_issuer_setting_replaces_the_default(keys: Keys, issuer: Issuer) -> None:
    other = Access(entra_settings(issuer, serve_entra_issuer="https://sts.example/"))
    assert admit(other, bearing(signed(keys[0], iss="https://sts.example/"))).name == "app-1"
    assert denied(other, bearing(signed(keys[0]))).status == 401
