"""Tests of who is admitted: from this machine without access control, with a token otherwise."""

import pytest

from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Caller
from risk_serving.settings import LABEL, OPERATE, REVIEW, SCORE, ServingSettings
from tests.serving.auth.conftest import OLD, Headers, admit, bearing, denied, request, sha256
from tests.serving.auth.issuer import Issuer, Keys, entra_settings, signed

FORWARDING = (b"x-real-ip", b"via", b"x-forwarded-host", b"x-forwarded-proto", b"x-client-ip", b"true-client-ip", b"x-original-url")
EVERYTHING = Caller("local", frozenset({"score", "operate", "label", REVIEW}))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", [b"localhost", b"LocalHost:8000", b"127.0.0.1:8000", b"[::1]", b"[::1]:80"])
def test_localhost_is_admitted_without_access_control(client: str, host: bytes) -> None:
    access = Access(ServingSettings())
    assert access.localhost_only
    for role in (SCORE, OPERATE, LABEL, REVIEW):
        assert admit(access, request([(b"host", host)], (client, 5)), role) == EVERYTHING


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("203.0.113.9", 5), [(b"host", b"localhost")]),
        (("::ffff:203.0.113.9", 5), [(b"host", b"localhost")]),
        (("testclient", 5), [(b"host", b"localhost")]),
        (None, [(b"host", b"localhost")]),
        (("127.0.0.1", 5), []),
        (("127.0.0.1", 5), [(b"host", b"evil.example")]),
        (("127.0.0.1", 5), [(b"host", b"localhost.evil.example")]),
        (("127.0.0.1", 5), [(b"host", b"127.0.0.1.evil.example:80")]),
        (("127.0.0.1", 5), [(b"host", b"127x0x0x1")]),
        (("127.0.0.1", 5), [(b"host", b"localhost:80@evil.example")]),
        (("127.0.0.1", 5), [(b"host", b"localhost\n")]),
        (("127.0.0.1", 5), [(b"host", b"localhost"), (b"host", b"evil.example")]),
        (("127.0.0.1", 5), [(b"host", b"localhost"), (b"x-forwarded-for", b"203.0.113.9")]),
        (("127.0.0.1", 5), [(b"host", b"localhost"), (b"forwarded", b"for=203.0.113.9")]),
        *((("127.0.0.1", 5), [(b"host", b"localhost"), (name, b"203.0.113.9")]) for name in FORWARDING),
        (("127.0.0.1", 5), [(b"host", b"10.0.0.7")]),
    ],
)
def test_other_hosts_are_forbidden_without_access_control(client: tuple[str, int] | None, headers: Headers) -> None:
    error = denied(Access(ServingSettings()), request([*headers, (b"authorization", b"Bearer x")], client))
    assert error.status == 403
    for variable in ("RISK_SERVE_TOKENS", "RISK_SERVE_ENTRA_TENANT", "RISK_SERVE_ENTRA_AUDIENCE"):
        assert variable in error.detail


def test_localhost_needs_a_token_with_access_control() -> None:
    named = Access(ServingSettings(serve_tokens=f"batch:score:{sha256(OLD)}"))
    assert denied(named, request([(b"host", b"localhost")], ("127.0.0.1", 5))).status == 401


def test_named_and_entra_tokens_are_accepted_together(keys: Keys, issuer: Issuer) -> None:
    both = Access(entra_settings(issuer, serve_tokens=f"batch:score:{sha256(OLD)}"))
    assert admit(both, bearing(OLD)).name == "batch"
    assert issuer.fetches == 0
    assert admit(both, bearing(signed(keys[0]))).name == "app-1"
    assert denied(both, bearing("wrong")).status == 401
