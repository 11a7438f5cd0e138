"""What executors do for a training: they choose among the groups of a window, and stage the rows of those that are picked.

A task reads a piece of the features of a date, about half a million rows, and the outcomes of its accounts. What a task stages has a
path of its own in each attempt.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import polars as pl
import polars_hash

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.training.dataset import (
    NO_PAIRS,
    available,
    distinct_pairs,
    joined,
    leading,
    of_groups,
    one_group_per_account,
    sample_hashes,
)
from risk_assets.domain.training.groups import accounts_of_several
from risk_assets.domain.training.spacing import DAY, NO_PICKS, ROWS, ordinal, spaced
from risk_assets.engine.jobs import LakeAddress, SampledPiece, SampleJob, StagedRows
from risk_assets.engine.tasks import BUCKET, features_content, lake_at, parsed_contract, stored_manifest
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.staging import new_token
from risk_assets.lake.store import Store
from risk_assets.lake.tables import compression, scan_committed, translate_polars_errors
from risk_assets.lake.verification import remove_copies

NAME = "name"


def pairs(job: SampleJob, number: int) -> pl.DataFrame:
    """Return the distinct accounts and groups of a piece, and the bucket of the task that compares them."""
    with _joined(job, number) as table:
        found = distinct_pairs([table])
    hashed = polars_hash.col(ACCOUNT_ID).nchash.xxh3_64()
    return found.with_columns((hashed % job.buckets).cast(pl.Int64).alias(BUCKET))


def several(job: SampleJob, bucket: int, found: Sequence[pl.DataFrame]) -> StagedRows:
    """Stage the pairs of the accounts of a bucket that have several groups, given the pairs of all pieces."""
    return stage_rows(job, bucket, accounts_of_several(pl.concat([NO_PAIRS, *found]).unique()))


def available_groups(job: SampleJob, number: int) -> pl.DataFrame:
    """Return the groups of a piece, their rows, the day, and the bucket of the task that chooses: buckets are ranges of hashes."""
    with _renamed(job, number) as table:
        found = available(table)
    buckets = (sample_hashes(found[GROUP], _policy(job.policy)) >> np.uint64(32)) * np.uint64(job.buckets) >> np.uint64(32)
    day = ordinal(job.dates[job.pieces[number].date].date)
    return found.with_columns(pl.lit(day, pl.Int64).alias(DAY), pl.Series(BUCKET, buckets).cast(pl.Int64))


def picks(job: SampleJob, found: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the leading picks of a bucket, given its groups of all pieces."""
    policy, first, last = _policy(job.policy), ordinal(job.dates[0].date), ordinal(job.dates[-1].date)
    groups = pl.concat([NO_PICKS, *(frame.select(NO_PICKS.columns) for frame in found)]).group_by(DAY, GROUP).agg(pl.col(ROWS).sum())
    by_day = sorted(groups.partition_by(DAY, as_dict=True, include_key=False).items())
    return leading(spaced(((day, group) for (day,), group in by_day), first, last, policy.spacing_days), policy)


def leading_picks(job: SampleJob, found: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the leading picks of several buckets."""
    return leading(pl.concat([NO_PICKS, *found]), _policy(job.policy))


def chosen(job: SampleJob, bucket: int, found: Sequence[pl.DataFrame]) -> StagedRows:
    """Stage the leading picks of several buckets."""
    return stage_rows(job, bucket, leading_picks(job, found))


def picked_rows(job: SampleJob, number: int) -> StagedRows:
    """Stage the rows of a piece whose group is picked on its date, in the order of the features."""
    groups = read_staged(lake_at(job.lake), job.picks[job.pieces[number].date])[GROUP]
    with _renamed(job, number) as table:
        found = of_groups(table, groups).collect(engine="streaming")
    return stage_rows(job, number, found)


def stage_rows(job: SampleJob, number: int, rows: pl.DataFrame) -> StagedRows:
    """Stage rows as an Arrow file."""
    store, path = lake_at(job.lake), layout.staged_piece(job.folder, job.token, number, new_token())
    content = arrow_file(store, rows)
    store.put(path, content)
    return StagedRows(number, path, sha256(content))


def arrow_file(store: Store, rows: pl.DataFrame) -> bytes:
    """Return rows as an Arrow file for a store."""
    content = io.BytesIO()
    rows.write_ipc(content, compression=compression(store))
    return content.getvalue()


def read_staged(store: Store, path: str, digest: str | None = None) -> pl.DataFrame:
    """Return staged rows; raises `LakeError` if they are gone, or their content has another SHA-256 than the one given."""
    content = store.find(path)
    if content is None or (digest and sha256(content) != digest):
        raise LakeError(f"{store.uri(path)}, staged rows of a training, is missing or was changed. Train again: risk train DATE.")
    return pl.read_ipc(content)


@contextmanager
def _joined(job: SampleJob, number: int) -> Iterator[pl.LazyFrame]:
    """Yield the rows of a piece that can train, as long as the copies of files exist."""
    store, piece = lake_at(job.lake), job.pieces[number]
    found = job.dates[piece.date]
    outcomes, date = layout.curated_outcomes(found.date), found.date
    with translate_polars_errors(f"the training rows of {date}"):
        try:
            features = _features(store, stored_manifest(job.lake, layout.features(date), found.features), piece)
            accounts = features.select(strip_cells(pl.col(ACCOUNT_ID))).collect().to_series()
            labels = scan_committed(store, stored_manifest(job.lake, outcomes, found.outcomes))
            known = known_by(labels.filter(pl.col(ACCOUNT_ID).is_in(accounts.implode())), job.known_by)
            yield joined(features, known, date, parsed_contract(job.contract))
        finally:
            remove_copies()


@contextmanager
def _renamed(job: SampleJob, number: int) -> Iterator[pl.LazyFrame]:
    """Yield the rows of a piece that can train with one group for each account."""
    names = _names(job.lake, job.names) if job.names else {}
    with _joined(job, number) as table:
        yield one_group_per_account(table, names)


def _features(store: Store, manifest: Manifest, piece: SampledPiece) -> pl.LazyFrame:
    if not manifest.facts_as(FeatureFacts).part_rows:
        return scan_committed(store, manifest).slice(piece.start, piece.stop - piece.start)
    return pl.concat(pl.scan_parquet(features_content(store, manifest, number)) for number in range(piece.start, piece.stop))


@lru_cache(maxsize=1)
def _names(lake: LakeAddress, path: str) -> dict[str, str]:
    return dict(read_staged(lake_at(lake), path).select(GROUP, NAME).iter_rows())


@lru_cache(maxsize=2)
def _policy(text: str) -> Training:
    return Training.model_validate_json(text)
