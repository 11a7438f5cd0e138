"""Problem documents (RFC 9457) for requests that are rejected or fail; they never contain a value that was sent."""

from http import HTTPStatus

import msgspec

MEDIA_TYPE = b"application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One error in a request: the record's index, the field, and the broken rule; None if it concerns the whole."""

    record: int | None
    field: str | None
    rule: str


class _Document(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
    more_errors: int = 0


class Problem(Exception):
    """A request that is rejected or fails.

    Parameters
    ----------
    status, kind, detail
        The status; the kind of problem, for programs; the cause and the next step, for people.
    errors, more_errors
        The errors in the request, and the number of further errors that are not listed.
    headers
        Headers of the answer.
    close_connection
        Whether the connection must be closed, because the request was not read to its end.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        more_errors: int = 0,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        close_connection: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.more_errors = more_errors
        self.headers = (*headers, (b"connection", b"close")) if close_connection else headers

    def content(self, request_id: str = "") -> bytes:
        """Return the problem document as JSON."""
        title = self.kind.replace("-", " ").capitalize()
        kind = f"urn:risk-serving:{self.kind}"
        return msgspec.json.encode(_Document(kind, title, self.status, self.detail, request_id, self.errors, self.more_errors))


def schema() -> dict[str, object]:
    """Return the JSON schema of a problem document."""
    error = {
        "type": "object",
        "required": ["record", "field", "rule"],
        "properties": {
            "record": {"type": ["integer", "null"], "description": "The record's index, from 0."},
            "field": {"type": ["string", "null"]},
            "rule": {"type": "string", "description": "The rule that the record breaks; never the value."},
        },
    }
    properties: dict[str, object] = {name: {"type": "string"} for name in ("type", "title", "detail", "request_id")}
    properties |= {
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": error},
        "more_errors": {"type": "integer", "description": "The number of further errors that are not listed, at most 9000."},
    }
    return {"type": "object", "required": ["type", "title", "status", "detail", "request_id"], "properties": properties}
