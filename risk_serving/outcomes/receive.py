"""Stores the outcomes of a request in the lake: a shard for each date, durable when this returns."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from risk_assets.domain.contract.schema import Contract
from risk_assets.lake.logged_accounts import LoggedAccounts, find_accounts
from risk_assets.lake.posted_outcomes import OutcomeShard, posted_columns, store_shard
from risk_assets.lake.store import Store
from risk_serving.http.problems import FieldError
from risk_serving.outcomes.requests import DATE, ID, RECORD, REQUEST_ID, OutcomeRules, SentOutcome, invalid_outcomes

Row = tuple[str | None, ...]


class StoredOutcomes(msgspec.Struct, frozen=True):
    """The outcomes of one date in a request, and whether they are new or the lake had them already."""

    date: str
    outcomes: int
    status: Literal["stored", "already stored"]


class OutcomesAnswer(msgspec.Struct, frozen=True):
    """The answer to a request: what was stored, by date of the snapshot."""

    stored: tuple[StoredOutcomes, ...]


@dataclass(frozen=True)
class Receipt:
    """The request in which outcomes were received: when (ISO 8601, UTC), from whom, and its id."""

    received_at: str
    request_id: str
    caller: str


def receive(
    store: Store, rules: OutcomeRules, outcomes: Sequence[SentOutcome], reference: str | None, receipt: Receipt, is_late: Callable[[], bool]
) -> OutcomesAnswer:
    """Store the outcomes of a request, and return the answer. If it fails, the same request can be sent again.

    Raises
    ------
    Problem
        422 if a request to `/predict` is not in the prediction log or of a date that has no outcomes, or outcomes are of the same
        account and date.
    DamagedShardError
        If the lake has a damaged shard of these outcomes. Sending them again fails until it is restored.
    LakeError
        If the lake cannot be read or written. Shards of some dates may have been stored.
    """
    rows = _rows(store, rules, outcomes, is_late)
    return OutcomesAnswer(tuple(_store(store, rules.contract, date, found, reference, receipt) for date, found in sorted(rows.items())))


def _store(store: Store, contract: Contract, date: str, rows: Mapping[str, Row], reference: str | None, receipt: Receipt) -> StoredOutcomes:
    shard = OutcomeShard(
        date=date,
        columns=posted_columns(contract),
        rows=tuple(row for _, row in sorted(rows.items())),
        reference=reference,
        received_at=receipt.received_at,
        request_id=receipt.request_id,
        caller=receipt.caller,
        contract=contract.digest,
    )
    return StoredOutcomes(date, len(rows), "stored" if store_shard(store, shard) else "already stored")


def _rows(store: Store, rules: OutcomeRules, outcomes: Sequence[SentOutcome], is_late: Callable[[], bool]) -> dict[str, dict[str, Row]]:
    """Return the row of each account by date; raises `Problem` with the outcomes that have no account, or one that another has."""
    logged, size = _Logged(store, rules, outcomes, is_late), len(posted_columns(rules.contract))
    rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    errors = []
    for index, sent in enumerate(outcomes):
        found = logged.find(sent)
        if not isinstance(found, tuple):
            errors.append(FieldError(index, found.field, found.rule))
            continue
        date, account = found
        if account in rows[date]:
            errors.append(FieldError(index, None, "is of the same account and date as another outcome of the request"))
        values = (account, sent.outcome, sent.known_at)
        rows[date][account] = values[:size]
    if errors:
        raise invalid_outcomes(errors)
    return rows


class _Logged:
    """The accounts of the requests that outcomes name."""

    def __init__(self, store: Store, rules: OutcomeRules, outcomes: Sequence[SentOutcome], is_late: Callable[[], bool]) -> None:
        self._rules = rules
        dated: defaultdict[str | None, set[str]] = defaultdict(set)
        for sent in outcomes:
            if sent.request_id is not None:
                dated[sent.date].add(sent.request_id)
        self._found: dict[str, LoggedAccounts] = {}
        self._complete = True
        for date, ids in dated.items():
            found, complete = find_accounts(store, ids, None if date is None else [date], is_late)
            self._found |= found
            self._complete &= complete

    def find(self, sent: SentOutcome) -> tuple[str, str] | FieldError:
        """Return the date and the account of an outcome, or its error."""
        if sent.request_id is None:
            assert sent.date is not None and sent.account is not None
            return sent.date, sent.account
        request = self._found.get(sent.request_id)
        if request is None or sent.date not in (None, request.date):
            return FieldError(None, REQUEST_ID, self._missing(sent))
        if rule := self._rules.broken_range(request.date):
            return FieldError(None, REQUEST_ID, f"its date {rule}")
        account = _account(sent, request)
        return account if isinstance(account, FieldError) else (request.date, account)

    def _missing(self, sent: SentOutcome) -> str:
        if not self._complete:
            return f"was not found in time: send its {DATE} (UTC) too"
        where = "the prediction log" if sent.date is None else "the prediction log of the date (UTC)"
        return f"is not in {where}; it is written some seconds after the answer. Or send {ID} and {DATE}"


def _account(sent: SentOutcome, request: LoggedAccounts) -> str | FieldError:
    """Return the account of a record of a request, or why there is none."""
    accounts = request.accounts
    if sent.account is not None:
        return sent.account if sent.account in accounts else FieldError(None, ID, "is not an account of the request")
    if sent.record is None and len(accounts) > 1:
        return FieldError(None, RECORD, "is missing: the request has several records")
    if (position := sent.record or 0) >= len(accounts):
        return FieldError(None, RECORD, "is not the index of a record of the request")
    return accounts[position] or FieldError(None, RECORD, f"has no {ID}, so its account is not known")
