"""Shared by the lake's tests: a small contract, a model that is trained once, and a table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from risk_assets.domain.contract.schema import GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.governance.artifacts import TrainedModel
from risk_assets.domain.training.train import train
from risk_assets.lake.facts import ReviewFacts
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table
from risk_assets.settings import Settings
from tests.documents import SAMPLE_POLICY, SMALL

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
def model(small: Contract) -> TrainedModel:
    """A model of two features that passes its gates: young accounts are mostly bad."""
    random = np.random.default_rng(7)
    age = random.uniform(18, 80, 1000)
    bad = (random.uniform(0, 1, 1000) < 1 / (1 + np.exp((age - 40) / 6))).astype(np.int64)
    city = np.where(np.arange(1000) % 2 == 0, "north", "south")
    frame = pd.DataFrame({"age": age, "city": city, OUTCOME: bad, SNAPSHOT: "2026-01-01", GROUP: [f"A{row}" for row in range(1000)]})
    return train(frame, "2026-01-01", small, SAMPLE_POLICY, live=None)
