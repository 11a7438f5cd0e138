"""Retraining: which reports count, the sensor, several sensors at once, and the reason in the version."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date as Date
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from risk_assets.defs.jobs import REASON_TAG
from risk_assets.defs.partitions import partitions
from risk_assets.defs.sensors import watch_health
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.monitoring.report import Drift, Statistic
from risk_assets.domain.monitoring.retraining import RetrainingReason
from risk_assets.lake import drift_files, layout, performance_files, registry, retraining
from risk_assets.lake.drift_measurement import drift
from risk_assets.lake.manifests import Provenance, require_manifest
from risk_assets.lake.performance_measurement import performance
from risk_assets.lake.verify import verify_all
from risk_assets.runner import Runner
from tests.conftest import POLICY
from tests.defs.conftest import LABELLED, NEXT, Book, copied
from tests.prepared import prepared

SCORED = (NEXT, "2026-01-08", "2026-01-09")
LAST = SCORED[-1]
TODAY = "2026-03-01"
TWO_OF_THREE = Policy.parse(
    POLICY.read_text(encoding="utf-8") + "monitoring: {retraining: {exceeded: 2, of_dates: 3, cool_down_days: 1}}\n", "a test"
)


@pytest.fixture(scope="session")
def three_scored(trained: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a book with three scored dates whose outcomes are in the lake."""

    def make(folder: Path) -> None:
        with copied(trained, folder) as book:
            for date in SCORED:
                book.land_sample(f"accounts_{date}.csv", f"outcomes_{date}.csv")
                assert book.score(date).error is None
                assert book.runner.run("outcomes", date).error is None

    return prepared("three-scored", tmp_path_factory, worker_id, make)


@pytest.fixture
def watched(three_scored: Path, tmp_path: Path) -> Iterator[Book]:
    with copied(three_scored, tmp_path / "book") as copy:
        yield copy


def made_from(book: Book, date: str, policy: Policy) -> Provenance:
    tables = [layout.predictions(date), layout.features(date), layout.curated_outcomes(date)]
    inputs = {path: require_manifest(book.lake, path).identity for path in tables}
    return Provenance(run_id="a run", inputs=inputs, policy=policy.digest)


def report_drift(book: Book, *dates: str, version: str = "model_v001", policy: Policy = TWO_OF_THREE, **beyond: Statistic) -> None:
    """Store drift reports of dates, with figures of `utilisation` beyond their limits."""
    base = drift(book.lake, NEXT, book.lakehouse.contract, policy)
    features = (Drift("utilisation", **{"psi": Statistic(0.0, 0.0, 1.0), **beyond}),)
    for date in dates:
        report = msgspec.structs.replace(base, date=date, version=version, features=features)
        drift_files.write(book.lake, report, made_from(book, date, policy))


def report_performance(book: Book, *dates: str, policy: Policy = TWO_OF_THREE, highest: float = 0.01) -> None:
    """Store performance reports of dates whose ratio of observed to expected bads is beyond a limit."""
    for date in dates:
        found = performance(book.lake, date, book.lakehouse.contract, policy, TODAY)
        (model,) = found.models
        assert model.overall
        overall = msgspec.structs.replace(model.overall, lowest=0.0, highest=highest)
        bands = msgspec.structs.replace(model.bands, shown=())
        beyond = msgspec.structs.replace(model, overall=overall, bands=bands)
        performance_files.write(book.lake, msgspec.structs.replace(found, models=(beyond,)), made_from(book, date, policy))


def due(book: Book, date: str = LAST, policy: Policy = TWO_OF_THREE) -> RetrainingReason | None:
    return retraining.retraining_due(book.lake, policy, date)


SHIFT = {"psi": Statistic(0.5, 0.0, 0.2)}


def test_drift_on_two_of_three_dates_with_the_newest_is_due(watched: Book) -> None:
    report_drift(watched, *SCORED)
    assert due(watched) is None
    report_drift(watched, SCORED[1], **SHIFT)
    assert due(watched) is None
    report_drift(watched, LAST, **SHIFT)
    found = due(watched)
    assert found and (found.kind, found.version, found.dates, found.of_dates) == ("drift", "model_v001", SCORED[1:], 3)
    assert found.text.endswith(f"on {LAST}: PSI of utilisation 0.500 (limit 0.200)")
    assert due(watched, SCORED[1]) is None  # only one date by then


def test_reports_that_are_not_of_the_live_version_or_not_current_do_not_count(watched: Book) -> None:
    report_drift(watched, *SCORED, version="model_v002", **SHIFT)
    assert due(watched) is None
    report_drift(watched, *SCORED, policy=Policy.parse("{reasons: 3}", "another policy"), **SHIFT)
    assert due(watched) is None
    report_drift(watched, *SCORED, **SHIFT)
    assert due(watched)
    watched.land(f"accounts_{LAST}.csv", watched.landing.get(f"accounts_{LAST}.csv").replace(b",north,", b",south,"))
    assert watched.score(LAST).error is None
    assert due(watched) is None


def test_dates_that_trained_the_version_are_left_out(watched: Book) -> None:
    assert watched.score(LABELLED[-1]).error is None
    report_drift(watched, LABELLED[-1], NEXT, **SHIFT)
    assert due(watched, NEXT) is None
    report_drift(watched, SCORED[1], **SHIFT)
    assert due(watched, SCORED[1])


def test_a_fault_of_the_data_is_not_due(watched: Book) -> None:
    report_drift(watched, *SCORED, missing=Statistic(1.0, 0.0, 0.05), **SHIFT)
    assert due(watched) is None


def test_performance_on_two_of_three_dates_is_due(watched: Book) -> None:
    report_performance(watched, NEXT, LAST)
    found = due(watched)
    assert found and (found.kind, found.dates) == ("performance", (NEXT, LAST))
    assert "observed / expected bads of all accounts" in found.text
    report_performance(watched, LAST, highest=100.0)
    assert due(watched) is None


def test_performance_of_dates_with_a_fault_that_moved_the_score_does_not_count(watched: Book) -> None:
    report_performance(watched, NEXT, LAST)
    report_drift(watched, LAST, missing=Statistic(1.0, 0.0, 0.05))
    assert due(watched)
    base = drift_files.read(watched.lake, LAST).report
    at_fault = msgspec.structs.replace(base.features[0], points=-40.0, max_points=5.0)
    misled = msgspec.structs.replace(base, features=(at_fault,))
    drift_files.write(watched.lake, misled, made_from(watched, LAST, TWO_OF_THREE))
    assert due(watched) is None


def test_outcomes_that_have_not_matured_by_the_date_do_not_count(watched: Book, tmp_path: Path) -> None:
    report_performance(watched, *SCORED)
    contract = tmp_path / "edited.yml"
    text = watched.settings.contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("matures_after_days: 0", "matures_after_days: 7"), encoding="utf-8")
    watched.with_documents(contract=contract).adopt("contract")
    assert due(watched, LAST) is None
    assert due(watched, "2026-01-15")  # two of them have matured


def test_a_version_that_was_promoted_since_starts_anew(two_versions: Book) -> None:
    two_versions.land_sample(f"accounts_{NEXT}.csv", f"outcomes_{NEXT}.csv")
    once = Policy.parse(POLICY.read_text(encoding="utf-8") + "monitoring: {retraining: {exceeded: 1, cool_down_days: 1}}\n", "a test")
    assert two_versions.score().error is None
    assert two_versions.runner.run("outcomes", NEXT).error is None
    report_drift(two_versions, NEXT, policy=once, **SHIFT)
    report_performance(two_versions, NEXT, policy=once)
    assert due(two_versions, NEXT, once)
    assert two_versions.runner.govern(action="promote", version="model_v002", reason="a test") is None
    assert due(two_versions, NEXT, once) is None


# --- the sensor ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def drifting(watched: Book, tmp_path: Path) -> Book:
    """A book whose newest dates have drift, and whose policy retrains after two of three; the last date is the newest scored one."""
    policy = tmp_path / "policy.yml"
    policy.write_text(POLICY.read_text(encoding="utf-8") + "monitoring: {retraining: {exceeded: 2, of_dates: 3, cool_down_days: 2}}\n")
    settings = watched.settings.model_copy(update={"policy": policy, "end_date": Date.fromisoformat(LAST)})
    book = Book(settings, Runner(settings, watched.runner.instance))
    book.adopt("policy")
    report_drift(book, *SCORED, policy=book.lakehouse.policy, **SHIFT)
    return book


def tick(book: Book) -> list[dg.RunRequest]:
    return list(watch_health(book.lakehouse, partitions(book.settings)).run_requests or ())


def said(book: Book) -> str:
    """Return the skip reason of a tick."""
    reason = watch_health(book.lakehouse, partitions(book.settings)).skip_reason
    return str(reason.skip_message if isinstance(reason, dg.SkipReason) else reason)


def run(book: Book, request: dg.RunRequest) -> str | None:
    """Run what a tick requested, with its configuration and tags."""
    assert request.partition_key
    config = request.run_config["ops"]["training__model"]["config"]
    return book.runner.run("training", request.partition_key, tags=request.tags, training__model=config).error


def test_the_sensor_starts_one_training_whose_version_has_the_reason(drifting: Book) -> None:
    (request,) = tick(drifting)
    assert request.partition_key == LAST
    assert request.run_key == f"retrain_{LAST}"
    assert request.tags[REASON_TAG].startswith("drift of model_v001 beyond a limit on 3 of 3 newest scored dates")
    assert tick(drifting) == []
    assert run(drifting, request) is None
    assert registry.newest_of(drifting.lake, LAST).metadata.origin.reason == request.tags[REASON_TAG]
    assert retraining.read(drifting.lake, LAST).reason == request.tags[REASON_TAG]
    (started,) = retraining.read_starts(drifting.lake, LAST)
    assert started.reason == request.tags[REASON_TAG] and started.run_id
    event = drifting.runner.instance.get_latest_materialization_event(dg.AssetKey(["registry", "model_version"]))
    assert event and event.asset_materialization
    assert event.asset_materialization.metadata["reason"].value == request.tags[REASON_TAG]
    assert not [problem for found in verify_all(drifting.lake) if found.what == "retrainings" for problem in found.problems]
    assert [found.files for found in verify_all(drifting.lake) if found.what == "retrainings"] == [1]


def test_a_retraining_that_failed_is_not_repeated_at_once(drifting: Book) -> None:
    (request,) = tick(drifting)
    drifting.lake.delete(layout.features(LAST))  # a table of the window is gone
    assert run(drifting, request)
    assert tick(drifting) == []
    assert said(drifting).startswith(
        "cooling down until 2026-01-11 (monitoring.retraining.cool_down_days: 2), although a retraining is due: drift of model_v001 beyond"
    )


def test_the_skip_reason_says_that_none_is_due(drifting: Book) -> None:
    report_drift(drifting, *SCORED, policy=drifting.lakehouse.policy)
    assert said(drifting) == "no retraining is due"


def test_a_live_version_whose_folder_was_deleted_is_the_skip_reason(drifting: Book) -> None:
    for path in drifting.lake.list("registry/model_v001/"):
        drifting.lake.delete(path)
    assert tick(drifting) == []
    assert said(drifting).startswith("registry/model_v001 is not in the lake or is incomplete")


def test_several_sensors_at_once_start_one_run(drifting: Book) -> None:
    repository = drifting.runner.definitions.get_repository_def()
    retrain = repository.get_sensor_def("retrain")

    def evaluate(_: int) -> list[dg.RunRequest]:
        """Evaluate the sensor as a daemon does."""
        resources, instance = {"lakehouse": drifting.lakehouse}, drifting.runner.instance
        with dg.build_sensor_context(instance=instance, resources=resources, repository_def=repository) as context:
            return list(retrain.evaluate_tick(context).run_requests or ())

    with ThreadPoolExecutor(4) as threads:
        found = [request for requests in threads.map(evaluate, range(4)) for request in requests]
    assert [request.partition_key for request in found] == [LAST]


def test_the_tag_alone_is_a_reason(book: Book) -> None:
    assert book.runner.run("training", LABELLED[-1], "training/model", tags={REASON_TAG: "another product"}).error is None
    assert registry.read_trained(book.lake, LABELLED[-1]).origin.reason == "another product"


def test_a_training_without_a_reason_is_not_a_retraining(book: Book) -> None:
    assert registry.read_version(book.lake, "model_v001").metadata.origin.reason is msgspec.UNSET
    assert book.lake.size(layout.retraining(LABELLED[-1])) is None
