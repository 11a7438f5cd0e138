"""Detecting the dialect of a CSV file and counting its fields."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.ingest.csv_dialect import HEAD_BYTES, SEPARATORS, Dialect, FieldCounter, sniff
from risk_assets.errors import LandingError


def count(content: bytes, dialect: Dialect, chunk: int = 1 << 20) -> FieldCounter:
    counter = FieldCounter(dialect)
    for start in range(0, len(content), chunk):
        counter.feed(content[start : start + chunk])
    counter.close()
    return counter


def polars_rows(content: bytes, dialect: Dialect) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(content)
        frame = pl.scan_csv(
            path,
            has_header=False,
            skip_rows=1,
            schema=dict.fromkeys([*dialect.columns, "_extra"], pl.String),
            separator=dialect.separator,
            eol_char=dialect.eol,
            empty_string_is_null=False,
            extra_columns="ignore",
            missing_columns="insert",
        )
        return frame.collect().height


@pytest.mark.parametrize("separator", SEPARATORS)
def test_each_separator_is_detected(separator: str) -> None:
    head = separator.join(["id", "age", "limit"]).encode() + b"\n1\n"
    assert sniff(head, "a.csv") == Dialect(separator, "\n", ("id", "age", "limit"))


def test_expected_columns_decide_before_frequency() -> None:
    head = b"id;limit, in euro, net, of fees;age\n"
    assert sniff(head, "a.csv").separator == ","
    assert sniff(head, "a.csv", expected=("id", "age")).columns == ("id", "limit, in euro, net, of fees", "age")


def test_separators_within_quotes_do_not_count() -> None:
    assert sniff(b'id;"a,b,c,d";age\n', "a.csv").columns == ("id", "a,b,c,d", "age")


def test_a_header_without_separator_is_one_column() -> None:
    assert sniff(b"id", "a.csv") == Dialect(",", "\n", ("id",))


@pytest.mark.parametrize(("end", "eol"), [(b"\n", "\n"), (b"\r\n", "\n"), (b"\r", "\r"), (b"", "\n")])
def test_the_line_end_is_that_of_the_header(end: bytes, eol: str) -> None:
    assert sniff(b"id,age" + end, "a.csv") == Dialect(",", eol, ("id", "age"))


def test_a_byte_order_mark_is_not_part_of_a_name() -> None:
    assert sniff(b'\xef\xbb\xbf"id",age\n', "a.csv").columns == ("id", "age")


def test_a_quoted_name_can_contain_any_character() -> None:
    head = b'id,"limit\r\n(""gross"", net)",age\r\n1,2,3\r\n'
    assert sniff(head, "a.csv") == Dialect(",", "\n", ("id", 'limit\r\n("gross", net)', "age"))


def test_names_are_stripped() -> None:
    assert sniff(b' id , "age" ,limit bal\n', "a.csv").columns == ("id", "age", "limit bal")


def test_a_column_without_name_gets_its_position_as_name() -> None:
    assert sniff(b'"",age, ,limit\n', "a.csv").columns == ("unnamed_1", "age", "unnamed_3", "limit")


def test_repeated_names_are_numbered() -> None:
    assert sniff(b"a,b,a,a,a#2\n", "a.csv").columns == ("a", "b", "a#2", "a#3", "a#2#2")


def test_the_head_can_end_inside_a_character() -> None:
    content = b"id,name\n" + "é".encode() * HEAD_BYTES
    odd = b"id,name\n1" + "é".encode() * HEAD_BYTES
    assert sniff(content[:HEAD_BYTES], "a.csv").columns == sniff(odd[:HEAD_BYTES], "a.csv").columns == ("id", "name")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\r\n\r\n", "empty"),
        (b"\nid,age\n", "blank line"),
        ("id,age\n".encode("utf-16"), "save it as UTF-8"),
        ("id,age\n".encode("utf-16-le"), "save it as UTF-8"),
        (b"id,pr\xe9nom\n", "cannot decode byte 6. Save it as UTF-8"),
        (b"id,age\n1,\xe9", "byte 10"),
        (b'id,"age\n1,2\n', "unclosed quote"),
        (b'id,a"g\ne"\n1,2\n', "in the middle of a column name"),
        (b"x" * HEAD_BYTES, "no line end"),
    ],
)
def test_an_invalid_file_is_reported_with_name_and_reason(head: bytes, message: str) -> None:
    with pytest.raises(LandingError, match=message) as raised:
        sniff(head, "book.csv")
    assert "book.csv" in str(raised.value)


TWO = Dialect(",", "\n", ("a", "b"))
ONE = Dialect(",", "\n", ("a",))


@pytest.mark.parametrize(
    ("content", "dialect", "rows", "short", "long"),
    [
        (b"", TWO, 0, [], 0),
        (b"a,b", TWO, 0, [], 0),
        (b"a,b\n", TWO, 0, [], 0),
        (b"a,b\n1,2\n3,4", TWO, 2, [], 0),
        (b"a,b\n1,2\n3,4\n", TWO, 2, [], 0),
        (b"a,b\r\n1,2\r\n3,4\r\n", TWO, 2, [], 0),
        (b"a,b\r1,2\r3\r", Dialect(",", "\r", ("a", "b")), 2, [1], 0),
        (b"a,b\n1\n1,2\n1,2,3\n1,2,3,4\n5\n", TWO, 5, [0, 4], 2),
        (b"a,b\n1,2\n\n3,4\n\n\n", TWO, 5, [1, 3, 4], 0),
        (b"a,b\r\n\r\n1,2\r\n\r\n", TWO, 3, [0, 2], 0),
        (b"a\n1\n\n2\n\n", ONE, 4, [], 0),
        (b'a,b\n"1,1",2\n"3""\n,",4\n', TWO, 2, [], 0),
        (b'"a\n,","b"\n1,"2\n"', TWO, 1, [], 0),
        (b"a;b\n1,1;2\n", Dialect(";", "\n", ("a", "b")), 1, [], 0),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_records_and_fields_are_counted(*, content: bytes, dialect: Dialect, rows: int, short: list[int], long: int, chunk: int) -> None:
    counter = count(content, dialect, chunk)
    assert (counter.rows, counter.short, counter.short_rows.tolist(), counter.long) == (rows, len(short), short, long)
    assert counter.short_rows.dtype == "int64"
    assert not counter.unclosed
    if content:
        assert counter.rows == polars_rows(content, dialect)


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_an_unclosed_quote_is_reported_and_its_record_counted(chunk: int) -> None:
    counter = count(b'a,b\n1,2\n3,"4\n5,6\n', TWO, chunk)
    assert (counter.rows, counter.unclosed) == (2, True)


def test_a_large_file_is_counted_exactly() -> None:
    content = b"a,b\n" + b'1,2\n3\n"4,\n",5,6\n' * 200_000
    counter = count(content, TWO, 3_000_001)
    assert (counter.rows, counter.short, counter.long) == (600_000, 200_000, 200_000)
    assert counter.short_rows[[0, 1, -1]].tolist() == [1, 4, 599_998]


FIELDS = st.text(alphabet='ab,;|\t"\n\r é', max_size=4)


@settings(deadline=None)
@given(
    width=st.integers(1, 4),
    rows=st.lists(st.lists(FIELDS, min_size=1, max_size=6), max_size=8),
    separator=st.sampled_from(SEPARATORS),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    closed=st.booleans(),
    chunk=st.integers(1, 20),
)
def test_any_written_table_is_counted_as_polars_reads_it(
    *, width: int, rows: list[list[str]], separator: str, end: str, closed: bool, chunk: int
) -> None:
    text = io.StringIO(newline="")
    # the csv module leaves a \n unquoted if lines end in \r, and \r\n would be read as one line end
    quoting: Literal[0, 1] = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([[f"c{position}" for position in range(width)], *rows])
    content = text.getvalue().encode()
    content = content if closed else content.removesuffix(end.encode())
    dialect = sniff(content, "table.csv", expected=["c0", "c1"])
    if width == 1:  # a header of one column does not show the separator
        dialect = Dialect(separator, dialect.eol, dialect.columns)
    counter = count(content, dialect, chunk)

    assert dialect.separator == separator
    assert dialect.columns == tuple(f"c{position}" for position in range(width))
    assert counter.rows == len(rows) == polars_rows(content, dialect)
    assert counter.short_rows.tolist() == [row for row, fields in enumerate(rows) if len(fields) < width]
    assert counter.long == sum(len(fields) > width for fields in rows)


PLAIN = st.text(alphabet="ab é", max_size=3)


@settings(deadline=None)
@given(rows=st.lists(st.lists(PLAIN, min_size=1, max_size=4), max_size=8), separator=st.sampled_from(SEPARATORS))
def test_any_unquoted_table_is_counted_as_polars_reads_it(rows: list[list[str]], separator: str) -> None:
    dialect = Dialect(separator, "\n", ("a", "b"))
    content = "\n".join(separator.join(fields) for fields in [["a", "b"], *rows]).encode() + b"\n"
    assert count(content, dialect, 7).rows == len(rows) == polars_rows(content, dialect)
