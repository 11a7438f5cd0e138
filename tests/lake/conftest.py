"""Shared by the lake's tests: a small contract, a model that is trained once, and a table."""

import polars as pl
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.lake.facts import ReviewFacts
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table
from risk_assets.settings import Settings
from tests.documents import SMALL
from tests.scored_lake import small_model

NO_SCORE = pl.lit(None, pl.Float64)
FACTS = (pl.len().alias("rows"), pl.lit(0).alias("new_accounts"), NO_SCORE.alias("min_score"), NO_SCORE.alias("max_score"))


def table(frame: pl.LazyFrame, **more: bool) -> Table:
    """Return a table of any columns, with the facts of a review list."""
    return Table(frame, ReviewFacts, FACTS, Provenance(run_id="run-1"), **more)


def people() -> pl.LazyFrame:
    """Return rows of three accounts."""
    return pl.LazyFrame({"account_id": ["007", "00010", "1e3"], "probability": [0.1 + 0.2, None, 1e-17], "band": ["A", None, "F"]})


@pytest.fixture
def disk_store(disk_settings: Settings) -> Store:
    """An empty lake on disk."""
    return disk_settings.connect_lake()


@pytest.fixture(scope="session")
def small() -> Contract:
    """A contract of two features."""
    return SMALL


@pytest.fixture(scope="session")
def model() -> TrainedModel:
    """A model of two features that passes its gates: young accounts are mostly bad."""
    return small_model()
