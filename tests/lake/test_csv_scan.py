"""CSV files are read as Python's csv, pandas and polars read them; where these differ, lines are marked or the file is rejected."""

import csv
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import RAGGED
from risk_assets.domain.ingest import csv_records
from risk_assets.domain.ingest.csv_counts import count_fields
from risk_assets.domain.ingest.csv_dialect import Dialect
from risk_assets.domain.ingest.csv_grammar import Quoting
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text

Rows = list[list[str]]


@dataclass(frozen=True)
class Read:
    """The rows of a text, and the issue of each line."""

    rows: Rows
    marks: list[str | None]
    quoting: Quoting
    trailing: bool

    @property
    def certain(self) -> Rows:
        """The rows without an issue."""
        return [row for row, mark in zip(self.rows, self.marks, strict=True) if mark is None]


def dialect(width: int, eol: str = "\n") -> Dialect:
    return Dialect(",", eol, tuple(f"c{position}" for position in range(width)))


def read(text: str, width: int, chunk: int = 5) -> Read | None:
    """Read the lines after a header; None if the file is rejected."""
    how = dialect(width)
    content = (",".join(how.columns) + how.eol + text).encode()
    counts = count_fields(how, chunks(content, chunk))
    if counts.problem:
        return None
    quoting = counts.quoting or "standard"
    exact = scan_mixed([lambda: chunks(content, chunk)], how)
    frame = exact if quoting == "mixed" else scan_text([content], how, quoting)
    found = mark_lines(frame, counts.issues).collect()
    assert found.height == counts.rows
    unmarked = pl.col(RAGGED).is_null()
    assert found.filter(unmarked).equals(mark_lines(exact, counts.issues).collect().filter(unmarked))
    return Read([list(row) for row in found.drop(RAGGED).rows()], found[RAGGED].to_list(), quoting, counts.trailing)


def chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def by_csv(text: str) -> Rows:
    return [fields or [""] for fields in csv.reader(io.StringIO(text, newline=""))]


def by_pandas(text: str, width: int) -> Rows | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(
                io.BytesIO(text.encode()),
                header=None,
                names=range(width),
                index_col=False,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                engine="c",
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError):
            return None
    return [list(row) for row in frame.fillna("").itertuples(index=False)]


def by_polars(text: str, width: int) -> Rows | None:
    try:
        frame = pl.scan_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            schema=dict.fromkeys(dialect(width).columns, pl.String),
            empty_string_is_null=False,
            missing_columns="insert",
            extra_columns="ignore",
        ).collect()
    except pl.exceptions.PolarsError:
        return None
    return [list(row) for row in frame.rows()]


def fit(rows: Rows, width: int) -> Rows:
    return [[*row, *[""] * (width - len(row))][:width] for row in rows]


PIECES = ["a", '"a"', '"a""b"', '"a,b"', '"a\nb"', ",", ",", ",", "\n", "\n", "\n", "\r\n", '"', '" ', ' "', " ", '""', 'a"b', "\r", ";"]
TEXTS = st.text(alphabet='aa",,;\n\n\r ', max_size=16) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@hypothesis_settings(deadline=None, max_examples=300)
@given(text=TEXTS, width=st.integers(1, 3), chunk=st.integers(1, 9))
@example(text='1,O"Brian\n2,Lee\n3,O"Hara\n', width=2, chunk=3)
@example(text='1, "Smith, John"\n', width=2, chunk=3)
@example(text='1,x\r"2\n",3\n', width=2, chunk=3)
@example(text='5","a\nb",7"\n', width=3, chunk=3)
def test_what_readers_agree_on_is_read_and_the_rest_is_marked(text: str, width: int, chunk: int) -> None:
    found = read(text, width, chunk)
    others = fit(by_csv(text), width), by_pandas(text, width) if text else [], by_polars(text, width) if text else []
    if others[0] == others[1] == others[2]:
        assert found is not None and found.rows == others[0]
    elif found is not None:
        assert any(found.marks)


@hypothesis_settings(deadline=None, max_examples=300)
@given(text=TEXTS, width=st.integers(1, 3), chunk=st.integers(1, 9))
def test_a_line_without_an_issue_is_read_as_by_csv_and_pandas(text: str, width: int, chunk: int) -> None:
    found = read(text, width, chunk)
    by_others = by_csv(text), by_pandas(text, width) if text else []
    if found is None or by_others[1] is None or not len(found.rows) == len(by_others[0]) == len(by_others[1]):
        return
    for row, mark, first, second in zip(found.rows, found.marks, *by_others, strict=True):
        assert mark or row == second == first[: width if found.trailing else None]


@hypothesis_settings(deadline=None, max_examples=300)
@given(text=TEXTS, width=st.integers(1, 3), block=st.integers(1, 12), exact=st.integers(1, 4))
def test_the_size_of_blocks_does_not_matter(text: str, width: int, block: int, exact: int) -> None:
    expected = read(text, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_BLOCK_BYTES", block)
        patch.setattr(csv_records, "_EXACT_BYTES", exact)
        found = read(text, width)
    assert (found and (found.certain, found.marks)) == (expected and (expected.certain, expected.marks))


@hypothesis_settings(deadline=None, max_examples=100)
@given(text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join), sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_cut_records_are_the_bytes_of_the_file(text: str, sizes: list[int]) -> None:
    how = dialect(2)
    content = b"c0,c1\n" + text.encode()
    counts = count_fields(how, [content])
    if counts.problem or counts.rows < sum(sizes):
        return
    header, *pieces = [b"".join(piece) for piece in csv_records.cut_records(how.grammar, chunks(content, 3), sizes)]
    assert header == b"c0,c1\n"
    assert content.startswith(header + b"".join(pieces))
    assert [count_fields(how, [header + piece]).rows for piece in pieces] == sizes


MIXED = b'\xef\xbb\xbfid,name,note\n1,"Lee, A",5"6"\n2,"a ""b""\nc",x\n3,O"Brian,y\n4,"Kim",z\n'


@pytest.fixture
def mixed() -> pl.LazyFrame:
    return scan_mixed([lambda: chunks(MIXED, 7)] * 2, Dialect(",", "\n", ("id", "name", "note")))


def test_mixed_quoting_is_read_exactly(mixed: pl.LazyFrame) -> None:
    rows = [("1", "Lee, A", '5"6"'), ("2", 'a "b"\nc', "x"), ("3", 'O"Brian', "y"), ("4", "Kim", "z")]
    assert mixed.collect(engine="streaming").rows() == rows * 2


def test_columns_filters_and_limits_apply_to_mixed_quoting(mixed: pl.LazyFrame) -> None:
    assert mixed.select("note", "id").collect().rows()[:2] == [('5"6"', "1"), ("x", "2")]
    assert mixed.filter(pl.col("name") == "Kim").select("id").collect(engine="streaming").rows() == [("4",), ("4",)]
    assert mixed.head(5).collect().height == 5
    assert mixed.head(3).select("id").collect()["id"].to_list() == ["1", "2", "3"]
    assert mixed.select(pl.len()).collect().item() == 8


def test_blocks_of_mixed_quoting_keep_their_order() -> None:
    lines = [f'{number},"n {number}"' if number % 1000 else f'{number},n"{number}' for number in range(300_000)]
    content = ("id,name\n" + "\n".join(lines)).encode()
    how = Dialect(",", "\n", ("id", "name"))
    counts = count_fields(how, [content])
    assert (counts.quoting, counts.rows, len(counts.issues["ambiguous"])) == ("mixed", 300_000, 300)
    found = scan_mixed([lambda: iter([content])], how).collect(engine="streaming")
    assert found["id"].to_list() == [str(number) for number in range(300_000)]
    assert found["name"].to_list() == [f"n {number}" if number % 1000 else f'n"{number}' for number in range(300_000)]


def test_bytes_that_are_not_utf_8_are_an_error_without_values() -> None:
    how = Dialect(",", "\n", ("id", "name"))
    content = b'id,name\n1,"Lee"\n2,O"SECRET\xff\n'
    with pytest.raises(pl.exceptions.PolarsError, match="not UTF-8") as caught:
        scan_mixed([lambda: iter([content])], how).collect(engine="streaming")
    assert "SECRET" not in str(caught.value)
