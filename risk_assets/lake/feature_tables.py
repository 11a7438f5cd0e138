"""Tables of features: validated from the raw accounts under a contract."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

import polars as pl
from polars.io.plugins import register_io_source

from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.ingest.typed_rows import validate_cells
from risk_assets.domain.ingest.validation import (
    NONE_REPEATED,
    feature_descriptions,
    feature_facts,
    feature_schema,
    repeated_ids,
    require_date,
)
from risk_assets.domain.morning.account_index import keys_of
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake import layout
from risk_assets.lake.csv_scan import first_rows
from risk_assets.lake.facts import FeatureFacts, facts_from_row, joined_features
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.objects import Guard, TableTarget, no_guard
from risk_assets.lake.parallel import in_order
from risk_assets.lake.raw_pieces import Piece, PieceCells, RawFile, grouped, raw_file, read_group
from risk_assets.lake.staleness import outdated_features
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Summary, compression, read_table, translate_polars_errors, write_file

Schema: TypeAlias = Mapping[str, type[pl.DataType]]


@dataclass(frozen=True)
class FeatureTable:
    """The features of a date, made from the pieces of its raw file."""

    raw: RawFile
    contract: Contract
    date: str
    made_from: Provenance
    store: Store
    engine: ClassVar[str] = "local"

    @property
    def descriptions(self) -> Mapping[str, str]:
        """A description of each column."""
        return feature_descriptions(self.contract)

    @property
    def frame(self) -> pl.LazyFrame:
        """The rows; each time they are read, they are computed."""
        with translate_polars_errors(self.raw.path):
            repeated = repeated_ids(self._ids(), self.contract)
        return self._scan(partial(self._features, repeated=repeated))

    def write(self, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
        """Write the table as one file, then its manifest; return the manifest.

        Whether ids are repeated is known when all rows have been read, and they seldom are. If they are, what was written is discarded,
        and all is written again with that issue.
        """
        try:
            return (self._write(store, path, guard, None),)
        except _RepeatedIdsError:
            with translate_polars_errors(path):
                repeated = repeated_ids(self._ids(), self.contract)
        return (self._write(store, path, guard, repeated),)

    def _write(self, store: Store, path: str, guard: Guard, repeated: pl.Series | None) -> Manifest:
        found: list[FeatureFacts] = []
        keys: list[pl.Series] = []

        def features(piece: Piece, content: bytes) -> pl.DataFrame:
            made = self._features(piece, content, NONE_REPEATED if repeated is None else repeated)
            found.append(piece_facts(made, self.contract))  # in any order: they are added up
            if repeated is None and not self.contract.has_row_ids:
                keys.append(made.select(keys_of().filter(pl.col(ACCOUNT_ID) != "")).to_series())
            return made

        def fill(target: TableTarget) -> Summary:
            self._scan(features).sink_parquet(target.file, compression=compression(store), statistics=False, engine="streaming")
            if has_repeats(keys):
                raise _RepeatedIdsError
            return Summary(sum(piece.rows for piece in self.raw.pieces), tuple(feature_schema(self.contract)), joined_features(found))

        return write_file(store, path, fill, self.made_from, guard)

    def _features(self, piece: Piece, content: bytes, repeated: pl.Series) -> pl.DataFrame:
        return piece_features(self.raw, piece, content, self.contract, repeated, self.date)

    def _ids(self) -> pl.LazyFrame:
        """Return the ids of all rows as text."""
        name = self.contract.id

        def ids(piece: Piece, content: bytes) -> pl.DataFrame:
            return PieceCells(self.raw, piece, content).text().select(name).collect()

        return self._scan(ids, {name: pl.String})

    def _scan(self, rows: Callable[[Piece, bytes], pl.DataFrame], schema: Schema | None = None) -> pl.LazyFrame:
        """Return the rows that a function makes of each piece and its bytes, in order; several pieces are read at the same time."""

        def read(columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None) -> Iterator[pl.DataFrame]:
            groups = grouped(self.raw.pieces)
            made = in_order(lambda group: rows(*read_group(self.store, self.raw, group)), groups, pl.thread_pool_size())
            for frame in made if limit is None else first_rows(made, limit):
                selected = frame if predicate is None else frame.filter(predicate)
                yield selected if columns is None else selected.select(columns)

        return register_io_source(read, schema=schema or feature_schema(self.contract), is_pure=True)


class _RepeatedIdsError(Exception):
    """Ids are repeated, and the rows were written without that issue."""


def feature_table(store: Store, contract: Contract, date: str, run_id: str) -> FeatureTable:
    """Return the table of a date's features under a contract.

    Raises
    ------
    LakeError
        If the date has no raw accounts.
    ContractError
        If the raw file has no rows, or lacks or repeats a column of the contract.
    """
    manifest = require_manifest(store, layout.accounts(date))
    require_usable(manifest, contract)
    require_date(contract, date)
    return FeatureTable(raw_file(store, manifest), contract, date, features_provenance(manifest, contract, run_id), store)


def features_provenance(raw: Manifest, contract: Contract, run_id: str) -> Provenance:
    """Return the provenance of the features of a raw file under a contract."""
    return Provenance(run_id=run_id, inputs={raw.path: raw.identity}, contract=contract.digest, contract_values=values_digest(contract))


def piece_features(raw: RawFile, piece: Piece, content: bytes, contract: Contract, repeated: pl.Series, date: str) -> pl.DataFrame:
    """Return the features of a piece of a raw file: the rows of `feature_table` that are those of the piece.

    Parameters
    ----------
    raw, piece, content
        The raw file, the piece, and its bytes from `read_piece`.
    contract, repeated, date
        As of `validate`; of `repeated`, only ids in the piece matter.
    """
    return validate_cells(PieceCells(raw, piece, content), contract, repeated, date)


def piece_facts(features: pl.DataFrame, contract: Contract) -> FeatureFacts:
    """Return the facts of the features of a piece."""
    row = features.select(feature_facts(contract)).row(0, named=True)
    return facts_from_row({name: value for name, value in row.items() if name != "rows"}, FeatureFacts)


def has_repeats(keys: Sequence[pl.Series]) -> bool:
    """Return whether a key occurs more than once in several columns of keys; takes 16 bytes of memory per key."""
    if not keys:
        return False
    ordered = pl.concat(keys, rechunk=True).sort()
    return bool((ordered == ordered.shift()).any())


def require_usable(manifest: Manifest, contract: Contract) -> None:
    """Verify that a raw file has rows, and each column of the contract once.

    Raises
    ------
    ContractError
        With the columns that are missing or repeated.
    """
    missing = [name for name in contract.columns if name not in manifest.columns]
    if missing:
        raise ContractError(
            f"{manifest.path} has no column {', '.join(missing)}. Land a file that has them, or remove them from the contract."
        )
    repeated = [name for name in contract.columns if f"{name}#2" in manifest.columns]
    if repeated:
        raise ContractError(f"{manifest.path} has the column {', '.join(repeated)} twice. Land a file that has it once.")
    if not manifest.rows:
        raise ContractError(f"{manifest.path} has a header and no rows. Land the whole date with --replace and run it again.")


def features_under(
    store: Store, bound: Contract, other: Contract, dates: Iterable[str]
) -> tuple[dict[str, pl.LazyFrame], dict[str, pl.LazyFrame]]:
    """Return the features of dates under the bound contract and under another one: the same rows in the same order.

    The latter are computed when they are read, and not stored. Dates whose raw file is gone, has changed since the features were
    made, or lacks a column of the other contract are left out.
    """
    ours: dict[str, pl.LazyFrame] = {}
    theirs: dict[str, pl.LazyFrame] = {}
    listed = list(dates)
    outdated = outdated_features(store, values_digest(bound), listed)
    for date in (date for date in listed if date not in outdated):
        try:
            theirs[date] = feature_table(store, other, date, "").frame
        except (ContractError, LakeError):
            continue
        ours[date] = read_table(store, layout.features(date))
    return ours, theirs
