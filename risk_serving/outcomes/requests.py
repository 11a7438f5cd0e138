"""Reads the body of `POST /outcomes`: the outcomes in it, or all errors, by record, field and rule."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

import msgspec

from risk_assets.clock import is_date
from risk_assets.domain.contract.outcome_tokens import token_meaning
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.text import strip_cell
from risk_serving.http.problems import FieldError, Problem
from risk_serving.scoring.fields import IdField, broken_text

OUTCOMES, REFERENCE = "outcomes", "reference"
ID, DATE, REQUEST_ID, RECORD, OUTCOME, KNOWN_AT = "id", "date", "request_id", "record", "outcome", "known_at"
FIELDS = (ID, DATE, REQUEST_ID, RECORD, OUTCOME, KNOWN_AT)
MAX_TEXT = 256  # characters of a value of the target, and of a reference
MAX_REQUEST_ID = 64
MAX_NAME = 100  # longer names of unknown fields are cut
MAX_ERRORS = 1000
NO_DATE = "must be a date, written YYYY-MM-DD"
MORE_VALUES = 1000  # commas and brackets of a body, besides twice those of its outcomes
_BROKEN_MEANINGS = {
    "unknown": "is neither the bad nor the good value of the contract's target",
    "missing": "is a text or number for a missing value: only null withdraws an outcome",
}


@dataclass(frozen=True)
class SentOutcome:
    """A valid outcome of a request: of an account and a date, or of a record of a request to `/predict`.

    `outcome` is the value of the target as text; None withdraws the account's outcome.
    """

    account: str | None
    date: str | None
    request_id: str | None
    record: int | None
    outcome: str | None
    known_at: str | None


@dataclass(frozen=True)
class OutcomeRules:
    """The rules for the outcomes of a request.

    Parameters
    ----------
    first_date, last_date
        The dates whose accounts can have an outcome: those that the batch can run, and today.
    """

    contract: Contract
    max_outcomes: int
    first_date: str
    last_date: str

    @cached_property
    def _account(self) -> IdField:
        return IdField.of(self.contract)

    def broken_range(self, date: str) -> str | None:
        """Return the rule that a date breaks if its accounts cannot have an outcome, or None."""
        if self.first_date <= date <= self.last_date:
            return None
        return f"is not one of the dates that are scored, {self.first_date} to {self.last_date}"

    def errors(self, sent: object) -> Iterator[tuple[str | None, str]]:
        """Yield the field and the broken rule of each error of an outcome."""
        if not isinstance(sent, dict):
            yield None, "must be an object"
            return
        known_at = self.contract.target.file.known_at
        for name in (name for name in sent if name not in FIELDS):
            yield name[:MAX_NAME], "is not a field of an outcome"
        if known_at is None and KNOWN_AT in sent:
            yield KNOWN_AT, "must not be sent: the contract has no target.known_at"
        yield from _broken(OUTCOME, self._broken_outcome(sent[OUTCOME]) if OUTCOME in sent else "is missing; null withdraws an outcome")
        yield from _broken(KNOWN_AT, _broken_date(sent.get(KNOWN_AT)) if known_at is not None else None)
        yield from self._request_errors(sent) if REQUEST_ID in sent else self._account_errors(sent)

    def _account_errors(self, sent: Mapping[str, object]) -> Iterator[tuple[str | None, str]]:
        """Yield the errors of the account and the date."""
        if RECORD in sent:
            yield RECORD, f"must not be sent without {REQUEST_ID}"
        for name in (name for name in (ID, DATE) if name not in sent):
            yield name, f"is missing; or send {REQUEST_ID}"
        yield from self._id_and_date_errors(sent)

    def _request_errors(self, sent: Mapping[str, object]) -> Iterator[tuple[str | None, str]]:
        """Yield the errors of the request to `/predict` and of the record in it."""
        request_id, record = sent[REQUEST_ID], sent.get(RECORD, 0)
        if not isinstance(request_id, str) or not 0 < len(request_id) <= MAX_REQUEST_ID:
            yield REQUEST_ID, f"must be text of 1 to {MAX_REQUEST_ID} characters"
        if isinstance(record, bool) or not isinstance(record, int) or record < 0:
            yield RECORD, "must be the index of a record, from 0"
        if RECORD in sent and ID in sent:
            yield RECORD, f"must not be sent beside {ID}"
        yield from self._id_and_date_errors(sent)

    def _id_and_date_errors(self, sent: Mapping[str, object]) -> Iterator[tuple[str | None, str]]:
        if ID in sent:
            yield from _broken(ID, "must be text" if sent[ID] is None else self._account.broken_rule(sent[ID]))
        if DATE in sent:
            yield from _broken(DATE, self._broken_date_of_account(sent[DATE]))

    def _broken_date_of_account(self, value: object) -> str | None:
        if not isinstance(value, str) or not is_date(value):
            return NO_DATE
        return self.broken_range(value)

    def _broken_outcome(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            return "must be text, a number or null"
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return f"longer than {MAX_TEXT} characters"
        if rule := broken_text(_text(value)):
            return rule
        return None if value is None else _BROKEN_MEANINGS.get(token_meaning(str(value), self.contract))


def read_outcomes(body: bytes, rules: OutcomeRules) -> tuple[list[SentOutcome], str | None]:
    """Return the outcomes in a body, and its reference; raises `Problem` (422) with all errors."""
    content = _content(body, rules.max_outcomes)
    errors = list(_errors(content, rules))
    if errors or not isinstance(content, dict):
        raise invalid_outcomes(errors)
    errors = list(_repeated_fields(body))
    if errors:
        raise invalid_outcomes(errors)
    return [_sent(outcome) for outcome in content[OUTCOMES]], content.get(REFERENCE)


def invalid_outcomes(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of a request with errors."""
    detail = "Nothing was stored. Correct the errors and send the whole request again."
    more_errors = max(0, len(errors) - MAX_ERRORS)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=tuple(errors[:MAX_ERRORS]), more_errors=more_errors)


def _content(body: bytes, max_outcomes: int) -> object:
    """Return the document of a body; raises `Problem` if it is not JSON, or has more values than any valid request."""
    if sum(map(body.count, (b",", b"[", b"{"))) > 2 * max_outcomes * (len(FIELDS) + 2) + MORE_VALUES:
        raise invalid_outcomes([FieldError(None, None, f"has too many values: send 1 to {max_outcomes} outcomes")])
    try:
        return msgspec.json.Decoder(float_hook=float).decode(body)
    except UnicodeDecodeError:
        rule = "is not UTF-8"
    except msgspec.MsgspecError as error:
        rule = f"is not valid JSON: {error}"  # msgspec's message gives the position and never the text
    except RecursionError:
        rule = "nested too deeply"
    raise invalid_outcomes([FieldError(None, None, rule)])


def _errors(content: object, rules: OutcomeRules) -> Iterator[FieldError]:
    if not isinstance(content, dict):
        yield FieldError(None, None, f"must be an object with the field {OUTCOMES}")
        return
    for name in (name for name in content if name not in (OUTCOMES, REFERENCE)):
        yield FieldError(None, name[:MAX_NAME], f"unknown field: only {OUTCOMES} and {REFERENCE} are allowed")
    reference, outcomes = content.get(REFERENCE), content.get(OUTCOMES)
    if REFERENCE in content and reference is None:
        yield FieldError(None, REFERENCE, "must be text")
    elif rule := broken_text(reference) or (f"longer than {MAX_TEXT} characters" if len(str(reference)) > MAX_TEXT else None):
        yield FieldError(None, REFERENCE, rule)
    if not isinstance(outcomes, list):
        yield FieldError(None, OUTCOMES, "must be a list of objects")
    elif not 0 < len(outcomes) <= rules.max_outcomes:
        yield FieldError(None, OUTCOMES, f"must have 1 to {rules.max_outcomes} outcomes")
    else:
        yield from (FieldError(index, *error) for index, outcome in enumerate(outcomes) for error in rules.errors(outcome))


def _repeated_fields(body: bytes) -> Iterator[FieldError]:
    """Yield the fields of a valid document that are sent twice: of those, msgspec keeps the last."""
    content = json.loads(body, object_pairs_hook=_Pairs)
    yield from (FieldError(None, name, "is repeated") for name in content.repeated())
    for index, outcome in enumerate(content.values(OUTCOMES)):
        yield from (FieldError(index, name, "is repeated") for name in outcome.repeated())


class _Pairs(list[tuple[str, object]]):
    """The fields of a JSON object, with those that are repeated."""

    def repeated(self) -> Iterable[str]:
        """Return the names that occur more than once."""
        return (name for name, times in Counter(name for name, _ in self).items() if times > 1)

    def values(self, name: str) -> Iterator["_Pairs"]:
        """Yield the objects in the list of this name."""
        for value in (value for found, value in self if found == name):
            yield from (each for each in value if isinstance(each, _Pairs)) if isinstance(value, list) else ()


def _sent(outcome: Mapping[str, object]) -> SentOutcome:
    account, record = _text(outcome.get(ID)), outcome.get(RECORD)
    return SentOutcome(
        account=strip_cell(account) if account is not None else None,
        date=_text(outcome.get(DATE)),
        request_id=_text(outcome.get(REQUEST_ID)),
        record=record if isinstance(record, int) else None,
        outcome=_text(outcome[OUTCOME]),
        known_at=_text(outcome.get(KNOWN_AT)),
    )


def _broken(name: str, rule: str | None) -> Iterator[tuple[str | None, str]]:
    if rule:
        yield name, rule


def _broken_date(value: object) -> str | None:
    if value is None or (isinstance(value, str) and is_date(value)):
        return None
    return NO_DATE


def _text(value: object) -> str | None:
    return None if value is None else str(value)
