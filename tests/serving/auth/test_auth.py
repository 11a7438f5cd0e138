"""What must hold of access: only who is let in is answered, and the issuer's keys are fetched seldom, late or not at all without harm."""

import asyncio
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from risk_serving.auth import access
from risk_serving.auth.access import OPERATE, SCORE, Access, Caller, Denied
from risk_serving.settings import ServingSettings

TENANT, AUDIENCE = "3f2c", "api://risk"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OLD, NEW = "Secret-old.1", "Secret_new~2"

Headers = list[tuple[bytes, bytes]]


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def scope(headers: Headers, client: tuple[str, int] | None = ("203.0.113.9", 4711)) -> dict[str, Any]:
    return {"type": "http", "headers": [(b"accept", b"*/*"), *headers], "client": client}


def bearing(token: str) -> dict[str, Any]:
    return scope([(b"authorization", f"Bearer {token}".encode())])


def admit(access: Access, asked: dict[str, Any], role: str = SCORE) -> Caller:
    return asyncio.run(access.admit(asked, role))


def denied(access: Access, asked: dict[str, Any], role: str = SCORE) -> Denied:
    with pytest.raises(Denied) as caught:
        admit(access, asked, role)
    return caught.value


# --- named tokens --------------------------------------------------------------------------------------------------------


@pytest.fixture
def named() -> Access:
    entries = (f"batch:score:{sha256(OLD)}", f" batch:score+operate:{sha256(NEW).upper()}", f"ops:operate:{sha256('third')}")
    return Access(ServingSettings(serve_tokens=",".join(entries)))


def test_several_tokens_are_let_in_at_once_each_in_its_own_roles(named: Access) -> None:
    assert not named.open
    assert admit(named, bearing(OLD)) == Caller("batch", frozenset({"score"}))
    assert admit(named, bearing(NEW)) == Caller("batch", frozenset({"score", "operate"}))
    assert admit(named, bearing("third"), OPERATE) == Caller("ops", frozenset({"operate"}))


def test_a_token_without_the_role_is_forbidden(named: Access) -> None:
    refused = denied(named, bearing(OLD), OPERATE)
    assert (refused.status, refused.challenge) == (403, None)
    assert "operate" in refused.detail


@pytest.mark.parametrize("token", ["wrong", OLD[:-1], OLD + "x", OLD.lower(), sha256(OLD), "batch", f"batch:score:{sha256(OLD)}", "a.b.c"])
def test_any_other_token_is_refused_and_nothing_says_why(named: Access, token: str) -> None:
    refused = denied(named, bearing(token))
    assert refused.status == 401
    assert refused.challenge is not None
    assert refused.challenge.startswith("Bearer ")
    assert token not in refused.detail + refused.challenge + str(refused)


def test_every_wrong_token_of_the_right_form_is_refused_in_the_same_words(named: Access) -> None:
    assert len({denied(named, bearing(token)).detail for token in ("wrong", OLD[:-1], sha256(OLD), "a.b.c")}) == 1


@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Bearer ", OLD.encode(), b"Basic " + OLD.encode(), b"Bearer " + OLD.encode() + b" x", b"Bearer\t" + OLD.encode(),
     b"Bearer " + OLD.encode() + b"\n", b"Bearer \xff\xfe", b"Bearer " + b"a" * 60_000],
)  # fmt: skip
def test_a_header_that_can_not_be_read_is_refused(named: Access, value: bytes) -> None:
    refused = denied(named, scope([(b"authorization", value)]))
    assert refused.status == 401
    assert refused.challenge == 'Bearer realm="risk-serving", error="invalid_request"'


def test_no_header_and_two_headers_are_refused(named: Access) -> None:
    assert denied(named, scope([])).challenge == 'Bearer realm="risk-serving"'
    twice = [(b"authorization", f"Bearer {token}".encode()) for token in (OLD, OLD)]
    assert denied(named, scope(twice)).status == 401


def test_the_scheme_is_read_in_any_case(named: Access) -> None:
    assert admit(named, scope([(b"authorization", f"bEARER  {OLD}".encode())])).name == "batch"


def test_every_digest_is_compared_even_after_one_fits(named: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(access, "hmac", type("counting", (), {"compare_digest": staticmethod(counted)}))
    admit(named, bearing(OLD))
    assert len(compared) == 3


def test_a_named_token_costs_microseconds(named: Access) -> None:
    asked = bearing(OLD)

    async def hundred() -> float:
        begun = time.perf_counter()
        for _ in range(100):
            await named.admit(asked, SCORE)
        return (time.perf_counter() - begun) / 100

    assert min(asyncio.run(hundred()) for _ in range(20)) < 50e-6


# --- this machine alone ---------------------------------------------------------------------------------------------------

BOTH = Caller("local", frozenset({"score", "operate"}))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", [b"localhost", b"LocalHost:8000", b"127.0.0.1:8000", b"[::1]", b"[::1]:80"])
def test_without_access_control_this_machine_is_let_in(client: str, host: bytes) -> None:
    access = Access(ServingSettings())
    assert access.open
    for role in (SCORE, OPERATE):
        assert admit(access, scope([(b"host", host)], (client, 5)), role) == BOTH


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
    ],
)
def test_without_access_control_nobody_else_is_and_is_told_what_to_set(client: tuple[str, int] | None, headers: Headers) -> None:
    refused = denied(Access(ServingSettings()), scope([*headers, (b"authorization", b"Bearer x")], client))
    assert refused.status == 403
    for variable in ("RISK_SERVE_TOKENS", "RISK_SERVE_ENTRA_TENANT", "RISK_SERVE_ENTRA_AUDIENCE"):
        assert variable in refused.detail


def test_with_access_control_this_machine_needs_a_token_too(named: Access) -> None:
    assert denied(named, scope([(b"host", b"localhost")], ("127.0.0.1", 5))).status == 401


# --- Entra ID -------------------------------------------------------------------------------------------------------------


@dataclass
class Issuer:
    """A JWKS server whose keys can be changed, and which can be slow or broken."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetches: int = 0
    answer: Callable[[], bytes] | None = None

    def publish(self, key_id: str, key: rsa.RSAPrivateKey, **other: str) -> None:
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.keys.append({**public, "kid": key_id, "use": "sig", "x5t": key_id, **other})

    def content(self) -> bytes:
        self.fetches += 1
        return self.answer() if self.answer else json.dumps({"keys": self.keys}).encode()

    def breaks(self, answer: bytes | None) -> None:
        """Answer with this; None is a 500."""

        def broken() -> bytes:
            if answer is None:
                raise OSError
            return answer

        self.answer = broken


@pytest.fixture(scope="module")
def keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """Keys: the issuer's, its next, and a stranger's."""
    with ThreadPoolExecutor(3) as pool:
        first, second, third = pool.map(lambda _: rsa.generate_private_key(65537, 2048), range(3))
    return first, second, third


@pytest.fixture
def issuer(keys: tuple[rsa.RSAPrivateKey, ...]) -> Iterator[Issuer]:
    made = Issuer()
    made.publish("k1", keys[0])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, content = 200, made.content()
            except OSError:
                status, content = 500, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def settings(issuer: Issuer, **other: Any) -> ServingSettings:
    return ServingSettings(serve_entra_tenant=TENANT, serve_entra_audience=AUDIENCE, serve_entra_jwks=issuer.url, **other)


@pytest.fixture
def entra(issuer: Issuer) -> Access:
    return Access(settings(issuer))


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600, "sub": "s", "azp": "app-1", "roles": ["score"]}
    return {name: value for name, value in {**usual, **other}.items() if value is not None}


def signed(key: rsa.RSAPrivateKey, key_id: str | None = "k1", algorithm: str = "RS256", **other: Any) -> str:
    return jwt.encode(claims(**other), key, algorithm, headers={"kid": key_id} if key_id else None)


Keys = tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey, rsa.RSAPrivateKey]


def test_a_token_of_the_issuer_is_let_in(entra: Access, keys: Keys, issuer: Issuer) -> None:
    assert not entra.open
    assert admit(entra, bearing(signed(keys[0]))) == Caller("app-1", frozenset({"score"}))
    assert admit(entra, bearing(signed(keys[0], roles=["operate", "score", "other"])), OPERATE).roles == {"score", "operate"}
    assert admit(entra, bearing(signed(keys[0], aud=["x", AUDIENCE]))).name == "app-1"
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"azp": None, "appid": "app-0", "oid": "o"}, "app-0"),
        ({"azp": None, "oid": "o"}, "o"),
        ({"azp": None}, "s"),
        ({"azp": 7, "sub": None, "oid": ""}, "entra"),
    ],
)
def test_the_caller_is_named_by_the_first_claim_that_names_one(entra: Access, keys: Keys, other: dict[str, Any], name: str) -> None:
    assert admit(entra, bearing(signed(keys[0], **other))).name == name


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
def test_a_token_that_the_issuer_signed_for_something_else_is_refused(entra: Access, keys: Keys, other: dict[str, Any]) -> None:
    header = {"kid": "k1"}
    payload = json.dumps(claims(**other)).encode()
    token = jwt.api_jws.PyJWS().encode(payload, keys[0], "RS256", headers=header)
    assert denied(entra, bearing(token)).status == 401


def test_thirty_seconds_between_two_clocks_are_forgiven(entra: Access, keys: Keys) -> None:
    now = int(time.time())
    assert admit(entra, bearing(signed(keys[0], exp=now - 20))).name == "app-1"
    assert admit(entra, bearing(signed(keys[0], nbf=now + 20, iat=now + 20))).name == "app-1"


@pytest.mark.parametrize("roles", [None, [], ["other"], "score", [["score"]], {"score": 1}, ["operate"]])
def test_a_token_without_the_role_in_its_roles_is_forbidden(entra: Access, keys: Keys, roles: object) -> None:
    assert denied(entra, bearing(signed(keys[0], roles=roles))).status == 403


def test_a_token_that_someone_else_signed_is_refused(entra: Access, keys: Keys) -> None:
    assert denied(entra, bearing(signed(keys[2]))).status == 401
    head, body, _ = signed(keys[0]).split(".")
    other = signed(keys[0], roles=["score", "operate"]).split(".")
    assert denied(entra, bearing(f"{head}.{other[1]}.{signed(keys[0]).split('.')[2]}")).status == 401
    assert denied(entra, bearing(f"{head}.{body}.")).status == 401


def part(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS512", "PS256", "", None, 7, ["RS256"]])
def test_no_other_algorithm_is_taken(entra: Access, keys: Keys, issuer: Issuer, algorithm: object) -> None:
    """`HS256` with the public key as the secret is the classic: the server would check it with what everybody knows."""
    public = keys[0].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"{part({'alg': algorithm, 'kid': 'k1', 'typ': 'JWT'})}.{part(claims())}"
    forged = part(hmac.digest(public, text.encode(), "sha256"))
    for token in (f"{text}.", f"{text}.{forged}"):
        assert denied(entra, bearing(token)).status == 401
    assert issuer.fetches == 0


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_the_issuers_own_key_with_another_algorithm_is_refused(entra: Access, keys: Keys, algorithm: str) -> None:
    assert denied(entra, bearing(signed(keys[0], algorithm=algorithm))).status == 401


@pytest.mark.parametrize(
    "token",
    [
        "x", "a.b", "a.b.c", "....", f"{part([1])}.{part({})}.x", f"{part(b'[' * 9000)}.{part({})}.x", f"{part(b'{')}.{part({})}.x",
        f"{part({'alg': 'RS256'})}.{part({})}.x", f"{part({'alg': 'RS256', 'kid': 7})}.{part({})}.x",
        f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part([])}.x", f"{part({'alg': 'RS256', 'kid': 'k1', 'crit': ['b64'], 'b64': False})}..x",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(entra: Access, token: str) -> None:
    refused = denied(entra, bearing(token))
    assert (refused.status, refused.challenge) == (401, 'Bearer realm="risk-serving", error="invalid_token"')


def test_a_new_key_is_taken_as_soon_as_a_token_names_it(entra: Access, keys: Keys, issuer: Issuer) -> None:
    admit(entra, bearing(signed(keys[0])))
    issuer.keys.clear()
    issuer.publish("k2", keys[1])
    assert admit(entra, bearing(signed(keys[1], "k2"))).name == "app-1"
    assert denied(entra, bearing(signed(keys[0]))).status == 401
    assert issuer.fetches == 2


def test_a_storm_of_unknown_keys_is_no_storm_of_fetches(entra: Access, keys: Keys, issuer: Issuer) -> None:
    good, wrong = bearing(signed(keys[0])), [bearing(signed(keys[2], f"random-{number}")) for number in range(200)]

    async def storm() -> list[object]:
        await entra.admit(good, SCORE)
        return await asyncio.gather(*(entra.admit(asked, SCORE) for asked in [*wrong, good]), return_exceptions=True)

    *refused, last = asyncio.run(storm())
    assert last == Caller("app-1", frozenset({"score"}))
    assert all(isinstance(one, Denied) and one.status == 401 for one in refused)
    assert issuer.fetches == 2


def test_requests_that_come_together_share_one_fetch(entra: Access, keys: Keys, issuer: Issuer) -> None:
    asked = bearing(signed(keys[0]))

    async def together() -> list[Caller]:
        return await asyncio.gather(*(entra.admit(asked, SCORE) for _ in range(50)))

    assert len(asyncio.run(together())) == 50
    assert issuer.fetches == 1


def test_a_fetch_that_was_cancelled_does_not_keep_the_next_request_out(entra: Access, keys: Keys, issuer: Issuer) -> None:
    asked, reached, go_on = bearing(signed(keys[0])), threading.Event(), threading.Event()

    def slow() -> bytes:
        reached.set()
        go_on.wait(5)
        return json.dumps({"keys": issuer.keys}).encode()

    async def cancelled_then_again() -> Caller:
        issuer.answer = slow
        first = asyncio.create_task(entra.admit(asked, SCORE))
        await asyncio.to_thread(reached.wait, 5)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        return await entra.admit(asked, SCORE)

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
    b'{"keys": [' + b" " * (access.MAX_KEYS_BYTES + 1) + b"]}",
]


@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
def test_without_any_key_the_answer_says_that_keys_can_not_be_fetched(
    entra: Access, keys: Keys, issuer: Issuer, answer: bytes | None
) -> None:
    issuer.breaks(answer)
    refused = [denied(entra, bearing(signed(keys[0]))) for _ in range(5)]
    assert {one.status for one in refused} == {401}
    assert {"keys can't be fetched" in one.detail for one in refused} == {True}
    assert issuer.fetches == 1


def test_a_weak_key_is_none(entra: Access, issuer: Issuer) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    issuer.keys.clear()
    issuer.publish("k1", weak)
    head = f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(claims())}"
    assert "keys can't be fetched" in denied(entra, bearing(f"{head}.{part(b'x' * 128)}")).detail


def test_a_key_that_is_not_for_signing_is_none(entra: Access, keys: Keys, issuer: Issuer) -> None:
    issuer.publish("k2", keys[1], use="enc")
    assert denied(entra, bearing(signed(keys[1], "k2"))).status == 401


def test_while_the_issuer_is_gone_known_keys_go_on_and_unknown_ones_are_refused(entra: Access, keys: Keys, issuer: Issuer) -> None:
    admit(entra, bearing(signed(keys[0])))
    issuer.breaks(None)
    assert denied(entra, bearing(signed(keys[1], "k2"))).status == 401
    assert admit(entra, bearing(signed(keys[0]))).name == "app-1"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(access, "monotonic", made)
    return made


def test_keys_are_fetched_anew_after_an_hour_and_kept_where_that_fails(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, asked = Access(settings(issuer)), bearing(signed(keys[0]))
    admit(entra, asked)
    clock.now += 3599
    admit(entra, asked)
    assert issuer.fetches == 1
    clock.now += 1
    issuer.breaks(None)
    for _ in range(3):
        assert admit(entra, asked).name == "app-1"
    assert issuer.fetches == 2
    clock.now += 10
    issuer.answer = None
    issuer.keys.clear()
    issuer.publish("k2", keys[1])
    assert denied(entra, asked).status == 401
    assert issuer.fetches == 3


def test_ten_seconds_after_a_failed_or_futile_fetch_the_next_is_made(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, asked = Access(settings(issuer)), bearing(signed(keys[0]))
    issuer.breaks(None)
    denied(entra, asked)
    issuer.answer = None
    clock.now += 9.9
    denied(entra, asked)
    clock.now += 0.2
    assert admit(entra, asked).name == "app-1"
    for later, fetches in ((0, 3), (9.9, 3), (0.2, 4)):
        clock.now += later
        denied(entra, bearing(signed(keys[2], "random")))
        assert issuer.fetches == fetches


def test_while_one_request_waits_for_stale_keys_the_others_go_on(clock: Clock, keys: Keys, issuer: Issuer) -> None:
    entra, asked = Access(settings(issuer)), bearing(signed(keys[0]))
    reached, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        reached.set()
        go_on.wait(5)
        raise OSError

    async def one_waits() -> bool:
        await entra.admit(asked, SCORE)
        clock.now += 3600
        issuer.answer = slow
        waiting = asyncio.create_task(entra.admit(asked, SCORE))
        await asyncio.to_thread(reached.wait, 5)
        for _ in range(10):
            await entra.admit(asked, SCORE)
        still_waits = not waiting.done()
        go_on.set()
        assert (await waiting).name == "app-1"
        return still_waits

    assert asyncio.run(one_waits())


def test_a_fetch_takes_no_longer_than_its_limit(monkeypatch: pytest.MonkeyPatch, keys: Keys, issuer: Issuer) -> None:
    monkeypatch.setattr(access, "FETCH_SECONDS", 0.2)
    go_on = threading.Event()
    issuer.answer = lambda: str(go_on.wait(5)).encode()
    begun = time.perf_counter()
    assert "keys can't be fetched" in denied(Access(settings(issuer)), bearing(signed(keys[0]))).detail
    assert time.perf_counter() - begun < 2
    go_on.set()


def test_named_tokens_and_entra_work_side_by_side(keys: Keys, issuer: Issuer) -> None:
    both = Access(settings(issuer, serve_tokens=f"batch:score:{sha256(OLD)}"))
    assert admit(both, bearing(OLD)).name == "batch"
    assert issuer.fetches == 0
    assert admit(both, bearing(signed(keys[0]))).name == "app-1"
    assert denied(both, bearing("wrong")).status == 401


def test_another_issuer_can_be_named(keys: Keys, issuer: Issuer) -> None:
    other = Access(settings(issuer, serve_entra_issuer="https://sts.example/"))
    assert admit(other, bearing(signed(keys[0], iss="https://sts.example/"))).name == "app-1"
    assert denied(other, bearing(signed(keys[0]))).status == 401
