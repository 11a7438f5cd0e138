"""What the outcomes of a snapshot are made from: the revisions of its landed file, and the shards that the service has received."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date
from functools import cached_property, partial

import polars as pl

from risk_assets.clock import Calendar
from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.labels import SHARD, STORED_ON
from risk_assets.domain.ingest.outcome_history import LOST, OutcomeRevision, PostedOutcomes
from risk_assets.errors import LakeError
from risk_assets.lake import layout, raw, verification
from risk_assets.lake.manifests import Manifest, identity, require_manifest
from risk_assets.lake.posted_outcomes import OutcomeShard, posted_columns, read_shard, shard_paths
from risk_assets.lake.store import Store

READERS = 8  # shards that are read at once: on Azure each is a request


@dataclass(frozen=True)
class OutcomeSources:
    """The sources of a date's outcomes: the newest landed file (None if none has landed), earlier ones, and shards by path."""

    store: Store
    contract: Contract
    date: str
    newest: Manifest | None
    earlier: tuple[raw.Revision, ...]
    shards: tuple[str, ...]

    @property
    def inputs(self) -> dict[str, str]:
        """The identities of the sources, by name; a shard's is the hash that is its name."""
        names = [revision.name for revision in self.earlier if revision.manifest]
        files = [*names, *([self.newest.path] if self.newest else [])]
        return {name: identity(self.store, name) for name in files} | {path: shard_identity(path) for path in self.shards}

    def rows(self) -> pl.LazyFrame | None:
        """Return the rows of the newest file as text, or None if none has landed."""
        return raw.scan_manifest(self.store, self.newest) if self.newest else None

    def posted(self) -> pl.LazyFrame:
        """Return the rows of all shards, as `posted_labels` reads them; a shard under another contract without the columns has none."""
        return _frame(self.contract, self._read, [""] * len(self._read))

    def revisions(self, calendar: Calendar) -> list[OutcomeRevision | PostedOutcomes]:
        """Return the contents of all sources in the order in which they were stored."""
        found: list[OutcomeRevision | PostedOutcomes] = []
        waiting = list(self._read)
        for stored_at, revision in self._files(calendar):
            before = [shard for shard in waiting if datetime.fromisoformat(shard.received_at) < stored_at]
            waiting = waiting[len(before) :]
            found.extend([*self._posted(before, calendar), revision])
        return [*found, *self._posted(waiting, calendar)]

    @cached_property
    def _read(self) -> tuple[OutcomeShard, ...]:
        """The shards in the order in which they were received; raises `LakeError` if one was changed."""
        with ThreadPoolExecutor(READERS) as pool:
            shards = list(pool.map(partial(read_shard, self.store), self.shards))
        return tuple(sorted(shards, key=lambda shard: (datetime.fromisoformat(shard.received_at), shard.key)))

    def _posted(self, shards: Sequence[OutcomeShard], calendar: Calendar) -> list[PostedOutcomes]:
        days = [calendar.day(shard.received_at) for shard in shards]
        return [PostedOutcomes(_frame(self.contract, shards, days), len(shards))] if shards else []

    def _files(self, calendar: Calendar) -> Iterator[tuple[datetime, OutcomeRevision]]:
        """Yield the revisions of the file, oldest first, each with the instant at which it was stored."""
        last = datetime.min.replace(tzinfo=UTC)
        for manifest in [*(revision.manifest for revision in self.earlier), *([self.newest] if self.newest else [])]:
            last = max(last, datetime.fromisoformat(manifest.made_at)) if manifest else last
            yield last, self._revision(manifest, calendar)

    def _revision(self, manifest: Manifest | None, calendar: Calendar) -> OutcomeRevision:
        """Return the rows of a file, with the columns of the contract; none of an earlier one whose content is lost."""
        if manifest is None or (manifest is not self.newest and verification.problems(self.store, manifest)):
            return LOST
        rows, known_at = raw.scan_manifest(self.store, manifest), self.contract.target.file.known_at
        lacks = manifest is not self.newest and known_at is not None and known_at not in manifest.columns
        whole = rows.with_columns(pl.lit("").alias(str(known_at))) if lacks else rows
        return OutcomeRevision(whole, calendar.day(manifest.made_at))


def outcome_sources(store: Store, contract: Contract, date: str) -> OutcomeSources:
    """Return the sources of a date's outcomes.

    Raises
    ------
    LakeError
        If the lake has no outcomes of the date, or lost the landed file.
    """
    path, shards = layout.outcomes(date), shard_paths(store, date)
    earlier = raw.revisions(store, path)
    is_landed = store.size(layout.manifest(path)) is not None or bool(earlier)
    newest = require_manifest(store, path) if is_landed or not shards else None
    gave_labels = tuple(revision for revision in earlier if _gave_labels(revision.manifest, contract))
    return OutcomeSources(store, contract, date, newest, gave_labels, shards)


def shard_identity(path: str) -> str:
    """Return the identity of a shard as an input of a table: the hash of its content, which is its name."""
    key = layout.posted_key(path)
    if key is None:
        raise LakeError(f"{path} is not the name of a shard of posted outcomes. Remove it from {layout.POSTED}.")
    return key[1]


def _gave_labels(manifest: Manifest | None, contract: Contract) -> bool:
    """Return whether an earlier file can have given labels: not if it lacks or repeats the id or the target."""
    if manifest is None:
        return True
    needed = [name for name in contract.outcome_columns if name != contract.target.file.known_at]
    return all(name in manifest.columns and f"{name}#2" not in manifest.columns for name in needed)


def _frame(contract: Contract, shards: Sequence[OutcomeShard], days: Sequence[str]) -> pl.LazyFrame:
    """Return the rows of shards in the columns of the contract, with the number and the date of their shard."""
    columns = posted_columns(contract)
    known_at = contract.target.file.known_at
    values: dict[str, list[str | None]] = {name: [] for name in columns}
    numbers: list[int] = []
    dates: list[Date | None] = []
    for number, (shard, day) in enumerate(zip(shards, days, strict=True)):
        places = {name: shard.columns.index(name) for name in columns if name in shard.columns}
        if not {*columns} - {known_at} <= places.keys():
            continue
        for name in columns:
            values[name] += [row[places[name]] if name in places else None for row in shard.rows]
        numbers += [number] * len(shard.rows)
        dates += [Date.fromisoformat(day) if day else None] * len(shard.rows)
    text = {name: pl.Series(name, found, pl.String) for name, found in values.items()}
    marks = {RAGGED: pl.Series(RAGGED, [None] * len(numbers), pl.String), SHARD: pl.Series(SHARD, numbers, pl.Int32)}
    return pl.LazyFrame({**text, **marks, STORED_ON: pl.Series(STORED_ON, dates, pl.Date)})
