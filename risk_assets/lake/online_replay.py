"""Scores the requests of the prediction log again, with what decided them, and explains the answer to one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from risk_assets.domain.batch.answers import Decision, answered_rows, differences, is_recomputable, record_features
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.explanation import Explanation, explain
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import binding_log, document_archive, registry
from risk_assets.lake.online_files import files
from risk_assets.lake.online_log import DecidedBy, LoggedRecord, LoggedRequest, find_requests, read_file
from risk_assets.lake.store import Store

BATCH_RECORDS = 2000  # scored at once
BINDINGS = 8  # whose models and documents are kept


@dataclass
class OnlineReplay:
    """The result of scoring the requests of a date (UTC) again.

    `unchecked` are the records whose answers do not follow from the logged values, because a value of another type is not logged.
    `differing` are the records whose answers differ, `problems` the damaged lines and files, and the requests that cannot be scored.
    """

    date: str
    requests: int = 0
    records: int = 0
    unchecked: int = 0
    differing: int = 0
    problems: int = 0

    @property
    def agrees(self) -> bool:
        """Whether every answer agrees and every line could be read."""
        return not self.differing and not self.problems


@dataclass(frozen=True)
class ExplainedRecord:
    """One record of a logged request: its explanation, and the columns in which answered and recomputed values differ.

    `differs` is None if the answer does not follow from the logged values.
    """

    position: int
    explanation: Explanation
    differs: tuple[str, ...] | None


@dataclass(frozen=True)
class ExplainedRequest:
    """A logged request and its explained records; `more` is the number of further ones."""

    request: LoggedRequest
    records: tuple[ExplainedRecord, ...]
    more: int


def replay_online(store: Store, date: str, report: Callable[[str], None]) -> OnlineReplay:
    """Score all logged requests of a date again, each with its logged version, binding and documents, by the batch's code.

    Files are read one after another. `report` is called with a message for each record that differs, without its values, and for
    each line or file that is damaged or has no partner.

    Raises
    ------
    LakeError
        If the log has no file of the date.
    """
    found = OnlineReplay(date)
    paths = files(store, date)
    if not paths:
        raise LakeError(f"the prediction log has no requests of {date} (UTC). Give another date.")
    decisions = Decisions(store)
    for records in _batches(chain.from_iterable(read_file(store, path) for path in paths), found, report):
        rescore(records, decisions, found, report)
    return found


def explain_request(store: Store, request: str, date: str | None, record: int | None, most: int) -> list[ExplainedRequest]:
    """Return the explanations of the records of a request, by its id or by its caller's, which several requests can have.

    Parameters
    ----------
    date
        The date (UTC) to search; None for the newest ones: see `find_requests`.
    record
        The position of the only record to explain, or None for all.
    most
        The most records of a request that are explained.

    Raises
    ------
    LakeError
        If no request with the id is found, or what decided it is missing.
    """
    decisions = Decisions(store)
    return [_explained(found, decisions.of(found.decided_by), record, most) for found in find_requests(store, request, date)]


@dataclass
class Decisions:
    """Reads what decided requests; keeps the last ones."""

    store: Store
    known: dict[DecidedBy, Decision] = field(default_factory=dict)

    def of(self, by: DecidedBy) -> Decision:
        """Return what decided a request; raises `RiskError` if it is missing, was changed, or is not what the line names."""
        if by not in self.known:
            decision = self._read(by)
            if len(self.known) >= BINDINGS:
                del self.known[next(iter(self.known))]
            self.known[by] = decision
        return self.known[by]

    def _read(self, by: DecidedBy) -> Decision:
        binding = binding_log.find(self.store, by.binding)
        if (binding.contract, binding.policy) != (by.contract, by.policy):
            raise LakeError(f"the line names another contract or policy than binding {by.binding}. Restore the log from a backup.")
        contract = document_archive.read(self.store, Contract, by.contract)
        policy = document_archive.read(self.store, Policy, by.policy)
        return Decision(registry.arms(self.store, binding), policy, contract)


def rescore(
    records: Sequence[LoggedRecord], decisions: Decisions, found: OnlineReplay, report: Callable[[str], None]
) -> pl.DataFrame | None:
    """Score records with the same decision again, by the batch's code; count and report those whose answers differ.

    Returns
    -------
    pl.DataFrame or None
        The features of the records as the batch makes them, one row each; None if they cannot be scored, which is reported.
    """
    found.records += len(records)
    answers = [each.answer for each in records]
    try:
        decision = decisions.of(records[0].decided_by)
        features = record_features([each.record for each in records], decision)
    except RiskError as error:
        for request, path, line in dict.fromkeys((each.request, each.path, each.line) for each in records):
            found.problems += 1
            report(f"request {request} ({path}, line {line}) cannot be scored again: {error}")
        return None
    found.unchecked += sum(not is_recomputable(answer, decision) for answer in answers)
    for at, columns in differences(answers, features, decision):
        found.differing += 1
        each = records[at]
        report(f"request {each.request}, record {each.position} differs in {', '.join(columns)} ({each.path}, line {each.line})")
    return features


def _batches(lines: Iterable[LoggedRequest | str], found: OnlineReplay, report: Callable[[str], None]) -> Iterator[Sequence[LoggedRecord]]:
    """Yield the records of consecutive requests with the same decision, about `BATCH_RECORDS`, and report the messages between them."""
    batch: list[LoggedRecord] = []
    for line in lines:
        if isinstance(line, str):
            found.problems += 1
            report(line)
            continue
        if batch and (len(batch) >= BATCH_RECORDS or line.decided_by != batch[0].decided_by):
            yield batch
            batch = []
        found.requests += 1
        batch.extend(line.split())
    if batch:
        yield batch


def _explained(request: LoggedRequest, decision: Decision, record: int | None, most: int) -> ExplainedRequest:
    features = record_features(request.records, decision)
    differing = dict(differences(request.answers, features, decision))
    stored = answered_rows(request.answers, decision.policy)
    cards = {model.version: model.scorecard for model in decision.arms.models}
    wanted = range(len(request.records)) if record is None else [record]
    if record is not None and record >= len(request.records):
        raise LakeError(f"the request has {len(request.records)} records, counted from 0. Give another --record.")
    records = []
    for position in wanted[:most]:
        answer = request.answers[position]
        if answer.model_version not in cards:
            raise LakeError(
                f"{request.path}, line {request.line}: a version of the answer is not of its binding. Restore it from a backup."
            )
        row = stored.row(position, named=True)
        explanation = explain(features[position], row, cards[answer.model_version], decision.policy)
        records.append(ExplainedRecord(position, explanation, differing.get(position, ()) if is_recomputable(answer, decision) else None))
    return ExplainedRequest(request, tuple(records), len(wanted) - len(records))
