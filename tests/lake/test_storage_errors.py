"""Messages of storage errors: what, where and the next step, from errors as Azure, the network and the disk report them."""

import errno
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import polars as pl
import pytest
from azure.core.exceptions import ClientAuthenticationError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from risk_assets.errors import LakeError
from risk_assets.lake.storage_errors import explain, storage_error
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.tables import translate_polars_errors
from tests.azurite.server import Azurite
from tests.faults.proxy import proxied

URL = "az://lake/errors"
KEY = "U0VDUkVUMTIz"

# Responses as Azure documents them, what must be reported, and the next step.
RESPONSES = {
    "expired SAS": (
        403,
        "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.</Message><AuthenticationErrorDetail>"
        "Signature not valid in the specified time frame: Start [Mon, 01 Jun 2026 00:00:00 GMT] - Expiry [Tue, 02 Jun 2026 00:00:00 GMT]"
        "</AuthenticationErrorDetail></Error>",
        "the SAS has expired or is not valid yet",
        "AZURE_STORAGE_SAS_TOKEN",
    ),
    "clock": (
        403,
        "<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>Request date header too old: 'Fri, 19 Jun 2026 10:21:12 GMT'"
        "</AuthenticationErrorDetail></Error>",
        "the clock of this machine is wrong",
        "timedatectl",
    ),
    "skew": (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "the clock of this machine is wrong", "timedatectl"),
    "wrong key": (
        403,
        "<Error><Code>AuthenticationFailed</Code><Message>Make sure the Authorization header is formed correctly.</Message></Error>",
        "access denied",
        "check the AZURE_STORAGE_ settings",
    ),
    "role": (403, "<Error><Code>AuthorizationPermissionMismatch</Code></Error>", "lacks a permission", "Storage Blob Data Contributor"),
    "firewall": (403, "<Error><Code>AuthorizationFailure</Code></Error>", "this network", "firewall"),
    "no keys": (403, "<Error><Code>KeyBasedAuthenticationNotPermitted</Code></Error>", "does not accept keys", "default credential"),
    "container": (404, "<Error><Code>ContainerNotFound</Code></Error>", "the container lake does not exist", "az storage container create"),
    "throttling": (503, "<Error><Code>ServerBusy</Code></Error>", "throttling", "RISK_STORAGE_RETRY_SECONDS"),
    "too many": (429, "", "throttling", "RISK_STORAGE_RETRY_SECONDS"),
    "internal": (500, "<Error><Code>InternalError</Code></Error>", "internal error", "status.azure.com"),
    "immutable": (409, "<Error><Code>BlobImmutableDueToPolicy</Code></Error>", "protected", "another container"),
    "unknown": (400, "<Error><Code>InvalidHeaderValue</Code></Error>", "storage failed with InvalidHeaderValue", "run again"),
}


def message(store: Store) -> str:
    with pytest.raises(LakeError) as caught:
        store.get("object")
    return str(caught.value)


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_response_is_reported_with_its_next_step(azurite: Azurite, kind: str) -> None:
    status, body, problem, step = RESPONSES[kind]
    with proxied(azurite) as proxy:
        proxy.fail(status, body=body.encode())
        shown = message(open_store(URL, AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), 0))
    assert problem in shown
    assert step in shown
    assert f"(at {URL}, object)" in shown


def test_an_expired_sas_is_recognised_without_azures_words(azurite: Azurite) -> None:
    for se, st in (("2020-01-01T00:00:00Z", "2019-01-01"), ("2999-01-01", "2998-01-01T00:00Z")):
        sas = f"sv=2026-02-06&se={se}&st={st}&sp=rl&sig=SECRET123"
        shown = message(open_store(URL, AzureCredential(azurite.account, azurite.endpoint, sas=sas), 0))
        assert "the SAS has expired or is not valid yet" in shown
        assert "SECRET123" not in shown
    valid = f"sv=2026-02-06&se={(datetime.now(UTC) + timedelta(hours=1)).isoformat()[:19]}Z&sp=rl&sig=SECRET123"
    assert "expired or" not in message(open_store(URL, AzureCredential(azurite.account, azurite.endpoint, sas=valid), 0))


class NoIdentity:
    """A token provider as azure-identity's, on a machine where nobody has signed in."""

    def get_token(self, *_: object, **__: object) -> None:
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token. SECRET123")


@pytest.mark.parametrize(
    "action", [lambda store: store.get("a"), lambda store: store.create("a", b"x"), lambda store: store.write("a", [b"x"])]
)
def test_a_failed_sign_in_is_reported(action: Callable[[Store], object]) -> None:
    with pytest.raises(LakeError, match=r"sign-in to Azure failed .*az login") as caught:
        action(open_store(URL, AzureCredential("account", "http://127.0.0.1:9/account", provider=NoIdentity())))
    assert "SECRET123" not in str(caught.value)


def test_an_unknown_host_is_reported() -> None:
    shown = message(open_store(URL, AzureCredential("account", "https://account.invalid", key=KEY), 0))
    assert "the name of its host is not known" in shown
    assert "check the account's name" in shown


def test_a_refused_connection_is_reported(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.down()
        shown = message(open_store(URL, AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), 0))
    assert "the connection is refused" in shown
    assert "check that it is running" in shown


def test_a_stalled_request_is_reported(azurite: Azurite) -> None:
    with proxied(azurite) as proxy:
        proxy.stall(times=None)
        shown = message(open_store(URL, AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), 1))
    assert "it did not respond in time" in shown
    assert "RISK_STORAGE_RETRY_SECONDS" in shown


# --- TLS ---------------------------------------------------------------------------------------------------------------


def self_signed(folder: Path) -> Path:
    """Write a certificate that no client trusts, and its key."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key_text)
    return file


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """The port of a server with a certificate that no client trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))

    class Handshake(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True):
                pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handshake) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_untrusted_certificate_is_reported(tls_port: int) -> None:
    shown = message(open_store(URL, AzureCredential("a", f"https://localhost:{tls_port}/a", key=KEY), 0))
    assert "the TLS handshake failed" in shown
    assert "issuer is installed" in shown


def test_https_to_a_server_without_tls_is_reported(azurite: Azurite) -> None:
    shown = message(open_store(URL, AzureCredential("a", azurite.endpoint.replace("http:", "https:"), key=KEY), 0))
    assert "the TLS handshake failed" in shown
    assert "http or https" in shown


# --- the disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "problem", "step"),
    [
        (errno.ENOSPC, "the disk is full", "free some space"),
        (errno.EDQUOT, "the disk quota is used up", "raise the quota"),
        (errno.EROFS, "read-only", "mount it for writing"),
        (errno.EROFS, "read-only", "RISK_LANDING"),
        (errno.EACCES, "lacks a permission for /lake/raw", "chown"),
        (errno.EMFILE, "too many files are open", "ulimit -n"),
        (errno.EIO, "hardware or network error", "dmesg"),
        (errno.EXDEV, "on another file system", "one file system"),
        (errno.EDOM, f"storage failed with {os.strerror(errno.EDOM)}", "run again"),
    ],
)
def test_an_error_of_the_disk_is_reported(number: int, problem: str, step: str) -> None:
    shown = str(storage_error(OSError(number, os.strerror(number), "/lake/raw/a"), "/lake", "raw/a"))
    assert problem in shown
    assert step in shown
    assert "(at /lake, raw/a)" in shown


# --- errors of polars --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError("No space left on device (os error 28)"), "the disk is full"),
        (
            pl.exceptions.ComputeError("parquet: File out of specification: underlying IO error: No space left (os error 28)"),
            "the disk is full",
        ),
        (PermissionError("Permission denied (os error 13): /lake/a"), "access denied"),
        (OSError("object-store error: Server returned non-2xx status code: 503 Service Unavailable"), "storage is busy"),
        (pl.exceptions.ComputeError("could not parse `Permission denied (os error 13)` as dtype `i64`"), "malformed"),
        (pl.exceptions.ComputeError("invalid utf-8 sequence"), "malformed"),
        (pl.exceptions.InvalidOperationError('conversion from `str` to `i64` failed for 1 value: ["403 Forbidden"]'), "malformed"),
        (pl.exceptions.NoDataError("empty CSV"), "malformed"),
        (
            pl.exceptions.ComputeError("parquet: File out of specification: The file must end with PAR1"),
            "a Parquet file of the lake is damaged",
        ),
        (
            pl.exceptions.InvalidOperationError('conversion failed for 1 value: ["403 Forbidden"]'),
            "cannot be computed (InvalidOperationError)",
        ),
    ],
)
def test_an_error_of_polars_is_reported_by_its_cause(error: Exception, problem: str) -> None:
    with pytest.raises(LakeError) as caught, translate_polars_errors("raw/a"):
        raise error
    assert problem in str(caught.value)
    assert ("malformed" in str(caught.value)) == (problem == "malformed")
    assert "raw/a" in str(caught.value)
    assert "Forbidden" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_error_of_another_cause_is_not_explained_as_storage() -> None:
    assert explain(ValueError("x"), "raw/a") is None
