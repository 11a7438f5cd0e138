"""A day whose features are in parts has the results of a day whose features are a single file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from risk_assets.defs.assets.model import FEATURES
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import layout, morning_files, registry, verification
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.feature_tables import FeatureTable
from risk_assets.lake.manifests import Manifest, require_manifest
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.replay import explain_account, replay
from risk_assets.lake.staleness import outdated_features
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table
from risk_assets.lake.verify import verify_all
from tests.defs.conftest import LABELLED, NEXT, Book, copied
from tests.in_parts import write_in_parts

WRITE = FeatureTable.write


def write(self: FeatureTable, store: Store, path: str, guard: Guard = no_guard) -> tuple[Manifest, ...]:
    table = Table(self.frame, FeatureFacts, tuple(feature_facts(self.contract)), self.made_from)
    return (write_in_parts(store, path, table, guard),)


@pytest.fixture
def parts_book(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    """The book whose last date is scored, while features are written in parts."""
    monkeypatch.setattr(FeatureTable, "write", write)
    with copied(trained, tmp_path / "parts") as book:
        assert book.score().error is None
        assert len(require_manifest(book.lake, layout.features(NEXT)).parts) == 3
        yield book
    verification.remove_copies()


def report(book: Book) -> MorningReport:
    for job in ("monitoring", "morning_report"):
        assert book.runner.run(job, NEXT).error is None
    return morning_files.read(book.lake, NEXT).report


def test_a_day_scored_from_parts_is_the_same(parts_book: Book, scored_book: Book) -> None:
    lake, other = parts_book.lake, scored_book.lake
    for path in (layout.predictions(NEXT), layout.review(NEXT), layout.account_index_part(NEXT, 0)):
        assert lake.get(path) == other.get(path)
    features = layout.features(NEXT)
    assert read_table(lake, features).collect().equals(read_table(other, features).collect())
    assert require_manifest(lake, features).numbers == require_manifest(other, features).numbers
    assert outdated_features(lake, parts_book.lakehouse.values_of(FEATURES), [NEXT]) == ()
    found, expected = report(parts_book), report(scored_book)
    for name in ("changes", "work_list", "scores"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.figures and expected.figures
    sums = [{figure.name: figure.value for figure in figures.shown} for figures in (found.figures, expected.figures)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-12)  # sums over parts round otherwise
    assert [(moved.feature, pytest.approx(moved.points)) for moved in found.data.moved] == [
        (moved.feature, moved.points) for moved in expected.data.moved
    ]
    assert found.data.issues == expected.data.issues
    assert [row["scored"] for row in parts_book.log()] == [row["scored"] for row in scored_book.log()]
    assert [problem for each in verify_all(lake) for problem in each.problems] == []


def test_scores_from_parts_are_replayed_and_explained(parts_book: Book, scored_book: Book) -> None:
    assert replay(parts_book.lake, NEXT) == replay(scored_book.lake, NEXT)
    (account, *_) = read_table(parts_book.lake, layout.review(NEXT)).collect()["account_id"]
    assert explain_account(parts_book.lake, NEXT, account) == explain_account(scored_book.lake, NEXT, account)


def test_a_file_replaces_the_parts(parts_book: Book, scored_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureTable, "write", WRITE)
    assert parts_book.score().error is None
    features = layout.features(NEXT)
    assert list(require_manifest(parts_book.lake, features).parts) == [features]
    assert parts_book.lake.list(layout.shard(features, "")) == ()
    assert parts_book.lake.get(layout.predictions(NEXT)) == scored_book.lake.get(layout.predictions(NEXT))
    assert [problem for each in verify_all(parts_book.lake) for problem in each.problems] == []


def test_features_made_again_by_other_machines_are_the_same(parts_book: Book) -> None:
    before = require_manifest(parts_book.lake, layout.features(NEXT))
    assert parts_book.runner.run("daily_scoring", NEXT, "curated/features").error is None
    after = require_manifest(parts_book.lake, layout.features(NEXT))
    assert set(before.parts).isdisjoint(after.parts)
    assert before.identity == after.identity
    assert [problem for each in verify_all(parts_book.lake) for problem in each.problems] == []


@pytest.mark.long
def test_a_model_trained_on_parts_is_the_same(parts_book: Book) -> None:
    for date in LABELLED:
        assert parts_book.runner.run("daily_scoring", date, "curated/features").error is None
        assert len(require_manifest(parts_book.lake, layout.features(date)).parts) == 3
    assert parts_book.runner.run("training", LABELLED[-1]).error is None
    first, second = (registry.read_scorecard(parts_book.lake, name) for name in ("model_v001", "model_v002"))
    assert first.version != second.version
    assert first.scorecard == second.scorecard
