"""Training uses the snapshots whose outcomes have matured, and says so if there are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from risk_assets.defs import checks
from risk_assets.lake import layout, registry
from risk_assets.lake.manifests import find_manifest
from tests.defs.conftest import LABELLED, Book, copied
from tests.defs.test_stale_data import with_contract

WINDOW = "matures_after_days: 0"


@pytest.fixture(scope="module")
def kept(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The trained book, for tests that change nothing but outcomes."""
    with copied(trained, tmp_path_factory.mktemp("maturity") / "book") as copy:
        yield copy


def test_training_does_not_use_snapshots_that_have_not_matured(kept: Book) -> None:
    book = with_contract(kept, (WINDOW, "matures_after_days: 2"), "two_days.yml")
    assert book.runner.run("training", LABELLED[-1], "training/model").error is None
    origin = registry.read_trained(book.lake, LABELLED[-1]).origin
    assert (*origin.train_dates, *origin.holdout_dates) == LABELLED[:-2]
    assert (origin.known_by, origin.matured_until, origin.performance_days) == (LABELLED[-1], LABELLED[-3], 2)


def test_the_error_says_when_outcomes_mature(kept: Book) -> None:
    error = with_contract(kept, (WINDOW, "matures_after_days: 30"), "month.yml").runner.run("training", LABELLED[-1]).error
    assert error is not None
    assert f"{LABELLED[0]} to {LABELLED[-1]} (6 dates) have both and have not matured by {LABELLED[-1]}" in error
    assert "outcomes mature 30 days after their snapshot. Train for 2026-01-31 or later: risk train 2026-01-31" in error


def test_windows_that_are_too_long_together_are_rejected(kept: Book) -> None:
    error = with_contract(kept, (WINDOW, "matures_after_days: 1800"), "long.yml").runner.run("training", LABELLED[-1]).error
    assert error is not None and "longer than 1826 days together. Shorten training.window_days" in error


def test_label_coverage_counts_accounts_without_outcome(book: Book) -> None:
    date = LABELLED[0]
    header, _, second, third, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
    contradictory = third[:-2] + {b"0": b"1", b"1": b"0"}[third[-2:-1]] + b"\n"
    book.land(f"outcomes_{date}.csv", b"".join([header, second[:-2] + b"?\n", third, contradictory, *rows[30:]]))
    assert book.runner.run("outcomes", date).error is None
    result = checks.label_coverage(book.lakehouse, date)
    figures = {name: value.value for name, value in result.metadata.items()}
    features = book.lakehouse.manifest("curated/features", date)
    assert not result.passed
    assert figures["accounts"] == features.rows == 300
    assert (figures["with_a_missing_or_unknown_label"], figures["with_contradictory_labels"]) == (1, 1)
    reasons = ("with_issues", "not_eligible", "not_in_the_outcomes", "with_a_missing_or_unknown_label", "with_contradictory_labels")
    assert figures["with_outcome"] + sum(figures[reason] for reason in reasons) == 300
    assert 25 <= figures["not_in_the_outcomes"] <= 31
    assert result.description is not None and "lack it (limit 5.0%)" in result.description


def test_outcomes_are_the_same_when_they_are_written_again(book: Book) -> None:
    path = layout.curated_outcomes(LABELLED[0])
    first = find_manifest(book.lake, path)
    assert book.runner.run("outcomes", LABELLED[0]).error is None
    again = find_manifest(book.lake, path)
    assert first is not None and again is not None and first.sha256 == again.sha256
