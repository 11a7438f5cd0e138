"""Entra ID tokens: verifies signature and claims, and fetches the issuer's public keys (JWKS)."""

import asyncio
import hmac
import logging
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from time import monotonic
from urllib.error import HTTPError
from urllib.request import urlopen

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from risk_serving.auth.bearer import Caller, invalid_token, unauthorized
from risk_serving.settings import ROLES, Entra
from risk_serving.worker import Worker

ALGORITHM = "RS256"
LEEWAY_SECONDS = 30  # accepted difference between the issuer's clock and this one
KEYS_SECONDS = 3600.0  # keys are fetched again after this time
RETRY_SECONDS = 10.0  # pause after a fetch that failed, or that did not return the requested key
FETCH_SECONDS = 3.0
MAX_KEYS_BYTES = 1024 * 1024
MIN_KEY_BITS = 2048

_APP_CLAIMS = ("azp", "appid")  # the application that got the token, in access tokens of version 2 and 1
_PERSON_CLAIMS = ("preferred_username", "email", "oid")  # the first one names a person in logs and on pages
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash"})

logger = logging.getLogger(__name__)


class EntraTokens:
    """The tokens that an Entra ID tenant issues for one application."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._keys = _SigningKeys(entra.jwks_url)

    async def find_caller(self, token: str) -> Caller:
        """Return the caller of a token: its name and app roles; raises `Denied` (401) if the token is not valid."""
        claims = self._verify(token, await self._keys.find(_key_id(token)))
        return Caller(_application(claims), _roles(claims))

    async def find_person(self, token: str, nonce: str) -> Caller:
        """Return the person of an ID token: name and app roles; raises `Denied` (401) if it is not valid or is of another sign-in."""
        claims = self._verify(token, await self._keys.find(_key_id(token)))
        name = next((value for claim in _PERSON_CLAIMS if isinstance(value := claims.get(claim), str) and value), None)
        sent = claims.get("nonce")
        if name is None or not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
            raise invalid_token("The ID token is not of this sign-in.")
        return Caller(name, _roles(claims))

    def _verify(self, token: str, key: RSAPublicKey) -> Mapping[str, object]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._entra.audience,
                issuer=self._entra.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat"]},
            )
        except jwt.ExpiredSignatureError:
            raise invalid_token("The token has expired. Get a new one.") from None
        except jwt.ImmatureSignatureError:
            raise invalid_token("The token is not valid yet. Compare the clocks of the issuer and this machine.") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise invalid_token("The token has another audience or another issuer.") from None
        except jwt.PyJWTError:
            raise invalid_token() from None


class _SigningKeys:
    """An issuer's public keys: cached for an hour, fetched early for an unknown key, and kept while a fetch fails."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, RSAPublicKey] = {}
        self._expires_at = self._next_fetch_at = monotonic()
        self._lock = asyncio.Lock()
        self._worker = Worker("keys")

    async def find(self, key_id: str) -> RSAPublicKey:
        """Return the key with an id; raises `Denied` (401) if the issuer does not have it."""
        known = key_id in self._keys
        if not known or (self._needs_fetch(key_id) and not self._lock.locked()):
            await self._refresh(key_id)
        if not self._keys:
            raise unauthorized("The issuer's keys cannot be fetched, so the token cannot be verified. Try again in a moment.")
        key = self._keys.get(key_id)
        if key is None:
            raise invalid_token()
        return key

    def _needs_fetch(self, key_id: str) -> bool:
        now = monotonic()
        return now >= self._next_fetch_at and (now >= self._expires_at or key_id not in self._keys)

    async def _refresh(self, key_id: str) -> None:
        """Fetch the keys, unless a concurrent request has just fetched them: requests that wait share one fetch."""
        async with self._lock:
            if not self._needs_fetch(key_id):
                return
            expired = monotonic() >= self._expires_at
            keys = await self._fetch()
            now = monotonic()
            if keys:
                self._keys, self._expires_at = keys, now + KEYS_SECONDS
            if not (keys and expired):
                self._next_fetch_at = now + RETRY_SECONDS

    async def _fetch(self) -> dict[str, RSAPublicKey] | None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._worker.run(_fetch_keys, self._url)
        except (OSError, ValueError, HTTPException, msgspec.MsgspecError, jwt.PyJWTError) as error:
            if isinstance(error, HTTPError):
                error.close()
            logger.warning("cannot fetch the issuer's keys: %s", type(error).__name__)
            return None


class _Key(msgspec.Struct, frozen=True):
    kty: str
    kid: str = ""
    use: str = "sig"
    n: str = ""
    e: str = ""


class _KeySet(msgspec.Struct, frozen=True):
    keys: tuple[_Key, ...]


def _fetch_keys(url: str) -> dict[str, RSAPublicKey]:
    """Return the RSA signing keys of a JWKS by id; raises `ValueError` if it has none."""
    with urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310 - the settings accept only https, and http on this machine
        content = _read(response, monotonic() + FETCH_SECONDS)
    if len(content) > MAX_KEYS_BYTES:
        raise ValueError("the key set is too large")
    listed = msgspec.json.decode(content, type=_KeySet).keys
    keys = {key.kid: _public_key(key) for key in listed if key.kid and key.kty == "RSA" and key.use == "sig"}
    strong = {key_id: key for key_id, key in keys.items() if key.key_size >= MIN_KEY_BITS}
    if not strong:
        raise ValueError("the key set has no usable key")
    return strong


def _read(response: HTTPResponse, end: float) -> bytes:
    """Return the content, cut after `MAX_KEYS_BYTES` + 1; raises `TimeoutError` at the end of the time: each part may be quick."""
    content = b""
    while len(content) <= MAX_KEYS_BYTES and (part := response.read1(MAX_KEYS_BYTES + 1 - len(content))):
        content += part
        if monotonic() > end:
            raise TimeoutError
    return content


def _public_key(key: _Key) -> RSAPublicKey:
    public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": key.n, "e": key.e})
    if not isinstance(public, RSAPublicKey):
        raise ValueError("not a public key")
    return public


def _key_id(token: str) -> str:
    """Return the id of the signing key from a token's header; raises `Denied` (401) if it is not an RS256 token."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise invalid_token() from None
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
        raise invalid_token()
    return key_id


def _application(claims: Mapping[str, object]) -> str:
    """Return the application that got a token; raises `Denied` (401) for an ID token, which has none and is not for a service."""
    name = next((value for claim in _APP_CLAIMS if isinstance(value := claims.get(claim), str) and value), None)
    if name is None or not _ID_TOKEN_CLAIMS.isdisjoint(claims):
        raise invalid_token("The token is not an access token. Get one for this application's scope.")
    return name


def _roles(claims: Mapping[str, object]) -> frozenset[str]:
    roles = claims.get("roles")
    return frozenset(role for role in ROLES if role in roles) if isinstance(roles, list) else frozenset()
