"""Markdown tables; all of them are written and escaped here."""

import re
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table whose last `numbers` columns are right-aligned."""
    lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in (header, *rows)]
    rule = "|" + "---|" * (len(header) - numbers) + "---:|" * numbers
    return "\n".join([lines[0], rule, *lines[1:]])


def _escaped(text: str) -> str:
    """Return a text that stays in one cell and is shown literally: line breaks become spaces, Markdown syntax is escaped."""
    return re.sub(r"([\\|`*<\[~])", r"\\\1", " ".join(text.splitlines()))
