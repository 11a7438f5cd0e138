"""A date that executors cannot make: one line, nothing visible, nothing left."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest import csv_counts
from risk_assets.engine import tasks
from risk_assets.engine.engines import ClusterEngine, LocalEngine
from risk_assets.engine.jobs import Failure, FeaturesJob, IndexJob, PredictionsJob, Result
from risk_assets.engine.tables import complete, lake_address
from risk_assets.errors import ContractError, EngineError, LakeError
from risk_assets.lake import layout
from risk_assets.lake.manifests import Manifest, require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table
from tests.azurite.server import Azurite
from tests.documents import SAMPLE_POLICY, SMALL, SMALL_CONTRACT
from tests.engine.in_process import InProcess
from tests.engine.lakes import DATE, MADE_FROM, landed, made, models

FEATURES, PREDICTIONS = layout.features(DATE), layout.predictions(DATE)
CONTENT = b"id,age,city\n" + b"".join(b"secret-%05d,30,north\n" % row for row in range(200))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return landed(tmp_path, [CONTENT, CONTENT.replace(b"secret", b"hidden")])


class Broken(InProcess):
    """A cluster that does something before the index is made, or before the predictions are."""

    def __init__(self, before: Callable[[], object], step: str) -> None:
        super().__init__()
        self._before, self._step = before, step

    def predictions(self, job: PredictionsJob, sizes: Sequence[int]) -> list[Result]:
        if self._step == "predictions":
            self._before()
        return super().predictions(job, sizes)

    def index(self, job: IndexJob, sizes: Sequence[int]) -> list[Result]:
        if self._step == "index":
            self._before()
        return super().index(job, sizes)


def make_features(lake: Store, cluster: InProcess | None = None, contract: Contract = SMALL) -> Manifest:
    ClusterEngine(cluster or InProcess()).features(lake, contract, DATE, "run").write(lake, FEATURES)
    return require_manifest(lake, FEATURES)


def make_predictions(lake: Store, cluster: InProcess | None = None) -> None:
    features = require_manifest(lake, FEATURES)
    ClusterEngine(cluster or InProcess()).predictions(lake, features, models(lake), SAMPLE_POLICY, MADE_FROM).write(lake, PREDICTIONS)


def leftovers(lake: Store) -> list[str]:
    """Return what is in the curated zone and in no manifest."""
    known = {layout.manifest(path) for path in (FEATURES, PREDICTIONS, layout.account_index(DATE))}
    for path in (FEATURES, PREDICTIONS, layout.account_index(DATE)):
        if lake.size(layout.manifest(path)) is not None:
            known |= set(require_manifest(lake, path).parts)
    return [path for path in lake.list(f"{layout.CURATED}/") if path not in known]


def change(lake: Store, path: str) -> None:
    content = bytearray(lake.get(path))
    content[len(content) // 2] ^= 1
    lake.put(path, bytes(content))


def test_a_damaged_shard_is_named(lake: Store) -> None:
    shard = [*require_manifest(lake, layout.accounts(DATE)).parts][1]
    change(lake, shard)
    with pytest.raises(LakeError, match=f"^{shard} was changed since it was written. Run the date: risk run {DATE}") as caught:
        make_features(lake)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert leftovers(lake) == []


def test_a_shard_that_goes_missing_is_named(lake: Store) -> None:
    shard = [*require_manifest(lake, layout.accounts(DATE)).parts][1]

    class Losing(InProcess):
        def features(self, job: FeaturesJob, sizes: Sequence[int], distinct: bool) -> list[Result]:
            lake.delete(shard)
            return super().features(job, sizes, distinct)

    with pytest.raises(LakeError, match=f"^{shard} is missing. Run the date: risk run {DATE}"):
        make_features(lake, Losing())
    assert leftovers(lake) == []


def test_without_ids_to_compare_a_damaged_shard_is_named_too(lake: Store) -> None:
    change(lake, next(iter(require_manifest(lake, layout.accounts(DATE)).parts)))
    with pytest.raises(LakeError, match="was changed since it was written"):
        make_features(lake, contract=Contract.parse(SMALL_CONTRACT.replace("id: id", 'id: "#row"'), "small.yml"))


def test_a_contract_that_the_file_does_not_fit_is_reported(lake: Store) -> None:
    contract = Contract.parse(SMALL_CONTRACT.replace("age:", "income:"), "small.yml")
    with pytest.raises(ContractError, match=r"raw/accounts_2026-01-01.csv has no column income"):
        make_features(lake, contract=contract)


@pytest.mark.parametrize(("change", "problem"), [(change, "was changed"), (Store.delete, "is missing")], ids=["changed", "missing"])
def test_a_part_of_the_features_is_verified(lake: Store, change: Callable[[Store, str], None], problem: str) -> None:
    part = [*make_features(lake).parts][3]
    with pytest.raises(LakeError, match=f"^{part} {problem}.*risk run {DATE}"):
        make_predictions(lake, Broken(lambda: change(lake, part), "predictions"))
    assert lake.list(f"{layout.CURATED}/{layout.STAGED}/") == ()
    assert lake.size(PREDICTIONS) is None


@pytest.mark.parametrize(("change", "problem"), [(change, "was changed"), (Store.delete, "is missing")], ids=["changed", "missing"])
def test_predictions_are_verified_for_the_index(lake: Store, change: Callable[[Store, str], None], problem: str) -> None:
    make_features(lake)
    with pytest.raises(LakeError, match=f"^{PREDICTIONS} {problem}.*risk run {DATE}"):
        make_predictions(lake, Broken(lambda: change(lake, PREDICTIONS), "index"))


def test_raw_accounts_that_are_written_meanwhile_stop_the_run(lake: Store, tmp_path: Path) -> None:
    table = ClusterEngine(InProcess()).features(lake, SMALL, DATE, "run")
    landed(tmp_path / "again", [CONTENT[:-20]])
    other = (tmp_path / "again/lake" / layout.manifest(layout.accounts(DATE))).read_bytes()
    lake.put(layout.manifest(layout.accounts(DATE)), other)
    with pytest.raises(LakeError, match=r"raw/accounts_2026-01-01.csv was written again while it was read. Run again."):
        table.write(lake, FEATURES)


def test_a_failure_leaves_the_earlier_tables(lake: Store) -> None:
    before = made(lake, ClusterEngine(InProcess()), SMALL, models(lake))
    change(lake, next(iter(require_manifest(lake, layout.accounts(DATE)).parts)))
    with pytest.raises(LakeError):
        make_features(lake)
    assert read_table(lake, FEATURES).collect().equals(before.feature_rows)
    assert lake.get(PREDICTIONS) == before.csv
    assert leftovers(lake) == []


def test_a_run_that_was_overtaken_commits_nothing(lake: Store) -> None:
    features = make_features(lake)

    def overtaken() -> object:
        raise LakeError("taken over by another run")

    table = ClusterEngine(InProcess()).features(lake, SMALL, DATE, "run")
    with pytest.raises(LakeError, match="taken over"):
        table.write(lake, FEATURES, overtaken)  # type: ignore[arg-type]
    predictions = ClusterEngine(InProcess()).predictions(lake, features, models(lake), SAMPLE_POLICY, MADE_FROM)
    with pytest.raises(LakeError, match="taken over"):
        predictions.write(lake, PREDICTIONS, overtaken)  # type: ignore[arg-type]
    assert require_manifest(lake, FEATURES) == features
    assert leftovers(lake) == []


def test_the_next_run_removes_what_a_killed_one_left(lake: Store) -> None:
    class Killed(BaseException):
        pass

    class Killing(InProcess):
        def features(self, job: FeaturesJob, sizes: Sequence[int], distinct: bool) -> list[Result]:
            super().features(job, sizes, distinct)
            raise Killed

        def predictions(self, job: PredictionsJob, sizes: Sequence[int]) -> list[Result]:
            super().predictions(job, sizes)
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("risk_assets.engine.tables._discard", lambda *_: None)  # a process that is killed discards nothing
        with pytest.raises(Killed):
            make_features(lake, Killing())
        make_features(lake)
        with pytest.raises(Killed):
            make_predictions(lake, Killing())
    assert len(lake.list(f"{layout.CURATED}/{layout.STAGED}/")) > 3
    again = made(lake, ClusterEngine(InProcess()), SMALL, models(lake))
    assert leftovers(lake) == []
    assert again.csv == made(lake, LocalEngine(), SMALL, models(lake)).csv
    assert leftovers(lake) == []


def test_executors_with_other_packages_are_refused(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tasks.packages()
    monkeypatch.setattr(tasks, "packages", lambda: tuple((name, "0.0" if name == "polars" else found) for name, found in installed))
    found = InProcess().features(FeaturesJob(**_job(lake), packages=installed), [1], distinct=True)
    with pytest.raises(EngineError, match=r"^an executor has other packages than this process: polars 0.0 instead of [\d.]+. Install"):
        complete(found, tasks.FeaturesPart, 1, lake_address(lake))


def test_executors_without_the_folder_of_the_lake_are_reported(lake: Store, tmp_path: Path) -> None:
    elsewhere = lake_address(landed(tmp_path / "other", [CONTENT]))
    (tmp_path / "other/lake").rename(tmp_path / "other/moved")
    found = InProcess().features(FeaturesJob(**_job(lake) | {"lake": elsewhere}, packages=tasks.packages()), [1], distinct=True)
    with pytest.raises(EngineError, match=r"an executor does not find the lake at file:///.*must be on Azure, or in a folder that all"):
        complete(found, tasks.FeaturesPart, 1, elsewhere)


def test_a_task_without_a_result_is_an_error(lake: Store) -> None:
    with pytest.raises(EngineError, match="0 of 2 tasks returned a result"):
        complete([], tasks.FeaturesPart, 2, lake_address(lake))


def test_unknown_errors_of_executors_are_engine_errors(lake: Store) -> None:
    with pytest.raises(EngineError, match=r"^something$"):
        complete([Failure(0, "re", "something", "host")], tasks.FeaturesPart, 1, lake_address(lake))


def test_executors_without_the_right_to_write_are_named(
    azurite: Azurite, tmp_path: Path, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = landed(tmp_path, [CONTENT], azure=(f"az://lake/{worker_id}-unwritable", azurite))
    read_only = generate_account_sas(
        azurite.account,
        azurite.key,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    access = f"BlobEndpoint={azurite.endpoint};AccountName={azurite.account};SharedAccessSignature={read_only}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", access)
    with pytest.raises(LakeError, match=r"^the executor \S+: access denied.*Storage Blob Data Contributor") as caught:
        make_features(lake)
    assert read_only not in str(caught.value) and "\n" not in str(caught.value)
    assert not lake.list(layout.shard(FEATURES, ""))


def test_a_table_of_one_file_is_scored_by_this_process(lake: Store) -> None:
    LocalEngine().features(lake, SMALL, DATE, "run").write(lake, FEATURES)
    cluster = InProcess()
    table = ClusterEngine(cluster).predictions(lake, require_manifest(lake, FEATURES), models(lake), SAMPLE_POLICY, MADE_FROM)
    table.write(lake, PREDICTIONS)
    assert (table.engine, cluster.calls) == ("local", [])


def test_a_file_without_line_positions_is_read_by_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.lake.landed_parts.MAX_RAGGED_ROWS", 0)
    lake = landed(tmp_path, [CONTENT + b"too,many,fields,here\n", CONTENT.replace(b"secret", b"hidden")])
    assert ClusterEngine(InProcess()).features(lake, SMALL, DATE, "run").engine == "local"


def _job(lake: Store) -> dict[str, object]:
    raw = require_manifest(lake, layout.accounts(DATE))
    return {
        "lake": lake_address(lake),
        "raw": raw.path,
        "seal": raw.seal,
        "date": DATE,
        "contract": SMALL.canonical.decode(),
        "token": "0" * 8,
        "buckets": 1,
    }
