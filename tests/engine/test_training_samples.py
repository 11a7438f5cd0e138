"""Executors choose the rows that train: they are exactly those that one process chooses."""

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Training
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, SNAPSHOT, Contract
from risk_assets.domain.ingest.outcome_history import KNOWN_ON, REVISION, SOURCE, outcome_facts
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.domain.training import dataset
from risk_assets.domain.training.dataset import Sample, sample
from risk_assets.engine import arrow_tasks, sample_tasks, samples, tasks
from risk_assets.engine.engines import ClusterEngine, Engine, LocalEngine, Window
from risk_assets.engine.jobs import LakeAddress, Result, SampleJob
from risk_assets.errors import EngineError, LakeError, ModelError
from risk_assets.lake import layout, staging
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
        age, city = None if draw.random() < 0.1 else draw.uniform(18, 80), draw.choice(["north", "Zürich", None])
        excluded, issues = "closed" if draw.random() < 0.05 else None, "age: above 90" if draw.random() < 0.05 else None
        rows.append((name, age, city, group(draw, at) if group else None, excluded, issues))
    frame = pl.DataFrame(rows, schema=FEATURES, orient="row")
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


@pytest.mark.parametrize(("random_state", "groups"), [(42, 0), (1, 1)], ids=["the first one", "the second one"])
def test_a_customer_that_does_not_fit_ends_the_sample(lake: Store, random_state: int, groups: int) -> None:
    def one_of_two(_: random.Random, at: int) -> str:
        return "few" if at < 100 else "many"

    made = book(lake, GROUPED, group=one_of_two)
    settings = {"spacing_days": 1, "max_rows": 1000, "random_state": random_state}
    expected, found = (refused(made, engine, **settings) for engine in (LocalEngine(), ClusterEngine(InProcess())))
    assert found == expected
    assert f"too few accounts or customers to train on: {groups} with labelled rows" in found


def refused(made: Book, engine: Engine, **settings: Any) -> str:
    with pytest.raises(ModelError) as caught:
        made.sample(engine, policy(**{"min_rows": 2} | settings))
    assert made.staged() == ()
    return str(caught.value)


def test_one_bucket_can_have_all_rows(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ROWS_PER_BUCKET", 1_000_000)
    assert len(book(lake).require_equal(policy(spacing_days=1, max_rows=1000)).frame) > 990


def test_groups_with_the_same_hash_are_in_order_of_names(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dataset, sample_tasks):
        monkeypatch.setattr(module, "sample_hashes", lambda groups, _: np.zeros(len(groups), np.uint64))
    made = book(lake)
    kept = made.require_equal(policy(spacing_days=1, max_rows=1000)).frame[GROUP]
    every = made.sample(LocalEngine(), policy(spacing_days=1)).frame[GROUP]
    assert 100 < kept.nunique() < every.nunique()
    assert sorted(kept.unique()) == sorted(every.unique())[: kept.nunique()]


def test_tasks_that_run_twice_change_nothing(lake: Store) -> None:
    book(lake, GROUPED, group=changing).require_equal(policy(spacing_days=7), InProcess(attempts=2))


def test_dates_without_outcomes_are_left_out(lake: Store) -> None:
    made = book(lake)
    later = "2026-01-21"
    write_features(lake, later, features(later), SMALL, (200,))
    write_outcomes(lake, "2026-01-22", outcomes(later))
    some = replace(made, dates=(*DATES, later), labelled=(*DATES[1:], "2026-01-22"))
    assert set(some.require_equal(policy()).frame[SNAPSHOT]) <= set(DATES[1:])


def test_files_are_sampled_by_one_process(lake: Store) -> None:
    write_features(lake, DATES[0], features(DATES[0]), SMALL)
    write_outcomes(lake, DATES[0], outcomes(DATES[0]))
    cluster = InProcess()
    window = Window(TRAINED, {DATES[0]: pl.LazyFrame()}, {DATES[0]: outcomes(DATES[0]).lazy()}, KNOWN_BY, SMALL, policy())
    with ClusterEngine(cluster).training_rows(lake, window) as rows:
        assert rows.engine == "local" and cluster.calls == []


def test_the_driver_reads_no_table_of_the_window(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cluster = book(lake, GROUPED, group=changing), InProcess()

    def read(*_: object) -> None:
        raise AssertionError("the driver has read a table")

    monkeypatch.setattr(StoredTables, "__getitem__", read)
    made.sample(ClusterEngine(cluster), policy())
    assert cluster.calls == ["pairs", "picks", "rows"]


def test_tables_of_a_contract_that_is_not_bound_are_read(lake: Store) -> None:
    own = book(candidate_tables(lake, SMALL.digest), dates=DATES[:2])
    assert len(own.require_equal(policy()).frame) > 100
    assert lake.list(f"{layout.CURATED}/") == ()


def test_samples_on_azure_leave_nothing(azurite: Azurite, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    lake = open_lake(f"az://lake/{worker_id}-samples", azurite_credential(azurite))
    book(lake, GROUPED, DATES[:2], group=changing).require_equal(policy())


def test_what_killed_trainings_have_staged_is_deleted(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = book(lake, dates=DATES[:1])
    lake.put(layout.staged_piece(layout.training_folder(TRAINED), "0123abcd", 4, "4567cdef"), b"rows")
    other = layout.staged_piece(layout.training_folder("2026-02-21"), "0123abcd", 4, "4567cdef")
    lake.put(other, b"rows of another training")
    made.sample(ClusterEngine(InProcess()), policy())
    assert made.staged() == (other,)
    monkeypatch.setattr(staging, "ABANDONED_SECONDS", -1.0)
    made.sample(ClusterEngine(InProcess()), policy())
    assert made.staged() == ()


def test_without_labelled_rows_the_message_is_the_same(lake: Store) -> None:
    write_features(lake, DATES[0], features(DATES[0]), GROUPED, (100,))
    write_outcomes(lake, DATES[0], outcomes(DATES[0]).with_columns(pl.lit("unknown").alias(ACCOUNT_ID)))
    made = Book(lake, GROUPED, DATES[:1], DATES[:1])
    message = refused(made, ClusterEngine(InProcess()))
    assert message == refused(made, LocalEngine()) and "0 with labelled rows (0 rows)" in message
    none = replace(made, labelled=())
    message = refused(none, ClusterEngine(InProcess()))
    assert message == refused(none, LocalEngine()) and "1 have features, 0 outcomes" in message


class Broken(InProcess):
    """A cluster that does something before the rows of the sample are read."""

    def __init__(self, before: Callable[[], object]) -> None:
        super().__init__()
        self._before = before

    def sampled_rows(self, job: SampleJob) -> list[Result]:
        self._before()
        return super().sampled_rows(job)


class Changed(InProcess):
    """A cluster whose staged rows are changed."""

    def sampled_rows(self, job: SampleJob) -> list[Result]:
        results = super().sampled_rows(job)
        lake = open_lake(job.lake.url.removeprefix("file://"))
        for path in lake.list(layout.staged(job.folder, job.token)):
            lake.put(path, lake.get(path)[:-1] + b"?")
        return results


def change(lake: Store, path: str) -> None:
    content = bytearray(lake.get(path))
    content[len(content) // 2] ^= 1
    lake.put(path, bytes(content))


PART = layout.features_part(DATES[0], "0123abcd", 2)
LABELS = layout.curated_outcomes(DATES[0])
FAULTS: dict[str, tuple[Callable[[Book], object], str]] = {
    "a changed part": (lambda made: change(made.lake, PART), f"^{PART} was changed since it was written"),
    "a missing part": (lambda made: made.lake.delete(PART), f"^{PART} is missing"),
    "changed outcomes": (lambda made: change(made.lake, LABELS), f"^{LABELS} was changed since it was written"),
    "outcomes of another run": (
        lambda made: write_outcomes(made.lake, DATES[0], outcomes("another")),
        f"^{LABELS} was written again while it was read",
    ),
    "no picks": (
        lambda made: [made.lake.delete(path) for path in made.staged() if path.endswith(f"picks-{DATES[0]}")],
        "staged rows of a training, is missing or was changed. Train again",
    ),
}


@pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_one_line_and_leave_nothing(lake: Store, fault: Callable[[Book], object], message: str) -> None:
    made = book(lake, dates=DATES[:2])

    def broken() -> None:
        tasks.stored_manifest.cache_clear()
        fault(made)

    with pytest.raises(LakeError, match=message) as caught:
        made.sample(ClusterEngine(Broken(broken)), policy())
    assert "\n" not in str(caught.value) and made.staged() == ()


def test_changed_rows_do_not_train(lake: Store) -> None:
    made = book(lake, dates=DATES[:1])
    with pytest.raises(LakeError, match="staged rows of a training, is missing or was changed"):
        made.sample(ClusterEngine(Changed()), policy())
    assert made.staged() == ()


@pytest.mark.parametrize("contract", [SMALL, GROUPED], ids=["accounts", "customers"])
def test_an_executor_without_the_lake_is_named(lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract) -> None:
    made = book(lake, contract, DATES[:1])
    elsewhere = LakeAddress((tmp_path / "elsewhere").as_uri(), 0)
    monkeypatch.setattr(samples, "lake_address", lambda _: elsewhere)
    with pytest.raises(EngineError, match="an executor does not find the lake at file://"):
        made.sample(ClusterEngine(InProcess()), policy())
    assert made.staged() == ()
