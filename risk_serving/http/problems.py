"""What the service says when it does not answer: problem documents of RFC 9457, which never hold a value that was sent."""

from http import HTTPStatus

import msgspec

MEDIA_TYPE = b"application/problem+json"


class Offence(msgspec.Struct, frozen=True):
    """What is wrong with a request: the record's index, the field, and the rule that it breaks; None where it is the whole."""

    record: int | None
    field: str | None
    rule: str


class _Document(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: tuple[Offence, ...] = ()
    more_errors: int = 0


class Problem(Exception):
    """A request that is not answered.

    `kind` names the reason for programs; `headers` go with the answer; `closes` says that the connection must end, because
    the request was not read to its end. `more` is how many offences are not listed,
    as far as they were counted.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        offences: tuple[Offence, ...] = (),
        more: int = 0,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        closes: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.offences = offences
        self.more = more
        self.headers = (*headers, (b"connection", b"close")) if closes else headers

    def content(self, request_id: str = "") -> bytes:
        """Return the problem as JSON."""
        title = self.kind.replace("-", " ").capitalize()
        kind = f"urn:risk-serving:{self.kind}"
        return msgspec.json.encode(_Document(kind, title, self.status, self.detail, request_id, self.offences, self.more))


def schema() -> dict[str, object]:
    """Return the JSON schema of a problem."""
    offence = {
        "type": "object",
        "required": ["record", "field", "rule"],
        "properties": {
            "record": {"type": ["integer", "null"], "description": "The record's index, from 0."},
            "field": {"type": ["string", "null"]},
            "rule": {"type": "string", "description": "The rule that is broken; never the value."},
        },
    }
    properties: dict[str, object] = {name: {"type": "string"} for name in ("type", "title", "detail", "request_id")}
    properties |= {
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": offence},
        "more_errors": {"type": "integer", "description": "How many are not listed, 9000 at most."},
    }
    return {"type": "object", "required": ["type", "title", "status", "detail", "request_id"], "properties": properties}
