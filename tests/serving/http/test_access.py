"""Tests of access control over HTTP: roles, localhost, TLS and security headers."""

import datetime
import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving.auth.issuer import AUDIENCE, TENANT, Issuer, Keys, signed
from tests.serving.conftest import Service, serving, token_entry

SCORE, SCORE_NEXT, OPERATE, BOTH = "score-1", "score-2", "operate-1", "both-1"
TOKENS = ",".join(
    (
        token_entry("shop", SCORE, "score"),
        token_entry("shop", SCORE_NEXT, "score"),
        token_entry("monitor", OPERATE, "operate"),
        token_entry("boss", BOTH, "score", "operate"),
    )
)


@pytest.fixture(scope="module")
def guarded(served_book: Path) -> Iterator[Service]:
    """A service that accepts four tokens."""
    with serving(served_book / "lake", RISK_SERVE_TOKENS=TOKENS) as running:
        yield running


def status(service: Service, path: str, token: str | None) -> int:
    """Return the status of an answer; a scoring request has no records, so 422 means that the caller was admitted."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    method = "POST" if path in ("/predict", "/score") else "GET"
    return service.client.request(method, path, headers=headers, json={} if method == "POST" else None).status_code


@pytest.mark.parametrize("path", ["/predict", "/score"])
def test_scoring_requires_the_role_score(guarded: Service, path: str) -> None:
    assert [status(guarded, path, token) for token in (SCORE, SCORE_NEXT, BOTH)] == [422] * 3
    assert [status(guarded, path, token) for token in (OPERATE, "score-3", None)] == [403, 401, 401]


@pytest.mark.parametrize("path", ["/metrics", "/model", "/models/model_v001"])
def test_operations_require_the_role_operate(guarded: Service, path: str) -> None:
    assert [status(guarded, path, token) for token in (OPERATE, BOTH)] == [200] * 2
    assert [status(guarded, path, token) for token in (SCORE, "operate-2", None)] == [403, 401, 401]


@pytest.mark.parametrize("path", ["/nowhere", "/models", "//model", "/Model", "/predict/x", "/healthy"])
def test_unknown_path_without_token_is_401(guarded: Service, path: str) -> None:
    assert guarded.client.get(guarded.url + path).status_code == 401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json"])
def test_health_and_documentation_need_no_token(guarded: Service, path: str) -> None:
    assert status(guarded, path, None) == 200


def test_missing_token_gets_a_bearer_challenge(guarded: Service) -> None:
    answer = guarded.client.get("/model")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401


def test_log_has_the_callers_name_and_not_the_token(guarded: Service, records: list[dict[str, object]]) -> None:
    answer = guarded.predict(records[:1], Authorization=f"Bearer {SCORE}")
    assert answer.status_code == 200
    guarded.until(lambda: answer.headers["x-request-id"] in guarded.output)
    (line,) = (line for line in guarded.output.splitlines() if answer.headers["x-request-id"] in line)
    assert '"caller":"shop"' in line
    assert not any(token in guarded.output + guarded.errors for token in (SCORE, SCORE_NEXT, OPERATE, BOTH))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_other_host_header_is_403_without_access_control(service: Service, host: str) -> None:
    answer = service.client.get("/model", headers={"Host": host})
    assert answer.status_code == 403
    assert "RISK_SERVE_TOKENS" in answer.json()["detail"]
    assert service.client.get("/model").status_code == 200


@pytest.mark.parametrize("header", ["X-Real-IP", "Via", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded"])
def test_request_through_a_proxy_is_403_without_access_control(service: Service, header: str) -> None:
    assert service.client.get("/model", headers={header: "203.0.113.9"}).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "risk.example"])
def test_public_address_is_not_served_without_access_control(tmp_path: Path, host: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_"))}
    command = [sys.executable, "-m", "risk_serving", "--host", host, "--port", "0"]
    finished = subprocess.run(
        command, env={**environment, "RISK_LAKE": str(tmp_path)}, capture_output=True, text=True, timeout=20, check=False
    )
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("error: ")
    assert host in finished.stderr
    assert "RISK_SERVE_TOKENS" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_entra_and_named_tokens_are_accepted_together(serve: Callable[..., Service], served_book: Path, issuer: Issuer, keys: Keys) -> None:
    settings = {"RISK_SERVE_ENTRA_TENANT": TENANT, "RISK_SERVE_ENTRA_AUDIENCE": AUDIENCE, "RISK_SERVE_ENTRA_JWKS": issuer.url}
    service = serve(served_book / "lake", RISK_SERVE_TOKENS=token_entry("shop", SCORE, "score"), **settings)
    assert status(service, "/predict", signed(keys[0])) == 422
    assert status(service, "/metrics", signed(keys[0])) == 403
    assert status(service, "/metrics", signed(keys[0], roles=["operate"])) == 200
    assert status(service, "/predict", SCORE) == 422
    for token in (signed(keys[2]), signed(keys[0], aud="api://other"), signed(keys[0], exp=1), None):
        assert status(service, "/predict", token) == 401
    assert issuer.fetches == 1
    issuer.publish("k2", keys[1])
    assert status(service, "/predict", signed(keys[1], "k2")) == 422
    assert '"caller":"app-1"' in lines_of_app(service)


def lines_of_app(service: Service) -> str:
    service.until(lambda: "app-1" in service.output)
    return service.output


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*kinds))
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


def test_https_is_served_with_hsts(
    serve: Callable[..., Service], served_book: Path, certificate: tuple[str, str], service: Service, records: list[dict[str, object]]
) -> None:
    secure = serve(served_book / "lake", "--ssl-certfile", certificate[0], "--ssl-keyfile", certificate[1])
    answer = secure.predict(records[:1])
    assert str(answer.url).startswith("https://")
    assert answer.json() == service.predict(records[:1]).json()
    assert "max-age=" in answer.headers["strict-transport-security"]
    assert "strict-transport-security" not in service.predict(records[:1]).headers


@pytest.mark.long
def test_tls_handshake_has_a_time_limit(serve: Callable[..., Service], served_book: Path, certificate: tuple[str, str]) -> None:
    secure = serve(served_book / "lake", "--ssl-certfile", certificate[0], "--ssl-keyfile", certificate[1])
    with socket.create_connection(("127.0.0.1", int(secure.url.rpartition(":")[2])), timeout=20) as silent:
        assert silent.recv(1) == b""


def test_guarded_answers_have_security_headers(guarded: Service) -> None:
    for path in ("/health/live", "/model", "/nowhere", "/docs"):
        headers = guarded.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == ("no-cache" if path == "/docs" else "no-store")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
