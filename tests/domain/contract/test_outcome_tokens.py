"""What one value of the target means is what a file of outcomes with that value means."""

import polars as pl
import pytest

from risk_assets.domain.contract.outcome_tokens import token_meaning
from risk_assets.domain.contract.schema import RAGGED, Contract
from risk_assets.domain.ingest.labels import count_outcomes, labels

TEXT = """
id: id
missing: ["", NA, "-9"]
target: {column: defaulted, bad: BAD}
features:
  age: {type: number, reason: Age}
"""
TARGETS = ("{column: defaulted, bad: 1, good: 0}", "{column: defaulted, bad: 1}", "{column: defaulted, bad: ja, good: nein}")
TOKENS = (
    "1",
    "1.0",
    " 1 ",
    "0",
    "0.00",
    "-0",
    "",
    "  ",
    "NA",
    "-9",
    "-9.0",
    "2",
    "ja",
    "JA",
    "ja ",
    "nein",
    "yes",
    "1e0",
    "café",
    "cafe\u0301",
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_token_means_the_same_as_in_a_file(target: str) -> None:
    contract = Contract.parse(TEXT.replace("{column: defaulted, bad: BAD}", target), "contract.yml")
    for token in TOKENS:
        file = pl.LazyFrame({"id": ["a"], "defaulted": [token], RAGGED: [None]}, schema_overrides={RAGGED: pl.String})
        label, unknown = labels(file, contract).collect()["bad"].item(), count_outcomes(file, contract).unknown_labels
        expected = "unknown" if unknown else {1: "bad", 0: "good", None: "missing"}[label]
        assert token_meaning(token, contract) == expected, (target, token)
