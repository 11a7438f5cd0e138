"""A mail server on 127.0.0.1 with as much of SMTP as smtplib uses: EHLO, STARTTLS, AUTH PLAIN, one mail, QUIT."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

TIMEOUT_SECONDS = 10


@dataclass
class SmtpReceiver:
    """The mails that arrived, and what is answered.

    Attributes
    ----------
    answers
        The code for a command instead of the usual one; 0 closes the connection.
    tls
        The certificate of STARTTLS; None if it is not offered.
    """

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    logins: list[tuple[str, str]] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    @property
    def newest(self) -> EmailMessage:
        found = message_from_bytes(self.mails[-1], policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


class _Handler(socketserver.BaseRequestHandler):
    receiver: SmtpReceiver
    implicit_tls: ssl.SSLContext | None

    def handle(self) -> None:
        self.request.settimeout(TIMEOUT_SECONDS)
        self.is_secure = self.implicit_tls is not None
        if self.implicit_tls:
            self.request = self.implicit_tls.wrap_socket(self.request, server_side=True)
        self.stream = self.request.makefile("rwb")
        with suppress(OSError):
            self._reply("220 test")
            while self._command(self.stream.readline().decode().strip()):
                pass
        with suppress(OSError):
            self.stream.close()
        self.request.close()

    def _command(self, line: str) -> bool:
        """Answer a command, and return whether the connection goes on."""
        verb = line.partition(" ")[0].upper()
        if not line or self.receiver.answers.get(verb) == 0:
            return False
        if verb in self.receiver.answers:
            self._reply(f"{self.receiver.answers[verb]} no")
        elif verb == "EHLO":
            self._reply("250-test", *(["250-STARTTLS"] if self.receiver.tls and not self.is_secure else []), "250 AUTH PLAIN")
        elif verb == "STARTTLS" and self.receiver.tls:
            self._reply("220 go on")
            self.request = self.receiver.tls.wrap_socket(self.request, server_side=True)
            self.stream, self.is_secure = self.request.makefile("rwb"), True
        elif verb == "AUTH":
            _, user, password = base64.b64decode(line.rsplit(maxsplit=1)[-1]).decode().split("\0")
            self.receiver.logins.append((user, password))
            self._reply("235 welcome")
        elif verb == "DATA":
            self._data()
        else:
            self._reply("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def _data(self) -> None:
        self._reply("354 go on")
        lines = []
        while (line := self.stream.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.receiver.mails.append(b"".join(lines))
        self.receiver.secure.append(self.is_secure)
        self._reply("250 taken")

    def _reply(self, *lines: str) -> None:
        self.stream.write("".join(f"{line}\r\n" for line in lines).encode())
        self.stream.flush()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def smtp_receiver(implicit_tls: ssl.SSLContext | None = None) -> Iterator[SmtpReceiver]:
    """Run a server until the block ends; with a certificate, connections begin with TLS."""
    receiver = SmtpReceiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver, "implicit_tls": implicit_tls})
    with _Server(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
