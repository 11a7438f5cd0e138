"""What a request asks for beside its records."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from risk_serving.http.problems import FieldError

ON_ERROR = "on_error"
FAIL, SKIP = "fail", "skip"
EXPLAIN = "explain"
ANSWER = "answer"
AS_RECORDS, AS_COLUMNS = "records", "columns"
OPTIONS = (ON_ERROR, EXPLAIN, ANSWER)

# The fields of a request's struct.
FIELDS: list[tuple[str, Any, Any]] = [
    (ON_ERROR, Literal["fail", "skip"] | UnsetType, UNSET),
    (EXPLAIN, bool | UnsetType, UNSET),
    (ANSWER, Literal["records", "columns"] | UnsetType, UNSET),
]


class Options(Struct, frozen=True):
    """Whether results are explained, and whether they are columns."""

    explain: bool = False
    as_columns: bool = False

    @staticmethod
    def of(request: Any) -> "Options":
        """Return the options of a decoded request, which has `FIELDS`."""
        if request.explain is UNSET and request.answer is UNSET:
            return DEFAULT
        return Options(request.explain is True, request.answer == AS_COLUMNS)

    @staticmethod
    def of_document(document: Mapping[str, object]) -> "Options":
        """Return the options of a document without `option_errors`."""
        return Options(document.get(EXPLAIN) is True, document.get(ANSWER) == AS_COLUMNS)


DEFAULT = Options()


def count_options(request: Any) -> int:
    """Return how many options a decoded request has."""
    return (request.on_error is not UNSET) + (request.explain is not UNSET) + (request.answer is not UNSET)


def option_errors(document: Mapping[str, object]) -> Iterator[FieldError]:
    """Yield the errors of a document's options."""
    if document.get(ON_ERROR, FAIL) not in (FAIL, SKIP):
        yield FieldError(None, ON_ERROR, f"must be {FAIL} or {SKIP}")
    if not isinstance(document.get(EXPLAIN, False), bool):
        yield FieldError(None, EXPLAIN, "must be true or false")
    if document.get(ANSWER, AS_RECORDS) not in (AS_RECORDS, AS_COLUMNS):
        yield FieldError(None, ANSWER, f"must be {AS_RECORDS} or {AS_COLUMNS}")


def schemas() -> dict[str, object]:
    """Return the JSON schema of each option."""
    text = "What happens if a record is not valid: nothing is scored, or the others are, and its result has the issues. "
    text += f"With {SKIP}, records may break the rules of this schema."
    columns = "The form of the results: a list of objects, or an object of columns, which are smaller and faster."
    return {
        ON_ERROR: {"type": "string", "enum": [FAIL, SKIP], "default": FAIL, "description": text},
        EXPLAIN: {"type": "boolean", "default": False, "description": "Whether each scored record's result has its explanation."},
        ANSWER: {"type": "string", "enum": [AS_RECORDS, AS_COLUMNS], "default": AS_RECORDS, "description": columns},
    }
