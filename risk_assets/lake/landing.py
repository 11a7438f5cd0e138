"""The landing folder, where source systems drop files: found by date, filled by `risk land`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path

import polars as pl

from risk_assets.clock import is_date
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.csv_dialect import HEAD_BYTES, Dialect, count_fields, sniff
from risk_assets.errors import LandingError
from risk_assets.lake.raw import LandedFile, scan_text
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import readable


def file_name(kind: str, date: str) -> str:
    """Return the name under which a date's `accounts` or `outcomes` land."""
    return f"{kind}_{date}.csv"


def find(landing: Store, kind: str, date: str, expected: tuple[str, ...]) -> LandedFile:
    """Return what landed for a date: one CSV, or a folder of shards in the order of their names.

    Raises
    ------
    LandingError
        When there is nothing, both a file and a folder, or a shard that is no `.csv`; names in `_` or `.` are no shards.
    """
    file, folder = file_name(kind, date), file_name(kind, date).removesuffix(".csv")
    there = landing.size(file) is not None
    below = landing.list(f"{folder}/")
    shards = tuple(path for path in below if path.endswith(".csv"))
    strangers = [path for path in below if not path.endswith(".csv") and not path.rpartition("/")[2].startswith(("_", "."))]
    if strangers:
        raise LandingError(
            f"{', '.join(strangers)} in {landing.url} would be left out: shards end in .csv. Unpack or rename each, or take it away."
        )
    if there and shards:
        raise LandingError(f"{date} has two sets of {kind} in {landing.url}: the file {file} and the folder {folder}/. Take one away.")
    if not there and not shards:
        command = f"risk land FILE{' --outcomes' if kind == 'outcomes' else ''} --date {date}"
        raise LandingError(f"no {kind} for {date}: {file} is not in {landing.url}{_near(landing, folder)}. Land it: {command}.")
    return LandedFile(landing, (file,) if there else shards, expected)


def dates(landing: Store, kind: str) -> tuple[str, ...]:
    """Return the dates for which `kind` has landed, oldest first."""
    stems = (name.removesuffix(".csv").removeprefix(f"{kind}_") for name in landing.names("") if name.startswith(f"{kind}_"))
    return tuple(sorted({stem for stem in stems if is_date(stem)}))


@dataclass(frozen=True)
class Source:
    """A CSV on this machine that is to be landed: its path and how it is written."""

    path: Path
    dialect: Dialect

    @staticmethod
    def read(path: Path, expected: tuple[str, ...]) -> "Source":
        """Return a source after a look at its header; raises `LandingError` when it is no CSV."""
        with path.open("rb") as file:
            return Source(path, sniff(file.read(HEAD_BYTES), str(path), expected))

    def scan(self) -> pl.LazyFrame:
        """Return its columns as text."""
        return scan_text([str(self.path)], self.dialect)

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes."""
        return open_store(str(self.path.absolute().parent)).chunks(self.path.name)

    def rows(self) -> int:
        """Count its records; raises `LandingError` when it ends inside an open quote."""
        counter = count_fields(self.dialect, self.chunks())
        if counter.unclosed:
            raise LandingError(f"{self.path} ends inside an open quote. Close it and land the file again.")
        return counter.rows

    def sizes(self, number: int) -> list[int]:
        """Return how many records each of `number` pieces holds; raises `LandingError` when there are fewer records."""
        rows = self.rows()
        if rows < number:
            raise LandingError(f"{self.path} has {rows} rows: too few for {number} snapshots. Give fewer --days.")
        return [rows // number + (position < rows % number) for position in range(number)]

    def pieces(self, sizes: list[int]) -> Iterator[bytes]:
        """Yield the file cut into pieces of so many records, each with the header, bytes kept."""
        found = records(self.chunks(), self.dialect.eol.encode())
        header = next(found)
        for size in sizes:
            yield b"".join(chain([header], islice(found, size)))

    def labels(self, contract: Contract, sizes: list[int]) -> list[bytes]:
        """Return the id and the target of each row, as text, as a CSV for each piece."""
        with readable(str(self.path)):
            labels = self.scan().select(contract.outcome_columns).collect(engine="streaming")
        starts = accumulate(sizes, initial=0)
        return [labels.slice(start, size).write_csv().encode() for start, size in zip(starts, sizes, strict=False)]


def land(
    landing: Store, source: Source, contract: Contract, wanted: tuple[str, ...], *, outcomes_only: bool, replace: bool
) -> dict[str, list[str]]:
    """Land a file, or one piece of it for each date, and its labels where it bears the target column.

    Returns the names that were written, by kind.

    Raises
    ------
    LandingError
        When a date has landed already and `replace` is false, or outcomes lack a column.
    LakeError
        When the file is malformed, so that labels can't be cut out. Nothing is written in any of these cases.
    """
    names = source.dialect.columns
    labelled = set(contract.outcome_columns) <= set(names)
    if outcomes_only and not labelled:
        raise LandingError(f"{source.path}: outcomes need the columns {' and '.join(contract.outcome_columns)}. Add what is missing.")
    kinds = ([] if outcomes_only else ["accounts"]) + (["outcomes"] if labelled else [])
    for kind in kinds:
        for date in wanted:
            _require_free(landing, kind, date, replace)
    sizes = source.sizes(len(wanted)) if len(wanted) > 1 else [source.rows()]
    content = {"outcomes": source.labels(contract, sizes)} if labelled else {}
    written: dict[str, list[str]] = {}
    if not outcomes_only:
        pieces = (iter([piece]) for piece in source.pieces(sizes)) if len(wanted) > 1 else iter([source.chunks()])
        written["accounts"] = [_put(landing, "accounts", date, piece) for date, piece in zip(wanted, pieces, strict=True)]
    for kind, files in content.items():
        written[kind] = [_put(landing, kind, date, iter([file])) for date, file in zip(wanted, files, strict=True)]
    return written


def records(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    """Yield a CSV's records with their line ends; a line end between quotes belongs to its record."""
    held = b""
    for line in _lines(chunks, eol):
        held += line
        if held.count(b'"') % 2 == 0:
            yield held
            held = b""
    if held:
        yield held


def _lines(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(eol)
        yield from (line + eol for line in whole)
    if rest:
        yield rest


def _require_free(landing: Store, kind: str, date: str, replace: bool) -> None:
    name = file_name(kind, date)
    there = landing.size(name) is not None or landing.list(f"{name.removesuffix('.csv')}/")
    if there and not replace:
        raise LandingError(f"{kind} for {date} have landed already in {landing.url}. Add --replace to land these in their place.")


def _put(landing: Store, kind: str, date: str, content: Iterator[bytes]) -> str:
    """Write a date's file; shards whose place it takes go after it is there."""
    name = file_name(kind, date)
    landing.write(name, content)
    for shard in landing.list(f"{name.removesuffix('.csv')}/"):
        landing.delete(shard)
    return name


def _near(landing: Store, stem: str) -> str:
    near = [name for name in landing.names("") if name.startswith(stem)]
    return f" ({', '.join(near)} is there: unpack or rename it)" if near else ""
