"""Markdown tables: the one place that writes and escapes them."""

import re
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table whose last `numbers` columns are aligned right."""
    lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in (header, *rows)]
    rule = "|" + "---|" * (len(header) - numbers) + "---:|" * numbers
    return "\n".join([lines[0], rule, *lines[1:]])


def _escaped(text: str) -> str:
    """Keep a text in one cell and unformatted: Markdown's marks after a backslash, line breaks as spaces."""
    return re.sub(r"([\\|`*<\[~])", r"\\\1", " ".join(text.splitlines()))
