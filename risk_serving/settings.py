"""The service's settings: access control, limits, documentation, prediction log and telemetry."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlparse

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from risk_assets.settings import RetrySeconds, Settings

SCORE, OPERATE, LABEL, REVIEW = "score", "operate", "label", "review"
REQUIRED = "required"
ROLES = (SCORE, OPERATE, LABEL, REVIEW)
DESK_PATH, CALLBACK = "/desk", "/sign-in/callback"
MIN_KEY_LENGTH, MAX_SESSION_HOURS = 32, 7 * 24
NAME = re.compile(r"[A-Za-z0-9_.-]+")

_AUTHORITY = "https://login.microsoftonline.com"
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9.-]+")
_TENANT_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Token:
    """An accepted bearer token: the caller's name, the caller's roles, and the token's SHA-256 (32 bytes)."""

    name: str
    roles: frozenset[str]
    sha256: bytes


@dataclass(frozen=True)
class Entra:
    """The Entra ID tokens that are accepted: their issuer and audience, and the address of the issuer's public keys."""

    issuer: str
    audience: str
    jwks_url: str


@dataclass(frozen=True)
class SignIn:
    """How people sign in at Entra ID.

    Attributes
    ----------
    authorize_url, token_url
        The addresses of the authorization code flow.
    redirect_url
        The address of the desk to which the browser returns.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: SecretStr
    redirect_url: str


class ServingSettings(Settings):
    """The settings of `risk_assets`, and those of the service.

    Attributes
    ----------
    storage_retry_seconds
        As for the lakehouse, with a shorter default: the service looks for another version and writes its log again anyway.
    serve_tokens
        Bearer tokens as `name:role[+role]:sha256`, separated by commas. Several tokens may have the same name, to rotate them.
    serve_entra_tenant, serve_entra_audience
        The Entra ID tenant and the application's id: set both or neither.
    serve_entra_issuer, serve_entra_jwks
        The tenant's issuer and the address of its public keys; the defaults are those of the public cloud. A tenant that is not
        given by its id requires the issuer, because tokens name the id. The address must be https, or http on this machine.
    serve_entra_client_secret, serve_entra_sign_in
        The secret of the application, with which people sign in to the desk at Entra ID; it requires `serve_desk_url`, and the audience
        must be the application's (client) id. The address of the authorization code flow; the default is that of the public cloud.
    serve_desk_url
        The address of the desk as browsers see it, such as `https://risk.example/desk`.
    serve_session_key, serve_session_hours
        The key that signs the sessions of the desk, random at each start if it is not set, and the hours after which one ends.
    dagster_url
        The address of the Dagster UI, to which the desk links.
    serve_max_body_bytes, serve_max_records, serve_body_seconds
        The largest body, the most records or outcomes in a request, and the time in which the body must arrive.
    serve_max_in_flight, serve_max_received_bytes
        The most requests that wait, for the rest of their body or the list of its errors, and the most bytes of the bodies that are
        arriving; further requests that must wait get status 503.
    serve_caller_rate, serve_caller_burst
        The requests per second of each caller, unlimited by default, and the most at once.
    serve_max_connections, serve_head_seconds, serve_keep_alive_seconds
        The most open connections, the time in which a request's line and headers must arrive, and the time that an idle connection
        stays open. A process that may open fewer files accepts fewer connections.
    serve_write_seconds, serve_max_unread_bytes
        The time in which a client must read an answer, and the most bytes of answers, of all connections, that wait to be read.
    serve_drain_seconds
        The time between SIGTERM, at which the service is no longer ready, and the end of accepting requests.
    serve_refresh_seconds
        The interval at which the service looks for another live version.
    serve_stale_seconds
        The time after which a look that has not ended makes the service stale, and a read or a write of the lake for a caller fails.
    serve_docs
        Whether `/docs` and `/openapi.json` are served.
    serve_log_share, serve_log_bytes, serve_log_seconds
        The share of requests in the prediction log (0 to 1), the most bytes that wait to be written, and the interval between
        writes.
    serve_log
        Whether an answer is sent although it is not yet in the prediction log (`buffered`), or only when it is (`required`): then
        `serve_log_share` must be 1, and an answer waits for at most `serve_log_seconds`.
    serve_telemetry
        The destination of spans and OpenTelemetry metrics: `off`, `otlp` or `azure-monitor`.
    """

    storage_retry_seconds: RetrySeconds = 10.0
    serve_tokens: SecretStr | None = None
    serve_entra_tenant: str | None = None
    serve_entra_audience: str | None = Field(None, validate_default=True)
    serve_entra_issuer: str | None = Field(None, validate_default=True)
    serve_entra_jwks: str | None = None
    serve_desk_url: str | None = None
    serve_entra_client_secret: SecretStr | None = None
    serve_entra_sign_in: str | None = None
    serve_session_key: SecretStr | None = None
    serve_session_hours: Annotated[float, Field(gt=0, le=MAX_SESSION_HOURS, allow_inf_nan=False)] = 8.0
    dagster_url: str | None = None
    serve_max_body_bytes: Count = 4 * 1024 * 1024
    serve_max_records: Count = 1000
    serve_body_seconds: Seconds = 5.0
    serve_max_in_flight: Count = 256
    serve_max_received_bytes: Count = 64 * 1024 * 1024
    serve_caller_rate: Rate | None = None
    serve_caller_burst: Count = 100
    serve_max_connections: Count = 1000
    serve_head_seconds: Seconds = 10.0
    serve_keep_alive_seconds: Count = 300
    serve_write_seconds: Seconds = 10.0
    serve_max_unread_bytes: Count = 64 * 1024 * 1024
    serve_drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    serve_refresh_seconds: Seconds = 1.0
    serve_stale_seconds: Seconds = 30.0
    serve_docs: bool = True
    serve_log_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    serve_log_bytes: Count = 16 * 1024 * 1024
    serve_log_seconds: Seconds = 5.0
    serve_log: Literal["buffered", "required"] = "buffered"
    serve_telemetry: Literal["off", "otlp", "azure-monitor"] = "off"

    @field_validator("serve_tokens")
    @classmethod
    def _require_valid_tokens(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            tuple(_parse_tokens(text.get_secret_value()))
        return text

    @field_validator("serve_entra_tenant")
    @classmethod
    def _require_tenant(cls, tenant: str | None) -> str | None:
        if tenant is not None and not _TENANT.fullmatch(tenant):
            raise ValueError("it is not a tenant. Give the tenant's id or its domain name, or unset it.")
        return tenant

    @field_validator("serve_entra_audience")
    @classmethod
    def _require_tenant_and_audience(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if audience is not None and not audience.strip():
            raise ValueError("it is empty. Give the application's id, or unset it.")
        if "serve_entra_tenant" in info.data and (audience is None) != (info.data["serve_entra_tenant"] is None):
            raise ValueError("it requires RISK_SERVE_ENTRA_TENANT, and the reverse. Set both, or neither.")
        return audience

    @field_validator("serve_entra_issuer")
    @classmethod
    def _require_issuer(cls, issuer: str | None, info: ValidationInfo) -> str | None:
        tenant = info.data.get("serve_entra_tenant")
        if issuer is None and tenant is not None and not _TENANT_ID.fullmatch(tenant):
            raise ValueError("it is required, because RISK_SERVE_ENTRA_TENANT is not an id, which tokens name. Set the id instead.")
        if issuer is not None and not issuer.strip():
            raise ValueError("it is empty. Give the value of the tokens' iss claim, or unset it for the default.")
        return issuer

    @field_validator("serve_desk_url")
    @classmethod
    def _require_desk(cls, address: str | None) -> str | None:
        if address is not None and not (_is_safe(address) and address.endswith(DESK_PATH) and "?" not in address and "#" not in address):
            raise ValueError(
                "it must be an https address that ends with /desk, or an http address on this machine. Correct it, or unset it."
            )
        return address

    @field_validator("serve_entra_client_secret")
    @classmethod
    def _require_application(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        missing = [name for name in ("serve_entra_audience", "serve_desk_url") if name in info.data and info.data[name] is None]
        if secret is not None and missing:
            raise ValueError(f"it requires {' and '.join(f'RISK_{name.upper()}' for name in missing)}. Set them too, or unset it.")
        if secret is not None and not secret.get_secret_value().strip():
            raise ValueError("it is empty. Give the secret of the application, or unset it.")
        return secret

    @field_validator("serve_session_key")
    @classmethod
    def _require_long_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < MIN_KEY_LENGTH:
            raise ValueError(f"it is shorter than {MIN_KEY_LENGTH} characters. Set a random text: openssl rand -hex 32 makes one.")
        return key

    @field_validator("dagster_url")
    @classmethod
    def _require_web_address(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"https?://[^\s\"'<>]+", address):
            raise ValueError("it is not the address of the Dagster UI. Set https://HOST or http://HOST:PORT, or unset it.")
        return address

    @field_validator("serve_entra_jwks", "serve_entra_sign_in")
    @classmethod
    def _require_safe_address(cls, address: str | None) -> str | None:
        if address is not None and not _is_safe(address):
            raise ValueError("it must be an https address, or an http address on this machine. Correct it, or unset it for the default.")
        return address

    @field_validator("serve_log")
    @classmethod
    def _require_whole_log(cls, mode: str, info: ValidationInfo) -> str:
        if mode == REQUIRED and info.data.get("serve_log_share", 1.0) < 1:
            raise ValueError("required means that every answer is logged, and RISK_SERVE_LOG_SHARE is less than 1. Unset one of the two.")
        return mode

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The accepted bearer tokens."""
        return tuple(_parse_tokens(self.serve_tokens.get_secret_value())) if self.serve_tokens else ()

    @property
    def sign_in(self) -> SignIn | None:
        """How people sign in at Entra ID, or None if they cannot."""
        entra, secret = self.entra, self.serve_entra_client_secret
        if entra is None or secret is None or self.serve_desk_url is None:
            return None
        flow = self.serve_entra_sign_in or f"{_AUTHORITY}/{self.serve_entra_tenant}/oauth2/v2.0"
        return SignIn(f"{flow}/authorize", f"{flow}/token", entra.audience, secret, f"{self.serve_desk_url}{CALLBACK}")

    @property
    def entra(self) -> Entra | None:
        """The accepted Entra ID tokens, or None if no tenant is set."""
        if self.serve_entra_tenant is None or self.serve_entra_audience is None:
            return None
        authority = f"{_AUTHORITY}/{self.serve_entra_tenant}"
        return Entra(
            issuer=self.serve_entra_issuer or f"{authority}/v2.0",
            audience=self.serve_entra_audience,
            jwks_url=self.serve_entra_jwks or f"{authority}/discovery/v2.0/keys",
        )


def _parse_tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a list; raises `ValueError` that gives an entry's number only, because its text may be secret."""
    digests = set()
    for number, entry in enumerate(text.split(","), start=1):
        token = _parse_token(entry.strip())
        if token is None:
            raise ValueError(
                f"entry {number} is not name:role[+role]:sha256, with roles of {', '.join(ROLES)}. Create one with: risk token NAME."
            )
        if token.sha256 in digests:
            raise ValueError(f"entry {number} has the same SHA-256 as an earlier entry. Remove one of the two.")
        digests.add(token.sha256)
        yield token


def _parse_token(entry: str) -> Token | None:
    name, _, rest = entry.partition(":")
    names, _, digest = rest.partition(":")
    roles = frozenset(names.split("+"))
    if not (NAME.fullmatch(name) and roles <= set(ROLES) and _SHA256.fullmatch(digest)):
        return None
    return Token(name, roles, bytes.fromhex(digest))


def _is_safe(address: str) -> bool:
    try:
        parts = urlparse(address)
    except ValueError:
        return False
    local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    return bool(parts.hostname) and (parts.scheme == "https" or local)
