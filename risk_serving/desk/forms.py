"""Forms that are sent to the desk: their fields, and whether they come from a page of the desk."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from starlette.types import Receive, Scope

from risk_serving.http.body import BodyReader
from risk_serving.http.problems import Problem

FORM = b"application/x-www-form-urlencoded"
MAX_FORM_BYTES, MAX_FIELDS = 32 * 1024, 50


def fields_of(text: str) -> dict[str, str]:
    """Return the fields of a query or a form, of a repeated one the first; raises `ValueError` if there are more than `MAX_FIELDS`."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace"):
        found.setdefault(name, value)
    return found


async def read_form(scope: Scope, receive: Receive, bodies: BodyReader) -> dict[str, str]:
    """Return the fields of a form; raises `Problem` if it is not a form, or is too large or too slow."""
    headers: Mapping[bytes, bytes] = scope["request_log"].headers
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != FORM:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-a-form", "Send a form of a page.", close_connection=True)
    if int(headers.get(b"content-length", b"0")) > MAX_FORM_BYTES:
        raise _too_large()
    body = await bodies.read(headers, receive)
    scope["request_log"].bytes_in = len(body)
    if len(body) > MAX_FORM_BYTES:
        raise _too_large()
    try:
        return fields_of(body.decode("latin-1"))
    except ValueError:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "too-many-fields", f"A form has at most {MAX_FIELDS} fields.") from None


def is_same_site(scope: Scope, desk_url: str | None) -> bool:
    """Return whether a browser has sent a request from a page of this service: by `Origin` or, without it, `Sec-Fetch-Site`.

    The origin must be the host to which the browser has sent the request, or that of `desk_url`, behind a proxy that changes the host.
    """
    origins = _values(scope, b"origin")
    if not origins:
        return _values(scope, b"sec-fetch-site") == [b"same-origin"]
    hosts = {host.decode("latin-1").lower() for host in _values(scope, b"host")} | (
        {urlsplit(desk_url).netloc.lower()} if desk_url else set()
    )
    return len(origins) == 1 and _host(origins[0].decode("latin-1")) in hosts


def _host(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in {"http", "https"} and parts.netloc else None


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for header, value in scope["headers"] if header == name]


def _too_large() -> Problem:
    detail = f"The form is larger than {MAX_FORM_BYTES} bytes. Shorten its texts."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail, close_connection=True)
