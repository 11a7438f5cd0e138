"""What executors do: each task handles one piece, from the lake to the lake, and returns counts and hashes.

A task may run twice, also at the same time: it writes the same content under the same name.
"""

import io
import platform
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TypeVar

import msgspec
import polars as pl
import polars_hash

from risk_assets.code_version import code_version
from risk_assets.domain.batch.predictions import constant_texts, predict
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.artifacts import Profile
from risk_assets.domain.ingest.csv_counts import FieldCounter
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.monitoring.tally import tally_date
from risk_assets.domain.morning.account_index import INDEX_COLUMNS, KEY, ROW, indexed_columns, parts
from risk_assets.domain.morning.account_key import first_key
from risk_assets.engine.jobs import (
    Failure,
    FeaturesJob,
    FeaturesPart,
    IndexJob,
    IndexParts,
    Job,
    LakeAddress,
    Models,
    PredictedPiece,
    PredictionsJob,
)
from risk_assets.errors import EngineError, LakeError, RiskError
from risk_assets.lake import layout, registry
from risk_assets.lake.account_index_tables import part_content
from risk_assets.lake.addresses import is_azure
from risk_assets.lake.documents import candidate_tables
from risk_assets.lake.facts import PredictionFacts, RaggedRows, RawFacts
from risk_assets.lake.feature_tables import piece_facts, piece_features
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.manifests import Manifest, find_manifest
from risk_assets.lake.prediction_tables import prediction_batch, read_predicted_piece
from risk_assets.lake.raw_pieces import Piece, RawFile, piece_text, raw_file, read_piece
from risk_assets.lake.staging import stage
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import compression, translate_polars_errors
from risk_assets.settings import load_settings

T = TypeVar("T")
FIRST_HASH, SECOND_HASH = "first_hash", "second_hash"
BUCKET, PIECE, ROWS = "bucket", "piece", "rows"
NO_INDEX_ROWS = pl.DataFrame(schema={KEY: pl.UInt64, ROW: pl.UInt32, "probability": pl.Float64, "points": pl.Int32, "prediction": pl.Int8})


@cache
def packages() -> tuple[tuple[str, str], ...]:
    """Return the versions in this process of everything that decides values."""
    names = ("numpy", "polars", "polars-hash", "pyarrow")
    python = ".".join(platform.python_version_tuple()[:2])
    return ("risk-lakehouse", code_version()), ("Python", python), *((name, version(name)) for name in names)


def reported(number: int, job: Job, task: Callable[[], T]) -> T | Failure:
    """Return the result of a task; an error with a message for the user becomes a `Failure`."""
    try:
        _require_packages(job.packages)
        return task()
    except RiskError as error:
        return Failure(number, type(error).__name__, " ".join(str(error).split()), socket.gethostname())


def _require_packages(expected: tuple[tuple[str, str], ...]) -> None:
    """Verify that this process has the versions of the driver: others could compute other values."""
    own = dict(packages())
    others = [f"{name} {own.get(name, 'is missing')} instead of {wanted}" for name, wanted in expected if own.get(name) != wanted]
    if others:
        raise EngineError(
            f"an executor has other packages than this process: {', '.join(others)}. Install the same release and its packages "
            "(requirements.lock) on all executors."
        )


def repeatable_hashes(job: FeaturesJob, number: int) -> pl.DataFrame:
    """Return two hashes of each distinct id of a piece, in how many of its rows it is, and the bucket of the task that compares them.

    None if rows have no ids.
    """
    store, contract = lake_at(job.lake), parsed_contract(job.contract)
    raw, piece = _piece(store, job, number)
    with translate_polars_errors(raw.path):
        return (
            _ids(raw, piece, read_piece(store, piece), contract)
            .filter(pl.col(ACCOUNT_ID) != "")
            .group_by(FIRST_HASH, SECOND_HASH)
            .agg(pl.len().alias(ROWS))
            .with_columns((pl.col(FIRST_HASH).reinterpret(signed=False) % job.buckets).cast(pl.Int64).alias(BUCKET))
            .collect()
        )


def repeated_hashes(found: Mapping[int, pl.DataFrame]) -> pl.DataFrame:
    """Return the hashes that occur in several rows, each with its piece, given the hashes of a bucket in each piece."""
    rows = pl.concat([frame.with_columns(pl.lit(number, pl.Int64).alias(PIECE)) for number, frame in found.items()])
    return rows.filter(pl.col(ROWS).sum().over(FIRST_HASH, SECOND_HASH) > 1).select(PIECE, FIRST_HASH, SECOND_HASH)


def make_features(job: FeaturesJob, number: int, repeated: pl.DataFrame) -> FeaturesPart:
    """Write the features of a piece as a part of the features table.

    Parameters
    ----------
    repeated
        The two hashes of each id of the piece that is in several rows of the raw file.
    """
    store, contract = lake_at(job.lake), parsed_contract(job.contract)
    raw, piece = _piece(store, job, number)
    content = read_piece(store, piece)
    with translate_polars_errors(layout.features(job.date)):
        ids = _ids_with_hashes(raw, piece, content, contract, repeated)
        marked = _with_issues(raw, piece, content, stored_manifest(job.lake, job.raw, job.seal))
        frame = piece_features(marked, piece, content, contract, ids, job.date)
    parquet = io.BytesIO()
    frame.write_parquet(parquet, compression=compression(store), statistics=False)
    path = layout.features_part(job.date, job.token, number)
    store.put(path, parquet.getvalue())
    segments = content_of_chunks((parquet.getvalue(),)).segments
    return FeaturesPart(number, path, frame.height, tuple(frame.columns), segments, piece_facts(frame, contract))


def make_predictions(job: PredictionsJob, number: int) -> PredictedPiece:
    """Stage the predictions of a part of the features table as a piece of the predictions; the first one has the header."""
    store, policy = lake_at(job.lake), _policy(job.policy)
    table = stored_manifest(job.lake, job.features, job.seal)
    path = layout.predictions(job.date)
    with translate_polars_errors(path):
        features, arms = pl.read_parquet(features_content(store, table, number)), _arms(job.lake, job.models)
        predicted = predict(features, arms, policy)
        batch = prediction_batch(predicted, constant_texts(arms, policy), policy.review, header=number == 0)
        profile = _profile(job.lake, arms.champion.version) if job.tallied else None
        tallies = tally_date(features.lazy(), predicted.lazy(), arms, profile) if profile else None
    staged = stage(store, path, job.token, number, batch.csv)
    piece = msgspec.structs.replace(batch.piece, facts=msgspec.structs.replace(batch.piece.facts, tallies=tallies))
    return PredictedPiece(number, batch.columns, staged, piece, batch.index[KEY].count())


def index_rows(job: IndexJob, number: int) -> pl.DataFrame:
    """Return the rows of the index of accounts from a piece of committed predictions, and the bucket of each: the task that writes it."""
    manifest = stored_manifest(job.lake, job.predictions, job.seal)
    with translate_polars_errors(job.predictions):
        frame = read_predicted_piece(lake_at(job.lake), manifest, number)
    return _index_frame(frame, sum(rows for _, rows in manifest.facts_as(PredictionFacts).pieces[:number]), job)


def write_index_parts(job: IndexJob, bucket: int, rows: pl.DataFrame) -> IndexParts:
    """Write the parts of a bucket of the index; `rows` may be in any order."""
    store = lake_at(job.lake)
    ordered = rows.sort(KEY, ROW)
    numbers = range(bucket * job.parts_per_task, min((bucket + 1) * job.parts_per_task, job.parts))
    segments = []
    for number, part in zip(numbers, parts(ordered, job.parts, numbers), strict=True):
        content = part_content(part)
        store.put(layout.account_index_part(job.date, number), content)
        segments.append(content_of_chunks((content,)).segments)
    return IndexParts(bucket, tuple(segments), ordered.height, ordered["probability"].count())


def _index_frame(predictions: pl.DataFrame, first_row: int, job: IndexJob) -> pl.DataFrame:
    columns = predictions.select(indexed_columns()).with_row_index(ROW, offset=first_row).filter(pl.col(KEY).is_not_null())
    bounds = range(job.parts_per_task, job.parts, job.parts_per_task)
    firsts = pl.Series([first_key(part, job.parts) for part in bounds], dtype=pl.UInt64)
    buckets = firsts.search_sorted(columns[KEY], side="right").cast(pl.Int64)
    return columns.select(*INDEX_COLUMNS).with_columns(buckets.alias(BUCKET))


def _ids_with_hashes(raw: RawFile, piece: Piece, content: bytes, contract: Contract, hashes: pl.DataFrame) -> pl.Series:
    """Return the distinct ids of a piece that have one of the hashes."""
    if hashes.is_empty():
        return pl.Series(ACCOUNT_ID, [], dtype=pl.String)
    found = _ids(raw, piece, content, contract).join(hashes.lazy(), [FIRST_HASH, SECOND_HASH], "semi")
    return found.select(pl.col(ACCOUNT_ID).unique()).collect().to_series()


def _ids(raw: RawFile, piece: Piece, content: bytes, contract: Contract) -> pl.LazyFrame:
    """Return the ids of a piece as `repeated_ids` reads them, each with two independent hashes as signed numbers, which Spark has."""
    if contract.has_row_ids:
        return pl.LazyFrame(schema={ACCOUNT_ID: pl.String, FIRST_HASH: pl.Int64, SECOND_HASH: pl.Int64})
    ids = piece_text(raw, piece, content).select(strip_cells(pl.col(contract.id)).alias(ACCOUNT_ID))
    hashed = polars_hash.col(ACCOUNT_ID).nchash
    first, second = hashed.xxh3_64().reinterpret(signed=True), hashed.xxhash64().reinterpret(signed=True)
    return ids.with_columns(first.alias(FIRST_HASH), second.alias(SECOND_HASH))


def features_content(store: Store, manifest: Manifest, number: int) -> bytes:
    """Return the content of a part of a features table after comparing it with the manifest."""
    path = [*manifest.parts][number]
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is missing. {layout.how_to_make(manifest.path)}")
    if content_of_chunks((content,), manifest.lengths(path)).sha256 != manifest.sha256[path]:
        raise LakeError(f"{path} was changed since it was written. {layout.how_to_make(manifest.path)}")
    return content


def store_at(url: str, retry_seconds: float) -> Store:
    """Return a store as this process reaches it, by its own environment."""
    return open_store(url, load_settings().credential() if is_azure(url) else None, retry_seconds)


@cache
def lake_at(address: LakeAddress) -> Store:
    """Return the lake as this process reaches it; raises `EngineError` if it does not find it."""
    store = store_at(address.url, address.retry_seconds)
    if store.find(layout.FORMAT) is None:
        raise EngineError(
            f"an executor does not find the lake at {address.url}. With several machines, the lake must be on Azure, or in a folder "
            "that all of them have mounted at the same path."
        )
    return candidate_tables(store, address.candidate) if address.candidate else store


def _piece(store: Store, job: FeaturesJob, number: int) -> tuple[RawFile, Piece]:
    raw = raw_at(job.lake, job.raw, job.seal)
    return raw, raw.pieces[number]


@lru_cache(maxsize=2)
def raw_at(lake: LakeAddress, path: str, seal: str | None) -> RawFile:
    """Return how to read a raw file; without issues of lines if its manifest does not have their positions."""
    manifest = stored_manifest(lake, path, seal)
    facts = manifest.facts_as(RawFacts)
    found = msgspec.structs.replace(facts, ragged=facts.ragged or RaggedRows())
    return raw_file(lake_at(lake), msgspec.structs.replace(manifest, facts=found))


def _with_issues(raw: RawFile, piece: Piece, content: bytes, manifest: Manifest) -> RawFile:
    """Return a raw file with the issues of the lines of a piece, which are counted again if the manifest has no positions."""
    facts = manifest.facts_as(RawFacts)
    if facts.ragged is not None:
        return raw
    counter = FieldCounter(raw.dialect)
    counter.trailing = facts.long_lines == 0  # otherwise lines of this file do not end in a separator, even if all of the piece do
    if piece.start:
        counter.feed((raw.dialect.separator * (len(raw.dialect.columns) - 1) + raw.dialect.eol).encode())  # in place of the header
    counter.feed(content)
    counter.close()
    return replace(raw, issues={name: rows + piece.first_row for name, rows in counter.issues.items()})


@lru_cache(maxsize=2)
def _profile(lake: LakeAddress, version: str) -> Profile:
    return registry.read_profile(lake_at(lake), version)


@lru_cache(maxsize=4)
def stored_manifest(lake: LakeAddress, path: str, seal: str | None) -> Manifest:
    """Return the manifest of a table that the driver has found."""
    found = find_manifest(lake_at(lake), path)
    if found is None or found.seal != seal:
        raise LakeError(f"{path} was written again while it was read. Run again.")
    return found


@lru_cache(maxsize=2)
def parsed_contract(text: str) -> Contract:
    """Return a contract from its JSON."""
    return Contract.model_validate_json(text)


@lru_cache(maxsize=2)
def _policy(text: str) -> Policy:
    return Policy.model_validate_json(text)


@lru_cache(maxsize=2)
def _arms(lake: LakeAddress, models: Models) -> Arms:
    store = lake_at(lake)
    challenger = registry.read_scorecard(store, models.challenger) if models.challenger else None
    return Arms(registry.read_scorecard(store, models.champion), challenger, models.share, models.salt)
