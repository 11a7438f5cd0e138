"""Detecting the dialect of a CSV file."""

import pytest

from risk_assets.domain.ingest.csv_dialect import HEAD_BYTES, SEPARATORS, Dialect, difference, read_dialect, sniff
from risk_assets.errors import LandingError


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
        (b"id,pr\xe9nom\n", "its header cannot be decoded. Save it as UTF-8"),
        (b'id,"age\n1,2\n', "unclosed quote"),
        (b'id,a"g\ne"\n1,2\n', "in the middle of a column name"),
        (b"x" * HEAD_BYTES, "no line end"),
    ],
)
def test_an_invalid_file_is_reported_with_name_and_reason(head: bytes, message: str) -> None:
    with pytest.raises(LandingError, match=message) as raised:
        sniff(head, "book.csv")
    assert "book.csv" in str(raised.value)


def test_a_quote_after_a_blank_must_not_hide_a_separator() -> None:
    assert sniff(b'id, "age"\n1,2\n', "a.csv").columns == ("id", "age")
    with pytest.raises(LandingError, match="after a blank"):
        sniff(b'id, "age, in years"\n1,2\n', "a.csv")


@pytest.mark.parametrize("head", [b'id,"age" x\n', b'id,5"6"\n', b'id,"age"\r\n'])
def test_a_quote_that_hides_no_separator_is_part_of_a_name(head: bytes) -> None:
    assert len(sniff(head, "a.csv").columns) == 2


def test_a_nul_byte_after_the_header_does_not_reject_the_file() -> None:
    assert sniff(b"id,age\n1,\0\n", "a.csv").columns == ("id", "age")


@pytest.mark.parametrize("size", [0, 70_000, 600_000, 3_900_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_header_of_any_size_up_to_4_mib_is_read(size: int, end: str) -> None:
    columns = ("id", *(f"column_{number:07d}" for number in range(size // 15)))
    content = (",".join(columns) + end + "1").encode()
    found = read_dialect(lambda length: content[:length], "a.csv", ("id",))
    assert found == Dialect(",", "\r" if end == "\r" else "\n", columns)


@pytest.mark.parametrize("size", [64 * 1024, 512 * 1024])
def test_a_crlf_across_the_end_of_a_head_is_one_line_end(size: int) -> None:
    content = (b"id" + b",column" * size)[: size - 1] + b"\r\n1,2\r\n"
    assert content[:size].endswith(b"\r")
    assert read_dialect(lambda length: content[:length], "a.csv").eol == "\n"


def test_a_header_over_4_mib_is_rejected() -> None:
    content = b"id," + b"x" * HEAD_BYTES + b"\n"
    with pytest.raises(LandingError, match="no line end in its first 4 MiB"):
        read_dialect(lambda length: content[:length], "a.csv")


def test_only_a_long_header_is_read_further() -> None:
    asked: list[int] = []

    def head(length: int) -> bytes:
        asked.append(length)
        return (b"id,age\n" + b"1,2\n" * 1_000_000)[:length]

    read_dialect(head, "a.csv")
    assert asked == [64 * 1024]


@pytest.mark.parametrize(
    ("head", "differs"),
    [
        (b"\xef\xbb\xbfid,age\r\n", None),
        (b"id;age\n", "another separator"),
        (b"id,age\r", "line ends of another kind (CR alone)"),
        (b"age,id\n", "the same columns in another order"),
        (b"id,years\n", "a header with other columns"),
    ],
)
def test_files_that_differ_say_how(head: bytes, differs: str | None) -> None:
    assert difference(sniff(head, "b.csv"), Dialect(",", "\n", ("id", "age"))) == differs
