"""`risk verify` finds every file that was changed, truncated, emptied or deleted, and names it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from risk_assets.domain.monitoring.alerts import evaluate
from risk_assets.errors import LakeError
from risk_assets.lake import alert_files, drift_files, layout, morning_files, performance_files, retraining, verification
from risk_assets.lake.drift_measurement import drift
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.performance_measurement import performance
from risk_assets.lake.store import Store
from risk_assets.lake.verify import verify_all, verify_date
from tests.defs.conftest import LABELLED, NEXT, Book, copied
from tests.pages.samples import ordinary

TABLES = [layout.accounts(NEXT), layout.features(NEXT), layout.predictions(NEXT), layout.review(NEXT)]
FILES = [
    *TABLES,
    *map(layout.manifest, TABLES),
    layout.account_index_part(NEXT, 0),
    layout.manifest(layout.account_index(NEXT)),
    layout.outcomes(LABELLED[0]),
    layout.manifest(layout.outcomes(LABELLED[0])),
    *(f"registry/model_v001/{name}" for name in ("scorecard.json", "steps.json", "metrics.json", "profile.json", "example.json")),
    *(f"registry/model_v001/{name}" for name in ("model.joblib", "metadata.json", "claim.json")),
    *(f"registry/model_v001/{name}" for name in ("impact.json", "impact_accounts.csv", "impact.sha256.json")),
    layout.binding(1),
]


def change(content: bytes) -> bytes:
    """Return the content with another digit, or another byte in its middle."""
    at = next((at for at in range(len(content) // 2, len(content)) if content[at : at + 1].isdigit()), len(content) // 2)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGE: dict[str, Callable[[Store, str], None]] = {
    "changed": lambda store, path: store.put(path, change(store.get(path))),
    "truncated": lambda store, path: store.put(path, store.get(path)[:-2]),
    "emptied": lambda store, path: store.put(path, b""),
    "deleted": lambda store, path: store.delete(path),
}


@pytest.fixture(scope="module")
def shared(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """A scored book that the tests of this module share; each repairs what it damages."""
    with copied(scored, tmp_path_factory.mktemp("verify") / "book") as copy:
        yield copy


def problems(store: Store) -> list[str]:
    return [problem for found in verify_all(store) for problem in found.problems]


def test_an_untouched_lake_has_no_differences(shared: Book) -> None:
    found = verify_all(shared.lake)
    assert [each.problems for each in found if each.problems] == []
    assert {each.what for each in found} >= {*LABELLED, NEXT, "versions", "bindings", "policies", "contracts", "run log"}
    assert verify_date(shared.lake, NEXT).files == 5


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("path", FILES)
def test_every_damaged_file_is_named(shared: Book, path: str, damage: str) -> None:
    store = shared.lake
    content = store.get(path)
    DAMAGE[damage](store, path)
    try:
        found = problems(store)
    finally:
        store.put(path, content)
    assert any(path in problem or path.removesuffix(".manifest.json") in problem for problem in found), found


@pytest.mark.parametrize("path", TABLES)
def test_verifying_a_date_follows_what_it_was_made_from(shared: Book, path: str) -> None:
    store = shared.lake
    content = store.get(path)
    store.put(path, change(content))
    try:
        assert f"{path} was changed since it was written" in verify_date(store, NEXT).problems
    finally:
        store.put(path, content)


REPORTS = [path_of(NEXT) for path_of in layout.REPORTS.values()]


@pytest.fixture
def reported(shared: Book) -> Iterator[Store]:
    """The shared lake with reports of the date that are removed afterwards."""
    store, made = shared.lake, Provenance(run_id="a run")
    contract, policy = shared.lakehouse.contract, shared.lakehouse.policy
    drift_files.write(store, drift(store, NEXT, contract, policy), made)
    performance_files.write(store, performance(store, NEXT, contract, policy, "2026-03-01"), made)
    alert_files.write(store, evaluate(NEXT, None, []), "", made)
    retraining.request(store, NEXT, "a test")
    morning_files.write(store, msgspec.structs.replace(ordinary(), date=NEXT), {}, "a run")
    yield store
    for path in REPORTS:
        store.delete(path)


@pytest.mark.parametrize("path", REPORTS)
def test_verifying_a_date_reads_its_reports(reported: Store, path: str) -> None:
    verified = verify_date(reported, NEXT)
    assert (verified.files, verified.problems) == (10, ())
    reported.put(path, reported.get(path)[:-2])
    (problem,) = verify_date(reported, NEXT).problems
    assert problem.startswith(f"{path} cannot be read")


def test_a_date_that_is_not_in_the_lake_is_an_error(shared: Book) -> None:
    with pytest.raises(LakeError, match=r"2031-01-01 is not in the lake.*risk run 2031-01-01"):
        verify_date(shared.lake, "2031-01-01")


def test_a_changed_raw_file_is_not_scored_and_can_be_restored(scored_book: Book) -> None:
    path = layout.accounts(NEXT)
    content = scored_book.lake.get(path)
    scored_book.lake.put(path, change(content))
    verification.remove_copies()
    failed = scored_book.runner.run("daily_scoring", NEXT, "curated/features")
    assert failed.error is not None and f"{path} was changed since it was written" in failed.error
    assert scored_book.score().error is None
    assert scored_book.lake.get(path) == content
    assert verify_date(scored_book.lake, NEXT).problems == ()
    (event,) = scored_book.runner.instance.fetch_materializations(dg.AssetKey(["raw", "accounts"]), limit=1).records
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["engine"].value == "local"
    assert f"{path} was changed since it was written: restored" in str(event.asset_materialization.metadata["restored"].value)


def test_a_changed_outcome_does_not_train_and_is_restored(book: Book) -> None:
    path = layout.outcomes(LABELLED[2])
    content = book.lake.get(path)
    book.lake.put(path, change(content))
    assert book.runner.run("training", LABELLED[-1]).error is None
    assert book.lake.get(path) == content


def test_a_changed_outcome_that_landed_nowhere_stops_training(book: Book) -> None:
    path = layout.outcomes(LABELLED[2])
    book.lake.put(path, change(book.lake.get(path)))
    book.landing.delete(f"outcomes_{LABELLED[2]}.csv")
    error = book.runner.run("training", LABELLED[-1]).error
    assert error is not None and f"{path} was changed since it was written" in error


def test_a_date_without_manifests_is_found(shared: Book) -> None:
    store, paths = shared.lake, [*map(layout.manifest, TABLES)]
    contents = {path: store.get(path) for path in paths}
    for path in paths:
        store.delete(path)
    try:
        found = problems(store)
    finally:
        for path, content in contents.items():
            store.put(path, content)
    assert {f"{path} has no manifest: it was not committed" for path in TABLES} <= set(found)


def test_a_dangling_training_is_found(shared: Book) -> None:
    path = layout.training_current(LABELLED[-1])
    content = shared.lake.get(path)
    shared.lake.put(path, b'{"run_id":"another"}')
    try:
        assert any("training/model_2026-01-06/another" in problem for problem in problems(shared.lake))
    finally:
        shared.lake.put(path, content)


def test_a_run_warns_about_an_empty_newest_binding(scored_book: Book) -> None:
    scored_book.lake.put(layout.binding(2), b"")
    scored = scored_book.score()
    assert scored.status == "warning"
    assert any("live_binding" in warning and layout.binding(2) in warning for warning in scored.warnings)
