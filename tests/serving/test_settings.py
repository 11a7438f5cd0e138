"""Tests of the service's settings: an error names its variable and shows no value; Key Vault can have the secrets."""

import datetime
import hashlib
import http.server
import ipaddress
import json
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from risk_assets.cli.serving import token
from risk_assets.errors import ContractError
from risk_assets.settings import Settings, load_settings
from risk_serving.settings import Entra, ServingSettings, Token

DIGEST = hashlib.sha256(b"Secret-1").hexdigest()
OTHER = hashlib.sha256(b"Secret-2").hexdigest()
TENANT = "3f2c0000-1111-2222-3333-444455556666"

Set = Callable[..., ServingSettings]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Set variables in an empty environment and an empty folder, and load the settings."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("RISK_", "AZURE_")):
            monkeypatch.delenv(name)

    def load(**variables: str) -> ServingSettings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load_settings(ServingSettings)

    return load


# --- the service ----------------------------------------------------------------------------------------------------------


def test_defaults_without_any_variable(loaded: Set) -> None:
    settings = loaded()
    assert (settings.tokens, settings.entra) == ((), None)
    assert (settings.serve_max_body_bytes, settings.serve_max_records, settings.serve_body_seconds) == (4_194_304, 1000, 5.0)
    assert (settings.serve_max_in_flight, settings.serve_max_received_bytes) == (256, 67_108_864)
    assert (settings.serve_refresh_seconds, settings.serve_docs) == (1.0, True)
    assert (settings.serve_stale_seconds, settings.serve_caller_rate, settings.serve_caller_burst) == (30.0, None, 100)
    assert (settings.serve_max_connections, settings.serve_head_seconds, settings.serve_keep_alive_seconds) == (1000, 10.0, 300)
    assert (settings.serve_write_seconds, settings.serve_max_unread_bytes, settings.serve_drain_seconds) == (10.0, 67_108_864, 5.0)
    assert (settings.serve_log_share, settings.serve_log_bytes, settings.serve_log_seconds) == (1.0, 16_777_216, 5.0)
    assert (settings.serve_log, settings.serve_telemetry) == ("buffered", "off")
    assert (settings.sign_in, settings.serve_desk_url, settings.serve_session_key, settings.dagster_url) == (None, None, None, None)
    assert settings.serve_session_hours == 8.0
    assert settings.storage_retry_seconds == 10.0


def test_batch_settings_are_included(loaded: Set) -> None:
    assert loaded(RISK_LAKE="az://lake").lake == "az://lake"
    assert type(load_settings()) is Settings


def test_tokens_are_parsed_and_not_shown(loaded: Set) -> None:
    settings = loaded(RISK_SERVE_TOKENS=f"batch:score:{DIGEST}, batch:operate+score:{OTHER.upper()}")
    assert settings.tokens == (
        Token("batch", frozenset({"score"}), hashlib.sha256(b"Secret-1").digest()),
        Token("batch", frozenset({"score", "operate"}), hashlib.sha256(b"Secret-2").digest()),
    )
    assert DIGEST not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("", 1),
        (" ", 1),
        ("Secret-1", 1),
        (f"batch:score:{DIGEST},", 2),
        (f"batch:score:{DIGEST},ops:score:Secret-1", 2),
        (f"batch::{DIGEST}", 1),
        (f"batch:admin:{DIGEST}", 1),
        (f"batch:score+:{DIGEST}", 1),
        (f"batch:score:{DIGEST}0", 1),
        (f"batch:score:{DIGEST[:-1]}g", 1),
        (f":score:{DIGEST}", 1),
        (f"a b:score:{DIGEST}", 1),
        (f"batch:score:{DIGEST}:x", 1),
        (f"batch:score:{DIGEST},ops:operate:{DIGEST.upper()}", 2),
    ],
)
def test_malformed_token_is_reported_by_its_number(loaded: Set, text: str, entry: int) -> None:
    with pytest.raises(ContractError, match=rf"RISK_SERVE_TOKENS: .*entry {entry} ") as caught:
        loaded(RISK_SERVE_TOKENS=text)
    for secret in ("Secret", DIGEST[:20]):
        assert secret not in str(caught.value)


def test_tenant_gives_issuer_and_keys(loaded: Set) -> None:
    authority = f"https://login.microsoftonline.com/{TENANT}"
    assert loaded(RISK_SERVE_ENTRA_TENANT=TENANT, RISK_SERVE_ENTRA_AUDIENCE="api://risk").entra == Entra(
        f"{authority}/v2.0", "api://risk", f"{authority}/discovery/v2.0/keys"
    )


@pytest.mark.parametrize("tenant", ["bank.example", "bank.onmicrosoft.com", "common", "organizations"])
def test_tenant_that_is_not_an_id_requires_the_issuer(loaded: Set, tenant: str) -> None:
    with pytest.raises(ContractError, match=r"RISK_SERVE_ENTRA_ISSUER: .*RISK_SERVE_ENTRA_TENANT is not an id") as caught:
        loaded(RISK_SERVE_ENTRA_TENANT=tenant, RISK_SERVE_ENTRA_AUDIENCE="api://risk")
    assert tenant not in str(caught.value)
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    found = loaded(RISK_SERVE_ENTRA_TENANT=tenant, RISK_SERVE_ENTRA_AUDIENCE="api://risk", RISK_SERVE_ENTRA_ISSUER=issuer).entra
    assert found == Entra(issuer, "api://risk", f"https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys")


def test_issuer_and_keys_can_be_set(loaded: Set) -> None:
    settings = loaded(
        RISK_SERVE_ENTRA_TENANT=TENANT,
        RISK_SERVE_ENTRA_AUDIENCE="a",
        RISK_SERVE_ENTRA_ISSUER="https://issuer/",
        RISK_SERVE_ENTRA_JWKS="https://keys",
    )
    assert settings.entra == Entra("https://issuer/", "a", "https://keys")


@pytest.mark.parametrize("variable", ["RISK_SERVE_ENTRA_TENANT", "RISK_SERVE_ENTRA_AUDIENCE"])
def test_tenant_and_audience_require_each_other(loaded: Set, variable: str) -> None:
    with pytest.raises(ContractError, match=r"RISK_SERVE_ENTRA_AUDIENCE: .*Set both, or neither"):
        loaded(**{variable: TENANT})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_BODY_BYTES", "0"),
        ("MAX_RECORDS", "-17"),
        ("BODY_SECONDS", "0"),
        ("BODY_SECONDS", "inf"),
        ("MAX_IN_FLIGHT", "1.17"),
        ("MAX_CONNECTIONS", "0"),
        ("HEAD_SECONDS", "0"),
        ("KEEP_ALIVE_SECONDS", "1.17"),
        ("WRITE_SECONDS", "inf"),
        ("MAX_UNREAD_BYTES", "-17"),
        ("DRAIN_SECONDS", "-1.17"),
        ("REFRESH_SECONDS", "nan"),
        ("STALE_SECONDS", "0"),
        ("CALLER_RATE", "0"),
        ("CALLER_RATE", "-17"),
        ("CALLER_BURST", "0"),
        ("DOCS", "sometimes17"),
        ("LOG_SHARE", "1.17"),
        ("LOG_SHARE", "nan"),
        ("LOG_BYTES", "0"),
        ("LOG_SECONDS", "-1.17"),
        ("LOG", "sometimes17"),
        ("TELEMETRY", "jaeger17"),
        ("ENTRA_TENANT", "a/../b17"),
        ("ENTRA_TENANT", ""),
        ("ENTRA_AUDIENCE", " "),
        ("ENTRA_ISSUER", ""),
        ("ENTRA_JWKS", "http://keys17.example"),
        ("ENTRA_JWKS", "file:///etc/passwd17"),
        ("ENTRA_JWKS", "https://"),
        ("ENTRA_JWKS", "http://[17"),
        ("ENTRA_SIGN_IN", "http://login17.example"),
        ("ENTRA_CLIENT_SECRET", "s17"),
        ("DESK_URL", "http://risk17.example/desk"),
        ("DESK_URL", "https://risk17.example"),
        ("DESK_URL", "https://risk17.example/?next=/desk"),
        ("SESSION_KEY", "short17"),
        ("SESSION_HOURS", "0"),
        ("SESSION_HOURS", "inf"),
    ],
)
def test_invalid_setting_is_named_and_its_value_not_shown(loaded: Set, variable: str, value: str) -> None:
    with pytest.raises(ContractError, match=f"RISK_SERVE_{variable}: ") as caught:
        loaded(**{f"RISK_SERVE_{variable}": value})
    assert "17" not in str(caught.value)


def test_desk_signs_in_at_the_tenant(loaded: Set) -> None:
    entra = {"RISK_SERVE_ENTRA_TENANT": TENANT, "RISK_SERVE_ENTRA_AUDIENCE": "app-1"}
    assert loaded(**entra).sign_in is None
    with pytest.raises(ContractError, match=r"RISK_SERVE_ENTRA_CLIENT_SECRET: it requires RISK_SERVE_DESK_URL"):
        loaded(**entra, RISK_SERVE_ENTRA_CLIENT_SECRET="s-1")
    found = loaded(**entra, RISK_SERVE_ENTRA_CLIENT_SECRET="s-1", RISK_SERVE_DESK_URL="https://risk.example/desk").sign_in
    assert found is not None
    flow = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0"
    assert (found.authorize_url, found.token_url) == (f"{flow}/authorize", f"{flow}/token")
    assert (found.client_id, found.redirect_url) == ("app-1", "https://risk.example/desk/sign-in/callback")
    assert "s-1" not in repr(found)


@pytest.mark.parametrize("address", ["ftp://dagster", "dagster", "https://", "http://a b", 'http://"x'])
def test_address_of_dagster_is_one_of_the_web(loaded: Set, address: str) -> None:
    assert loaded(RISK_DAGSTER_URL="http://127.0.0.1:3000").dagster_url == "http://127.0.0.1:3000"
    with pytest.raises(ContractError, match="RISK_DAGSTER_URL: "):
        loaded(RISK_DAGSTER_URL=address)


def test_required_log_has_all_requests(loaded: Set) -> None:
    with pytest.raises(ContractError, match=r"RISK_SERVE_LOG: .*RISK_SERVE_LOG_SHARE is less than 1"):
        loaded(RISK_SERVE_LOG="required", RISK_SERVE_LOG_SHARE="0.5")
    assert loaded(RISK_SERVE_LOG_SHARE="1").serve_log == "required"


def test_settings_are_frozen(loaded: Set) -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().serve_docs = False  # type: ignore[misc]


# --- risk token -----------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(token)
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("options", "roles"),
    [((), "score"), (("review",), "review"), (("operate", "score"), "score+operate"), (("score", "score"), "score")],
)
def test_token_command_prints_a_token_and_its_entry(loaded: Set, options: tuple[str, ...], roles: str) -> None:
    code, output = run("batch-1", *(word for role in options for word in ("--role", role)))
    value, entry = (line.strip() for line in output.splitlines() if line.startswith("  "))
    assert code == 0
    assert len(value) == 43
    assert entry == f"RISK_SERVE_TOKENS=batch-1:{roles}:{hashlib.sha256(value.encode()).hexdigest()}"
    assert len(loaded(RISK_SERVE_TOKENS=entry.partition("=")[2]).tokens) == 1


def test_token_command_prints_a_new_token_each_time() -> None:
    assert run("batch")[1] != run("batch")[1]


@pytest.mark.parametrize("arguments", [("a b",), ("a:b",), ("",), ("a,b",), ("a\n",), ("batch", "--role", "admin"), ()])
def test_token_command_rejects_invalid_arguments(arguments: tuple[str, ...]) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert "RISK_SERVE_TOKENS" not in output


# --- Key Vault ------------------------------------------------------------------------------------------------------------


@dataclass
class Vault:
    """A server with Key Vault's REST API over https, and the endpoint of a managed identity over http."""

    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    requested: list[str] = field(default_factory=list)
    status: int = 200
    resource: str = ""

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, str], Any]:
        if authorization is None:
            challenge = f'Bearer authorization="https://login.microsoftonline.com/3f2c", resource="{self.resource}"'
            return 401, {"WWW-Authenticate": challenge}, {}
        if self.status != 200 or authorization != "Bearer identity-token":
            return self.status if self.status != 200 else 403, {}, {"error": {"code": "No", "message": "Secret-1 is not allowed"}}
        name = path.removeprefix("/secrets").strip("/").partition("/")[0]
        if not name:
            items = [{"id": f"{self.url}/secrets/{one}", "attributes": {"enabled": one not in self.disabled}} for one in self.secrets]
            return 200, {}, {"value": items, "nextLink": None}
        self.requested.append(name)
        return 200, {}, {"id": f"{self.url}/secrets/{name}/1", "value": self.secrets[name], "attributes": {"enabled": True}}


def _reply(handler: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: object) -> None:
    body = json.dumps(content).encode()
    handler.send_response(status)
    for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vault")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("vault") / "vault.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def vault(certificate: Path, loaded: Set, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """A vault on this machine, used with the managed identity of a web app; Azure's libraries are not patched."""
    vault = Vault()

    class Secrets(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _reply(self, *vault.answer(urlparse(self.path).path, self.headers["Authorization"]))

        def log_message(self, *_: object) -> None:
            pass

    class Identity(Secrets):
        def do_GET(self) -> None:
            _reply(
                self, 200, {}, {"access_token": "identity-token", "expires_on": "4102444800", "resource": "vault", "token_type": "Bearer"}
            )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secrets) as secrets,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Identity) as identity,
    ):
        secrets.socket = context.wrap_socket(secrets.socket, server_side=True)
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (secrets, identity)]
        for thread in threads:
            thread.start()
        vault.url = f"https://127.0.0.1:{secrets.server_port}"
        vault.resource = f"https://0.0.1:{secrets.server_port}"  # the vault's host must be a subdomain of its resource
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{identity.server_port}/")
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        yield vault
        for server in (secrets, identity):
            server.shutdown()
        for thread in threads:
            thread.join()


def test_vault_secrets_are_settings(loaded: Set, vault: Vault) -> None:
    vault.secrets = {
        "RISK-SERVE-TOKENS": f"batch:score:{DIGEST}",
        "RISK-LAKE": "az://from-vault",
        "azure-storage-account-name": "team",
        "AZURE-STORAGE-ACCOUNT-KEY": "S0VZ",
        "RISK-SERVE-MAX-RECORDS": "7",
    }
    settings = loaded(RISK_KEY_VAULT=vault.url)
    assert [one.name for one in settings.tokens] == ["batch"]
    assert (settings.lake, settings.serve_max_records) == ("az://from-vault", 7)
    found = settings.credential()
    assert found is not None
    assert (found.account, found.key) == ("team", "S0VZ")


def test_batch_settings_read_the_vault(loaded: Set, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.secrets = {"AZURE-STORAGE-CONNECTION-STRING": "AccountName=team;AccountKey=S0VZ", "RISK-SERVE-TOKENS": "x"}
    monkeypatch.setenv("RISK_KEY_VAULT", vault.url)
    found = load_settings().credential()
    assert found is not None
    assert found.key == "S0VZ"
    assert vault.requested == ["AZURE-STORAGE-CONNECTION-STRING"]


def test_environment_and_dot_env_override_the_vault(loaded: Set, vault: Vault, tmp_path: Path) -> None:
    vault.secrets = {"RISK-LAKE": "az://vault", "RISK-LANDING": "az://vault", "AZURE-STORAGE-ACCOUNT-NAME": "vault"}
    (tmp_path / ".env").write_text(f"RISK_KEY_VAULT={vault.url}\nRISK_LANDING=az://file\n", encoding="utf-8")
    settings = loaded(RISK_LAKE="az://environment", AZURE_STORAGE_ACCOUNT_NAME="environment")
    assert (settings.lake, settings.landing, settings.account_name) == ("az://environment", "az://file", "environment")


def test_other_and_disabled_secrets_are_not_read(loaded: Set, vault: Vault) -> None:
    vault.secrets = {"payroll": "x", "RISK-SERVE-TOKENS": "x", "RISK-LAKE": "az://vault"}
    vault.disabled = {"RISK-SERVE-TOKENS"}
    assert loaded(RISK_KEY_VAULT=vault.url).tokens == ()
    assert vault.requested == ["RISK-LAKE"]


def test_invalid_secret_is_named_by_its_variable(loaded: Set, vault: Vault) -> None:
    vault.secrets = {"RISK-SERVE-TOKENS": "Secret-1"}
    with pytest.raises(ContractError, match=r"RISK_SERVE_TOKENS: .*entry 1 ") as caught:
        loaded(RISK_KEY_VAULT=vault.url)
    assert "Secret-1" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_vault_error_does_not_show_the_vaults_message(loaded: Set, vault: Vault, status: int) -> None:
    vault.status = status
    with pytest.raises(ContractError, match=rf"Key Vault 127\.0\.0\.1 responded with status {status}\. .*Key Vault Secrets User") as caught:
        loaded(RISK_KEY_VAULT=vault.url)
    assert "Secret-1" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_identity_token_is_sent_only_to_the_vaults_domain(loaded: Set, vault: Vault) -> None:
    vault.resource = "https://vault.example"
    with pytest.raises(ContractError, match=r"cannot be reached"):
        loaded(RISK_KEY_VAULT=vault.url)


def test_vault_with_untrusted_certificate_is_not_used(loaded: Set, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ContractError, match=r"127\.0\.0\.1 cannot be reached"):
        loaded(RISK_KEY_VAULT=vault.url)


def test_unreachable_vault_is_reported(loaded: Set) -> None:
    with pytest.raises(ContractError, match=r"Key Vault 127\.0\.0\.1 cannot be reached .*RISK_KEY_VAULT"):
        loaded(RISK_KEY_VAULT="https://127.0.0.1:9")


@pytest.mark.parametrize("address", ["", "vault", "http://team.vault.azure.net", "https://", "https://[17"])
def test_invalid_vault_address_is_reported(loaded: Set, address: str) -> None:
    with pytest.raises(ContractError, match=r"RISK_KEY_VAULT is not the address of a vault.*https://NAME\.vault\.azure\.net"):
        loaded(RISK_KEY_VAULT=address)


def test_missing_keyvault_packages_are_reported(loaded: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.keyvault.secrets", None)
    with pytest.raises(ContractError, match=r"pip install 'risk-lakehouse\[keyvault\]'"):
        loaded(RISK_KEY_VAULT="https://team.vault.azure.net")
