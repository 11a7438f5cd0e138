"""Executors compare predictions for the checks, and find what one process finds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from risk_assets.domain.contract.policy import Review
from risk_assets.domain.ingest import csv_counts
from risk_assets.engine import checks
from risk_assets.engine.engines import ClusterEngine, LocalEngine
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import PredictionFacts, RawFacts
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.manifests import require_manifest, write_manifest
from risk_assets.lake.prediction_checks import PredictionChecks
from risk_assets.lake.store import Store
from tests.documents import SMALL
from tests.engine.in_process import InProcess
from tests.engine.lakes import DATE, landed, made, models
from tests.engine.test_equal_tables import small

ACCOUNTS, PREDICTIONS = layout.accounts(DATE), layout.predictions(DATE)
REVIEW = Review(size=40, hold_out=0.4)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)


@pytest.fixture
def cluster() -> InProcess:
    return InProcess()


@pytest.fixture
def lake(tmp_path: Path, cluster: InProcess) -> Store:
    lake = landed(tmp_path, [small(300), b"id,age,city\n", small(100).replace(b"A", b"B")])
    made(lake, ClusterEngine(cluster), SMALL, models(lake))
    cluster.calls.clear()
    return lake


def rewrite(lake: Store, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change lines of the predictions, and adapt the manifest; pieces stay as long as they are."""
    manifest = require_manifest(lake, PREDICTIONS)
    content = b"".join(change(lake.get(PREDICTIONS).splitlines(keepends=True)))
    lake.put(PREDICTIONS, content)
    found = content_of_chunks([content], manifest.lengths(PREDICTIONS))
    write_manifest(lake, replace(manifest, sha256={PREDICTIONS: found.sha256}, segments={PREDICTIONS: found.segments}))


def both(lake: Store, cluster: InProcess, review: Review = REVIEW) -> tuple[PredictionChecks, PredictionChecks]:
    return tuple(engine.prediction_checks(lake, SMALL, review, DATE) for engine in (LocalEngine(), ClusterEngine(cluster)))  # type: ignore[return-value]


def test_rows_out_of_place_are_counted_in_all_pieces(lake: Store, cluster: InProcess) -> None:
    def swapped(lines: list[bytes]) -> list[bytes]:
        for at in (1, 150, 350):
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        return lines

    local, theirs = both(lake, cluster)
    assert (local.out_of_place(), theirs.out_of_place()) == (0, 0)
    rewrite(lake, swapped)
    local, theirs = both(lake, cluster)
    assert (local.out_of_place(), theirs.out_of_place()) == (6, 6)


@pytest.mark.parametrize("size", [1, 40, 400])
@pytest.mark.parametrize("hold_out", [0.0, 0.4])
def test_the_riskiest_are_those_of_one_process(lake: Store, cluster: InProcess, size: int, hold_out: float) -> None:
    local, theirs = both(lake, cluster, Review(size=size, hold_out=hold_out))
    assert theirs.riskiest() == local.riskiest()
    assert bool(theirs.riskiest().held_out) == bool(hold_out)
    assert 0 < len(theirs.riskiest().probabilities) <= size
    assert cluster.calls == ["checks"]


def test_executors_compare_once_until_a_table_changes(lake: Store, cluster: InProcess) -> None:
    engine = ClusterEngine(cluster)

    def compare(review: Review = REVIEW) -> None:
        engine.prediction_checks(lake, SMALL, review, DATE).out_of_place()
        engine.prediction_checks(lake, SMALL, review, DATE).riskiest()

    compare()
    assert cluster.calls == ["checks"]
    compare(Review(size=41, hold_out=0.4))
    assert cluster.calls == ["checks"] * 2
    rewrite(lake, lambda lines: [*lines[:1], lines[2], lines[1], *lines[3:]])
    compare(Review(size=41, hold_out=0.4))
    assert cluster.calls == ["checks"] * 3


@pytest.mark.parametrize("why", ["a long list", "other pieces", "an earlier release"])
def test_one_process_compares_what_cannot_be_divided(lake: Store, cluster: InProcess, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    expected = LocalEngine().prediction_checks(lake, SMALL, REVIEW, DATE).riskiest()
    manifest = require_manifest(lake, PREDICTIONS)
    pieces = manifest.facts_as(PredictionFacts).pieces
    if why == "a long list":
        monkeypatch.setattr(checks, "MAX_CANDIDATES", 39)
    elif why == "other pieces":
        moved = ((pieces[0][0], pieces[0][1] - 1), (pieces[1][0], pieces[1][1] + 1), *pieces[2:])
        write_manifest(lake, replace(manifest, facts=replace(manifest.facts, pieces=moved)))
    else:
        raw = require_manifest(lake, ACCOUNTS)
        write_manifest(lake, replace(raw, facts=replace(raw.facts_as(RawFacts), pieces=None)))
    theirs = ClusterEngine(cluster).prediction_checks(lake, SMALL, REVIEW, DATE)
    assert theirs.riskiest() == expected
    assert cluster.calls == []


@pytest.mark.parametrize("path", [f"raw/accounts_{DATE}/00002.csv", PREDICTIONS], ids=["raw", "predictions"])
def test_a_damaged_file_is_named(lake: Store, cluster: InProcess, path: str) -> None:
    content = bytearray(lake.get(path))
    content[-9] ^= 1
    lake.put(path, bytes(content))
    with pytest.raises(LakeError, match=rf"^{path} was changed since it was written\. .*risk run {DATE}"):
        both(lake, cluster)[1].out_of_place()
