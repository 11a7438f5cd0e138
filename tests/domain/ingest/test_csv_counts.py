"""Counting the records of a CSV file and finding uncertain lines."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.ingest import csv_records
from risk_assets.domain.ingest.csv_counts import FieldCounter, common_quoting
from risk_assets.domain.ingest.csv_dialect import SEPARATORS, Dialect, sniff
from risk_assets.domain.ingest.csv_grammar import Quoting


def count(content: bytes, dialect: Dialect, chunk: int = 1 << 20) -> FieldCounter:
    counter = FieldCounter(dialect)
    for start in range(0, len(content), chunk):
        counter.feed(content[start : start + chunk])
    counter.close()
    return counter


def found(content: bytes, dialect: Dialect | None = None, chunk: int = 3) -> dict[str, list[int]]:
    """Return the rows with each issue."""
    counter = count(content, dialect or TWO, chunk)
    assert counter.problem is None
    return {name: rows.tolist() for name, rows in counter.issues.items() if len(rows)}


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
    assert (counter.rows, counter.issues["short"].tolist(), len(counter.issues["long"])) == (rows, short, long)
    assert counter.issues["short"].dtype == "int64"
    assert not counter.unclosed
    if content:
        assert counter.rows == polars_rows(content, dialect)


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_an_unclosed_quote_is_reported_and_its_record_counted(chunk: int) -> None:
    counter = count(b'a,b\n1,2\n3,"4\n5,6\n', TWO, chunk)
    assert (counter.rows, counter.unclosed) == (2, True)
    assert counter.problem == "ends inside an open quote, in row 2. Close it, or complete the file"


@pytest.mark.parametrize("chunk", [1, 5, 2**20])
@pytest.mark.parametrize(
    ("content", "byte", "row"),
    [
        (b"a,b\n1,\xe9\n", 7, 1),
        ("\ufeffa,b\n1,é\n2,".encode() + b"\xff\n\xff,3\n", 15, 2),
        (b'a,b\n"1\n2",3\n4,\xe2\x82', 15, 2),
        (b'a,b\n1,"2"3\n4,5"6"\n\xff,"', 19, 3),
    ],
)
def test_text_that_is_not_utf_8_is_placed(monkeypatch: pytest.MonkeyPatch, content: bytes, byte: int, row: int, chunk: int) -> None:
    monkeypatch.setattr(csv_records, "_BLOCK_BYTES", 8)
    assert count(content, TWO, chunk).problem == f"is not UTF-8 text: its byte {byte}, in row {row}, cannot be decoded. Save it as UTF-8"


def test_text_in_utf_8_has_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "_BLOCK_BYTES", 8)
    assert count("a,b\nä,€\n𝄞,\uffff\0\n".encode(), TWO, 1).problem is None


def test_a_large_file_is_counted_exactly() -> None:
    content = b"a,b\n" + b'1,2\n3\n"4,\n",5,6\n' * 200_000
    counter = count(content, TWO, 3_000_001)
    assert (counter.rows, len(counter.issues["short"]), len(counter.issues["long"])) == (600_000, 200_000, 200_000)
    assert counter.issues["short"][[0, 1, -1]].tolist() == [1, 4, 599_998]


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
    # the csv module quotes only the characters of its own line end, and readers take any lone \r or \n as one
    others = "\r\n".replace(end, "") if len(end) == 1 else ""
    has_other = any(other in field for other in others for fields in rows for field in fields)
    quoting: Literal[0, 1] = csv.QUOTE_ALL if has_other else csv.QUOTE_MINIMAL
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
    trailing = bool(rows) and all(len(fields) == width + 1 and not fields[-1] for fields in rows)
    assert counter.trailing == trailing
    enclosing = counter.issues["enclosed"].tolist()
    certain = [(row, len(fields)) for row, fields in enumerate(rows) if row not in enclosing]
    assert counter.issues["short"].tolist() == [row for row, fields in certain if fields < width]
    assert counter.issues["long"].tolist() == [row for row, fields in certain if fields > width and not trailing]
    assert not len(counter.issues["ambiguous"])


PLAIN = st.text(alphabet="ab é", max_size=3)


@settings(deadline=None)
@given(rows=st.lists(st.lists(PLAIN, min_size=1, max_size=4), max_size=8), separator=st.sampled_from(SEPARATORS))
def test_any_unquoted_table_is_counted_as_polars_reads_it(rows: list[list[str]], separator: str) -> None:
    dialect = Dialect(separator, "\n", ("a", "b"))
    content = "\n".join(separator.join(fields) for fields in [["a", "b"], *rows]).encode() + b"\n"
    assert count(content, dialect, 7).rows == len(rows) == polars_rows(content, dialect)


# --- quotes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "quoting", "issues"),
    [
        (b"1,2\n", None, {}),
        (b'1,"2"\n', "standard", {}),
        (b'"1","2,""x"""\r\n', "standard", {}),
        (b'1,"2\n3"\n"",""\n', "standard", {}),
        (b'1,O"Brian\n2,Lee\n', "none", {"ambiguous": [0]}),
        (b'1,5"6"\n2,Lee\n', "none", {}),
        (b'1,O"Brian\n2,5"6"\n3,"Lee"\n', "mixed", {"ambiguous": [0]}),
        (b'1,"Lee" x\n2,3\n', "mixed", {"ambiguous": [0]}),
        (b'1,"Lee"x"\n2,3\n', "mixed", {"ambiguous": [0]}),
        (b'1,""x\n2,3\n', "mixed", {"ambiguous": [0]}),
        (b'1, "Lee"\n2,3\n', "none", {"ambiguous": [0]}),
        (b'1,\t "Lee"\n2,3\n', "none", {"ambiguous": [0]}),
        (b' "1",2\n2,3\n', "none", {"ambiguous": [0]}),
        (b'1, "Smith, John"\n2,3\n', "none", {"ambiguous": [0]}),
        (b'1,x "Lee"\n2,3\n', "none", {}),
        (b'1,2\n"3\n",5"6"\n', "mixed", {"ambiguous": [1]}),
    ],
)
@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_quotes_are_classified(*, body: bytes, quoting: Quoting | None, issues: dict[str, list[int]], chunk: int) -> None:
    counter = count(b"a,b\n" + body, TWO, chunk)
    assert counter.quoting == quoting
    assert found(b"a,b\n" + body, TWO, chunk) == issues


def test_a_line_has_one_issue_and_quotes_come_first() -> None:
    assert found(b'a,b\n1, "x, y",2\n1\n1,2,3\n1\r,2,3\n') == {"ambiguous": [0], "control": [3], "short": [1], "long": [2]}


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"1,x\ry\n2,3\n", [0]),
        (b"1,x\r\r\n2,3\n", [0]),
        (b"1,2\r\n2,3\r\n", []),
        (b"1,2\n2,3\r", []),
        (b'1,"x\ry"\n2,3\n', []),
        (b'1,"x\ry"\n2,\r\n3,4\r5"6"\n', [2]),
        (b"1,2\n2,\0\n", [1]),
        (b'1,2\n2,"\0"\n', [1]),
    ],
)
def test_a_stray_control_character_is_an_issue(body: bytes, rows: list[int]) -> None:
    assert found(b"a,b\n" + body).get("control", []) == rows


def test_a_line_feed_in_a_file_of_carriage_returns_is_an_issue() -> None:
    assert found(b'a,b\r1,"x\ny"\r2,x\ny\r', Dialect(",", "\r", ("a", "b"))) == {"control": [1]}


def test_a_quote_after_a_lone_carriage_return_rejects_the_file() -> None:
    problem = count(b'a,b\n1,2\n3,x\r"y\n",4\n', TWO).problem
    assert problem is not None and "in row 2: readers differ" in problem


def test_a_record_that_never_ends_rejects_the_file() -> None:
    content = b'a,b\n1,2\n3,"' + b"x,y\n" * (csv_records.MAX_RECORD_BYTES // 4 + 1)
    problem = count(content, TWO).problem
    assert problem is not None and "16 MiB without a line end after row 1" in problem


def test_a_record_of_many_blocks_is_counted() -> None:
    content = b'a,b\n1,2\n3,"' + b"x,y\n" * 1_500_000 + b'"\n5,6\n'
    counter = count(content, TWO)
    assert (counter.rows, counter.problem, counter.quoting) == (3, None, "standard")


@pytest.mark.parametrize(
    ("body", "trailing", "issues"),
    [
        (b"1,2,\n3,4,\n", True, {}),
        (b"1,2,\r\n3,4,", True, {}),
        (b'1,2,""\n"3","4",\n', True, {}),
        (b"1,2,\n3,4\n", False, {"long": [0]}),
        (b"1,2,\n3,4,5\n", False, {"long": [0, 1]}),
        (b'1,2,\n3,"4",""""\n', False, {"long": [0, 1]}),
        (b"1,2,\n3,4, \n", False, {"long": [0, 1]}),
        (b"1,2,,\n3,4,,\n", False, {"long": [0, 1]}),
        (b"1,2,\n\n", False, {"long": [0], "short": [1]}),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_an_unnamed_empty_last_column_is_recognised(body: bytes, trailing: bool, issues: dict[str, list[int]], chunk: int) -> None:
    assert count(b"a,b\n" + body, TWO, chunk).trailing == trailing
    assert found(b"a,b\n" + body, TWO, chunk) == issues


@pytest.mark.parametrize(
    ("quotings", "common"),
    [([], None), ([None], None), ([None, "none"], "none"), (["standard", "standard"], "standard"), (["standard", "none"], "mixed")],
)
def test_the_quoting_of_several_files_is_combined(quotings: list[Quoting | None], common: Quoting | None) -> None:
    assert common_quoting(quotings) == common


FOUR = Dialect(",", "\n", ("id", "income", "region", "note"))
HEADER = b"id,income,region,note\n"
ROWS = b"1,10,east,a\n2,20,west,b\n3,30,east,c\n4,40,west,d\n"


@pytest.mark.parametrize(
    ("content", "rows", "enclosing", "enclosed"),
    [
        (ROWS.replace(b",a", b',"a').replace(b",c", b',c"'), 2, [0], 2),  # the last column of the first row to that of the third
        (ROWS.replace(b"1,10", b'1,"10').replace(b"30,", b'30",'), 2, [0], 2),
        (ROWS.replace(b"2,20", b'2,"20').replace(b"30,", b'30",'), 3, [1], 1),
        (b'"' + ROWS.replace(b"4,", b'4",'), 1, [0], 3),
        (ROWS.replace(b"\n", b",\n").replace(b",a", b',"a').replace(b",c", b',c"'), 2, [0], 2),  # a separator after every row
        (ROWS.replace(b"\n", b"\r\n").replace(b",a", b',"a').replace(b",c", b',c"'), 2, [0], 2),
    ],
)
@pytest.mark.parametrize("other", [b"", b'9,90,e"ast,"x"\n'])  # the second is split field by field
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_rows_inside_quotes_are_an_issue(
    *, content: bytes, rows: int, enclosing: list[int], enclosed: int, other: bytes, chunk: int
) -> None:
    if content.endswith(b",\n"):
        other = other.replace(b"\n", b",\n")
    counter = count(HEADER + content + other, FOUR, chunk)
    assert (counter.rows, counter.enclosed_rows) == (rows + bool(other), enclosed)
    assert counter.issues["enclosed"].tolist() == enclosing
    assert counter.issues["short"].tolist() == counter.issues["long"].tolist() == []


@pytest.mark.parametrize(
    "row",
    [
        b'1,10,east,"first line\nsecond line"\n',
        b'1,10,east,"first line\n\nthird, fourth\n"\n',
        b'1,10,"12 Main Street\nSpringfield, IL, 62701, USA",b\n',
        b'"1\n2",10,"ea\nst",b\n',
        b'1,10,east,"call back, please\nyes, tomorrow, at noon, if possible"\n',
    ],
)
@pytest.mark.parametrize("other", [b"", b'9,90,e"ast,"x"\n'])
def test_text_of_several_lines_is_not_an_issue(row: bytes, other: bytes) -> None:
    counter = count(HEADER + ROWS + row + other, FOUR)
    assert {name: rows.tolist() for name, rows in counter.issues.items() if name != "ambiguous" and len(rows)} == {}
    assert (counter.rows, counter.enclosed_rows) == (5 + bool(other), 0)


WIDE = Dialect(",", "\n", tuple("abcdefghijkl"))
SEMICOLON = Dialect(";", "\n", FOUR.columns)


def enclosed(lines: list[str], dialect: Dialect, column: int = 0) -> bytes:
    """Return a file with a quote at the start of a column of the first line, and one at the end of that column of the last line."""
    names = dialect.separator.join(dialect.columns)
    first, last = (lines[at].split(dialect.separator) for at in (0, -1))
    first[column], last[column] = f'"{first[column]}', f'{last[column]}"'
    changed = [dialect.separator.join(first), *lines[1:-1], dialect.separator.join(last)]
    return "\n".join([names, *changed, dialect.separator.join(map(str, range(len(dialect.columns))))]).encode() + b"\n"


def padded(number: int, width: int = 6) -> str:
    """Return a row of four fields, the second right-justified."""
    return f"{number},{number * 10:>{width}},east,a"


def wide(number: int, fields: int = 12) -> str:
    return ",".join(str(number + column) for column in range(fields))


@pytest.mark.parametrize(
    ("lines", "dialect", "columns"),
    [
        ([padded(1), padded(2), padded(3)], FOUR, (0, 2, 3)),
        ([padded(1), padded(2)], FOUR, (0, 2, 3)),
        ([padded(1, 3), padded(2, 3)], FOUR, (0, 2)),
        ([padded(1), "2,20,west,b"], FOUR, (0, 1, 2, 3)),
        (["1,10,east,a", padded(2)], FOUR, (0, 2, 3)),
        (["1, 10, east, a", "2, 20, west, b"], FOUR, (0,)),
        (["1, 10, east, a", "2, 20, west, b", "3, 30, west, c"], FOUR, (0,)),
        (["1, 10, east, a", "2,20,west,b"], FOUR, (0,)),
        (["1,10,east,a", "2, 20, west, b"], FOUR, (0,)),
        (["1; 10; east; a", "2; 20; west; b"], SEMICOLON, (0,)),
        (["1,10,east,a,x", "2,20,west,b,x"], FOUR, (0, 2, 3)),
        ([wide(1, 13), wide(2, 13), wide(3, 13)], WIDE, (0, 5, 11)),
        ([wide(1), wide(2, 11), wide(3)], WIDE, (0, 5, 11)),
        ([wide(1).replace(",", ",  "), wide(2).replace(",", ",  ")], WIDE, (0,)),
    ],
)
@pytest.mark.parametrize("other", [b"", b'9,90,e"ast,"x"\n'])  # the second is split field by field
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_padded_and_ragged_rows_inside_quotes_are_an_issue(
    *, lines: list[str], dialect: Dialect, columns: tuple[int, ...], other: bytes, chunk: int
) -> None:
    for column in columns:
        counter = count(enclosed(lines, dialect, column) + other, dialect, chunk)
        assert counter.issues["enclosed"].tolist() == [0]
        assert (counter.rows, counter.enclosed_rows) == (2 + bool(other), len(lines) - 1)


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (b'1,"Main St 5, Berlin\nGermany"\n', ("id", "address")),
        (b'1,"Main St 5\nBerlin, Germany"\n', ("id", "address")),
        (b'1,"Main St 5, Berlin\nGermany",0\n', ("id", "address", "defaulted")),
        (b'1,"Main St 5, 3rd\nBerlin, Germany",0\n', ("id", "address", "defaulted")),
        (b'1,0,"called\nno answer, wrote, no answer"\n', ("id", "defaulted", "note")),
        (b'1,10,"Main St 5, 3rd\nBerlin, Germany, Europe",b\n', ("id", "income", "address", "note")),
        (b'1,    10,east,"called\nyes, tomorrow, at noon, or later"\n', ("id", "income", "region", "note")),
        (b'"Main St 5\nBerlin, Germany",10,b\n', ("address", "income", "note")),
    ],
)
@pytest.mark.parametrize("other", [b"", b'9,"x"y\n'])
def test_addresses_of_several_lines_are_not_an_issue(row: bytes, columns: tuple[str, ...], other: bytes) -> None:
    counter = count(",".join(columns).encode() + b"\n" + row * 3 + other, Dialect(",", "\n", columns))
    assert counter.enclosed_rows == 0
    assert not len(counter.issues["enclosed"])


def test_a_header_of_several_lines_is_not_an_issue() -> None:
    counter = count(b'"id","in,come\nin, euro,x,","region",note\n' + ROWS, Dialect(",", "\n", ("id", "income", "region", "note")))
    assert (counter.rows, counter.enclosed_rows, counter.issues["enclosed"].tolist()) == (4, 0, [])


def test_enclosed_rows_are_found_in_any_block() -> None:
    content = HEADER + ROWS * 100_000 + ROWS.replace(b",a", b',"a').replace(b",d", b',d"') + ROWS * 10
    counter = count(content, FOUR)
    assert (counter.rows, counter.enclosed_rows, counter.issues["enclosed"].tolist()) == (400_041, 3, [400_000])
