"""The landing folder: source systems put files there, `risk land` too. Each date has one file or one folder of shards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from pathlib import Path

import polars as pl

from risk_assets.clock import is_date
from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES, FieldCounter, count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect, read_dialect, require_case, require_header
from risk_assets.domain.ingest.csv_records import BOM, cut_records
from risk_assets.domain.ingest.labels import outcome_keys
from risk_assets.domain.wording import counted
from risk_assets.errors import LandingError
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.landed_parts import LandedFile
from risk_assets.lake.manifests import named
from risk_assets.lake.store import Entry, Store, open_store

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
        If there is nothing, both a file and a folder, a folder or a link to nothing with the name of a file, or a shard whose
        name does not end with `.csv`.
    """
    file, shards = file_name(kind, date), _shards(landing, kind, date)
    if landing.list(f"{file}/"):
        raise _not_a_file(landing, kind, date)
    alone = landing.entry(file)
    has_file = alone is not None
    if not has_file and file in landing.names(""):
        raise _not_a_file(landing, kind, date)
    if has_file and shards:
        raise LandingError(
            f"{date} has two sets of {kind} in {landing.url}: the file {file} and the folder {folder_name(kind, date)}/. Take one away."
        )
    if not has_file and not shards:
        command = f"risk land FILE{' --outcomes' if kind == OUTCOMES else ''} --date {date}"
        raise LandingError(f"no {kind} for {date}: {file} is not in {landing.url}{_similar(landing, kind, date)}. Land it: {command}.")
    found = (alone,) if alone else shards
    return LandedFile(landing, tuple(entry.path for entry in found), expected, found)


def dates(landing: Store, kind: str) -> tuple[str, ...]:
    """Return the dates for which `kind` has landed, oldest first."""
    stems = (name.removesuffix(".csv").removeprefix(f"{kind}_") for name in landing.names("") if name.startswith(f"{kind}_"))
    return tuple(sorted({stem for stem in stems if is_date(stem)}))


def missing_folder(landing: Store) -> str | None:
    """Return a note with the next step if the landing folder does not exist on disk, or None."""
    if landing.folder is None or landing.folder.is_dir():
        return None
    return (
        f"the landing folder {landing.url} does not exist, so only files that the lake has already are used. Set RISK_LANDING to the "
        "folder with the files, or land a file (risk land FILE --date DATE)."
    )


@dataclass(frozen=True)
class Source:
    """A local CSV to land: its path and its dialect."""

    path: Path
    dialect: Dialect

    @staticmethod
    def read(path: Path, expected: tuple[str, ...]) -> "Source":
        """Return a source from its header; raises `LandingError` if it is a pipe or a device, or the file is not a CSV."""
        if not path.is_file():  # it is read several times, and a pipe can be read once
            raise LandingError(f"{path} is not a regular file but a pipe or a device. Copy its content to a file and pass that file.")

        def head(length: int) -> bytes:
            with path.open("rb") as file:
                return file.read(length)

        return Source(path, read_dialect(head, str(path), expected))

    @cached_property
    def counts(self) -> FieldCounter:
        """The rows and the lines with issues; raises `LandingError` if the file cannot be split into rows of text."""
        counter = count_fields(self.dialect, self.chunks())
        if counter.problem:
            raise LandingError(f"{self.path} {counter.problem}, and run again.")
        return counter

    @property
    def line_issues(self) -> dict[str, int]:
        """The number of lines with each issue; such lines have no certain values."""
        found = {LINE_ISSUES[name]: len(rows) for name, rows in self.counts.issues.items()}
        return {issue: lines for issue, lines in found.items() if lines}

    def is_labelled(self, contract: Contract) -> bool:
        """Return whether the source has the columns of a file of outcomes; False if outcomes are derived."""
        return contract.target.derived is None and set(contract.outcome_columns) <= set(self.dialect.columns)

    def scan(self) -> pl.LazyFrame:
        """Return the columns as text, without the lines with issues.

        Raises
        ------
        LandingError
            If every line has an issue.
        """
        if self.counts.rows and sum(self.line_issues.values()) == self.counts.rows:
            raise LandingError(f"every line of {self.path} has an issue ({_listed(self.line_issues)}). Compare its header with its lines.")
        return self.scan_marked().filter(pl.col(RAGGED).is_null()).drop(RAGGED)

    def scan_marked(self) -> pl.LazyFrame:
        """Return the columns as text, and `RAGGED`: the issue of the line, or null."""
        quoting = self.counts.quoting or "standard"
        frame = scan_mixed([self.chunks], self.dialect) if quoting == "mixed" else scan_text([str(self.path)], self.dialect, quoting)
        return mark_lines(frame, self.counts.issues)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        return open_store(str(self.path.absolute().parent)).chunks(self.path.name)

    def sizes(self, number: int) -> list[int]:
        """Return the number of records of each of `number` pieces; raises `LandingError` if there are fewer records."""
        rows = self.counts.rows
        if number > 1 and rows < number:
            raise LandingError(f"{self.path} has {counted(rows, 'row')}: too few for {number} snapshots. Give fewer --days.")
        return [rows // number + (position < rows % number) for position in range(number)]

    def pieces(self, sizes: Sequence[int]) -> Iterator[Iterator[bytes]]:
        """Yield the file split into pieces of these numbers of records, each with the header; one piece is the file unchanged."""
        if len(sizes) == 1:
            yield self.chunks()
            return
        header, *pieces = cut_records(self.dialect.grammar, self.chunks(), sizes)
        start = self._byte_order_mark() + b"".join(header)
        yield from (chain([start], piece) for piece in pieces)

    def require(self, columns: Sequence[str], step: str) -> None:
        """Verify that the source has rows, and each column once.

        Raises
        ------
        LandingError
            With the columns that are missing, repeated or in another case; `step` is the next step if columns are missing.
        """
        names = self.dialect.columns
        require_header(names, columns, str(self.path))
        missing = [name for name in columns if name not in names]
        if missing:
            require_case(missing, names, str(self.path))
            raise LandingError(f"{self.path} has no column {', '.join(missing)}. {step}")
        repeated = [name for name in columns if f"{name}#2" in names]
        if repeated:
            raise LandingError(f"the column {', '.join(repeated)} appears twice in {self.path}. Land a file that has it once.")
        if not self.counts.rows:
            raise LandingError(f"{self.path} has a header and no rows. Land the whole file.")

    def _byte_order_mark(self) -> bytes:
        with self.path.open("rb") as file:
            return BOM if file.read(len(BOM)) == BOM else b""


def land(landing: Store, source: Source, contract: Contract, wanted: Sequence[str], *, replace: bool) -> dict[str, list[str]]:
    """Land a file unchanged, or a piece of it for each date; with the target column, the same bytes land as outcomes too.

    Returns the names of the written files by kind.

    Raises
    ------
    LandingError
        If other bytes have landed for a date and `replace` is false, or the file cannot be scored: it has no rows, or a column of the
        contract is missing or repeated. Nothing is written.
    """
    labelled = source.is_labelled(contract)
    columns = tuple(dict.fromkeys((*contract.columns, *contract.outcome_columns))) if labelled else contract.columns
    source.require(columns, "Land a file that has them, or set RISK_CONTRACT to the contract of this file.")
    return _land(landing, source, (ACCOUNTS, OUTCOMES) if labelled else (ACCOUNTS,), wanted, replace)


def land_outcomes(landing: Store, source: Source, contract: Contract, wanted: Sequence[str], *, replace: bool) -> dict[str, list[str]]:
    """Land a file unchanged as outcomes, or a piece of it for each date; returns and raises as `land`.

    Only the columns of outcomes are required. Raises `ContractError` if outcomes are derived.
    """
    columns = contract.outcome_columns
    source.require(columns, f"Outcomes need {' and '.join(columns)}: fix the file, or {outcome_keys(columns, contract)} in the contract.")
    return _land(landing, source, (OUTCOMES,), wanted, replace)


def _land(landing: Store, source: Source, kinds: Sequence[str], wanted: Sequence[str], replace: bool) -> dict[str, list[str]]:
    sizes = source.sizes(len(wanted))
    _require_files(landing, kinds, wanted)
    if not replace:
        _require_free(landing, source, kinds, dict(zip(wanted, sizes, strict=True)))
    return {kind: _put(landing, kind, wanted, source.pieces(sizes)) for kind in kinds}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{issue}: {lines}" for issue, lines in counts.items())


def _shards(landing: Store, kind: str, date: str) -> tuple[Entry, ...]:
    folder = folder_name(kind, date)
    found = landing.entries(f"{folder}/")
    broken = [name for name in landing.names(folder) if landing.is_broken_link(f"{folder}/{name}")] if landing.folder else []
    if broken:
        raise LandingError(
            f"{named(sorted(broken))} in {landing.uri(folder)} would be left out: the target of the link does not exist. Remove the link, "
            "or restore its target."
        )
    shards = tuple(entry for entry in found if entry.path.endswith(".csv"))
    names = [entry.path for entry in found if not entry.path.endswith(".csv")]
    others = [path for path in names if not path.rpartition("/")[2].startswith(("_", "."))]
    if others:
        raise LandingError(
            f"{named(others)} in {landing.url} would be left out: the names of shards end with .csv. Unpack, rename or remove each of them."
        )
    return shards


def _require_files(landing: Store, kinds: Sequence[str], wanted: Iterable[str]) -> None:
    """Verify that no folder and no link to nothing has the name of a file to land."""
    there = landing.names("")
    for kind, date in product(kinds, wanted):
        file = file_name(kind, date)
        if file in there and (landing.list(f"{file}/") or landing.size(file) is None):
            raise _not_a_file(landing, kind, date)


def _require_free(landing: Store, source: Source, kinds: Sequence[str], sizes: Mapping[str, int]) -> None:
    """Verify that nothing else has landed for the dates. The same bytes may be there: a command that was killed is repeated."""
    taken = [(kind, date) for kind, date in product(kinds, sizes) if _has_landed(landing, kind, date)]
    if not taken:
        return
    contents = dict(zip(sizes, map(content_of_chunks, source.pieces(list(sizes.values()))), strict=True))
    for kind, date in taken:
        same = landing.size(file_name(kind, date)) == contents[date].bytes and landing.content(file_name(kind, date)) == contents[date]
        if not same or landing.list(f"{folder_name(kind, date)}/"):
            raise LandingError(f"other {kind} for {date} have already landed in {landing.url}. Add --replace to replace them.")


def _has_landed(landing: Store, kind: str, date: str) -> bool:
    return landing.size(file_name(kind, date)) is not None or bool(landing.list(f"{folder_name(kind, date)}/"))


def _not_a_file(landing: Store, kind: str, date: str) -> LandingError:
    """Return the error of a folder, or of a link to nothing, with the name of a landed file."""
    if landing.is_broken_link(file_name(kind, date)):
        return LandingError(
            f"{file_name(kind, date)} in {landing.url} is a link whose target does not exist. Remove the link, or restore its target."
        )
    return LandingError(
        f"{file_name(kind, date)} in {landing.url} is a folder. Rename it to {folder_name(kind, date)} if it has the shards of the date, "
        "or remove it."
    )


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
    folder = folder_name(kind, date)
    names = [name for name in landing.names("") if name.startswith(folder)]
    if names == [folder]:
        return f" and the folder {folder} has no file that ends with .csv"
    return f" (found {', '.join(names)}: unpack or rename it)" if names else ""
