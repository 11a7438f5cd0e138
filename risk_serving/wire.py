"""What goes over the wire: a request's records, read and held against the contract, and the results."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import astuple

from risk_assets.domain.contract import Contract, Feature
from risk_assets.domain.model import Registered
from risk_assets.domain.rules import UNREADABLE, missing_codes, missing_tokens, plain
from risk_serving.problems import Offence, Problem

ID = "id"
MAX_OFFENCES = 1000
MAX_NAME = 100
MANY = 32
BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # polars'
)

Value: TypeAlias = float | str | None
Row: TypeAlias = tuple[Value, ...]


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


@dataclass(frozen=True)
class Rule:
    """What the contract says of one field of a record; `needed` where it must be known for a live model to score."""

    name: str
    is_number: bool
    needed: bool
    low: float
    high: float
    codes: frozenset[float]
    tokens: frozenset[str]


class Records:
    """Records that fit the contract: their ids, and their features in the contract's order, None (or NaN) where not known.

    They are held as rows, or, where there are many, as columns, which are quicker scored that way: numbers as arrays, texts
    as lists. `sent` are the records as they came.
    """

    def __init__(
        self, ids: Sequence[str | None], rows: Sequence[Row] = (), columns: Sequence[Any] = (), sent: Sequence[msgspec.Struct] = ()
    ) -> None:
        self.ids, self.rows, self.columns, self.sent = ids, rows, columns, sent

    @property
    def many(self) -> bool:
        """Whether they are held as columns."""
        return bool(self.columns)

    def take(self, positions: Sequence[int]) -> "Records":
        """Return the records at some positions, in that order."""
        ids = [self.ids[position] for position in positions]
        if not self.columns:
            return Records(ids, [self.rows[position] for position in positions])
        return Records(ids, columns=[_taken(column, positions) for column in self.columns])


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

    def __init__(self, contract: Contract, models: Sequence[Registered], max_records: int) -> None:
        used = {name for model in models for name in model.scorecard.features}
        self.contract = contract
        self.max_records = max_records
        self.rules = tuple(_rule(name, feature, contract, name in used) for name, feature in contract.features.items())
        self.names = tuple(rule.name for rule in self.rules)
        self._numbers = tuple((position, rule) for position, rule in enumerate(self.rules, start=1) if rule.is_number)
        self._texts = tuple((position, rule) for position, rule in enumerate(self.rules, start=1) if not rule.is_number)
        self._codes = tuple((row, code) for row, (_, rule) in enumerate(self._numbers) for code in rule.codes)
        numbers = [rule for _, rule in self._numbers]
        self._low = np.array([rule.low for rule in numbers]).reshape(-1, 1)
        self._high = np.array([rule.high for rule in numbers]).reshape(-1, 1)
        self._needed = np.array([rule.needed for rule in numbers], dtype=np.bool_).reshape(-1, 1)
        self._decoder = msgspec.json.Decoder(_request_type(self.rules))

    def decode(self, body: bytes) -> Records:
        """Return a request's records.

        Raises
        ------
        Problem
            422, with each offending record's index, field and rule, when any record does not fit. Nothing is then scored.
        """
        try:
            sent = self._decoder.decode(body).records
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._explained(body) from None
        if not 0 < len(sent) <= self.max_records:
            raise self._explained(body)
        records = self._few(sent) if len(sent) < MANY else self._many(sent)
        if records is None:
            raise self._explained(body)
        return records

    def _few(self, sent: Sequence[msgspec.Struct]) -> Records | None:
        """Return the records, or None where one does not fit."""
        clean = []
        for record in sent:
            values: list[Any] = list(astuple(record))
            for position, rule in self._numbers:
                value = values[position]
                if value is None or value in rule.codes:
                    if rule.needed:
                        return None
                    values[position] = None
                elif not rule.low <= value <= rule.high:
                    return None
            for position, rule in self._texts:
                values[position] = text = _known(values[position], rule)
                if text is None and rule.needed:
                    return None
            clean.append(values)
        return Records([values[0] for values in clean], [tuple(values[1:]) for values in clean], sent=sent)

    def _many(self, sent: Sequence[msgspec.Struct]) -> Records | None:
        """Return what `_few` returns, worked out for all records at once."""
        columns: list[Any] = list(zip(*map(astuple, sent), strict=True))
        numbers = np.array([columns[position] for position, _ in self._numbers], dtype=np.float64).reshape(-1, len(sent))
        for row, code in self._codes:
            numbers[row, numbers[row] == code] = np.nan
        if ((numbers < self._low) | (numbers > self._high) | (self._needed & np.isnan(numbers))).any():
            return None
        for row, (position, _) in enumerate(self._numbers):
            columns[position] = numbers[row]
        for position, rule in self._texts:
            known = {text: _known(text, rule) for text in set(columns[position])}
            if rule.needed and None in known.values():
                return None
            columns[position] = [known[text] for text in columns[position]]
        return Records(columns[0], columns=columns[1:], sent=sent)

    def _explained(self, body: bytes) -> Problem:
        """Return the problem of a body that was refused: read once more, slowly, for all that is wrong."""
        try:
            content = msgspec.json.Decoder(float_hook=float).decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _invalid(Offence(None, None, _syntax(error)))
        except RecursionError:
            return _invalid(Offence(None, None, "nested too deeply"))
        offences = list(self._offences(content)) or [Offence(None, None, "a field is there twice")]
        return _invalid(*offences[:MAX_OFFENCES], more=max(0, len(offences) - MAX_OFFENCES))

    def _offences(self, content: object) -> Iterator[Offence]:
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
        known = {ID, *self.names}
        for name in (name for name in record if name not in known):
            yield Offence(index, name[:MAX_NAME], "is not in the contract")
        if not isinstance(record.get(ID), str | None):
            yield Offence(index, ID, "must be text or null")
        for rule in self.rules:
            if broken := _broken(rule, record.get(rule.name)):
                yield Offence(index, rule.name, broken)


def request_schema(wire: Wire, example: Mapping[str, Value]) -> dict[str, Any]:
    """Return the JSON schema of a request as it is read now, with an example."""
    properties: dict[str, Any] = {ID: {"type": ["string", "null"], "description": f"The account, the contract's {wire.contract.id}."}}
    properties |= {rule.name: _field_schema(rule) for rule in wire.rules}
    needed = [rule.name for rule in wire.rules if rule.needed]
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


def _known(text: str | None, rule: Rule) -> str | None:
    """Return a category's level, or None where it is not known."""
    if text is None:
        return None
    stripped = text.strip(BLANKS)
    return None if stripped in rule.tokens else stripped


def _taken(column: Any, positions: Sequence[int]) -> Any:
    return column[positions] if isinstance(column, np.ndarray) else [column[position] for position in positions]


def _request_type(rules: Sequence[Rule]) -> Any:
    """Return the type that msgspec decodes a request into; fields are named by position, as a contract's name may be any text."""
    kinds: dict[bool, Any] = {True: float | None, False: str | None}
    fields: list[Any] = [("field_0", str | None, None)]
    fields += [(f"field_{position}", kinds[rule.is_number], None) for position, rule in enumerate(rules, start=1)]
    names = {"field_0": ID, **{f"field_{position}": rule.name for position, rule in enumerate(rules, start=1)}}
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
    return msgspec.defstruct("Request", [("records", list[record])], forbid_unknown_fields=True, frozen=True, gc=False)  # type: ignore[valid-type]


def _rule(name: str, feature: Feature, contract: Contract, used: bool) -> Rule:
    return Rule(
        name,
        feature.type == "number",
        feature.required and used,
        -math.inf if feature.min is None else feature.min,
        math.inf if feature.max is None else feature.max,
        frozenset(missing_codes(feature, contract)),
        frozenset(missing_tokens(feature, contract)),
    )


def _broken(rule: Rule, value: object) -> str | None:
    """Return the rule that a value breaks, or None where it fits."""
    if rule.is_number:
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            return "must be a number or null"
        missing = value is None or value in rule.codes
    else:
        if not isinstance(value, str | None):
            return "must be text or null"
        missing = value is None or value.strip(BLANKS) in rule.tokens
    if missing or isinstance(value, str | None):
        return "missing" if missing and rule.needed else None
    if abs(value) > sys.float_info.max:
        return UNREADABLE
    if value < rule.low:
        return f"below {plain(rule.low)}"
    return f"above {plain(rule.high)}" if value > rule.high else None


def _field_schema(rule: Rule) -> dict[str, Any]:
    """Return the JSON schema of what `_broken` lets through, but for blanks around a text that means "not known"."""
    if not rule.is_number:
        known = {"type": "string", "pattern": r"\S", "not": {"enum": sorted(rule.tokens - {""})}}
        return known if rule.needed else {"type": ["string", "null"], "description": _unknown(sorted(rule.tokens - {""}))}
    bounds = {key: bound for key, bound in (("minimum", rule.low), ("maximum", rule.high)) if math.isfinite(bound)}
    codes = sorted(rule.codes)
    if not codes:
        return {"type": "number" if rule.needed else ["number", "null"], **bounds}
    if rule.needed:
        return {"type": "number", **bounds, "not": {"enum": codes}}
    return {"anyOf": [{"type": "number", **bounds}, {"enum": [*codes, None]}], "description": _unknown(map(plain, codes))}


def _unknown(codes: Iterable[str]) -> str:
    return f"Not known: null, {', '.join(codes)}".removesuffix(", ")


def _invalid(*offences: Offence, more: int = 0) -> Problem:
    detail = "Nothing was scored. Mend what errors lists and send the whole request again."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, offences=offences, more=more)


def _syntax(error: Exception) -> str:
    """Return what is wrong with a text that is no JSON; msgspec says where, and never what stands there."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"is no JSON that can be read: {error}"
