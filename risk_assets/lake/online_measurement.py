"""Compares the requests of a date to the service with the training rows of the version that scored the batch, and with the batch's code."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import polars as pl

from risk_assets.domain.batch.answers import Decision, ScoredAnswer
from risk_assets.domain.contract.policy import Monitoring, Points
from risk_assets.domain.contract.schema import GROUP
from risk_assets.domain.monitoring.drift import Snapshot, count, measure_online
from risk_assets.domain.monitoring.report import OnlineShift, Parity
from risk_assets.domain.monitoring.tally import count_independent
from risk_assets.domain.wording import counted
from risk_assets.lake.online_log import LoggedRecord
from risk_assets.lake.online_replay import Decisions, OnlineReplay, rescore
from risk_assets.lake.online_sample import OnlineSample, sample
from risk_assets.lake.references import TrainedReference
from risk_assets.lake.store import Store

SHOWN_MESSAGES = 5
_VALUES = "\x1fvalues"  # marks a group that is made of a record's values


def measure_requests(store: Store, date: str, reference: TrainedReference, policy: Monitoring, scale: Points) -> OnlineShift | None:
    """Return the drift of the requests of a date (UTC) and whether the batch answers them alike; None if the log has none.

    Both are of one sample of records, each scored again with the binding and the documents that decided it. Of requests that another
    version decided, or whose contract gives features another meaning, only the answers are compared.

    Raises
    ------
    LakeError
        If the log cannot be read.
    """
    found, messages = OnlineReplay(date), _FirstMessages()
    sampled = sample(store, date, messages.add)
    if sampled is None:
        return None
    found.problems = sampled.problems
    compared = _Compared(reference)
    decisions = Decisions(store)
    for records in _by_decision(sampled.records):
        features = rescore(records, decisions, found, messages.add)
        if features is not None:
            compared.add(records, features, decisions.of(records[0].decided_by))
    parity = Parity(found.records, found.differing, found.unchecked, found.problems, tuple(messages.kept))
    notes = (*_unread(sampled), *compared.notes)
    return measure_online(compared.snapshot(date), reference.version, policy, scale, sampled.files, parity, notes)


@dataclass
class _FirstMessages:
    kept: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        """Keep a message if it is one of the first."""
        if len(self.kept) < SHOWN_MESSAGES:
            self.kept.append(message)


@dataclass
class _Compared:
    """The scored records of requests that the version decided, as tables of features and probabilities."""

    reference: TrainedReference
    features: list[pl.DataFrame] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    other_versions: Counter[str] = field(default_factory=Counter)
    other_meaning: int = 0

    def add(self, records: Sequence[LoggedRecord], features: pl.DataFrame, decision: Decision) -> None:
        """Add those records of a decision that can be compared; count the others."""
        answers = [each.answer for each in records]
        scored = [position for position, answer in enumerate(answers) if isinstance(answer, ScoredAnswer)]
        version, champion = self.reference.version, decision.arms.champion.version
        if champion != version.version:
            self.other_versions[champion] += len(scored)
        elif self.reference.read_otherwise(decision.contract, features.columns):
            self.other_meaning += len(scored)
        else:
            names = list(version.profile.features)
            self.features.append(features[scored].select(independent_group(names), *names))
            self.probabilities += [
                answer.probability for answer in answers if isinstance(answer, ScoredAnswer) and answer.model_version == version.version
            ]

    def snapshot(self, date: str) -> Snapshot | None:
        """Return what is counted, or None if no record can be compared."""
        rows = pl.concat(self.features) if self.features else pl.DataFrame()
        if rows.is_empty():
            return None
        probability = pl.LazyFrame({"probability": self.probabilities}, schema={"probability": pl.Float64})
        return count(date, rows.lazy(), probability, self.reference.version, count_independent(rows.lazy()))

    @property
    def notes(self) -> Iterator[str]:
        """Which scored records are not compared."""
        if self.other_versions:
            by_version = ", ".join(f"{version} {records}" for version, records in sorted(self.other_versions.items()))
            yield f"not compared: {counted(self.other_versions.total(), 'record')} whose requests another version decided ({by_version})"
        if self.other_meaning:
            yield f"not compared: {counted(self.other_meaning, 'record')} under a contract that reads features in another way"


def independent_group(names: Sequence[str]) -> pl.Expr:
    """Return the group of a record: what the records of a group have in common is counted once.

    It is the customer or the account, as in the batch, since an account can be scored many times a day. Records without an id are of
    one group if they have the same values, as a request that a client repeats. Other records without an id count as independent.
    """
    values = pl.format(f"{_VALUES}{{}}", pl.struct(*names).hash())
    return pl.coalesce(GROUP, values).alias(GROUP)


def _by_decision(records: Sequence[LoggedRecord]) -> Iterator[list[LoggedRecord]]:
    """Yield the records by what decided them."""
    for _, found in groupby(sorted(records, key=lambda each: each.decided_by), lambda each: each.decided_by):
        yield list(found)


def _unread(sampled: OnlineSample) -> Iterator[str]:
    if sampled.read < sampled.pairs:
        yield f"a sample of {sampled.read} of {sampled.pairs} files of requests was read"
