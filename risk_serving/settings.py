"""The service's settings: who may call it, how much it takes at once, and what it tells of itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlparse

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from risk_assets.settings import Settings

SCORE, OPERATE = "score", "operate"
ROLES = (SCORE, OPERATE)
NAME = re.compile(r"[A-Za-z0-9_.-]+")

_AUTHORITY = "https://login.microsoftonline.com"
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9.-]+")

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Token:
    """A bearer token that is let in: whose it is, what it may do, and its SHA-256 (32 bytes)."""

    name: str
    roles: frozenset[str]
    digest: bytes


@dataclass(frozen=True)
class Entra:
    """Whose Entra ID tokens are let in: their issuer and audience, and the address of the issuer's public keys."""

    issuer: str
    audience: str
    jwks: str


class ServingSettings(Settings):
    """The batch side's settings, and the service's own.

    Attributes
    ----------
    serve_tokens
        Bearer tokens as `name:role[+role]:sha256`, with commas between them; several may have one name, to rotate them.
    serve_entra_tenant, serve_entra_audience
        The Entra ID tenant and the application's id: both or neither.
    serve_entra_issuer, serve_entra_jwks
        The tenant's issuer and the address of its keys, where they are not the public cloud's. The keys' address is
        https, or http on this machine.
    serve_max_body_bytes, serve_max_records, serve_body_seconds
        How large a request may be, how many records it may hold, and how long its body may take to arrive.
    serve_max_in_flight
        How many requests are worked on at once; those beyond are told to come back.
    serve_refresh_seconds
        How often the lake is asked which version is live.
    serve_docs
        Whether `/docs` and `/openapi.json` are there.
    serve_log_share, serve_log_records, serve_log_seconds
        The share of requests in the prediction log (0 to 1), how many records wait for it at most
        (some 2 KB of memory each), and how often it is written.
    serve_telemetry
        Where spans go: `off`, `otlp` or `azure-monitor`.
    """

    serve_tokens: SecretStr | None = None
    serve_entra_tenant: str | None = None
    serve_entra_audience: str | None = Field(None, validate_default=True)
    serve_entra_issuer: str | None = None
    serve_entra_jwks: str | None = None
    serve_max_body_bytes: Count = 4 * 1024 * 1024
    serve_max_records: Count = 1000
    serve_body_seconds: Seconds = 5.0
    serve_max_in_flight: Count = 256
    serve_refresh_seconds: Seconds = 1.0
    serve_docs: bool = True
    serve_log_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    serve_log_records: Count = 5000
    serve_log_seconds: Seconds = 5.0
    serve_telemetry: Literal["off", "otlp", "azure-monitor"] = "off"

    @field_validator("serve_tokens")
    @classmethod
    def _tokens_can_be_read(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            tuple(_tokens(text.get_secret_value()))
        return text

    @field_validator("serve_entra_tenant")
    @classmethod
    def _is_a_tenant(cls, tenant: str | None) -> str | None:
        if tenant is not None and not _TENANT.fullmatch(tenant):
            raise ValueError("it is no tenant. Give the tenant's id or its domain, or unset it.")
        return tenant

    @field_validator("serve_entra_audience")
    @classmethod
    def _goes_with_a_tenant(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if audience is not None and not audience.strip():
            raise ValueError("it is empty. Give the application's id, or unset it.")
        if "serve_entra_tenant" in info.data and (audience is None) != (info.data["serve_entra_tenant"] is None):
            raise ValueError("it goes with RISK_SERVE_ENTRA_TENANT. Set both, or neither.")
        return audience

    @field_validator("serve_entra_issuer")
    @classmethod
    def _is_an_issuer(cls, issuer: str | None) -> str | None:
        if issuer is not None and not issuer.strip():
            raise ValueError("it is empty. Give the issuer as the tokens name it, or unset it for the default.")
        return issuer

    @field_validator("serve_entra_jwks")
    @classmethod
    def _can_be_trusted(cls, address: str | None) -> str | None:
        if address is not None and not _is_safe(address):
            raise ValueError("keys are fetched by https, or by http from 127.0.0.1. Give such an address, or unset it for the default.")
        return address

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The bearer tokens that are let in."""
        return tuple(_tokens(self.serve_tokens.get_secret_value())) if self.serve_tokens else ()

    @property
    def entra(self) -> Entra | None:
        """Whose Entra ID tokens are let in, or None where no tenant is set."""
        if self.serve_entra_tenant is None or self.serve_entra_audience is None:
            return None
        home = f"{_AUTHORITY}/{self.serve_entra_tenant}"
        return Entra(
            issuer=self.serve_entra_issuer or f"{home}/v2.0",
            audience=self.serve_entra_audience,
            jwks=self.serve_entra_jwks or f"{home}/discovery/v2.0/keys",
        )


def _tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a list; raises `ValueError` that names an entry by its place, for its text may be secret."""
    seen = set()
    for place, entry in enumerate(text.split(","), start=1):
        token = _token(entry.strip())
        if token is None:
            raise ValueError(f"entry {place} is not name:role[+role]:sha256, with roles of {', '.join(ROLES)}. Make one: risk token NAME.")
        if token.digest in seen:
            raise ValueError(f"entry {place} has the SHA-256 of an entry before it. Keep one of the two.")
        seen.add(token.digest)
        yield token


def _token(entry: str) -> Token | None:
    name, _, rest = entry.partition(":")
    roles, _, digest = rest.partition(":")
    given = frozenset(roles.split("+"))
    if not (NAME.fullmatch(name) and given <= set(ROLES) and _SHA256.fullmatch(digest)):
        return None
    return Token(name, given, bytes.fromhex(digest))


def _is_safe(address: str) -> bool:
    try:
        parts = urlparse(address)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})
    )
