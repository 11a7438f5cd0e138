"""The polars types of a contract's features."""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

POLARS_TYPES: Mapping[str, type[pl.DataType]] = MappingProxyType({"number": pl.Float64, "category": pl.String})


def polars_schema(kinds: Mapping[str, str]) -> pl.Schema:
    """Return the schema of features by their contract types, `number` or `category`."""
    return pl.Schema({name: POLARS_TYPES[kind] for name, kind in kinds.items()})
