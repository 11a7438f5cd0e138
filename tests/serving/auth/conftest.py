"""Requests that tests admit, without HTTP."""

import asyncio
import hashlib
from typing import Any, TypeAlias

import pytest

from risk_serving.auth.access import Access
from risk_serving.auth.bearer import Caller, Denied
from risk_serving.settings import SCORE

OLD, NEW = "Secret-old.1", "Secret_new~2"

Headers: TypeAlias = list[tuple[bytes, bytes]]


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def request(headers: Headers, client: tuple[str, int] | None = ("203.0.113.9", 4711)) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {"type": "http", "headers": [(b"accept", b"*/*"), *headers], "client": client}


def bearing(token: str) -> dict[str, Any]:
    """Return the ASGI scope of a request with a bearer token."""
    return request([(b"authorization", f"Bearer {token}".encode())])


def admit(access: Access, scope: dict[str, Any], role: str = SCORE) -> Caller:
    return asyncio.run(access.admit(scope, role))


def denied(access: Access, scope: dict[str, Any], role: str = SCORE) -> Denied:
    """Return the error of a request that must be denied."""
    with pytest.raises(Denied) as caught:
        admit(access, scope, role)
    return caught.value
