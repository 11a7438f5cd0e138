"""Finds the errors in a rejected request, by a second, slower reading of its body."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from risk_assets.domain.contract.field_rules import MISSING_ISSUE
from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_serving.http.problems import FieldError
from risk_serving.scoring.eligibility import Eligibility
from risk_serving.scoring.fields import Field, IdField, broken_id_text
from risk_serving.scoring.options import OPTIONS, option_errors

MAX_NAME = 100  # longer names of unknown fields are cut
REPEATED = "is repeated"
MAX_VALUES = 1000


class UnreadableBody(Exception):
    """A body that is not JSON, or that would take long to read; `error` is its only error."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.error = FieldError(None, None, rule)


@dataclass(frozen=True)
class RecordRules:
    """The rules for a record: its id, its fields, the population rules, and the name of the group, if the contract has one.

    `models_require` are the fields that the models require and the contract does not.
    """

    account: IdField
    fields: Sequence[Field]
    eligibility: Eligibility
    group: str | None
    models_require: Sequence[str]

    def issues(self, errors: Sequence[FieldError]) -> tuple[str, ...]:
        """Return the errors of one record as the batch lists them: what only the models require comes last."""
        last = {FieldError(None, name, MISSING_ISSUE): place for place, name in enumerate(self.models_require, start=1)}
        ordered = sorted((FieldError(None, error.field, error.rule) for error in errors), key=lambda error: last.get(error, 0))
        return tuple(error.rule if error.field is None else f"{error.field}: {error.rule}" for error in ordered)

    def readable(self, record: object) -> dict[str, object]:
        """Return the values of a record that have the type of their field."""
        if not isinstance(record, dict):
            return {}
        broken: dict[str, object] = {field.name: field.broken_type(record.get(field.name)) for field in self.fields}
        broken[ID] = self.account.broken_rule(record.get(ID))
        if self.group:
            broken[self.group] = broken_id_text(record.get(self.group))
        return {name: record[name] for name, rule in broken.items() if rule is None and name in record}

    def most_values(self, max_records: int) -> int:
        """Return twice as many commas and opening brackets as a request has outside its texts, and `MAX_VALUES`."""
        return 2 * max_records * (len(self.fields) + 4) + MAX_VALUES


def read_content(body: bytes, rules: RecordRules, max_records: int) -> object:
    """Return a body's JSON document; raises `UnreadableBody`, also for more values than any valid request has."""
    if sum(map(body.count, (b",", b"[", b"{"))) > rules.most_values(max_records):
        raise UnreadableBody(f"is not valid, and has too many values to list the errors: send 1 to {max_records} records")
    try:
        return msgspec.json.Decoder(float_hook=float).decode(body)
    except UnicodeDecodeError:
        raise UnreadableBody("is not UTF-8") from None
    except msgspec.MsgspecError as error:
        # msgspec's message gives the position and never the text.
        raise UnreadableBody(f"is not valid JSON: {error}") from None
    except RecursionError:
        raise UnreadableBody("nested too deeply") from None


def records_of(content: object, max_records: int) -> list[object]:
    """Return the records of a document, whether they are valid or not; empty if it has no list of them, or too many."""
    records = content.get("records") if isinstance(content, dict) else None
    return records if isinstance(records, list) and len(records) <= max_records else []


def find_repeated(body: bytes) -> Iterator[FieldError]:
    """Yield the repeated fields of a valid JSON document, in the records' order; raises `UnreadableBody` if it is nested too deeply."""
    try:
        content = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    except RecursionError:
        raise UnreadableBody("nested too deeply") from None
    yield from _repeated_fields(content)


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


def request_errors(content: object, max_records: int) -> Iterator[FieldError]:
    """Yield the errors of a document that do not belong to one record."""
    if not isinstance(content, dict):
        yield FieldError(None, None, "must be an object with the field records")
        return
    for name in (name for name in content if name not in {"records", *OPTIONS}):
        yield FieldError(None, name[:MAX_NAME], f"unknown field: only records, {', '.join(OPTIONS[:-1])} and {OPTIONS[-1]} are allowed")
    yield from option_errors(content)
    records = content.get("records")
    if not isinstance(records, list):
        yield FieldError(None, "records", "must be a list of objects")
    elif not 0 < len(records) <= max_records:
        yield FieldError(None, "records", f"must have 1 to {max_records} records")


def record_errors(records: Sequence[object], rules: RecordRules) -> Iterator[FieldError]:
    """Yield the errors of records, in their order."""
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
