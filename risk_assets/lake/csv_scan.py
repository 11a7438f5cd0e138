"""Scan CSV files as text, in the grammar of `domain.ingest.csv_grammar`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from risk_assets.domain.contract.schema import RAGGED
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES
from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.domain.ingest.csv_grammar import Block, Positions, Quoting, Record
from risk_assets.domain.ingest.csv_records import BOM, split_records

ROW = "\x1frow"

Chunks = Callable[[], Iterator[bytes]]


def scan_text(sources: Any, dialect: Dialect, quoting: Quoting = "standard", *, header: bool = True) -> pl.LazyFrame:
    """Return the columns of CSV files as text: empty and missing fields as "", without fields beyond the header's.

    Parameters
    ----------
    sources
        The addresses of the files, or their bytes.
    dialect
        The dialect of all files.
    quoting
        "standard" or "none"; files of mixed quoting require `scan_mixed`.
    header
        Whether the files begin with the header.
    """
    return _scan(sources, dialect, quoting, header, _schema(dialect))


def scan_typed(
    source: bytes, dialect: Dialect, quoting: Quoting, types: Mapping[str, type[pl.DataType]], *, header: bool, strict: bool
) -> pl.LazyFrame:
    """Return columns of a CSV file, which the reader parses: texts as of `scan_text`, and numbers, null where they are empty.

    Parameters
    ----------
    strict
        A number that cannot be parsed and a text that is not UTF-8 are a `ComputeError`; otherwise they are null.
    """
    schema = _schema(dialect) | {name: kind() for name, kind in types.items()}
    return _scan([source], dialect, quoting, header, schema, ignore_errors=not strict).select(*types)


def _scan(sources: Any, dialect: Dialect, quoting: Quoting, header: bool, schema: dict[str, pl.DataType], **options: Any) -> pl.LazyFrame:
    if not header and any(source.startswith(BOM) for source in sources):  # here it is data, and polars would drop it
        return _scan([dialect.eol.encode() + source for source in sources], dialect, quoting, True, schema, **options)
    return pl.scan_csv(
        sources,
        has_header=False,
        skip_rows=int(header),
        schema=schema,
        separator=dialect.separator,
        eol_char=dialect.eol,
        quote_char='"' if quoting == "standard" else None,
        empty_string_is_null=False,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
        **options,
    )


def scan_mixed(files: Iterable[Chunks], dialect: Dialect, *, header: bool = True) -> pl.LazyFrame:
    """Return what `scan_text` returns, of files in which quotes delimit some fields and are data in others.

    The files are streamed in order, in blocks of at most 1 MiB. Only blocks with both kinds of quotes are slower to read.

    Parameters
    ----------
    files
        For each file, a function that returns its bytes in chunks.
    dialect
        The dialect of all files.
    header
        Whether the files begin with the header.
    """
    sources = tuple(files)

    def read(columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None) -> Iterator[pl.DataFrame]:
        frames = chain.from_iterable(_frames(chunks, dialect, header) for chunks in sources)
        for frame in frames if rows is None else first_rows(frames, rows):
            selected = frame if predicate is None else frame.filter(predicate)
            yield selected if columns is None else selected.select(columns)

    return register_io_source(read, schema=_schema(dialect), is_pure=True)


def mark_lines(frame: pl.LazyFrame, issues: Mapping[str, Positions]) -> pl.LazyFrame:
    """Return a frame with `RAGGED`: the issue of each line, or null.

    Parameters
    ----------
    frame
        The lines, in order.
    issues
        The positions of the lines by the names of `LINE_ISSUES`.
    """
    found = {name: rows for name, rows in issues.items() if len(rows)}
    mark = pl.lit(None, dtype=pl.String)
    for name, rows in found.items():
        mark = pl.when(pl.col(ROW).is_in(pl.lit(pl.Series(rows).implode()))).then(pl.lit(LINE_ISSUES[name])).otherwise(mark)
    return frame.with_row_index(ROW).with_columns(mark.alias(RAGGED)).drop(ROW) if found else frame.with_columns(mark.alias(RAGGED))


def _schema(dialect: Dialect) -> dict[str, pl.DataType]:
    return dict.fromkeys(dialect.columns, pl.String())


def _frames(chunks: Chunks, dialect: Dialect, header: bool) -> Iterator[pl.DataFrame]:
    """Yield the records of a file, without its header."""
    blocks = split_records(dialect.grammar, chunks())
    if header:
        for block in islice(blocks, 1):
            yield _frame_of_records(block.records[1:], dialect) if block.records else _frame(block, dialect, header=True)
    for block in blocks:
        yield _frame_of_records(block.records, dialect) if block.records else _frame(block, dialect, header=False)


def _frame(block: Block, dialect: Dialect, *, header: bool) -> pl.DataFrame:
    return scan_text([block.text], dialect, block.quoting or "standard", header=header).collect()


def _frame_of_records(records: Iterable[Record], dialect: Dialect) -> pl.DataFrame:
    width = len(dialect.columns)
    rows = [[*record.fields, *[b""] * (width - len(record.fields))][:width] for record in records]
    try:
        values = [[row[column].decode() for row in rows] for column in range(width)]
    except UnicodeDecodeError:
        raise pl.exceptions.ComputeError("the file has bytes that are not UTF-8") from None
    return pl.DataFrame(values, schema=_schema(dialect), orient="col")


def first_rows(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Yield frames up to a number of rows."""
    for frame in frames:
        yield frame.head(rows)
        rows -= frame.height
        if rows <= 0:
            return
