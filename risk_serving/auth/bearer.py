"""Bearer tokens (RFC 6750): reads the Authorization header and finds the caller of a named token."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from risk_serving.settings import Token

MAX_TOKEN_BYTES = 16 * 1024

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_CHALLENGE = 'Bearer realm="risk-serving"'

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Caller:
    """An authenticated caller: the name that is logged, and the roles."""

    name: str
    roles: frozenset[str]


class Denied(Exception):
    """A request without a valid token (401) or without the required role (403).

    `challenge` is the value of the header `WWW-Authenticate`, for 401 only.
    """

    def __init__(self, status: HTTPStatus, detail: str, challenge: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.challenge = challenge


class NamedTokens:
    """The tokens of `RISK_SERVE_TOKENS`, known by their SHA-256."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._callers = tuple((token.sha256, Caller(token.name, token.roles)) for token in tokens)

    def find_caller(self, token: bytes) -> Caller | None:
        """Return the caller of a token, or None; compares every digest, so that the time taken reveals nothing."""
        sent, found = hashlib.sha256(token).digest(), None
        for digest, caller in self._callers:
            if hmac.compare_digest(digest, sent):
                found = caller
        return found


def read_token(headers: Headers) -> bytes:
    """Return the token of the Authorization header; raises `Denied` (401) if there is not exactly one, well-formed."""
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise unauthorized("A token is required: send the header Authorization: Bearer TOKEN.")
    match = _BEARER.fullmatch(values[0]) if len(values) == 1 and len(values[0]) <= MAX_TOKEN_BYTES else None
    if match is None:
        raise unauthorized("The Authorization header is malformed: send it once, as Bearer TOKEN.", "invalid_request")
    return match[1]


def invalid_token(detail: str = "The token is not valid.") -> Denied:
    """Return the 401 for a token that is not accepted."""
    return unauthorized(detail, "invalid_token")


def unauthorized(detail: str, error: str | None = None) -> Denied:
    """Return a 401 with the error code of RFC 6750, section 3.1."""
    return Denied(HTTPStatus.UNAUTHORIZED, detail, f'{_CHALLENGE}, error="{error}"' if error else _CHALLENGE)
