"""Executors choose the rows that train: they are exactly those that one process chooses."""

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, Contract
from risk_assets.domain.ingest.outcome_history import KNOWN_ON, REVISION, SOURCE, outcome_facts
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.domain.training.dataset import Sample, sample
from risk_assets.engine import arrow_tasks, samples
from risk_assets.engine.engines import ClusterEngine, Engine, LocalEngine, Window
from risk_assets.engine.jobs import Result, SampleJob
from risk_assets.errors import EngineError, LakeError, ModelError
from risk_assets.lake import layout
from risk_assets.lake.documents import candidate_tables
from risk_assets.lake.facts import FeatureFacts, OutcomeFacts
from risk_assets.lake.feature_tables import piece_facts
from risk_assets.lake.format import open_lake
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.store import Store
from risk_assets.lake.tables import StoredTables, Table, commit_parts, write_table
from tests.azurite.server import Azurite
from tests.documents import SMALL, SMALL_CONTRACT
from tests.engine.in_process import InProcess
from tests.engine.lakes import azurite_credential

DATES = ("2026-01-01", "2026-01-02", "2026-01-08", "2026-01-09", "2026-01-20")
TRAINED, KNOWN_BY = "2026-02-20", "2026-02-10"
LENIENT = {"min_rows": 1, "min_bad": 1}
GROUPED = Contract.parse(SMALL_CONTRACT.replace("id: id", "id: id\ngroup: customer"), "small.yml")
FEATURES = {ACCOUNT_ID: pl.String, "age": pl.Float64, "city": pl.String, GROUP: pl.String, "excluded": pl.String, "issues": pl.String}
OUTCOMES = {ACCOUNT_ID: pl.String, OUTCOME: pl.Int8, KNOWN_ON: pl.Date, REVISION: pl.Int32, SOURCE: pl.String}
MADE_FROM = Provenance(run_id="test")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ROWS_PER_PIECE", 150)
    monkeypatch.setattr(samples, "ROWS_PER_BUCKET", 300)
    monkeypatch.setattr(arrow_tasks, "MERGED_BUCKETS", 2)


def features(date: str, accounts: int = 600, group: Callable[[random.Random, int], str | None] | None = None) -> pl.DataFrame:
    """Return features of accounts in any order, of which some are missing, excluded, have issues, or no id."""
    draw = random.Random(date)
    rows = []
    for at in draw.sample(range(accounts), round(accounts * 0.9)):
        name = None if draw.random() < 0.01 else f" A{at} " if draw.random() < 0.1 else f"A{at}"
        row = {ACCOUNT_ID: name, "age": None if draw.random() < 0.1 else draw.uniform(18, 80), "city": draw.choice(["north", "Zürich", None])}
        row |= {"excluded": "closed" if draw.random() < 0.05 else None, "issues": "age: above 90" if draw.random() < 0.05 else None}
        rows.append(row | {GROUP: group(draw, at) if group else None})
    frame = pl.DataFrame(rows, schema=FEATURES)
    return frame if group else frame.drop(GROUP)


def outcomes(date: str, accounts: int = 600) -> pl.DataFrame:
    """Return outcomes, of which some are of unknown accounts, not known yet, withdrawn or restated."""
    draw = random.Random(f"outcomes of {date}")
    rows: list[tuple[str, int | None, str, int, str]] = []
    for at in draw.sample(range(accounts + 50), round(accounts * 0.9)):
        rows.append((f"A{at}", draw.choice([0, 0, 1, None]), "2026-03-01" if draw.random() < 0.1 else "2026-02-01", 1, "landed"))
    rows += [(name, draw.choice([0, 1, None]), draw.choice(["2026-02-05", "2026-03-01"]), 2, "landed") for name, *_ in rows[:80]]
    return pl.DataFrame(rows, schema=OUTCOMES | {KNOWN_ON: pl.String}, orient="row").with_columns(pl.col(KNOWN_ON).str.to_date())


def write_features(lake: Store, date: str, frame: pl.DataFrame, contract: Contract, part_rows: Sequence[int] = ()) -> None:
    """Write features as one file, or in parts with so many rows, and one with the others."""
    path = layout.features(date)
    if not part_rows:
        write_table(lake, path, Table(frame.lazy(), FeatureFacts, tuple(feature_facts(contract)), MADE_FROM))
        return
    sizes = [*part_rows, len(frame) - sum(part_rows)]
    contents = {}
    for number, size in enumerate(sizes):
        content = io.BytesIO()
        frame.slice(sum(sizes[:number]), size).write_parquet(content)
        part = layout.features_part(date, "0123abcd", number)
        lake.put(part, content.getvalue())
        contents[part] = content_of_chunks((content.getvalue(),))
    facts = msgspec.structs.replace(piece_facts(frame, contract), part_rows=tuple(sizes))
    commit_parts(lake, path, contents, len(frame), tuple(frame.columns), MADE_FROM, facts)


def write_outcomes(lake: Store, date: str, frame: pl.DataFrame) -> None:
    counts = {"revisions": 2, "missing_known_at": 0, "unreadable_known_at": 0, "posted_shards": 0}
    facts = (*outcome_facts(), *(pl.lit(value).alias(name) for name, value in counts.items()))
    write_table(lake, layout.curated_outcomes(date), Table(frame.lazy(), OutcomeFacts, facts, MADE_FROM))


@dataclass(frozen=True)
class Book:
    """A lake with features and outcomes of a window."""

    lake: Store
    contract: Contract
    dates: tuple[str, ...]
    labelled: tuple[str, ...]

    def sample(self, engine: Engine, policy: Training) -> Sample:
        tables = [
            StoredTables(self.lake, {date: path(date) for date in dates})
            for path, dates in ((layout.features, self.dates), (layout.curated_outcomes, self.labelled))
        ]
        with engine.training_rows(self.lake, Window(TRAINED, tables[0], tables[1], KNOWN_BY, self.contract, policy)) as rows:
            assert rows.engine == engine.name
            return sample(rows, policy)

    def require_equal(self, policy: Training, cluster: InProcess | None = None) -> Sample:
        """Return the sample of executors after comparing it with that of this process."""
        expected, found = self.sample(LocalEngine(), policy), self.sample(ClusterEngine(cluster or InProcess()), policy)
        pd.testing.assert_frame_equal(found.frame, expected.frame, check_exact=True)
        assert found.regrouped == expected.regrouped
        assert self.staged() == ()
        return found

    def staged(self) -> tuple[str, ...]:
        return self.lake.list(f"{layout.TRAINING}/{layout.STAGED}/")


def book(lake: Store, contract: Contract = SMALL, dates: Sequence[str] = DATES, **how: Any) -> Book:
    """Write features of dates, of which the first is in parts, the second a file, and so on; `how` as of `features`."""
    for at, date in enumerate(dates):
        write_features(lake, date, features(date, **how), contract, () if at % 2 else (100, 0, 130, 7))
        write_outcomes(lake, date, outcomes(date))
    return Book(lake, contract, tuple(dates), tuple(dates))


def policy(**settings: Any) -> Training:
    return Training.model_validate(LENIENT | settings)


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return open_lake(str(tmp_path / "lake"))


@pytest.mark.parametrize(
    "settings",
    [
        {"spacing_days": 1},
        {"spacing_days": 7},
        {"spacing_days": 90},
        {"spacing_days": 1, "max_rows": 1000},
        {"spacing_days": 7, "max_rows": 1000, "random_state": 7},
    ],
    ids=["all", "spaced", "longer than the window", "sampled", "spaced and sampled"],
)
def test_samples_are_those_of_one_process(lake: Store, settings: dict[str, Any]) -> None:
    sampled = book(lake).require_equal(policy(**settings))
    assert sampled.regrouped == 0
    assert len(sampled.frame) > 990 if "max_rows" in settings else len(sampled.frame) > 350


def changing(draw: random.Random, at: int) -> str | None:
    """Return the customer of an account: of some of them another one, or none, on some dates."""
    return f"C{at // 2 + draw.choice([0, 0, 0, 1]) if at % 7 == 0 else at // 2}" if at % 11 or draw.random() < 0.5 else None


@pytest.mark.parametrize("settings", [{"spacing_days": 1}, {"spacing_days": 7, "max_rows": 1000}], ids=["all", "sampled"])
def test_customers_are_merged_as_by_one_process(lake: Store, settings: dict[str, Any]) -> None:
    sampled = book(lake, GROUPED, group=changing).require_equal(policy(**settings))
    assert sampled.regrouped > 50
    assert sampled.frame[GROUP].nunique() < len(sampled.frame)


def one_customer(_: random.Random, at: int) -> str:
    return "C" if at else "D"


def test_a_customer_that_does_not_fit_ends_the_sample(lake: Store) -> None:
    made = book(lake, GROUPED, group=one_customer)
    whole, cut = (made.sample(LocalEngine(), policy(spacing_days=1, max_rows=rows)) for rows in (3000, 1000)) if False else (None, None)
    assert whole is cut is None
    with pytest.raises(ModelError) as expected:
        made.sample(LocalEngine(), policy(spacing_days=1, max_rows=1000))
    with pytest.raises(ModelError) as found:
        made.sample(ClusterEngine(InProcess()), policy(spacing_days=1, max_rows=1000))
    assert str(found.value) == str(expected.value)


def test_one_bucket_can_have_all_rows(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ROWS_PER_BUCKET", 1_000_000)
    made = book(lake)
    assert len(made.require_equal(policy(spacing_days=1, max_rows=1000)).frame) > 990
