"""Pages of the service itself, rendered once, and the places of all pages that are filled in for each caller."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import NewType

from risk_assets.pages import addresses, served
from risk_assets.pages.messages import render_message, render_sign_in
from risk_serving.settings import ServingSettings

FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
FilledPage = NewType("FilledPage", bytes)  # a page without places: the only one that can be sent

_PLACES = (
    served.CALLER_PLACE,
    served.FORM_TOKEN_PLACE,
    served.FORM_ID_PLACE,
    served.SIGN_OUT_PLACE,
    served.NEXT_PLACE,
    served.SINGLE_SIGN_ON_PLACE,
    served.NOTICE_PLACE,
    served.TITLE_PLACE,
    served.TEXT_PLACE,
)
_ANY_PLACE = re.compile("|".join(map(re.escape, _PLACES)).encode())


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
        return Frames(render_message(served.TITLE_PLACE, (served.TEXT_PLACE,)).encode(), sign_in.encode())

    def message_of(self, title: str, texts: Sequence[str], filling: Filling) -> FilledPage:
        """Return the page with a message."""
        paragraphs = "</p>\n<p>".join(map(escape, texts))
        return _filled(self.message, _markup(filling) | {served.TITLE_PLACE: escape(title), served.TEXT_PLACE: paragraphs})

    def sign_in_of(self, form_token: str, following: str, single_sign_on: str, wrong: str = "") -> FilledPage:
        """Return the page to sign in, which leads to the address `following`, with what was wrong the last time."""
        notice = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
        texts = {served.FORM_TOKEN_PLACE: form_token, served.NEXT_PLACE: following, served.SINGLE_SIGN_ON_PLACE: single_sign_on}
        return _filled(self.sign_in, {served.NOTICE_PLACE: notice} | {place: escape(text) for place, text in texts.items()})


def filled(content: bytes, filling: Filling, notice: str = "") -> FilledPage:
    """Return a page with its places filled in; each form has an id of its own."""
    return _filled(content, _markup(filling, notice))


def _markup(filling: Filling, notice: str = "") -> dict[str, str]:
    """Return what is filled in for a caller, by place."""
    token = escape(filling.form_token)
    return {
        served.CALLER_PLACE: escape(filling.caller),
        served.SIGN_OUT_PLACE: _sign_out(token) if filling.signs_out else "",
        served.NOTICE_PLACE: f'<div class="notice" role="status"><div>{escape(notice)}</div></div>' if notice else "",
        served.FORM_TOKEN_PLACE: token,
    }


def _sign_out(token: str) -> str:
    hidden = f'<input type="hidden" name="{FORM_TOKEN}" value="{token}">'
    return f'<form method="post" action="{addresses.SIGN_OUT}">{hidden}<button type="submit">Sign out</button></form>'


def _filled(content: bytes, markup: Mapping[str, str]) -> FilledPage:
    """Return a page with its places filled in; those without markup are removed. What is filled in is not searched for places."""
    start, numbers = secrets.token_hex(12), count(1)
    found = {place.encode(): each.encode() for place, each in markup.items()}
    form_id = served.FORM_ID_PLACE.encode()

    def text_of(match: re.Match[bytes]) -> bytes:
        return f"{start}-{next(numbers)}".encode() if match[0] == form_id else found.get(match[0], b"")

    return FilledPage(_ANY_PLACE.sub(text_of, content))
