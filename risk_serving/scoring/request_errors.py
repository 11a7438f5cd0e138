"""Lists the errors in a rejected request, by a second, slower reading of its body."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_serving.http.problems import FieldError
from risk_serving.scoring.eligibility import Eligibility
from risk_serving.scoring.fields import Field, IdField, broken_id_text

MAX_COUNTED = 10_000
MAX_NAME = 100  # longer names of unknown fields are cut
REPEATED = "is repeated"
MAX_VALUES = 1000


@dataclass(frozen=True)
class RecordRules:
    """The rules for a record: its id, its fields, the population rules, and the name of the group, if the contract has one."""

    account: IdField
    fields: Sequence[Field]
    eligibility: Eligibility
    group: str | None

    def most_values(self, max_records: int) -> int:
        """Return twice as many commas and opening brackets as a request has outside its texts, and `MAX_VALUES`."""
        return 2 * max_records * (len(self.fields) + 4) + MAX_VALUES


def find_errors(body: bytes, rules: RecordRules, max_records: int) -> list[FieldError]:
    """Return the first `MAX_COUNTED` errors in a body, in the records' order; empty if there is none.

    A body that would take long to read, because it has more values than any valid request, is a single error.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > rules.most_values(max_records):
        return [FieldError(None, None, f"is not valid, and has too many values to list the errors: send 1 to {max_records} records")]
    try:
        content = msgspec.json.Decoder(float_hook=float).decode(body)
    except UnicodeDecodeError:
        return [FieldError(None, None, "is not UTF-8")]
    except msgspec.MsgspecError as error:
        # msgspec's message gives the position and never the text.
        return [FieldError(None, None, f"is not valid JSON: {error}")]
    except RecursionError:
        return [FieldError(None, None, "nested too deeply")]
    return list(islice(_request_errors(content, rules, max_records), MAX_COUNTED))


def find_repeated(body: bytes) -> list[FieldError]:
    """Return the first `MAX_COUNTED` repeated fields of a valid JSON document, in the records' order; empty if there is none."""
    content = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    return list(islice(_repeated_fields(content), MAX_COUNTED))


class _Object(dict[str, object]):
    """A JSON object, and the names that it has more than once."""

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated: Sequence[str] = ()
        if len(self) < len(pairs):
            self.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def _repeated_fields(content: object) -> Iterator[FieldError]:
    if not isinstance(content, _Object):
        return
    yield from (FieldError(None, name[:MAX_NAME], REPEATED) for name in content.repeated)
    records = content.get("records")
    for index, record in enumerate(records if isinstance(records, list) else ()):
        if isinstance(record, _Object):
            yield from (FieldError(index, name[:MAX_NAME], REPEATED) for name in record.repeated)


def _request_errors(content: object, rules: RecordRules, max_records: int) -> Iterator[FieldError]:
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
    known = {ID, *([rules.group] if rules.group else []), *(field.name for field in rules.fields)}
    for index, record in enumerate(records):
        yield from _record_errors(index, record, rules, known)


def _record_errors(index: int, record: object, rules: RecordRules, known: set[str]) -> Iterator[FieldError]:
    if not isinstance(record, dict):
        yield FieldError(index, None, "must be an object")
        return
    for name in (name for name in record if name not in known):
        yield FieldError(index, name[:MAX_NAME], "is not in the contract")
    if rule := rules.account.broken_rule(record.get(ID)):
        yield FieldError(index, ID, rule)
    if rules.group and (rule := broken_id_text(record.get(rules.group))):
        yield FieldError(index, rules.group, rule)
    values = [record.get(field.name) for field in rules.fields]
    readable = all(field.broken_type(value) is None for field, value in zip(rules.fields, values, strict=True))
    if readable and rules.eligibility.excluded(values):
        return
    for field, value in zip(rules.fields, values, strict=True):
        if rule := field.broken_rule(value):
            yield FieldError(index, field.name, rule)
