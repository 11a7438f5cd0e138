"""Numbers with words that agree with them, for messages."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with the words for one or for several: `counted(1, "row")` is "1 row", `counted(2, "row")` is "2 rows"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def row_of(position: int, file: str | None) -> str:
    """Return the name of a row of a CSV by its position from 0: "row 7", or "row 7 of part-1.csv"."""
    return f"row {position + 1}" + (f" of {file}" if file else "")


def lost_rows(lines: int) -> str:
    """Return the problem of rows that two stray quotes enclose."""
    return counted(lines, "line inside quotes looks like a row and is lost", "lines inside quotes look like rows and are lost")
