"""Responses of the desk."""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.responses import Response

from risk_serving.desk.frames import FilledPage

HTML = "text/html; charset=utf-8"


def page(content: FilledPage, status: int = HTTPStatus.OK, cookies: Iterable[bytes] = ()) -> Response:
    """Return a page, with cookies to set."""
    return _with_cookies(Response(content, status, media_type=HTML), cookies)


def download(content: bytes, media_type: str, file_name: str, cookies: Iterable[bytes] = ()) -> Response:
    """Return a file, with cookies to set."""
    headers = {"content-disposition": f'attachment; filename="{file_name}"'}
    return _with_cookies(Response(content, media_type=media_type, headers=headers), cookies)


def redirect(address: str, cookies: Iterable[bytes] = ()) -> Response:
    """Return the way to another address, which is read by GET."""
    return _with_cookies(Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": address}), cookies)


def _with_cookies(response: Response, cookies: Iterable[bytes]) -> Response:
    response.raw_headers += [(b"set-cookie", cookie) for cookie in cookies]
    return response
