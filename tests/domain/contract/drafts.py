"""Small generated files, and the draft contracts inferred from them."""

import csv
import io
import random
from collections.abc import Mapping, Sequence

import polars as pl

from risk_assets.domain.contract.draft import Draft
from risk_assets.domain.contract.infer import infer
from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.domain.ingest.csv_dialect import sniff

ROWS = 400
DRAW = random.Random(5)
IDS = [f"A{row}" for row in range(ROWS)]
TARGET = [str(int(row % 4 == 0)) for row in range(ROWS)]
MONTHS = [str(DRAW.randint(18, 79)) for _ in range(ROWS)]

Columns = Mapping[str, Sequence[str]]


def written(columns: Columns, separator: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def scanned(content: bytes) -> pl.LazyFrame:
    """Return the columns as the lake reads them: all text, no nulls."""
    dialect = sniff(content, "book.csv")
    return pl.read_csv(
        content,
        separator=dialect.separator,
        has_header=False,
        skip_rows=1,
        schema=dict.fromkeys(dialect.columns, pl.String),
        empty_string_is_null=False,
    ).lazy()


def infer_draft(content: bytes, id_column: str | None, target: str, bad: str | None = None) -> Draft:
    frame = scanned(content)
    return infer(frame, frame.collect_schema().names(), id_column, target, bad, "book.csv")


def infer_bytes(content: bytes, id_column: str | None, target: str, bad: str | None = None) -> str:
    return infer_draft(content, id_column, target, bad).text


def draft(columns: Columns) -> Draft:
    """Return the draft of a file with an id, a target, a plain number and other columns."""
    return infer_draft(written({"id": IDS, "bad_loan": TARGET, "months": MONTHS} | dict(columns)), "id", "bad_loan")


def contract_text(columns: Columns) -> str:
    return draft(columns).text


def feature(values: Sequence[str], name: str = "x") -> Feature:
    return Contract.parse(contract_text({name: values}), "contract.yml").features[name]


def exclusion(values: Sequence[str], name: str = "x") -> str:
    text = contract_text({name: values})
    assert name not in Contract.parse(text, "contract.yml").features
    (line,) = (line for line in text.splitlines() if line.startswith(f"  # {name} is left out: "))
    return line


def comment(values: Sequence[str], name: str = "x") -> str:
    """Return the lines of the contract about a column."""
    return contract_text({name: values}).split(f"\n  {name}:\n")[1]


def drawn(*values: object, weights: Sequence[int] | None = None) -> list[str]:
    return [str(value) for value in random.Random(1).choices(values, weights, k=ROWS)]
