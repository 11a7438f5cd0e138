"""Who may call the service: the bearers of named tokens, those whom Entra ID vouches for, or this machine alone."""

import asyncio
import hashlib
import hmac
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any
from urllib.request import urlopen

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from risk_serving.settings import OPERATE, ROLES, SCORE, Entra, ServingSettings

__all__ = ["OPERATE", "SCORE", "Access", "Caller", "Denied"]

LEEWAY_SECONDS = 30
KEYS_SECONDS = 3600.0
PAUSE_SECONDS = 10.0
FETCH_SECONDS = 3.0
MAX_KEYS_BYTES = 1024 * 1024
MAX_TOKEN_BYTES = 16 * 1024
MIN_KEY_BITS = 2048

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_LOCAL_HOST = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_CHALLENGE = 'Bearer realm="risk-serving"'
_NAMING_CLAIMS = ("azp", "appid", "oid", "sub")

Headers = Iterable[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who calls, and in which roles."""

    name: str
    roles: frozenset[str]


class Denied(Exception):
    """A request that is not let in: 401 with what to answer as `WWW-Authenticate`, or 403."""

    def __init__(self, status: HTTPStatus, detail: str, challenge: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.challenge = challenge


class Access:
    """Lets callers in by the settings."""

    def __init__(self, settings: ServingSettings) -> None:
        self._tokens = tuple((token.digest, Caller(token.name, token.roles)) for token in settings.tokens)
        self._entra = _EntraAccess(settings.entra) if settings.entra else None

    @property
    def open(self) -> bool:
        """Whether no access control is set, so that this machine alone is let in."""
        return not self._tokens and self._entra is None

    async def admit(self, scope: Mapping[str, Any], role: str) -> Caller:
        """Return who calls; raises `Denied` where they may not act in the role. `scope` is ASGI's, of an HTTP request."""
        if self.open:
            return _local(scope)
        token = _bearer(scope["headers"])
        caller = self._named(token) or await self._vouched(token)
        if role not in caller.roles:
            raise Denied(HTTPStatus.FORBIDDEN, f"the token does not have the role {role!r}.")
        return caller

    def _named(self, token: bytes) -> Caller | None:
        """Return whose token it is; each digest is compared, so that time tells nothing."""
        digest, found = hashlib.sha256(token).digest(), None
        for known, caller in self._tokens:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    async def _vouched(self, token: bytes) -> Caller:
        if self._entra is None:
            raise _invalid()
        return await self._entra.caller(token.decode("ascii"))


class _EntraAccess:
    """Lets in whom an Entra ID tenant vouches for."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._keys = _Keys(entra.jwks)

    async def caller(self, token: str) -> Caller:
        key = await self._keys.find(_key_id(token))
        claims = self._claims(token, key)
        given = claims.get("roles")
        roles = frozenset(ROLES).intersection(role for role in given if isinstance(role, str)) if isinstance(given, list) else frozenset()
        return Caller(_name(claims), roles)

    def _claims(self, token: str, key: RSAPublicKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._entra.audience,
                issuer=self._entra.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat"]},
            )
        except jwt.ExpiredSignatureError:
            raise _invalid("the token has expired. Get a new one.") from None
        except jwt.ImmatureSignatureError:
            raise _invalid("the token is not valid yet. Compare the clocks.") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise _invalid("the token is for another audience or from another issuer.") from None
        except jwt.PyJWTError:
            raise _invalid() from None


class _Keys:
    """An issuer's public keys: kept for an hour, fetched anew where a key is not known, and kept on where that fails."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, RSAPublicKey] = {}
        self._stale_from = self._fetch_from = monotonic()
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> RSAPublicKey:
        """Return a key by its id; raises `Denied` where there is none."""
        known = key_id in self._keys
        if not known or (self._wanted(key_id) and not self._lock.locked()):
            await self._refresh(key_id)
        if not self._keys:
            raise _denied("the issuer's keys can't be fetched, so the token can't be checked. Try again in a moment.")
        key = self._keys.get(key_id)
        if key is None:
            raise _invalid()
        return key

    def _wanted(self, key_id: str) -> bool:
        now = monotonic()
        return now >= self._fetch_from and (now >= self._stale_from or key_id not in self._keys)

    async def _refresh(self, key_id: str) -> None:
        """Fetch the keys unless another request just did; those that wait share one fetch."""
        async with self._lock:
            if not self._wanted(key_id):
                return
            due = monotonic() >= self._stale_from
            keys = await self._fetched()
            now = monotonic()
            if keys:
                self._keys, self._stale_from = keys, now + KEYS_SECONDS
            if not (keys and due):
                self._fetch_from = now + PAUSE_SECONDS

    async def _fetched(self) -> dict[str, RSAPublicKey] | None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await asyncio.to_thread(_fetch, self._url)
        except (OSError, ValueError, HTTPException, msgspec.MsgspecError, jwt.PyJWTError) as error:
            logger.warning("the issuer's keys can't be fetched: %s", type(error).__name__)
            return None


class _Key(msgspec.Struct, frozen=True):
    kty: str
    kid: str = ""
    use: str = "sig"
    n: str = ""
    e: str = ""


class _KeySet(msgspec.Struct, frozen=True):
    keys: tuple[_Key, ...]


def _fetch(url: str) -> dict[str, RSAPublicKey]:
    """Return the RSA keys of a JWKS by their ids; raises `ValueError` where there are none."""
    with urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310  the settings allow https, and http on this machine
        content = response.read(MAX_KEYS_BYTES + 1)
    if len(content) > MAX_KEYS_BYTES:
        raise ValueError("too large")
    listed = msgspec.json.decode(content, type=_KeySet).keys
    keys = {key.kid: _public(key) for key in listed if key.kid and key.kty == "RSA" and key.use == "sig"}
    strong = {key_id: key for key_id, key in keys.items() if key.key_size >= MIN_KEY_BITS}
    if not strong:
        raise ValueError("no keys")
    return strong


def _public(key: _Key) -> RSAPublicKey:
    public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": key.n, "e": key.e})
    if not isinstance(public, RSAPublicKey):
        raise ValueError("not a public key")
    return public


def _key_id(token: str) -> str:
    """Return the id of the key that a token says it is signed with; raises `Denied` where it can't be an RS256 token."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise _invalid() from None
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise _invalid()
    return key_id


def _name(claims: Mapping[str, Any]) -> str:
    return next((value for claim in _NAMING_CLAIMS if isinstance(value := claims.get(claim), str) and value), "entra")


def _bearer(headers: Headers) -> bytes:
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        raise Denied(HTTPStatus.UNAUTHORIZED, "a token is needed: send Authorization: Bearer TOKEN.", _CHALLENGE)
    match = _BEARER.fullmatch(found[0]) if len(found) == 1 and len(found[0]) <= MAX_TOKEN_BYTES else None
    if match is None:
        raise _denied("the Authorization header can't be read: send one, as Bearer TOKEN.", "invalid_request")
    return match[1]


def _local(scope: Mapping[str, Any]) -> Caller:
    """Return this machine as the caller; a browser led here under another name, or a proxy's client, is none."""
    client = scope.get("client")
    headers = scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    forwarded = any(name in {b"forwarded", b"x-forwarded-for"} for name, _ in headers)
    if client and _is_loopback(client[0]) and not forwarded and len(hosts) == 1 and _LOCAL_HOST.fullmatch(hosts[0]):
        return Caller("local", frozenset(ROLES))
    raise Denied(
        HTTPStatus.FORBIDDEN,
        "no access control is set, so only this machine is answered, as localhost. "
        "Set RISK_SERVE_TOKENS (risk token NAME makes one), or RISK_SERVE_ENTRA_TENANT and RISK_SERVE_ENTRA_AUDIENCE.",
    )


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _invalid(detail: str = "the token is not valid.") -> Denied:
    return _denied(detail, "invalid_token")


def _denied(detail: str, error: str | None = None) -> Denied:
    return Denied(HTTPStatus.UNAUTHORIZED, detail, f'{_CHALLENGE}, error="{error}"' if error else _CHALLENGE)
