"""The wire format: decodes and validates a request's records."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import chain, count, islice
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from risk_assets.domain.contract.field_rules import group_tokens
from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.text import normalize_level, strip_cell
from risk_assets.domain.governance.arms import Arms
from risk_serving.http.problems import FieldError, Problem
from risk_serving.scoring.eligibility import Eligibility
from risk_serving.scoring.fields import MAX_ID, Field, IdField
from risk_serving.scoring.formats import (
    FormatError,
    Limits,
    count_byte,
    to_records,
)
from risk_serving.scoring.records import Categories, Columns, Ineligible, Invalid, Records, Rows, Unscored
from risk_serving.scoring.request_errors import (
    EXPLAIN,
    ON_ERROR,
    SKIP,
    RecordRules,
    UnreadableBody,
    find_repeated,
    read_content,
    record_errors,
    records_of,
    request_errors,
)

MAX_ERRORS = 1000
MAX_COUNTED = 10_000
MAX_NAMES = 2000  # characters in the names of a table's columns, besides twice those of the contract
MAX_BRACES = 20_000  # besides those of the records
_COLON_ESCAPES = (b"\\u003a", b"\\u003A")
_CONTROL_ESCAPES = (b"\\u000", b"\\n", b"\\r")  # JSON can write NUL and line ends in no other way
MIN_COLUMNS = 32  # records from which on columns are faster than rows


Values: TypeAlias = tuple[Any, ...]


class InvalidRequest(Exception):
    """A body that is not a valid request; `RequestDecoder.reread` finds its errors."""


class RequestDecoder:
    """Decodes requests and validates them against a contract.

    Parameters
    ----------
    contract : Contract
        Names, types, ranges, missing values, and the population rules: values of a record that is not eligible may be missing or
        out of range, as in the batch.
    arms : Arms
        The live models: a feature that the contract requires is optional if no live model and no population rule uses it, and a
        feature that a deciding model requires is never optional.
    max_records : int
        The most records in a request.
    """

    def __init__(self, contract: Contract, arms: Arms, max_records: int) -> None:
        required = _required(contract, arms)
        self.contract = contract
        self.max_records = max_records
        self.fields = tuple(Field.of(name, feature, contract, name in required) for name, feature in contract.request_features.items())
        models_require = [name for name in arms.required if not contract.features[name].required]
        self.rules = RecordRules(IdField.of(contract), self.fields, Eligibility(contract, self.fields), contract.group, models_require)
        self._group_tokens = frozenset(group_tokens(contract))
        self._end = 1 + len(self.fields)  # the group, if the contract has one, comes after the features
        self._width = self._end + bool(contract.group)
        self._has_colons = any(":" in name for name in contract.request_features) or ":" in (contract.group or "")
        self._numbers = tuple((position, field) for position, field in enumerate(self.fields, start=1) if field.is_number)
        self._categories = tuple((position, field) for position, field in enumerate(self.fields, start=1) if not field.is_number)
        self._texts = (0, *(position for position, _ in self._categories), *([self._end] if contract.group else []))
        self._codes = tuple((row, code) for row, (_, field) in enumerate(self._numbers) for code in field.codes)
        numbers = [field for _, field in self._numbers]
        self._low = np.array([field.low for field in numbers]).reshape(-1, 1)
        self._high = np.array([field.high for field in numbers]).reshape(-1, 1)
        self._required = np.array([field.required for field in numbers], dtype=np.bool_).reshape(-1, 1)
        most_characters = 2 * sum(map(len, (ID, contract.group or "", *contract.request_features))) + MAX_NAMES
        self._limits = Limits(max_records, self.rules.most_values(max_records), most_characters)
        self._record = _record_type(self.fields, contract.group)
        self._decoder = msgspec.json.Decoder(_request_type(self._record))

    def decode(self, body: bytes) -> Records:
        """Return the records of a request's body.

        Raises
        ------
        Problem
            422, with the index, field and rule of each error, if any record is not valid and the request does not skip them.
        """
        try:
            return self.read(body)
        except InvalidRequest:
            return self.reread(body)

    def read(self, body: bytes) -> Records:
        """Return the same as `decode`; raises `InvalidRequest` if any record is not valid, before much of the body is read."""
        if self._has_too_many_braces(body):
            raise InvalidRequest
        try:
            request = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._read_other_format(body)
        sent = request.records
        if not 0 < len(sent) <= self.max_records:
            raise InvalidRequest
        escapes = _has_control_escapes(body)
        options = (request.on_error is not UNSET) + (request.explain is not UNSET)
        colons = count_byte(body, b":") - options  # those of the records, and one
        complete = not self._has_colons and colons == len(sent) * self._width + 1
        if len(sent) >= MIN_COLUMNS and complete and not escapes and not self.rules.eligibility.has_rules:
            records: Records | None = self._validated_columns(list(chain.from_iterable(map(astuple, sent))), len(sent))
        else:
            rows = self._read_rows(body, sent, colons, escapes)
            records = self._eligible(rows) if self.rules.eligibility.has_rules else self._validated(rows)
        if records is None or self._has_missing_id(records):
            raise InvalidRequest
        return msgspec.structs.replace(records, sent=sent, explain=request.explain is True)

    def _read_other_format(self, body: bytes) -> Records:
        """Return the records of a body in one of `FORMATS`; raises `InvalidRequest` for any other."""
        try:
            rewritten = to_records(body, self._limits)
        except FormatError:
            raise InvalidRequest from None
        if rewritten is None:
            raise InvalidRequest
        return msgspec.structs.replace(self.read(rewritten), is_rewritten=True)

    def reread(self, body: bytes) -> Records:
        """Return the records of a body that `read` rejects, in several times the time.

        Raises
        ------
        Problem
            422, unless the errors are those of single records and the request skips these.
        """
        if self._has_too_many_braces(body):
            raise _invalid_request([FieldError(None, "records", f"must have 1 to {self.max_records} records")])
        try:
            body = to_records(body, self._limits) or body
            content = read_content(body, self.rules, self.max_records)
        except FormatError as error:
            raise _invalid_request(self._listed(error.errors)) from None
        except UnreadableBody as unreadable:
            raise _invalid_request([unreadable.error]) from None
        records = records_of(content, self.max_records)
        whole, single = request_errors(content, self.max_records), record_errors(records, self.rules)
        if not (isinstance(content, dict) and content.get(ON_ERROR) == SKIP):
            raise _invalid_request(self._listed(chain(whole, single)) or self._listed(find_repeated(body)))  # no other error is possible
        try:
            repeated = list(find_repeated(body))
        except UnreadableBody as unreadable:
            raise _invalid_request([unreadable.error]) from None
        if errors := [*whole, *(error for error in repeated if error.record is None)]:
            raise _invalid_request(errors)
        valid = self._without_invalid(records, chain(single, repeated))
        return msgspec.structs.replace(valid, explain=content.get(EXPLAIN, False))

    @staticmethod
    def _listed(errors: Iterable[FieldError]) -> list[FieldError]:
        """Return the first `MAX_COUNTED` errors, or that of a body that is nested too deeply to find them."""
        try:
            return list(islice(errors, MAX_COUNTED))
        except UnreadableBody as unreadable:
            return [unreadable.error]

    def _without_invalid(self, content: Sequence[object], errors: Iterable[FieldError]) -> Records:
        """Return the records of a document without those that have errors, which are among `unscored`."""
        found: defaultdict[int, list[FieldError]] = defaultdict(list)
        for error in errors:
            if error.record is not None:
                found[error.record].append(error)
        readable = [self.rules.readable(record) if position in found else record for position, record in enumerate(content)]
        sent: list[msgspec.Struct] = msgspec.convert(readable, list[self._record])  # type: ignore[name-defined]
        rows = [tuple([None if value is UNSET else value for value in astuple(record)]) for record in sent]
        valid = [position for position in range(len(rows)) if position not in found]
        records = self._eligible([rows[position] for position in valid])
        assert records is not None
        unscored = [msgspec.structs.replace(record, position=valid[record.position]) for record in records.unscored]
        invalid = [self._invalid(position, rows[position], self.rules.issues(found[position])) for position in found]
        return msgspec.structs.replace(records, sent=sent, unscored=sorted([*unscored, *invalid], key=_position), is_rewritten=True)

    def _invalid(self, position: int, values: Values, issues: tuple[str, ...]) -> Invalid:
        return Invalid(position, _account(values[0]), self._group_of(values), issues)

    def _has_missing_id(self, records: Records) -> bool:
        any_missing = self.rules.account.any_missing
        return any_missing(records.ids) or (bool(records.unscored) and any_missing([record.id for record in records.unscored]))

    def _has_too_many_braces(self, body: bytes) -> bool:
        """Return whether a body has far too many records, which would take long to decode. A record has a brace; texts may have more."""
        return count_byte(body, b"{") > self.max_records + MAX_BRACES

    def _read_rows(self, body: bytes, sent: Sequence[msgspec.Struct], colons: int, escapes: bool) -> list[Values]:
        """Return the records' values, None if absent; raises `InvalidRequest` if a field is repeated: msgspec keeps the last.

        Each name is followed by a colon, and texts may have more. With `escapes`, texts may have characters that are not allowed.
        """
        rows = list(map(astuple, sent))
        if escapes and self._breaks_text_rule(rows):
            raise InvalidRequest
        absent = sum(row.count(UNSET) for row in rows)
        names = len(rows) * self._width - absent + 1
        if colons != names:
            if self._has_colons or any(escape in body for escape in _COLON_ESCAPES):
                repeated = any(True for _ in find_repeated(body))
            else:
                repeated = colons != names + sum(value.count(":") for row in rows for value in row if isinstance(value, str))
            if repeated:
                raise InvalidRequest
        return [tuple([None if value is UNSET else value for value in row]) for row in rows] if absent else rows

    def _breaks_text_rule(self, rows: Sequence[Values]) -> bool:
        """Return whether an id has a line end, or a text NUL."""
        account = self.rules.account
        texts = (value for row in rows for value in row if isinstance(value, str))
        return any("\0" in text for text in texts) or any(account.broken_rule(row[0]) for row in rows if row[0] is not UNSET)

    def _eligible(self, rows: Sequence[Values]) -> Records | None:
        """Return the records that match no population rule, validated, and the others; None if any of the former is not valid."""
        ineligible = list(self._ineligible(rows))
        if not ineligible:
            return self._validated(rows)
        positions = {record.position for record in ineligible}
        records = self._validated([row for position, row in enumerate(rows) if position not in positions])
        return None if records is None else msgspec.structs.replace(records, unscored=ineligible)

    def _ineligible(self, rows: Sequence[Values]) -> Iterator[Ineligible]:
        for position, values in enumerate(rows):
            if reason := self.rules.eligibility.excluded(values[1 : self._end]):
                yield Ineligible(position, _account(values[0]), self._group_of(values), reason)

    def _validated(self, sent: Sequence[Values]) -> Records | None:
        """Return eligible records, or None if any is not valid."""
        if len(sent) < MIN_COLUMNS:
            return self._validated_rows(sent)
        return self._validated_columns(list(chain.from_iterable(sent)), len(sent))

    def _validated_rows(self, sent: Sequence[Values]) -> Rows | None:
        ids, rows, groups = [], [], []
        for row in sent:
            values: list[Any] = list(row)
            for position, field in self._numbers:
                value = values[position]
                if value is None or value in field.codes:
                    if field.required:
                        return None
                    values[position] = None
                elif not field.low <= value <= field.high:
                    return None
            for position, field in self._categories:
                values[position] = level = field.level(values[position])
                if level is None and field.required:
                    return None
            ids.append(_account(values[0]))
            rows.append(tuple(values[1 : self._end]))
            if self.contract.group:
                groups.append(self._group(values[self._end]))
        return Rows(ids, rows, groups=groups)

    def _validated_columns(self, values: list[Any], count: int) -> Columns | None:
        """Return the same as `_validated_rows` for the values of `count` records, one after another, computed at once.

        A value may be absent only if the request has as many names as if there were none: then a field is repeated.
        """
        columns: list[Any] = [values[position :: self._width] for position in range(self._width)]
        if any(UNSET in columns[position] for position in self._texts):
            return None
        numbers = np.empty((len(self._numbers), count))
        for row, (position, _) in enumerate(self._numbers):
            try:
                numbers[row] = np.fromiter(columns[position], np.float64, count)
            except TypeError:  # an absent value
                return None
            columns[position] = numbers[row]
        for row, code in self._codes:
            numbers[row, numbers[row] == code] = np.nan
        if ((numbers < self._low) | (numbers > self._high) | (self._required & np.isnan(numbers))).any():
            return None
        for position, field in self._categories:
            columns[position] = categories = _categories(columns[position], field)
            if field.required and None in categories.levels:
                return None
        groups = list(map(self._group, columns[self._end])) if self.contract.group else ()
        return Columns(list(map(_account, columns[0])), columns[1 : self._end], groups=groups)

    def _group_of(self, values: Values) -> str | None:
        """Return the customer of a record's values, or None if it is missing or the contract has no group."""
        return self._group(values[self._end]) if self.contract.group else None

    def _group(self, sent: str | None) -> str | None:
        """Return the customer of a record, or None if it is missing."""
        return None if sent is None or normalize_level(sent) in self._group_tokens else strip_cell(sent)


def _required(contract: Contract, arms: Arms) -> set[str]:
    used = {name for model in arms.models for name in model.scorecard.features} | {rule.column for rule in contract.exclude}
    return {name for name, feature in contract.features.items() if feature.required and name in used} | set(arms.required)


def _has_control_escapes(body: bytes) -> bool:
    """Return whether a text may have NUL or a line end."""
    return b"\\" in body and any(escape in body for escape in _CONTROL_ESCAPES)  # one byte is found at memory speed


def _account(sent: str | None) -> str | None:
    return None if sent is None else strip_cell(sent)


def _categories(column: Sequence[str | None], field: Field) -> Categories:
    """Return a column of texts as categories; different texts of one level have positions of their own."""
    positions: defaultdict[str | None, int] = defaultdict(count().__next__)
    found = np.fromiter(map(positions.__getitem__, column), np.int64, len(column))
    return Categories(tuple(map(field.level, positions)), found)


def _position(record: Unscored) -> int:
    return record.position


def _request_type(record: Any) -> Any:
    """Return the struct that msgspec decodes a request into."""
    options: list[Any] = [(ON_ERROR, Literal["fail", "skip"] | UnsetType, UNSET), (EXPLAIN, bool | UnsetType, UNSET)]
    fields = [("records", list[record]), *options]
    return msgspec.defstruct("Request", fields, forbid_unknown_fields=True, frozen=True, gc=False)


def _record_type(fields: Sequence[Field], group: str | None) -> Any:
    """Return the struct that msgspec decodes a record into. Its fields are numbered, because a column's name may be any text."""
    types: dict[bool, Any] = {True: float | None | UnsetType, False: str | None | UnsetType}
    identifier: Any = Annotated[str, Meta(max_length=MAX_ID)] | None | UnsetType
    typed: list[Any] = [("field_0", identifier, UNSET)]
    typed += [(f"field_{position}", types[field.is_number], UNSET) for position, field in enumerate(fields, start=1)]
    names = {"field_0": ID, **{f"field_{position}": field.name for position, field in enumerate(fields, start=1)}}
    if group:
        typed.append(("group", identifier, UNSET))
        names["group"] = group
    return msgspec.defstruct("Record", typed, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)


def _invalid_request(errors: Sequence[FieldError]) -> Problem:
    detail = "Nothing was scored. Correct the errors and send the whole request again."
    more_errors = max(0, len(errors) - MAX_ERRORS)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=tuple(errors[:MAX_ERRORS]), more_errors=more_errors)
