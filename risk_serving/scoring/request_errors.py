"""Lists the errors in a rejected request, by a second, slower reading of its body."""

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_serving.http.problems import FieldError
from risk_serving.scoring.fields import Field

MAX_COUNTED = 10_000
MAX_NAME = 100  # longer names of unknown fields are cut


def find_errors(body: bytes, fields: Sequence[Field], max_records: int) -> list[FieldError]:
    """Return the first `MAX_COUNTED` errors in a body, in the records' order; empty if there is none."""
    try:
        content = msgspec.json.Decoder(float_hook=float).decode(body)
    except UnicodeDecodeError:
        return [FieldError(None, None, "is not UTF-8")]
    except msgspec.MsgspecError as error:
        # msgspec's message gives the position and never the text.
        return [FieldError(None, None, f"is not valid JSON: {error}")]
    except RecursionError:
        return [FieldError(None, None, "nested too deeply")]
    return list(islice(_request_errors(content, fields, max_records), MAX_COUNTED))


def _request_errors(content: object, fields: Sequence[Field], max_records: int) -> Iterator[FieldError]:
    if not isinstance(content, dict):
        yield FieldError(None, None, "must be an object with the field records")
        return
    for name in (name for name in content if name != "records"):
        yield FieldError(None, name[:MAX_NAME], "unknown field: only records is allowed")
    records = content.get("records")
    if not isinstance(records, list):
        yield FieldError(None, "records", "must be a list of objects")
        return
    if not 0 < len(records) <= max_records:
        yield FieldError(None, "records", f"must have 1 to {max_records} records")
        return
    known = {ID, *(field.name for field in fields)}
    for index, record in enumerate(records):
        yield from _record_errors(index, record, fields, known)


def _record_errors(index: int, record: object, fields: Sequence[Field], known: set[str]) -> Iterator[FieldError]:
    if not isinstance(record, dict):
        yield FieldError(index, None, "must be an object")
        return
    for name in (name for name in record if name not in known):
        yield FieldError(index, name[:MAX_NAME], "is not in the contract")
    if not isinstance(record.get(ID), str | None):
        yield FieldError(index, ID, "must be text or null")
    for field in fields:
        if rule := field.broken_rule(record.get(field.name)):
            yield FieldError(index, field.name, rule)
