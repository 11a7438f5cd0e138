"""Responses of the desk."""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.responses import Response

HTML = "text/html; charset=utf-8"


def page(content: bytes, status: int = HTTPStatus.OK, media_type: str = HTML, cookies: Iterable[bytes] = ()) -> Response:
    """Return a page, with cookies to set."""
    return _with_cookies(Response(content, status, media_type=media_type), cookies)


def redirect(address: str, cookies: Iterable[bytes] = ()) -> Response:
    """Return the way to another address, which is read by GET."""
    return _with_cookies(Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": address}), cookies)


def _with_cookies(response: Response, cookies: Iterable[bytes]) -> Response:
    response.raw_headers += [(b"set-cookie", cookie) for cookie in cookies]
    return response
