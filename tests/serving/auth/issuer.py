"""An Entra ID issuer on this machine: signs tokens, serves its public keys, and signs a person in by the authorization code flow."""

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from risk_serving.settings import ServingSettings

TENANT, AUDIENCE = "3f2c0000-1111-2222-3333-444455556666", "api://risk"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"

Keys: TypeAlias = tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey, rsa.RSAPrivateKey]


@dataclass
class Issuer:
    """A JWKS server with keys that tests can change; `answer` replaces its answer.

    `person` has the claims of the person who signs in, `secret` that of the application; `codes` are the requests that wait for a token.
    """

    url: str = ""
    signing_key: rsa.RSAPrivateKey | None = None
    secret: str = "secret-1"
    person: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetches: int = 0
    answer: Callable[[], bytes] | None = None

    def publish(self, key_id: str, key: rsa.RSAPrivateKey, **other: str) -> None:
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.keys.append({**public, "kid": key_id, "use": "sig", "x5t": key_id, **other})

    def content(self) -> bytes:
        self.fetches += 1
        return self.answer() if self.answer else json.dumps({"keys": self.keys}).encode()

    @property
    def sign_in_url(self) -> str:
        """The address of the authorization code flow."""
        return self.url.removesuffix("/keys")

    def authorize(self, query: str) -> str:
        """Return the address to which the browser goes back: the person agrees at once."""
        asked = dict(parse_qsl(query, strict_parsing=True))
        assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid profile")
        code = secrets.token_hex(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: str) -> bytes | None:
        """Return the answer with an ID token, or None if the code, its verifier or the secret is wrong; a code is valid once."""
        sent = dict(parse_qsl(form, strict_parsing=True))
        asked = self.codes.pop(sent["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        same = asked and (asked["redirect_uri"], asked["client_id"]) == (sent["redirect_uri"], sent["client_id"])
        if not (asked and same and asked["code_challenge"] == challenge and sent["client_secret"] == self.secret):
            return None
        assert self.signing_key is not None
        claims = {"azp": None, "nonce": asked["nonce"], "preferred_username": "ann@bank.example", "roles": ["review"], **self.person}
        return json.dumps({"token_type": "Bearer", "id_token": signed(self.signing_key, **claims)}).encode()

    def break_with(self, answer: bytes | None) -> None:
        """Answer with these bytes, or with status 500 if None."""

        def broken() -> bytes:
            if answer is None:
                raise OSError
            return answer

        self.answer = broken


@contextmanager
def serve_issuer(*keys: rsa.RSAPrivateKey) -> Iterator[Issuer]:
    """Serve an issuer that publishes keys as k1, k2, …"""
    issuer = Issuer(signing_key=keys[0])
    for number, key in enumerate(keys, start=1):
        issuer.publish(f"k{number}", key)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self._send(303, b"", Location=issuer.authorize(parts.query))
                return
            try:
                status, content = 200, issuer.content()
            except OSError:
                status, content = 500, b""
            self._send(status, content)

        def do_POST(self) -> None:
            content = issuer.token(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._send(400 if content is None else 200, content or b'{"error": "invalid_grant"}')

        def _send(self, status: int, content: bytes, **headers: str) -> None:
            with suppress(ConnectionError):  # the client may have reached its time limit
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield issuer
        server.shutdown()
        thread.join()


def claims(**other: Any) -> dict[str, Any]:
    """Return the claims of a valid token, changed by `other`; None removes a claim."""
    now = int(time.time())
    valid = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600, "sub": "s", "azp": "app-1", "roles": ["score"]}
    return {name: value for name, value in {**valid, **other}.items() if value is not None}


def signed(key: rsa.RSAPrivateKey, key_id: str | None = "k1", algorithm: str = "RS256", **other: Any) -> str:
    """Return a token signed with a key."""
    return jwt.encode(claims(**other), key, algorithm, headers={"kid": key_id} if key_id else None)


def entra_settings(issuer: Issuer, **other: Any) -> ServingSettings:
    """Return settings that accept the tokens of an issuer."""
    return ServingSettings(serve_entra_tenant=TENANT, serve_entra_audience=AUDIENCE, serve_entra_jwks=issuer.url, **other)
