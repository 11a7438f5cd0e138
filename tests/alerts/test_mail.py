"""Mail: one for all messages, TLS, the login, and what an answer means."""

import datetime
import ipaddress
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from risk_assets.alerts.mail import Mail
from risk_assets.alerts.messages import Message, message
from risk_assets.alerts.receivers import Accepted, Refused, Unavailable
from tests.alerts.conftest import DATE, report
from tests.alerts.dripping_receiver import dripping_receiver
from tests.alerts.smtp_receiver import SmtpReceiver, smtp_receiver

MESSAGES: list[Message] = [
    *(message(alert, DATE, "file:///lake") for alert in report("age", "income").alerts),
    message(report(earlier=report("region", date="2026-01-06")).alerts[0], DATE, "file:///lake"),
]


def mail(server: SmtpReceiver, password: str | None = None) -> Mail:
    return Mail.to(f"smtp://risk@127.0.0.1:{server.port}", password, "risk@bank.test", "ann@bank.test, bob@bank.test")


def certificate(folder: Path) -> Path:
    """Return a file with a new certificate of 127.0.0.1 and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_one_mail_has_all_messages(mail_server: SmtpReceiver) -> None:
    assert mail(mail_server).send(MESSAGES) == Accepted()
    (_,), found = mail_server.mails, mail_server.newest
    assert found["Subject"] == "[risk] 2 alerts opened, 1 resolved (2026-01-07)"
    assert (found["From"], found["To"]) == ("risk@bank.test", "ann@bank.test, bob@bank.test")
    assert found["Risk-Alert-Ids"].split() == [each.id for each in MESSAGES]
    assert found["Date"].datetime.year >= 2026
    text = found.get_content()
    assert all(each.text in text for each in MESSAGES)
    assert mail_server.logins == []


def test_a_mail_that_is_sent_again_has_the_same_id(mail_server: SmtpReceiver) -> None:
    assert mail(mail_server).send(MESSAGES) == Accepted()
    first = mail_server.newest["Message-ID"]
    assert mail(mail_server).send(MESSAGES) == Accepted()
    assert mail_server.newest["Message-ID"] == first


def test_starttls_and_login(mail_server: SmtpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path)
    mail_server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mail_server.tls.load_cert_chain(path)
    secured = replace(mail(mail_server, password="secret"), starttls=True)
    assert secured.send(MESSAGES) == Unavailable("no response (SSLCertVerificationError)")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert secured.send(MESSAGES) == Accepted()
    assert (mail_server.secure, mail_server.logins) == ([True], [("risk", "secret")])


def test_a_server_without_tls_gets_nothing(mail_server: SmtpReceiver) -> None:
    secured = replace(mail(mail_server, password="secret"), starttls=True)
    assert secured.send(MESSAGES) == Refused("the server does not support STARTTLS or the login")
    assert (mail_server.mails, mail_server.logins) == ([], [])


@pytest.mark.parametrize(
    ("address", "host", "port", "implicit_tls", "starttls"),
    [
        ("smtp://risk@mail.bank.test:2525", "mail.bank.test", 2525, False, True),
        ("smtp://mail.bank.test", "mail.bank.test", 587, False, True),
        ("smtps://mail.bank.test", "mail.bank.test", 465, True, False),
        ("smtp://localhost:25", "localhost", 25, False, False),
        ("smtp://[::1]:25", "::1", 25, False, False),
    ],
)
def test_tls_is_required_beyond_this_host(address: str, host: str, port: int, implicit_tls: bool, starttls: bool) -> None:
    found = Mail.to(address, None, "a@bank.test", "b@bank.test")
    assert (found.host, found.port, found.implicit_tls, found.starttls) == (host, port, implicit_tls, starttls)


@pytest.mark.parametrize(
    ("verb", "code", "answer"),
    [
        ("MAIL", 421, Unavailable("SMTPSenderRefused (code 421)")),
        ("MAIL", 550, Refused("SMTPSenderRefused (code 550)")),
        ("RCPT", 450, Unavailable("the server refused all recipients (code 450)")),
        ("RCPT", 550, Refused("the server refused all recipients (code 550)")),
        ("DATA", 554, Refused("SMTPDataError (code 554)")),
        ("AUTH", 535, Refused("SMTPAuthenticationError (code 535)")),
        ("MAIL", 0, Unavailable("no response (SMTPServerDisconnected)")),
        ("QUIT", 0, Accepted()),
        ("QUIT", 421, Accepted()),
    ],
)
def test_answers_of_the_server(mail_server: SmtpReceiver, verb: str, code: int, answer: object) -> None:
    mail_server.answers = {verb: code}
    assert mail(mail_server, password="secret").send(MESSAGES) == answer


def test_a_server_that_is_not_there() -> None:
    assert Mail.to("smtp://127.0.0.1:9", None, "a@bank.test", "b@bank.test").send(MESSAGES) == Unavailable(
        "no response (ConnectionRefusedError)"
    )


@pytest.mark.parametrize(
    ("scheme", "start"),
    [
        ("smtp", b"220-a"),
        ("smtp", b"220 test\r\n250-a"),
        ("smtp", b"220 test\r\n250 a"),  # cut off, it looks like a complete one
        ("smtps", b"\x16\x03\x03\x40\x00"),  # the head of a record of TLS
    ],
)
@pytest.mark.parametrize("starttls", [False, True])
def test_a_server_that_drips_is_ended(scheme: str, start: bytes, starttls: bool) -> None:
    with dripping_receiver(start) as server:
        found = Mail.to(f"{scheme}://127.0.0.1:{server.port}", None, "a@bank.test", "b@bank.test")
        assert replace(found, starttls=starttls, timeout=60, longest=0.3).send(MESSAGES) == Unavailable("no complete response within 0.3 s")
        assert not server.was_waited_for.is_set()


def test_tls_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(path)
    with smtp_receiver(implicit_tls=tls) as server:
        found = Mail.to(f"smtps://risk@127.0.0.1:{server.port}", "secret", "a@bank.test", "b@bank.test")
        assert found.send(MESSAGES) == Accepted()
    assert (server.secure, server.logins) == ([True], [("risk", "secret")])


def test_the_password_is_not_shown(mail_server: SmtpReceiver) -> None:
    assert "secret" not in repr(mail(mail_server, password="secret"))
