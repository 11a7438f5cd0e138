"""The landing folder: source systems put files there, `risk land` too. Each date has one file or one folder of shards."""

from collections.abc import Iterable, Iterator, Sequence
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
from risk_assets.lake.tables import translate_polars_errors

ACCOUNTS, OUTCOMES = "accounts", "outcomes"


def file_name(kind: str, date: str) -> str:
    """Return the name of the landed file of a date's `accounts` or `outcomes`."""
    return f"{kind}_{date}.csv"


def folder_name(kind: str, date: str) -> str:
    """Return the name of the folder of a date's shards."""
    return f"{kind}_{date}"


def find(landing: Store, kind: str, date: str, expected: tuple[str, ...]) -> LandedFile:
    """Return the landed file of a date: one CSV, or the shards of a folder ordered by name.

    Files in the folder whose names begin with `_` or `.` are ignored.

    Raises
    ------
    LandingError
        If there is nothing, both a file and a folder, or a shard whose name does not end with `.csv`.
    """
    file, shards = file_name(kind, date), _shards(landing, kind, date)
    has_file = landing.size(file) is not None
    if has_file and shards:
        raise LandingError(
            f"{date} has two sets of {kind} in {landing.url}: the file {file} and the folder {folder_name(kind, date)}/. Take one away."
        )
    if not has_file and not shards:
        command = f"risk land FILE{' --outcomes' if kind == OUTCOMES else ''} --date {date}"
        raise LandingError(f"no {kind} for {date}: {file} is not in {landing.url}{_similar(landing, kind, date)}. Land it: {command}.")
    return LandedFile(landing, (file,) if has_file else shards, expected)


def dates(landing: Store, kind: str) -> tuple[str, ...]:
    """Return the dates for which `kind` has landed, oldest first."""
    stems = (name.removesuffix(".csv").removeprefix(f"{kind}_") for name in landing.names("") if name.startswith(f"{kind}_"))
    return tuple(sorted({stem for stem in stems if is_date(stem)}))


@dataclass(frozen=True)
class Source:
    """A local CSV to land: its path and its dialect."""

    path: Path
    dialect: Dialect

    @staticmethod
    def read(path: Path, expected: tuple[str, ...]) -> "Source":
        """Return a source from its header; raises `LandingError` if the file is not a CSV."""
        with path.open("rb") as file:
            return Source(path, sniff(file.read(HEAD_BYTES), str(path), expected))

    def is_labelled(self, contract: Contract) -> bool:
        """Return whether the source has the columns of the id and the target."""
        return set(contract.outcome_columns) <= set(self.dialect.columns)

    def scan(self) -> pl.LazyFrame:
        """Return the columns as text."""
        return scan_text([str(self.path)], self.dialect)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        return open_store(str(self.path.absolute().parent)).chunks(self.path.name)

    def rows(self) -> int:
        """Return the number of records; raises `LandingError` if the file ends inside an open quote."""
        counter = count_fields(self.dialect, self.chunks())
        if counter.unclosed:
            raise LandingError(f"{self.path} ends inside an open quote. Close it and land the file again.")
        return counter.rows

    def sizes(self, number: int) -> list[int]:
        """Return the number of records of each of `number` pieces; raises `LandingError` if there are fewer records."""
        rows = self.rows()
        if number > 1 and rows < number:
            raise LandingError(f"{self.path} has {rows} rows: too few for {number} snapshots. Give fewer --days.")
        return [rows // number + (position < rows % number) for position in range(number)]

    def pieces(self, sizes: Sequence[int]) -> Iterator[Iterator[bytes]]:
        """Yield the file split into pieces of these numbers of records, each with the header; one piece is the file unchanged."""
        if len(sizes) == 1:
            yield self.chunks()
            return
        rest = records(self.chunks(), self.dialect.eol.encode())
        header = next(rest)
        for size in sizes:
            yield iter([b"".join(chain([header], islice(rest, size)))])

    def labels(self, contract: Contract, sizes: Sequence[int]) -> Iterator[Iterator[bytes]]:
        """Return the id and the target of each row, as text, as one CSV for each piece; reads the file before the first."""
        with translate_polars_errors(str(self.path)):
            labels = self.scan().select(contract.outcome_columns).collect(engine="streaming")
        starts = accumulate(sizes, initial=0)
        slices = (labels.slice(start, size) for start, size in zip(starts, sizes, strict=False))
        return (iter([piece.write_csv().encode()]) for piece in slices)


def land(landing: Store, source: Source, contract: Contract, wanted: Sequence[str], *, replace: bool) -> dict[str, list[str]]:
    """Land a file, or one piece of it for each date; its labels land as outcomes if it has the target column.

    Returns the names of the written files by kind.

    Raises
    ------
    LandingError
        If a date has already landed and `replace` is false. Nothing is written.
    LakeError
        If the file is malformed, so that its labels cannot be read. Nothing is written.
    """
    labelled = source.is_labelled(contract)
    _require_free(landing, (ACCOUNTS, OUTCOMES) if labelled else (ACCOUNTS,), wanted, replace)
    sizes = source.sizes(len(wanted))
    labels = source.labels(contract, sizes) if labelled else None
    written = {ACCOUNTS: _put(landing, ACCOUNTS, wanted, source.pieces(sizes))}
    return written if labels is None else written | {OUTCOMES: _put(landing, OUTCOMES, wanted, labels)}


def land_outcomes(landing: Store, source: Source, contract: Contract, wanted: Sequence[str], *, replace: bool) -> dict[str, list[str]]:
    """Land only the labels of a file; returns and raises as `land`, and `LandingError` if it lacks the id or the target."""
    if not source.is_labelled(contract):
        raise LandingError(f"{source.path}: outcomes need the columns {', '.join(contract.outcome_columns)}. Add those that are missing.")
    _require_free(landing, (OUTCOMES,), wanted, replace)
    return {OUTCOMES: _put(landing, OUTCOMES, wanted, source.labels(contract, source.sizes(len(wanted))))}


def records(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    """Yield the records of a CSV with their line ends; a line end between quotes is part of its record."""
    record = b""
    for line in _lines(chunks, eol):
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""
    if record:
        yield record


def _lines(chunks: Iterable[bytes], eol: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(eol)
        yield from (line + eol for line in lines)
    if rest:
        yield rest


def _shards(landing: Store, kind: str, date: str) -> tuple[str, ...]:
    paths = landing.list(f"{folder_name(kind, date)}/")
    shards = tuple(path for path in paths if path.endswith(".csv"))
    others = [path for path in paths if path not in shards and not path.rpartition("/")[2].startswith(("_", "."))]
    if others:
        raise LandingError(
            f"{', '.join(others)} in {landing.url} would be left out: the names of shards end with .csv. "
            "Unpack, rename or remove each of them."
        )
    return shards


def _require_free(landing: Store, kinds: Iterable[str], wanted: Iterable[str], replace: bool) -> None:
    if replace:
        return
    for kind in kinds:
        for date in wanted:
            if landing.size(file_name(kind, date)) is not None or landing.list(f"{folder_name(kind, date)}/"):
                raise LandingError(f"{kind} for {date} have already landed in {landing.url}. Add --replace to replace them.")


def _put(landing: Store, kind: str, wanted: Iterable[str], contents: Iterable[Iterator[bytes]]) -> list[str]:
    """Write a file for each date; earlier shards of the date are deleted after it. Return the names."""
    names = []
    for date, content in zip(wanted, contents, strict=True):
        names.append(file_name(kind, date))
        landing.write(names[-1], content)
        for shard in landing.list(f"{folder_name(kind, date)}/"):
            landing.delete(shard)
    return names


def _similar(landing: Store, kind: str, date: str) -> str:
    """Return a hint that names files of the date with another ending, or an empty text."""
    names = [name for name in landing.names("") if name.startswith(folder_name(kind, date))]
    return f" (found {', '.join(names)}: unpack or rename it)" if names else ""
