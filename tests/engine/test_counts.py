"""Executors count what drift compares, and find the candidates of the review list: reports and lists are those of one process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from risk_assets.domain.batch import review_list
from risk_assets.domain.batch.review_list import riskiest
from risk_assets.domain.contract.policy import Policy, Review
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import challenge, promote
from risk_assets.domain.ingest import csv_counts
from risk_assets.domain.monitoring.report import UNSEEN, DriftReport
from risk_assets.domain.monitoring.tally import tally_date
from risk_assets.engine.engines import ClusterEngine, Engine, LocalEngine
from risk_assets.errors import ContractError, LakeError, ModelError
from risk_assets.lake import binding_log, document_archive, drift_measurement, layout, prediction_tables, registry
from risk_assets.lake.drift_measurement import drift
from risk_assets.lake.facts import Candidates, PredictionFacts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest, write_manifest
from risk_assets.lake.prediction_tables import read_riskiest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table
from tests.documents import SAMPLE_POLICY, SMALL, SMALL_CONTRACT
from tests.engine.in_process import InProcess
from tests.engine.lakes import DATE, landed, models
from tests.engine.test_equal_tables import small
from tests.scored_lake import small_model

FEATURES, PREDICTIONS = layout.features(DATE), layout.predictions(DATE)
HEADER = b"id,age,city\n"
GROUPED = Contract.parse(SMALL_CONTRACT.replace("id: id", "id: id\ngroup: customer"), "small.yml")
CODED = Contract.parse(SMALL_CONTRACT.replace("{type: number,", "{type: number, missing: [99],"), "small.yml")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)


def bound_lake(
    folder: Path, contents: list[bytes], contract: Contract = SMALL, policy: Policy = SAMPLE_POLICY, **how: Any
) -> tuple[Store, Contract]:
    """Return a lake with a raw file and live models, and the contract in force; `how` as of `models`."""
    lake = landed(folder, contents, contract)
    models(lake, required=how.get("required", ()))
    document_archive.archive(lake, SMALL, contract, policy)
    registry.bind(lake, promote((), "model_v001", "ann", "a test", policy=policy.digest, contract=contract.digest))
    if how.get("challenged"):
        registry.bind(lake, challenge(binding_log.read(lake), "model_v002", how.get("share"), "salt", "ann", "a test"))
    return lake, contract


def scored(lake: Store, engine: Engine, contract: Contract = SMALL, policy: Policy = SAMPLE_POLICY) -> Manifest:
    """Make features and predictions of the date by what is live."""
    engine.features(lake, contract, DATE, "run").write(lake, FEATURES)
    return scored_again(lake, engine, policy)


def scored_again(lake: Store, engine: Engine, policy: Policy = SAMPLE_POLICY) -> Manifest:
    """Make predictions of the features that are in the lake."""
    binding = binding_log.live(lake)
    assert binding is not None
    features = require_manifest(lake, FEATURES)
    made_from = Provenance(
        run_id="run", inputs={FEATURES: features.identity}, policy=policy.digest, model_version=binding.champion, binding=binding.seq
    )
    return engine.predictions(lake, features, registry.arms(lake, binding), policy, made_from).write(lake, PREDICTIONS)[0]


def by_executors(lake: Store, contract: Contract = SMALL, policy: Policy = SAMPLE_POLICY) -> Manifest:
    manifest = scored(lake, ClusterEngine(InProcess()), contract, policy)
    assert len(require_manifest(lake, FEATURES).parts) > 1
    return manifest


def facts(manifest: Manifest) -> PredictionFacts:
    return manifest.facts_as(PredictionFacts)


def figures(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a report has, by place."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from figures(part, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        yield from figures(dict(enumerate(value)), name)
    else:
        yield name, value


def require_same(one: DriftReport, other: DriftReport) -> None:
    ours, theirs = (dict(figures(msgspec.to_builtins(report))) for report in (one, other))
    assert theirs.keys() == ours.keys() and other.independent == one.independent
    for name, figure in ours.items():
        assert theirs[name] == (pytest.approx(figure, rel=1e-9, abs=1e-9) if isinstance(figure, float) else figure), name


def forbid(monkeypatch: pytest.MonkeyPatch, place: object, name: str) -> None:
    """Let a function fail if it is called."""

    def called(*_: object) -> None:
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(place, name, called)


def customers(rows: int) -> bytes:
    lines = small(rows).decode().splitlines()
    return "\n".join(f"{line},{f'K{row // 3}' if row else 'customer'}" for row, line in enumerate(lines)).encode() + b"\n"


DRIFTS: dict[str, dict[str, Any]] = {
    "missing values and an unseen level": {"contents": [small(300)]},
    "no unseen level": {"contents": [small(120).replace(b"east", b"")]},
    "a few unseen levels": {"contents": [small(120).replace(b"east", b"south").replace(b"south", b"new", 5)]},
    "a share": {"contents": [small(300)], "challenged": True, "share": 0.4},
    "a shadow": {"contents": [small(300)], "challenged": True},
    "required features": {"contents": [small(300)], "required": ("age",)},
    "customers": {"contents": [customers(300)], "contract": GROUPED},
    "empty pieces": {"contents": [HEADER, small(60), HEADER, small(50).replace(b"A", b"B"), HEADER]},
    "a piece without scored rows": {"contents": [small(60), HEADER + b"".join(b"B%d,x,north\n" % row for row in range(90))]},
}


@pytest.mark.parametrize("case", DRIFTS.values(), ids=DRIFTS)
def test_a_report_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    lake, contract = bound_lake(tmp_path, **case)
    assert facts(scored(lake, LocalEngine(), contract)).tallies is None
    local = drift(lake, DATE, contract, SAMPLE_POLICY)
    manifest = by_executors(lake, contract)
    binding = binding_log.live(lake)
    assert binding is not None
    arms, profile = registry.arms(lake, binding), registry.read_profile(lake, binding.champion)
    counted = tally_date(read_table(lake, FEATURES), read_table(lake, PREDICTIONS), arms, profile)
    stored = facts(manifest).tallies
    assert stored is not None and stored.version == "model_v001"
    assert (stored.score, stored.rows) == (counted.score, facts(manifest).scored)
    assert stored.score.rows == facts(manifest).scored - facts(manifest).challenger_scored
    for name, tally in counted.features.items():
        assert (stored.features[name].bins, stored.features[name].outside) == (tally.bins, tally.outside)
        assert stored.features[name].log_odds == pytest.approx(tally.log_odds, rel=1e-9)
    forbid(monkeypatch, drift_measurement, "tally_date")
    require_same(local, drift(lake, DATE, contract, SAMPLE_POLICY))


def test_cases_have_what_they_are_named_for(tmp_path: Path) -> None:
    shown = {}
    for name in ("missing values and an unseen level", "no unseen level", "a few unseen levels"):
        lake, contract = bound_lake(tmp_path / name, **DRIFTS[name])
        by_executors(lake, contract)
        city = next(each for each in drift(lake, DATE, contract, SAMPLE_POLICY).features if each.name == "city")
        shown[name] = city.statistics[UNSEEN].value > 0, sorted(city.new_levels)
    assert [*shown.values()] == [(True, ["east"]), (False, []), (True, [])]


def test_rows_are_read_only_for_what_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, _ = bound_lake(tmp_path, [small(120).replace(b"east", b"")])
    by_executors(lake)
    expected = drift(lake, DATE, SMALL, SAMPLE_POLICY)
    forbid(monkeypatch, drift_measurement, "read_table")
    assert drift(lake, DATE, SMALL, SAMPLE_POLICY) == expected


def test_counts_of_another_version_are_not_used(tmp_path: Path) -> None:
    lake, _ = bound_lake(tmp_path, [small(120)])
    manifest = by_executors(lake)
    expected, stored = drift(lake, DATE, SMALL, SAMPLE_POLICY), facts(manifest).tallies
    assert stored is not None
    other = msgspec.structs.replace(stored, version="model_v002", score=msgspec.structs.replace(stored.score, bins=(0,)))
    write_manifest(lake, msgspec.structs.replace(manifest, facts=msgspec.structs.replace(facts(manifest), tallies=other)))
    require_same(expected, drift(lake, DATE, SMALL, SAMPLE_POLICY))


def test_a_profile_of_an_earlier_release_is_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = msgspec.structs.replace(small_model().profile, ranges={}, independent=None, spreads=None)
    monkeypatch.setattr("tests.engine.lakes.small_model", lambda: replace(small_model(), profile=earlier))
    lake, _ = bound_lake(tmp_path, [small(300)])
    scored(lake, LocalEngine())
    local = drift(lake, DATE, SMALL, SAMPLE_POLICY)
    stored = facts(by_executors(lake)).tallies
    assert stored is not None and stored.features["age"].outside is None
    assert "of an earlier release" in " ".join(local.notes)
    require_same(local, drift(lake, DATE, SMALL, SAMPLE_POLICY))


def without_profile(lake: Store) -> None:
    lake.delete(layout.version_file("model_v001", layout.PROFILE))


def without_training_contract(lake: Store) -> None:
    lake.delete(layout.contract(SMALL.digest))


@pytest.mark.parametrize(
    ("damage", "contract", "error", "message"),
    [
        (without_profile, SMALL, ModelError, r"profile\.json is missing"),
        (without_training_contract, GROUPED, LakeError, "is not in the lake, so nothing made under it"),
        (lambda _: None, CODED, ContractError, "reads age in another way"),
    ],
    ids=["no profile", "no training contract", "another meaning"],
)
def test_what_cannot_be_compared_is_not_counted(
    tmp_path: Path, damage: Any, contract: Contract, error: type[Exception], message: str
) -> None:
    lake, _ = bound_lake(tmp_path, [customers(90)], contract)
    damage(lake)
    local = lake.get(scored(lake, LocalEngine(), contract).path)
    manifest = by_executors(lake, contract)
    assert facts(manifest).tallies is None
    assert lake.get(manifest.path) == local
    with pytest.raises(error, match=message):
        drift(lake, DATE, contract, SAMPLE_POLICY)


def test_features_that_were_made_again_are_not_compared(tmp_path: Path) -> None:
    lake, _ = bound_lake(tmp_path, [small(120)])
    by_executors(lake)
    ClusterEngine(InProcess()).features(lake, CODED, DATE, "run").write(lake, FEATURES)
    with pytest.raises(LakeError, match=rf"^{FEATURES} was made again since the date was scored"):
        drift(lake, DATE, SMALL, SAMPLE_POLICY)


def test_manifests_of_an_earlier_release_are_read(tmp_path: Path) -> None:
    lake, _ = bound_lake(tmp_path, [small(120)])
    manifest = by_executors(lake)
    content = msgspec.to_builtins(manifest)
    del content["facts"]["tallies"], content["facts"]["candidates"]
    earlier = msgspec.convert(content, Manifest)
    expected = msgspec.structs.replace(facts(manifest), tallies=None, candidates=None)
    assert earlier == msgspec.structs.replace(manifest, facts=expected)


def reviewing(**settings: Any) -> Policy:
    return SAMPLE_POLICY.model_copy(update={"review": Review(**settings)})


@dataclass(frozen=True)
class Reviewed:
    """The rows of a review list, where their candidates are, and the number of pieces of the predictions."""

    listed: pl.DataFrame
    candidates: Candidates
    pieces: int


def reviewed(folder: Path, contents: list[bytes], policy: Policy, engine: Engine) -> Reviewed:
    """Return the list from predictions by an engine, after comparing it with the one that is sorted from all rows."""
    lake, _ = bound_lake(folder, contents, policy=policy)
    manifest = scored(lake, engine, policy=policy)
    expected = riskiest(read_table(lake, PREDICTIONS), policy.review)
    with pytest.MonkeyPatch.context() as patch:
        forbid(patch, prediction_tables, "read_table")
        listed = read_riskiest(lake, manifest, policy.review)
    assert_frame_equal(listed, expected)
    found = facts(manifest).candidates
    assert found is not None
    return Reviewed(listed, found, len(manifest.segments.get(PREDICTIONS, (None,))))


@pytest.fixture(params=["one process", "executors"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine whose predictions have pieces of a few rows."""
    monkeypatch.setattr(prediction_tables, "BATCH_ROWS", 60)
    return LocalEngine() if request.param == "one process" else ClusterEngine(InProcess())


def test_a_review_list_needs_only_some_pieces(tmp_path: Path, engine: Engine) -> None:
    rows = [b"A%05d,%d,north\n" % (row, 40 + row % 30) for row in range(400)]
    rows[200:203] = [b"Z%d,%d,south\n" % (row, 18 + row) for row in range(3)]
    found = reviewed(tmp_path, [HEADER + b"".join(rows)], reviewing(size=3), engine)
    assert found.listed["account_id"].to_list() == ["Z0", "Z1", "Z2"]
    assert len(found.candidates.ranges) <= 2 < found.pieces
    assert found.candidates.ranges[0][0] > 0


@pytest.mark.parametrize("size", [7, 60, 400])
def test_ties_across_pieces_are_in_the_order_of_the_file(tmp_path: Path, size: int, engine: Engine) -> None:
    found = reviewed(tmp_path, [HEADER + b"".join(b"A%05d,20,north\n" % row for row in range(400))], reviewing(size=size), engine)
    assert found.listed["account_id"].to_list() == [f"A{row:05d}" for row in range(size)]
    assert found.candidates.ranges[0][0] == 0


def test_accounts_that_are_held_out_are_no_candidates(tmp_path: Path, engine: Engine) -> None:
    contents = [small(300)]
    found, all_flagged = (reviewed(tmp_path / str(share), contents, reviewing(size=40, hold_out=share), engine) for share in (0.6, 0))
    assert not set(all_flagged.listed["account_id"]) <= set(found.listed["account_id"])


def test_fewer_rows_than_the_list_has_are_all_listed(tmp_path: Path, engine: Engine) -> None:
    rows = b"".join(b"B%d,x,north\n" % row for row in range(300))
    contents = [HEADER, HEADER + rows + b"A1,30,north\n" + rows.replace(b"B", b"C") + b"A2,20,north\n"]
    found = reviewed(tmp_path, contents, reviewing(size=50), engine)
    assert found.listed["account_id"].to_list() == ["A2", "A1"]
    assert len(found.candidates.ranges) == 2


def test_without_scored_rows_the_list_is_empty(tmp_path: Path, engine: Engine) -> None:
    content = HEADER + b"".join(b"A%d,x,north\n" % row for row in range(200))
    found = reviewed(tmp_path, [content], reviewing(size=50, hold_out=0.5), engine)
    assert found.listed.is_empty() and found.candidates.ranges == ()


@pytest.mark.parametrize("settings", [{"size": 8}, {"size": 5, "hold_out": 0.5}], ids=["size", "held out"])
def test_a_changed_policy_reads_all_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Any]) -> None:
    lake, _ = bound_lake(tmp_path, [small(300)])
    manifest = by_executors(lake, policy=reviewing(size=5))
    review = reviewing(**settings).review
    forbid(monkeypatch, prediction_tables, "read_csv_range")
    assert_frame_equal(read_riskiest(lake, manifest, review), riskiest(read_table(lake, PREDICTIONS), review))


def test_of_a_very_long_list_some_candidates_are_enough(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_list, "MAX_CANDIDATES", 2)
    rows = [b"A%05d,%d,north\n" % (row, 40 + row % 30) for row in range(400)]
    rows[200:210] = [b"Z%d,18,south\n" % row for row in range(10)]
    found = reviewed(tmp_path, [HEADER + b"".join(rows)], reviewing(size=10), engine)
    assert found.listed.height == 10
    assert len(found.candidates.ranges) < found.pieces


def test_damage_in_a_piece_with_candidates_is_reported(tmp_path: Path) -> None:
    policy = reviewing(size=2)
    lake, _ = bound_lake(tmp_path, [HEADER + b"".join(b"A%05d,%d,north\n" % (row, 20 + row // 5) for row in range(300))], policy=policy)
    manifest = by_executors(lake, policy=policy)
    expected = read_riskiest(lake, manifest, policy.review)
    content = bytearray(lake.get(PREDICTIONS))
    content[-3] ^= 1
    lake.put(PREDICTIONS, bytes(content))
    assert_frame_equal(read_riskiest(lake, manifest, policy.review), expected)
    ((start, _),) = facts(manifest).candidates.ranges  # type: ignore[union-attr]
    content[start + 200] ^= 1
    lake.put(PREDICTIONS, bytes(content))
    with pytest.raises(LakeError, match=rf"^{PREDICTIONS} was changed since it was written\. Run the date: risk run {DATE}"):
        read_riskiest(lake, manifest, policy.review)
    lake.delete(PREDICTIONS)
    with pytest.raises(LakeError, match=rf"^{PREDICTIONS} is missing\. Run the date: risk run {DATE}"):
        read_riskiest(lake, manifest, policy.review)
