"""The wire format: decodes and validates a request's records."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import chain, islice
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from risk_assets.domain.contract.field_rules import group_tokens
from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.text import strip_cell
from risk_assets.domain.governance.arms import Arms
from risk_serving.http.problems import FieldError, Problem
from risk_serving.scoring.columnar import ColumnReader
from risk_serving.scoring.columns import MIN_COLUMNS, AbsentValue, ColumnRules
from risk_serving.scoring.eligibility import Eligibility
from risk_serving.scoring.fields import ID_TYPE, Field, IdField
from risk_serving.scoring.formats import FormatError, Limits, to_records
from risk_serving.scoring.json_text import count_byte, has_colon_escapes, has_control_escapes
from risk_serving.scoring.options import FIELDS, ON_ERROR, SKIP, Options, count_options
from risk_serving.scoring.records import Columns, Ineligible, Invalid, Records, Rows, Sent, Unscored
from risk_serving.scoring.request_errors import (
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

    Attributes
    ----------
    names, record
        The columns of a request: the id, the features and the group; and the struct of a record with them.
    columns
        The rules for columns.
    """

    def __init__(self, contract: Contract, arms: Arms, max_records: int) -> None:
        required = _required(contract, arms)
        self.contract = contract
        self.max_records = max_records
        self.fields = tuple(Field.of(name, feature, contract, name in required) for name, feature in contract.request_features.items())
        models_require = [name for name in arms.required if not contract.features[name].required]
        self.rules = RecordRules(IdField.of(contract), self.fields, Eligibility(contract, self.fields), contract.group, models_require)
        self.columns = ColumnRules(self.rules, frozenset(group_tokens(contract)))
        self._end = 1 + len(self.fields)  # the group, if the contract has one, comes after the features
        self._width = self._end + bool(contract.group)
        self._has_colons = any(":" in name for name in contract.request_features) or ":" in (contract.group or "")
        self._numbers = [
            (position, field.codes, field.low, field.high, field.required)
            for position, field in enumerate(self.fields, start=1)
            if field.is_number
        ]
        self._categories = tuple((position, field) for position, field in enumerate(self.fields, start=1) if not field.is_number)
        most_characters = 2 * sum(map(len, (ID, contract.group or "", *contract.request_features))) + MAX_NAMES
        self._limits = Limits(max_records, self.rules.most_values(max_records), most_characters)
        self.record = _record_type(self.fields, contract.group)
        self.names: tuple[str, ...] = self.record.__struct_encode_fields__
        self._decoder = msgspec.json.Decoder(_request_type(self.record))
        self._column_reader = ColumnReader(self.columns, self.record, self.fields, self._limits)

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
        colons = count_byte(body, b":") - count_options(request)  # of the records, and one
        escapes = has_control_escapes(body)
        complete = not self._has_colons and not escapes and colons == len(sent) * self._width + 1
        if len(sent) >= MIN_COLUMNS and complete:
            records: Records | None = self._many(list(chain.from_iterable(map(astuple, sent))), len(sent))
        else:
            records = self._validated(self._read_rows(body, sent, colons, escapes))
        if records is None:
            raise InvalidRequest
        return msgspec.structs.replace(records, sent=Sent(lambda: sent), options=Options.of(request))

    def _read_other_format(self, body: bytes) -> Records:
        """Return the records of a body in one of `FORMATS`; raises `InvalidRequest` for any other."""
        columns = self._column_reader.read(body)
        if columns is not None:
            return columns
        try:
            rewritten = to_records(body, self._limits)
        except FormatError:
            raise InvalidRequest from None
        if rewritten is None:
            raise InvalidRequest
        records = self.read(rewritten)
        return msgspec.structs.replace(records, sent=Sent(records.sent.make, is_rewritten=True))

    def reread(self, body: bytes) -> Records:
        """Return the records of a body that `read` rejects, in several times the time.

        Raises
        ------
        Problem
            422, unless the errors are those of single records and the request skips these.
        """
        if self._has_too_many_braces(body):
            raise self.problem([FieldError(None, "records", f"must have 1 to {self.max_records} records")])
        try:
            body = to_records(body, self._limits) or body
            content = read_content(body, self.rules, self.max_records)
        except FormatError as error:
            raise self.problem(self._listed(error.errors)) from None
        except UnreadableBody as unreadable:
            raise self.problem([unreadable.error]) from None
        return self._read_document(content, lambda: find_repeated(body))

    def read_document(self, content: Mapping[str, object]) -> Records:
        """Return the records of a JSON document in which no field is repeated; raises `Problem` as `reread` does."""
        return self._read_document(content, lambda: ())

    def _read_document(self, content: object, find_repeated: Callable[[], Iterable[FieldError]]) -> Records:
        records = records_of(content, self.max_records)
        whole, single = request_errors(content, self.max_records), record_errors(records, self.rules)
        if not (isinstance(content, dict) and content.get(ON_ERROR) == SKIP):
            raise self.problem(self._listed(chain(whole, single)) or self._listed(find_repeated()))  # no other error is possible
        try:
            repeated = list(find_repeated())
        except UnreadableBody as unreadable:
            raise self.problem([unreadable.error]) from None
        if errors := [*whole, *(error for error in repeated if error.record is None)]:
            raise self.problem(errors)
        valid = self._without_invalid(records, chain(single, repeated))
        return msgspec.structs.replace(valid, options=Options.of_document(content))

    @staticmethod
    def problem(errors: Sequence[FieldError]) -> Problem:
        """Return the problem of a request with errors."""
        detail = "Nothing was scored. Correct the errors and send the whole request again."
        more_errors = max(0, len(errors) - MAX_ERRORS)
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=tuple(errors[:MAX_ERRORS]), more_errors=more_errors
        )

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
        sent: list[msgspec.Struct] = msgspec.convert(readable, list[self.record])  # type: ignore[name-defined]
        rows = [tuple([None if value is UNSET else value for value in astuple(record)]) for record in sent]
        valid = [position for position in range(len(rows)) if position not in found]
        records = self._validated([rows[position] for position in valid])
        assert records is not None
        unscored = [msgspec.structs.replace(record, position=valid[record.position]) for record in records.unscored]
        invalid = [self._invalid(position, rows[position], self.rules.issues(found[position])) for position in found]
        every = sorted([*unscored, *invalid], key=_position)
        return msgspec.structs.replace(records, unscored=every, sent=Sent(lambda: sent, is_rewritten=True))

    def _invalid(self, position: int, values: Values, issues: tuple[str, ...]) -> Invalid:
        return Invalid(position, _account(values[0]), self._group(values), issues)

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
            if self._has_colons or has_colon_escapes(body):
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

    def _validated(self, sent: Sequence[Values]) -> Records | None:
        """Return the records that match no population rule, validated, and the others; None if any of the former is not valid."""
        if len(sent) >= MIN_COLUMNS:
            return self._many(list(chain.from_iterable(sent)), len(sent))
        unscored = list(self._ineligible(sent)) if self.rules.eligibility.has_rules else []
        if unscored:
            positions = {record.position for record in unscored}
            sent = [row for position, row in enumerate(sent) if position not in positions]
        records = self._few(sent, unscored)
        return None if records is None or self._has_missing_id(records) else records

    def _has_missing_id(self, records: Rows) -> bool:
        any_missing = self.rules.account.any_missing
        return any_missing(records.ids) or (bool(records.unscored) and any_missing([record.id for record in records.unscored]))

    def _ineligible(self, rows: Sequence[Values]) -> Iterator[Ineligible]:
        for position, values in enumerate(rows):
            if reason := self.rules.eligibility.excluded(values[1 : self._end]):
                yield Ineligible(position, _account(values[0]), self._group(values), reason)

    def _few(self, sent: Sequence[Values], unscored: Sequence[Ineligible]) -> Rows | None:
        """Return eligible records, or None if any is not valid."""
        ids, rows, groups = [], [], []
        for row in sent:
            values: list[Any] = list(row)
            for position, codes, low, high, required in self._numbers:
                value = values[position]
                if value is None or value in codes:
                    if required:
                        return None
                    values[position] = None
                elif not low <= value <= high:
                    return None
            for position, field in self._categories:
                values[position] = level = field.level(values[position])
                if level is None and field.required:
                    return None
            ids.append(_account(values[0]))
            rows.append(tuple(values[1 : self._end]))
            if self.contract.group:
                groups.append(self._group(row))
        return Rows(ids, rows, groups, unscored)

    def _many(self, values: list[Any], count: int) -> Columns | None:
        """Return the same as `_validated` for the values of `count` records, one after another.

        A value may be absent only if the request has as many names as if there were none: then a field is repeated.
        """
        try:
            return self.columns.read([values[position :: self._width] for position in range(self._width)], count)
        except AbsentValue:
            return None

    def _group(self, values: Values) -> str | None:
        """Return the customer of a record's values, or None if it is missing or the contract has no group."""
        return self.columns.group(values[self._end]) if self.contract.group else None


def _required(contract: Contract, arms: Arms) -> set[str]:
    used = {name for model in arms.models for name in model.scorecard.features} | {rule.column for rule in contract.exclude}
    return {name for name, feature in contract.features.items() if feature.required and name in used} | set(arms.required)


def _account(sent: str | None) -> str | None:
    return None if sent is None else strip_cell(sent)


def _position(record: Unscored) -> int:
    return record.position


def _request_type(record: Any) -> Any:
    """Return the struct that msgspec decodes a request into."""
    fields: list[Any] = [("records", list[record]), *FIELDS]
    return msgspec.defstruct("Request", fields, forbid_unknown_fields=True, frozen=True, gc=False)


def _record_type(fields: Sequence[Field], group: str | None) -> Any:
    """Return the struct that msgspec decodes a record into. Its fields are numbered, because a column's name may be any text."""
    types: dict[bool, Any] = {True: float | None | UnsetType, False: str | None | UnsetType}
    identifier: Any = ID_TYPE | UnsetType
    typed: list[Any] = [("field_0", identifier, UNSET)]
    typed += [(f"field_{position}", types[field.is_number], UNSET) for position, field in enumerate(fields, start=1)]
    names = {"field_0": ID, **{f"field_{position}": field.name for position, field in enumerate(fields, start=1)}}
    if group:
        typed.append(("group", identifier, UNSET))
        names["group"] = group
    return msgspec.defstruct("Record", typed, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
