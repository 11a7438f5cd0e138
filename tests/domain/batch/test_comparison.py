"""Differences between stored and recomputed predictions."""

from typing import Any

import polars as pl
import pytest

from risk_assets.domain.batch.comparison import count_differences
from risk_assets.domain.batch.predictions import prediction_schema
from risk_assets.domain.contract.policy import Policy

POLICY = Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.5, "B": 1}, "reasons": 1})
ROW: dict[str, Any] = {
    "account_id": "a",
    "status": "scored",
    "probability": 0.25,
    "prediction": 0,
    "points": 600,
    "band": "A",
    "reason_1": None,
    "arm": "champion",
    "model_version": "model_v001",
    "challenger_probability": 0.5,
    "excluded": None,
    "issues": None,
}
OTHER = {
    "account_id": "b",
    "status": "not eligible",
    "probability": 0.26,
    "prediction": 1,
    "points": 601,
    "band": "B",
    "reason_1": "Debt",
    "arm": "challenger",
    "model_version": "model_v002",
    "challenger_probability": 0.51,
    "excluded": "closed",
    "issues": "x: missing",
}


def table(*rows: dict[str, Any]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema=prediction_schema(POLICY))


def differences(stored: dict[str, Any], recomputed: dict[str, Any]) -> dict[str, int]:
    return count_differences(table(ROW | stored), table(ROW | recomputed), POLICY)[0]


def test_equal_predictions_have_no_differences() -> None:
    unscored = ROW | dict.fromkeys(("probability", "prediction", "points", "band", "challenger_probability")) | {"issues": "x: missing"}
    assert count_differences(table(ROW, unscored), table(ROW, unscored), POLICY) == ({}, None)
    assert count_differences(table(), table(), POLICY) == ({}, None)


@pytest.mark.parametrize("column", ["probability", "challenger_probability"])
@pytest.mark.parametrize(("difference", "counted"), [(0.0, 0), (9e-13, 0), (-9e-13, 0), (1.1e-12, 1), (-1.1e-12, 1), (1e-9, 1), (0.5, 1)])
def test_probabilities_may_differ_by_1e_12(column: str, difference: float, counted: int) -> None:
    assert differences({}, {column: ROW[column] + difference}).get(column, 0) == counted


@pytest.mark.parametrize("column", OTHER)
def test_each_column_is_compared(column: str) -> None:
    assert differences({}, {column: OTHER[column]}) == {column: 1}
    assert differences({column: OTHER[column]}, {}) == {column: 1}


@pytest.mark.parametrize("column", [name for name in ROW if ROW[name] is not None])
def test_null_differs_from_a_value(column: str) -> None:
    assert differences({column: None}, {}) == {column: 1}
    assert differences({}, {column: None}) == {column: 1}


def test_differences_are_counted_by_column_with_the_first_row() -> None:
    recomputed = (ROW, ROW | {"points": 599}, ROW | {"points": 598, "band": "B"})
    assert count_differences(table(ROW, ROW, ROW), table(*recomputed), POLICY) == ({"points": 2, "band": 1}, 2)


def test_columns_are_compared_in_any_order() -> None:
    assert count_differences(table(ROW), table(ROW).select(*reversed(ROW)), POLICY) == ({}, None)


@pytest.mark.parametrize("column", ["reason_1", "issues"])
def test_null_and_empty_texts_are_equal(column: str) -> None:
    assert differences({column: None}, {column: ""}) == {}
