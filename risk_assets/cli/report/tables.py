"""The look of all tables, and how cells show missing values."""

from rich import box
from rich.table import Table


def new_table(title: str | None, *columns: str, header: bool = True) -> Table:
    """Return an empty table."""
    return Table(*columns, title=title, title_style="bold", title_justify="left", box=box.SIMPLE, show_header=header)


def text(value: object) -> str:
    """Return a value as text; empty for None."""
    return "" if value is None else str(value)


def percent(share: float | None) -> str:
    """Return a share in percent with two decimals; empty for None."""
    return "" if share is None else f"{share:.2%}"
