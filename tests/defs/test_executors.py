"""Reports and lists of a date that executors scored: those of one process."""

from pathlib import Path

import pytest

from risk_assets.domain.ingest import csv_counts
from risk_assets.engine.engines import ClusterEngine
from risk_assets.lake import drift_files, drift_measurement, layout, prediction_tables
from risk_assets.lake.facts import PredictionFacts
from tests.conftest import POLICY
from tests.defs.conftest import NEXT, Book
from tests.engine.in_process import InProcess


def reports(book: Book) -> tuple[bytes, dict[str, float], list[str]]:
    """Return the review list, the shift of each feature, and the warnings of scoring and monitoring the date."""
    runs = [book.score(), book.runner.run("monitoring", NEXT)]
    assert [run.error for run in runs] == [None, None]
    shifts = {drift.name: drift.psi.value for drift in drift_files.read(book.lake, NEXT).report.features}
    return book.lake.get(layout.review(NEXT)), shifts, [warning for run in runs for warning in run.warnings]


def test_executors_lead_to_the_same_list_and_report(book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy.yml"
    policy.write_text(POLICY.read_text(encoding="utf-8") + "review: {size: 6, hold_out: 0.2}\n", encoding="utf-8")
    book = book.with_documents(policy=policy)
    book.adopt("policy")
    book.land_sample(f"accounts_{NEXT}.csv")
    expected = reports(book)
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 1000)
    monkeypatch.setattr("risk_assets.runner.open_engine", lambda _: ClusterEngine(InProcess()))
    monkeypatch.setattr(drift_measurement, "tally_date", None)
    monkeypatch.setattr(prediction_tables, "read_table", None)
    book.lake.delete(layout.manifest(layout.accounts(NEXT)))  # the raw file is written again, in small pieces
    book = book.with_documents()  # which opens its engine again
    assert reports(book) == expected
    assert len(book.lakehouse.manifest("curated/features", NEXT).parts) > 6
    facts = book.lakehouse.manifest("curated/predictions", NEXT).facts_as(PredictionFacts)
    assert facts.candidates is not None and 0 < len(facts.candidates.ranges) <= 6
