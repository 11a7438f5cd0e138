"""Receivers of messages about alerts: a webhook, mail, and a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from risk_assets.alerts.messages import Message
from risk_assets.settings import Settings

WEBHOOK, MAIL, FILE = "webhook", "mail", "file"
NO_RECEIVER = "no receiver is configured: set RISK_ALERT_WEBHOOK, RISK_ALERT_SMTP or RISK_ALERT_FILE"


@dataclass(frozen=True)
class Accepted:
    """The receiver has the messages."""


@dataclass(frozen=True)
class Refused:
    """The receiver will not take these messages as they are: its configuration or this one has to change."""

    reason: str


@dataclass(frozen=True)
class Unavailable:
    """The receiver may take the messages later; `seconds` is when, if it says so."""

    reason: str
    seconds: float | None = None


Answer: TypeAlias = Accepted | Refused | Unavailable


class Receiver(Protocol):
    """Where messages are sent to."""

    @property
    def name(self) -> str:
        """The name of the receiver in the outbox."""

    @property
    def batch(self) -> int:
        """How many messages it takes at once."""

    def send(self, messages: Sequence[Message]) -> Answer:
        """Send messages, and return what the receiver did with them. Never raises for what a receiver does."""


def receiver_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the receivers that are configured."""
    configured = {WEBHOOK: settings.alert_webhook, MAIL: settings.alert_smtp, FILE: settings.alert_file}
    return tuple(name for name, setting in configured.items() if setting is not None)


def receivers(settings: Settings) -> tuple[Receiver, ...]:
    """Return the receivers that are configured. The libraries of each are imported when it is used."""
    found: list[Receiver] = []
    if settings.alert_webhook is not None:
        from risk_assets.alerts.webhook import Webhook

        secret = settings.alert_secret.get_secret_value() if settings.alert_secret else ""
        found.append(Webhook(settings.alert_webhook.get_secret_value(), secret))
    if settings.alert_smtp is not None:
        from risk_assets.alerts.mail import Mail

        password = settings.alert_smtp_password.get_secret_value() if settings.alert_smtp_password else None
        found.append(Mail.to(settings.alert_smtp, password, settings.alert_mail_from or "", settings.alert_mail_to or ""))
    if settings.alert_file is not None:
        from risk_assets.alerts.file import MessageFile

        found.append(MessageFile(settings.alert_file))
    return tuple(found)
