"""Mail: one for all messages that are pending."""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlparse

from risk_assets.alerts.deadline import Deadline
from risk_assets.alerts.messages import Message
from risk_assets.alerts.receivers import MAIL, Accepted, Answer, Refused, Unavailable
from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED
from risk_assets.domain.wording import counted
from risk_assets.lake.hashing import sha256

TIMEOUT_SECONDS = 10.0  # for each step: the connection, a write, a read
LONGEST_SECONDS = 30.0  # for all of them
MAX_MESSAGES = 100  # in one mail
PORTS = {"smtp": 587, "smtps": 465}
THIS_HOST = ("localhost", "127.0.0.1", "::1")
IDS_HEADER = "Risk-Alert-Ids"
_PERMANENT = 500  # SMTP codes from here on do not succeed by themselves


@dataclass(frozen=True)
class Mail:
    """A mail server.

    Attributes
    ----------
    implicit_tls
        Whether the connection begins with TLS.
    starttls
        Whether it must change to TLS before anything is sent. Only a server on this host may go without.
    """

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    implicit_tls: bool = False
    starttls: bool = True
    timeout: float = TIMEOUT_SECONDS
    longest: float = LONGEST_SECONDS
    name: str = MAIL
    batch: int = MAX_MESSAGES

    @classmethod
    def to(cls, address: str, password: str | None, sender: str, recipients: str) -> "Mail":
        """Return the server of an address such as `smtp://user@host:587`, or `smtps://` for TLS from the start."""
        parts = urlparse(address)
        host, implicit_tls = parts.hostname or "", parts.scheme == "smtps"
        return cls(
            host=host,
            port=parts.port or PORTS[parts.scheme],
            sender=sender,
            recipients=tuple(each.strip() for each in recipients.split(",") if each.strip()),
            user=unquote(parts.username) if parts.username else None,
            password=password,
            implicit_tls=implicit_tls,
            starttls=not implicit_tls and host not in THIS_HOST,
        )

    def send(self, messages: Sequence[Message]) -> Answer:
        """Send one mail with all messages; accepted if the server takes it for at least one recipient."""
        deadline = Deadline(self.longest)
        try:
            with deadline, self._session(deadline) as server:
                if self.starttls:
                    server.starttls(context=ssl.create_default_context())
                if self.user and self.password is not None:
                    server.login(self.user, self.password)
                server.send_message(self._mail(messages))
        except (smtplib.SMTPException, OSError) as error:  # a response that was cut off can look like another one
            return Unavailable(deadline.reason) if deadline.is_over else _failed(error)
        return Accepted()

    @contextmanager
    def _session(self, deadline: Deadline) -> Iterator[smtplib.SMTP]:
        """Yield a connection. What happens to the goodbye does not matter: the mail was taken by then."""
        tls = ssl.create_default_context() if self.implicit_tls else None
        server = _Server(self.host, self.port, self.timeout, tls, deadline)
        try:
            yield server
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()

    def _mail(self, messages: Sequence[Message]) -> EmailMessage:
        mail = EmailMessage()
        opened, resolved = (sum(message.status == status for message in messages) for status in (OPENED, RESOLVED))
        ids = [message.id for message in messages]
        mail["Subject"] = f"[risk] {counted(opened, 'alert')} opened, {resolved} resolved ({messages[-1].date})"
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{sha256(' '.join(ids).encode())[:32]}@risk-lakehouse>"
        mail[IDS_HEADER] = " ".join(ids)
        mail.set_content("\n\n".join([f"Lake: {messages[-1].lake}", *(message.text for message in messages)]) + "\n")
        return mail


class _Server(smtplib.SMTP):
    """A connection that a deadline watches from before its first byte; with TLS from the start if a context is given."""

    def __init__(self, host: str, port: int, timeout: float, tls: ssl.SSLContext | None, deadline: Deadline) -> None:
        self._tls, self._deadline = tls, deadline
        super().__init__(host, port, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return the socket of a new connection; `smtplib` calls this to connect."""
        connection = socket.create_connection((host, port), timeout)
        self._deadline.watch(connection)
        return self._tls.wrap_socket(connection, server_hostname=host) if self._tls else connection


def _failed(error: Exception) -> Answer:
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _refused(min(code for code, _ in error.recipients.values()), "the server refused all recipients")
        case smtplib.SMTPResponseException():
            return _refused(error.smtp_code, type(error).__name__)
        case smtplib.SMTPNotSupportedError():
            return Refused("the server does not support STARTTLS or the login")
        case _:
            return Unavailable(f"no response ({type(error).__name__})")


def _refused(code: int, what: str) -> Answer:
    """Return the answer of an error with an SMTP code; the server's text is left out, because it can quote the mail."""
    return Refused(f"{what} (code {code})") if code >= _PERMANENT else Unavailable(f"{what} (code {code})")
