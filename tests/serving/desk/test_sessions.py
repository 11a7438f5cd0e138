"""Sessions: who has one, and what ends it."""

import hashlib
from typing import Any

import pytest

from risk_serving.desk import sessions as module
from risk_serving.desk.sessions import FLOW, SESSION, Session, Sessions, new_session, proof_of_token
from risk_serving.settings import ServingSettings
from tests.serving.conftest import token_entry

KEY = "k" * 32
PROOF = proof_of_token(hashlib.sha256(b"t-1").digest())


def sessions(*entries: str, key: str | None = KEY, **other: Any) -> Sessions:
    return Sessions(ServingSettings(serve_tokens=",".join(entries) or None, serve_session_key=key, **other))


def scope(*cookies: bytes, scheme: str = "http") -> dict[str, Any]:
    """Return a request with the cookies that these headers have set."""
    sent = b"; ".join(cookie.partition(b";")[0] for cookie in cookies)
    return {"headers": [(b"cookie", sent)] if sent else [], "scheme": scheme}


ANN = token_entry("ann", "t-1", "review")


def test_a_session_is_read_back() -> None:
    known = sessions(ANN)
    session = new_session("ann", PROOF)
    assert known.find(scope(known.cookie_of(session, scope()))) == session
    caller = known.caller(session)
    assert caller is not None
    assert (caller.name, caller.roles) == ("ann", {"review"})


def test_without_a_cookie_there_is_no_session() -> None:
    assert sessions(ANN).find(scope()) is None
    assert sessions(ANN).caller(None) is None
    assert sessions(ANN).caller(new_session()) is None


def test_a_session_outlives_the_process_only_with_a_key() -> None:
    cookie = sessions(ANN).cookie_of(new_session("ann", PROOF), scope())
    assert sessions(ANN).find(scope(cookie)) is not None
    assert sessions(ANN, key="other" * 8).find(scope(cookie)) is None
    assert sessions(ANN, key=None).find(scope(cookie)) is None
    unkeyed = sessions(ANN, key=None).cookie_of(new_session("ann", PROOF), scope())
    assert sessions(ANN, key=None).find(scope(unkeyed)) is None


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (token_entry("ann", "t-1", "score", "operate"),),
        (token_entry("ann", "t-2", "review"),),
        (token_entry("bob", "t-1", "review"),),
    ],
)
def test_a_session_ends_with_its_token(entries: tuple[str, ...]) -> None:
    assert sessions(ANN).caller(new_session("ann", PROOF)) is not None
    assert sessions(*entries).caller(new_session("ann", PROOF)) is None


def test_a_session_ends_after_its_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    known = sessions(ANN, serve_session_hours=1)
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now - 3590)
    still = known.cookie_of(new_session("ann", PROOF), scope())
    monkeypatch.setattr(module.time, "time", lambda: now - 3610)
    over = known.cookie_of(new_session("ann", PROOF), scope())
    monkeypatch.undo()
    assert known.find(scope(still)) is not None
    assert known.find(scope(over)) is None
    assert b"Max-Age=3600" in over


def test_a_changed_cookie_is_no_session() -> None:
    known = sessions(ANN)
    cookie = known.cookie_of(new_session("ann", PROOF), scope()).partition(b";")[0]
    head, body, signature = cookie.split(b".")
    assert known.find(scope(b".".join((head, body[:-2] + b"AA", signature)))) is None
    assert known.find(scope(b".".join((head, body, b"")))) is None
    assert known.find(scope(b"risk-desk=x")) is None


def test_signed_texts_of_another_kind_are_not_valid() -> None:
    known = sessions(ANN)
    text = known.signed(FLOW, {"sid": "x", "sub": "ann", "proof": PROOF}, 60)
    assert known.unsigned(FLOW, text) is not None
    assert known.unsigned(SESSION, text) is None
    assert known.find(scope(b"risk-desk=" + text.encode())) is None


def test_over_https_the_cookie_is_secure() -> None:
    known, session = sessions(ANN), new_session("ann", PROOF)
    secure = scope(scheme="https")
    assert known.cookie_of(session, secure).startswith(b"__Secure-risk-desk=")
    assert known.cookie_of(session, secure).endswith(b"; Secure")
    assert b"Secure" not in known.cookie_of(session, scope())
    behind_proxy = sessions(ANN, serve_desk_url="https://risk.example/desk")
    assert behind_proxy.cookie_of(session, scope()).endswith(b"; Secure")


def test_a_form_token_belongs_to_one_session() -> None:
    known = sessions(ANN)
    first, second = Session("a", "ann", PROOF), Session("b", "ann", PROOF)
    assert known.has_form_token(first, known.form_token(first))
    assert not known.has_form_token(second, known.form_token(first))
    assert not known.has_form_token(first, "é")
