"""Admits a request: a named token, an Entra ID token or, without access control, a request from this machine."""

import re
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from starlette.types import Scope

from risk_serving.auth.bearer import Caller, Denied, NamedTokens, invalid_token, read_token
from risk_serving.settings import ROLES, Entra, ServingSettings

if TYPE_CHECKING:
    from risk_serving.auth.entra import EntraTokens

_LOCAL_HOST = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_FORWARDED = (b"x-forwarded", b"x-original", b"x-envoy")  # the starts of names
_PROXIED = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-azure-clientip", b"x-azure-socketip"),
        *(b"client-ip", b"true-client-ip", b"cf-connecting-ip", b"fastly-client-ip", b"x-proxyuser-ip", b"x-appgw-trace-id"),
    }
)
_LOCAL_CALLER = Caller("local", frozenset(ROLES))


class Access:
    """Admits requests by the tokens and the Entra ID tenant of the settings.

    `localhost_only` is true if neither is set: then only requests from this machine are admitted.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._named = NamedTokens(settings.tokens)
        self._entra = _entra_tokens(settings.entra) if settings.entra else None
        self.localhost_only = not settings.tokens and self._entra is None

    async def admit(self, scope: Scope, role: str) -> Caller:
        """Return the caller of an HTTP request; raises `Denied` if the caller is unknown or does not have the role."""
        if self.localhost_only:
            return _admit_local(scope)
        token = read_token(scope["headers"])
        caller = self._named.find_caller(token) or await self._find_entra_caller(token)
        if role not in caller.roles:
            raise Denied(HTTPStatus.FORBIDDEN, f"The token does not have the role {role!r}.")
        return caller

    def admit_now(self, scope: Scope, role: str) -> Caller | None:
        """Return the caller if it is known without a look at an issuer's keys and has the role, or else None."""
        try:
            caller = _admit_local(scope) if self.localhost_only else self._named.find_caller(read_token(scope["headers"]))
        except Denied:
            return None
        return caller if caller is not None and role in caller.roles else None

    def find_named(self, token: bytes) -> Caller | None:
        """Return the caller of a named token, or None."""
        return self._named.find_caller(token)

    async def find_person(self, id_token: str, nonce: str) -> Caller:
        """Return the person of an ID token that was issued for a sign-in with this nonce; raises `Denied` if it is not valid."""
        if self._entra is None:
            raise invalid_token()
        return await self._entra.find_person(id_token, nonce)

    async def _find_entra_caller(self, token: bytes) -> Caller:
        if self._entra is None:
            raise invalid_token()
        return await self._entra.find_caller(token.decode("ascii"))


def _entra_tokens(entra: Entra) -> "EntraTokens":
    from risk_serving.auth.entra import EntraTokens  # here, because it takes 9 MB

    return EntraTokens(entra)


@lru_cache(1000)
def is_loopback(host: str) -> bool:
    """Whether an IP address is a loopback address, also as an IPv4-mapped IPv6 address."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _admit_local(scope: Scope) -> Caller:
    """Return the local caller; denies another host name (DNS rebinding in a browser) and the clients of a proxy."""
    client, headers = scope.get("client"), scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    forwarded = any(name in _PROXIED or name.startswith(_FORWARDED) for name, _ in headers)
    if client and is_loopback(client[0]) and not forwarded and len(hosts) == 1 and _LOCAL_HOST.fullmatch(hosts[0]):
        return _LOCAL_CALLER
    raise Denied(
        HTTPStatus.FORBIDDEN,
        "No access control is set, so the service accepts only requests from its own machine, to localhost. "
        "Set RISK_SERVE_TOKENS (risk token NAME creates one), or RISK_SERVE_ENTRA_TENANT and RISK_SERVE_ENTRA_AUDIENCE.",
    )
