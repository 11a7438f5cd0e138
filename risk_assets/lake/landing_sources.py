"""What `risk land` brings in: a CSV, or a folder of shards, on this machine."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import polars as pl

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES, FieldCounter, count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect, difference, read_dialect, require_case, require_header
from risk_assets.domain.ingest.csv_records import BOM, cut_records
from risk_assets.domain.wording import counted, row_of
from risk_assets.errors import LandingError
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text
from risk_assets.lake.landing_watch import INCOMPLETE
from risk_assets.lake.manifests import named
from risk_assets.lake.store import open_store


@dataclass(frozen=True)
class Source:
    """A local CSV to land: its path and its dialect."""

    path: Path
    dialect: Dialect

    @staticmethod
    def read(path: Path, expected: tuple[str, ...]) -> "Source":
        """Return a source from its header; raises `LandingError` if it is no file, or not a CSV."""
        if not path.exists():
            raise LandingError(f"{path} is a link whose target does not exist. Remove the link, or restore its target.")
        if path.is_dir():
            raise LandingError(f"{path} is a folder, not a file. Rename it, or move its files.")
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
    def rows(self) -> int:
        """The number of records after the header."""
        return self.counts.rows

    @property
    def enclosed_rows(self) -> int:
        """The lines inside quotes that look like rows, besides the records that have them."""
        return self.counts.enclosed_rows

    @property
    def line_issues(self) -> dict[str, int]:
        """The number of lines with each issue; such lines have no certain values."""
        found = {LINE_ISSUES[name]: len(rows) for name, rows in self.counts.issues.items()}
        return {issue: lines for issue, lines in found.items() if lines}

    @property
    def first_issues(self) -> dict[str, str]:
        """Where each of these issues is first: "row 7"."""
        return self.first_issues_of(None)

    def first_issues_of(self, file: str | None) -> dict[str, str]:
        """Return where each of these issues is first, of a file: "row 7 of part-1.csv"."""
        return {LINE_ISSUES[name]: row_of(int(rows[0]), file) for name, rows in self.counts.issues.items() if len(rows)}

    def is_labelled(self, contract: Contract) -> bool:
        """Return whether the source has the columns of a file of outcomes; False if outcomes are derived."""
        return _is_labelled(self.dialect, contract)

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
        _require_columns(self.dialect.columns, str(self.path), columns, step)
        if not self.rows:
            raise LandingError(f"{self.path} has a header and no rows. Land the whole file.")

    def _byte_order_mark(self) -> bytes:
        with self.path.open("rb") as file:
            return BOM if file.read(len(BOM)) == BOM else b""


@dataclass(frozen=True)
class SourceFolder:
    """A local folder of shards to land: CSV files with the same header, in the order of their names."""

    path: Path
    shards: tuple[Source, ...]

    @staticmethod
    def read(path: Path, expected: tuple[str, ...]) -> "SourceFolder":
        """Return a source from the headers of its shards; names that begin with `_` or `.` are ignored.

        Raises
        ------
        LandingError
            If there is no shard, the folder is still being written, a name does not end with `.csv`, a shard is not a CSV, or its dialect
            is not that of the others.
        """
        if (path / INCOMPLETE).exists():
            raise LandingError(
                f"{path} has {INCOMPLETE}: it is still being written. Wait until all shards are there, and delete {INCOMPLETE}."
            )
        found = sorted(file for file in path.iterdir() if not file.name.startswith(("_", ".")))
        others = [str(file) for file in found if file.suffix != ".csv"]
        if others:
            raise LandingError(f"{named(others)} would be left out: shards end with .csv. Unpack, rename or remove each of them.")
        if not found:
            raise LandingError(f"{path} has no file that ends with .csv. Pass a folder with the shards of a date, or a CSV.")
        shards = tuple(Source.read(file, expected) for file in found)
        usable = (shard for shard in shards if set(expected) <= {*shard.dialect.columns})
        model = next(usable, shards[0])  # the first one may be the one that is wrong
        for shard in shards:
            if differs := difference(shard.dialect, model.dialect):
                raise LandingError(f"{shard.path} has {differs}, compared with {model.path.name}. Fix it: the shards of a date must agree.")
        return SourceFolder(path, shards)

    @property
    def dialect(self) -> Dialect:
        """The dialect of all shards."""
        return self.shards[0].dialect

    @property
    def rows(self) -> int:
        """The number of records of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def enclosed_rows(self) -> int:
        """The lines inside quotes that look like rows, besides the records that have them."""
        return sum(shard.enclosed_rows for shard in self.shards)

    @property
    def line_issues(self) -> dict[str, int]:
        """The number of lines with each issue; such lines have no certain values."""
        return dict(sum((Counter(shard.line_issues) for shard in self.shards), Counter()))

    @property
    def first_issues(self) -> dict[str, str]:
        """Where each of these issues is first: "row 7 of part-1.csv"."""
        found: dict[str, str] = {}
        for shard in self.shards:
            found = shard.first_issues_of(shard.path.name) | found
        return found

    def is_labelled(self, contract: Contract) -> bool:
        """Return whether the shards have the columns of outcomes; False if outcomes are derived."""
        return _is_labelled(self.dialect, contract)

    def scan_marked(self) -> pl.LazyFrame:
        """Return what `Source.scan_marked` returns, of all shards."""
        return pl.concat([shard.scan_marked() for shard in self.shards])

    def require(self, columns: Sequence[str], step: str) -> None:
        """Verify that the shards have rows together, and each column once; raises as `Source.require`."""
        _require_columns(self.dialect.columns, str(self.shards[0].path), columns, step)
        if not self.rows:
            raise LandingError(f"the shards of {self.path} have headers and no rows. Land the whole folder.")


def _is_labelled(dialect: Dialect, contract: Contract) -> bool:
    return contract.target.derived is None and set(contract.outcome_columns) <= set(dialect.columns)


def _require_columns(names: tuple[str, ...], file: str, columns: Sequence[str], step: str) -> None:
    """Verify that a header has each column once; raises as `Source.require`."""
    require_header(names, columns, file)
    missing = [name for name in columns if name not in names]
    if missing:
        require_case(missing, names, file)
        raise LandingError(f"{file} has no column {', '.join(missing)}. {step}")
    repeated = [name for name in columns if f"{name}#2" in names]
    if repeated:
        raise LandingError(f"the column {', '.join(repeated)} appears twice in {file}. Land a file that has it once.")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{issue}: {lines}" for issue, lines in counts.items())
