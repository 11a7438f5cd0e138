"""Pages of the service itself, rendered once, and the places of all pages that are filled in for each caller."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from risk_assets.pages import addresses, served
from risk_assets.pages.messages import render_message, render_sign_in
from risk_serving.settings import ServingSettings

TITLE_PLACE, TEXT_PLACE = "title-e1c47a", "text-93b0d8"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field


@dataclass(frozen=True)
class Filling:
    """What is filled in: the caller's name, the form token and, for callers who have signed in, the form to sign out."""

    caller: str = ""
    form_token: str = ""
    signs_out: bool = False


@dataclass(frozen=True)
class Frames:
    """A page with a message, and the page on which callers sign in."""

    message: bytes
    sign_in: bytes

    @staticmethod
    def of(settings: ServingSettings) -> "Frames":
        """Return the pages for the settings."""
        sign_in = render_sign_in(tokens=bool(settings.tokens), single_sign_on=settings.sign_in is not None)
        return Frames(render_message(TITLE_PLACE, (TEXT_PLACE,)).encode(), sign_in.encode())

    def message_of(self, title: str, texts: Sequence[str]) -> bytes:
        """Return the page with a message."""
        paragraphs = "</p>\n<p>".join(map(escape, texts))
        return _replaced(self.message, {TITLE_PLACE: escape(title), TEXT_PLACE: paragraphs})

    def sign_in_of(self, form_token: str, following: str, single_sign_on: str, wrong: str = "") -> bytes:
        """Return the page to sign in, which leads to the address `following`, with what was wrong the last time."""
        notice = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
        places = {served.FORM_TOKEN_PLACE: form_token, served.NEXT_PLACE: following, served.SINGLE_SIGN_ON_PLACE: single_sign_on}
        return _replaced(self.sign_in, {served.NOTICE_PLACE: notice} | {place: escape(text) for place, text in places.items()})


def filled(content: bytes, filling: Filling, notice: str = "") -> bytes:
    """Return a page with its places filled in; each form has an id of its own."""
    token = escape(filling.form_token)
    places = {
        served.CALLER_PLACE: escape(filling.caller),
        served.SIGN_OUT_PLACE: _sign_out(token) if filling.signs_out else "",
        served.NOTICE_PLACE: f'<div class="notice" role="status"><div>{escape(notice)}</div></div>' if notice else "",
        served.FORM_TOKEN_PLACE: token,
    }
    return _with_form_ids(_replaced(content, places))


def _sign_out(token: str) -> str:
    hidden = f'<input type="hidden" name="{FORM_TOKEN}" value="{token}">'
    return f'<form method="post" action="{addresses.SIGN_OUT}">{hidden}<button type="submit">Sign out</button></form>'


def _with_form_ids(content: bytes) -> bytes:
    parts = content.split(served.FORM_ID_PLACE.encode())
    if len(parts) == 1:
        return content
    start = secrets.token_hex(12)
    return parts[0] + b"".join(f"{start}-{number}".encode() + part for number, part in enumerate(parts[1:], start=1))


def _replaced(content: bytes, places: dict[str, str]) -> bytes:
    for place, text in places.items():
        content = content.replace(place.encode(), text.encode())
    return content
