"""What goes over the wire: a request's records, read and held against the contract, and the results."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import chain, count, islice
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from risk_assets.domain.contract.schema import ONLINE_ID as ID
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_serving.http.problems import Offence, Problem
from risk_serving.scoring.fields import Field
from risk_serving.scoring.records import Columns, Records, Rows, Texts, Value

MAX_OFFENCES = 1000
MOST_COUNTED = 10_000
MAX_NAME = 100
MANY = 32


class Result(msgspec.Struct, frozen=True, gc=False):
    """What is said of one record: by which version, in which arm; reasons only where it is predicted bad."""

    id: str | None
    prediction: int
    probability: float
    points: int
    band: str
    reasons: tuple[str, ...]
    arm: str
    model_version: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The results in the order of the records, and the live version."""

    model_version: str
    results: list[Result]


class Wire:
    """Reads requests by a contract, as far as the models that are live need its features.

    Parameters
    ----------
    contract : Contract
        Names, types, ranges and tokens for missing.
    models : sequence of Registered
        The live models; a feature that the contract requires may be left out where none of them uses it.
    max_records : int
        The most records a request may hold.
    """

    def __init__(self, contract: Contract, models: Sequence[VersionedScorecard], max_records: int) -> None:
        used = {name for model in models for name in model.scorecard.features}
        self.contract = contract
        self.max_records = max_records
        self.fields = tuple(Field.of(name, feature, contract, name in used) for name, feature in contract.inputs.items())
        self._numbers = tuple((position, field) for position, field in enumerate(self.fields, start=1) if field.is_number)
        self._texts = tuple((position, field) for position, field in enumerate(self.fields, start=1) if not field.is_number)
        self._codes = tuple((row, code) for row, (_, field) in enumerate(self._numbers) for code in field.codes)
        numbers = [field for _, field in self._numbers]
        self._low = np.array([field.low for field in numbers]).reshape(-1, 1)
        self._high = np.array([field.high for field in numbers]).reshape(-1, 1)
        self._needed = np.array([field.needed for field in numbers], dtype=np.bool_).reshape(-1, 1)
        self._decoder = msgspec.json.Decoder(_request_type(self.fields))

    def decode(self, body: bytes) -> Records:
        """Return a request's records.

        Raises
        ------
        Problem
            422, with each offending record's index, field and rule, when any record does not fit. Nothing is then scored.
        """
        # Too many records are found out before each of them is made; braces may stand in texts, too.
        if body.count(b"{") > self.max_records + 1 and (offences := self._offences(body)):
            raise _invalid(offences)
        try:
            sent = self._decoder.decode(body).records
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._refused(body) from None
        if not 0 < len(sent) <= self.max_records:
            raise self._refused(body)
        records = self._few(sent) if len(sent) < MANY else self._many(sent)
        if records is None:
            raise self._refused(body)
        return records

    def _few(self, sent: Sequence[msgspec.Struct]) -> Rows | None:
        """Return the records, or None where one does not fit."""
        ids, rows = [], []
        for record in sent:
            values: list[Any] = list(astuple(record))
            for position, field in self._numbers:
                value = values[position]
                if value is None or value in field.codes:
                    if field.needed:
                        return None
                    values[position] = None
                elif not field.low <= value <= field.high:
                    return None
            for position, field in self._texts:
                values[position] = level = field.level(values[position])
                if level is None and field.needed:
                    return None
            ids.append(values[0])
            rows.append(tuple(values[1:]))
        return Rows(ids, rows, sent)

    def _many(self, sent: Sequence[msgspec.Struct]) -> Columns | None:
        """Return what `_few` returns, worked out for all records at once."""
        values = list(chain.from_iterable(map(astuple, sent)))
        columns: list[Any] = [values[position :: 1 + len(self.fields)] for position in range(1 + len(self.fields))]
        numbers = np.empty((len(self._numbers), len(sent)))
        for row, (position, _) in enumerate(self._numbers):
            numbers[row] = np.fromiter(columns[position], np.float64, len(sent))
            columns[position] = numbers[row]
        for row, code in self._codes:
            numbers[row, numbers[row] == code] = np.nan
        if ((numbers < self._low) | (numbers > self._high) | (self._needed & np.isnan(numbers))).any():
            return None
        for position, field in self._texts:
            columns[position] = texts = _texts(columns[position], field)
            if field.needed and None in texts.levels:
                return None
        return Columns(columns[0], columns[1:], sent)

    def _refused(self, body: bytes) -> Problem:
        return _invalid(self._offences(body) or [Offence(None, None, "a field is there twice")])

    def _offences(self, body: bytes) -> list[Offence]:
        """Return what is wrong with a body, read once more, slowly; at most `MOST_COUNTED` offences."""
        try:
            content = msgspec.json.Decoder(float_hook=float).decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return [Offence(None, None, _syntax(error))]
        except RecursionError:
            return [Offence(None, None, "nested too deeply")]
        return list(islice(self._found(content), MOST_COUNTED))

    def _found(self, content: object) -> Iterator[Offence]:
        if not isinstance(content, dict):
            yield Offence(None, None, "must be an object with the field records")
            return
        for name in (name for name in content if name != "records"):
            yield Offence(None, name[:MAX_NAME], "is not known; there is only records")
        records = content.get("records")
        if not isinstance(records, list):
            yield Offence(None, "records", "must be a list of objects")
            return
        if not 0 < len(records) <= self.max_records:
            yield Offence(None, "records", f"must hold 1 to {self.max_records} records")
            return
        for index, record in enumerate(records):
            yield from self._record_offences(index, record)

    def _record_offences(self, index: int, record: object) -> Iterator[Offence]:
        if not isinstance(record, dict):
            yield Offence(index, None, "must be an object")
            return
        known = {ID, *(field.name for field in self.fields)}
        for name in (name for name in record if name not in known):
            yield Offence(index, name[:MAX_NAME], "is not in the contract")
        if not isinstance(record.get(ID), str | None):
            yield Offence(index, ID, "must be text or null")
        for field in self.fields:
            if broken := field.broken(record.get(field.name)):
                yield Offence(index, field.name, broken)


def request_schema(wire: Wire, example: Mapping[str, Value]) -> dict[str, Any]:
    """Return the JSON schema of a request as it is read now, with an example."""
    properties: dict[str, Any] = {ID: {"type": ["string", "null"], "description": f"The account, the contract's {wire.contract.id}."}}
    properties |= {field.name: field.schema() for field in wire.fields}
    needed = [field.name for field in wire.fields if field.needed]
    record = {"type": "object", "additionalProperties": False, "properties": properties, "required": needed}
    records = {"type": "array", "minItems": 1, "maxItems": wire.max_records, "items": record}
    shown = {ID: "EXAMPLE", **{name: value for name, value in example.items() if value is not None}}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["records"],
        "properties": {"records": records},
        "example": {"records": [shown]},
    }


def answer_schema() -> dict[str, Any]:
    """Return the JSON schema of an answer."""
    (schema,), components = msgspec.json.schema_components([Answer], ref_template="#/components/schemas/{name}")
    return {"schema": schema, "components": components}


def _texts(column: Sequence[str | None], field: Field) -> Texts:
    """Return a column of texts as levels and places; blanks around a level make no other level of it, but another place."""
    places: defaultdict[str | None, int] = defaultdict(count().__next__)
    found = np.fromiter(map(places.__getitem__, column), np.int64, len(column))
    return Texts(tuple(map(field.level, places)), found)


def _request_type(fields: Sequence[Field]) -> Any:
    """Return the type that msgspec decodes a request into; fields are named by position, as a contract's name may be any text."""
    kinds: dict[bool, Any] = {True: float | None, False: str | None}
    typed: list[Any] = [("field_0", str | None, None)]
    typed += [(f"field_{position}", kinds[field.is_number], None) for position, field in enumerate(fields, start=1)]
    names = {"field_0": ID, **{f"field_{position}": field.name for position, field in enumerate(fields, start=1)}}
    record = msgspec.defstruct("Record", typed, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
    return msgspec.defstruct("Request", [("records", list[record])], forbid_unknown_fields=True, frozen=True, gc=False)  # type: ignore[valid-type]


def _invalid(offences: Sequence[Offence]) -> Problem:
    detail = "Nothing was scored. Mend what errors lists and send the whole request again."
    more = max(0, len(offences) - MAX_OFFENCES)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, offences=tuple(offences[:MAX_OFFENCES]), more=more)


def _syntax(error: Exception) -> str:
    """Return what is wrong with a text that is no JSON; msgspec says where, and never what stands there."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"is no JSON that can be read: {error}"
