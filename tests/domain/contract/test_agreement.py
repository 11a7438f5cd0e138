"""Validation reads each inferred contract's own file as `contract infer` stated it."""

import random
import re
from collections.abc import Callable, Mapping, Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.validation import count_issues, feature_facts, repeated_ids, validate
from risk_assets.errors import ContractError
from tests.domain.contract.drafts import IDS, MONTHS, ROWS, TARGET, infer_bytes, scanned, written

STATED = re.compile(r"Unreadable numbers in (\d+) of \d+ rows")


def unreadable(content: bytes, contract: Contract) -> dict[str, int]:
    """Return the rows with the issue `unreadable` by column."""
    frame = scanned(content).with_columns(pl.lit(None, pl.String).alias(RAGGED))
    found = validate(frame, contract, repeated_ids(frame, contract), date="2026-01-01").collect(engine="streaming")
    kinds = found.select(feature_facts(contract))["issue_counts"][0]
    counts = count_issues({kind["issues"]: kind["count"] for kind in kinds})
    assert not any(issue.endswith((": missing", "below 0")) for issue in counts)
    return {issue.split(":")[0]: rows for issue, rows in counts.items() if issue.endswith(": unreadable")}


def stated(text: str, name: str) -> int:
    """Return the unreadable rows that the comments of a column state."""
    lines = text.split(f"\n  {name}:\n")[1].split("    type:", maxsplit=1)[0]
    found = STATED.search(lines)
    return int(found[1]) if found else 0


def assert_agreement(columns: Mapping[str, Sequence[str]]) -> Contract:
    content = written({"id": IDS, "months": MONTHS, **columns, "outcome": TARGET}, ";")
    text = infer_bytes(content, "id", "outcome")
    contract = Contract.parse(text, "contract.yml")
    found = unreadable(content, contract)
    assert found == {name: stated(text, name) for name in contract.features if stated(text, name)}
    return contract


def swapped(text: str) -> str:
    return text.translate(str.maketrans(",.", ".,"))


WRITERS: Mapping[str, Callable[[float], str]] = {
    "plain": lambda number: f"{number:.2f}",
    "whole": lambda number: f"{number:.0f}",
    "exponent": lambda number: f"{number:.3e}",
    "decimal comma": lambda number: swapped(f"{number:.2f}"),
    "three decimals": lambda number: f"{number:.3f}",
    "three decimals with a comma": lambda number: swapped(f"{number:.3f}"),
    "thousands": lambda number: f"{number:,.0f}",
    "thousands and decimals": lambda number: f"{number:,.2f}",
    "thousands point": lambda number: swapped(f"{number:,.0f}"),
    "thousands point and decimal comma": lambda number: swapped(f"{number:,.2f}"),
    "thousands space": lambda number: f"{number:,.0f}".replace(",", " "),
    "percent": lambda number: f"{number:.1f}%",
    "percent with a comma": lambda number: swapped(f"{number:.1f} %"),
    "money": lambda number: f"${number:,.2f}",
    "euro": lambda number: swapped(f"{number:,.2f}") + " \u20ac",
    "accounting": lambda number: f"({number:,.0f})",
    "trailing minus": lambda number: f"{number:.2f}-",
    "padded": lambda number: f"  {number:.1f}\u00a0",
}
WRONG = ["#VALUE!", "12 years", "1,2,3", "1.2.3", "(5", "$", "%", "--1", "1,23.4", "x"]
TOKENS = ["", "NA", "?", "unknown", "n/a", "-", "null", "N/A"]


@pytest.mark.parametrize("first", WRITERS)
@pytest.mark.parametrize("second", ["plain", "decimal comma", "thousands point", "whole"])
def test_columns_with_different_marks_agree(first: str, second: str) -> None:
    draw = random.Random(8)
    numbers = [draw.lognormvariate(6, 2) for _ in range(ROWS)]
    columns = {"a": list(map(WRITERS[first], numbers)), "b": list(map(WRITERS[second], numbers[::-1]))}
    assert {"a", "b"} <= set(assert_agreement(columns).features)


@pytest.mark.long
@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.lists(st.sampled_from(sorted(WRITERS)), min_size=1, max_size=4),
    st.sampled_from([1e-2, 1, 1e3, 1e6]),
    st.integers(0, 6),
    st.sampled_from(WRONG),
    st.sampled_from(TOKENS),
    st.randoms(use_true_random=False),
)
def test_every_inferred_contract_reads_its_file(
    writers: list[str], scale: float, wrong: int, text: str, token: str, draw: random.Random
) -> None:
    columns = {}
    for position, writer in enumerate(writers):
        values = [WRITERS[writer](scale * draw.lognormvariate(0, 2)) for _ in range(ROWS)]
        for row in draw.sample(range(ROWS), wrong):
            values[row] = text
        for row in draw.sample(range(ROWS), 20):
            values[row] = token
        columns[f"column {position}"] = values
    assert_agreement({name.replace(" ", "_"): values for name, values in columns.items()})


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.text("0123456789.,-()%$ eA\u20ac'", max_size=9), min_size=2, max_size=12))
def test_any_text_is_read_or_left_out(texts: list[str]) -> None:
    try:
        assert_agreement({"x": [texts[row % len(texts)] for row in range(ROWS)]})
    except ContractError as error:
        assert "distinct value" in str(error) or "no column" in str(error)
