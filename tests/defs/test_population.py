"""A date scored under population rules: accounts that are not eligible are counted everywhere and scored nowhere."""

import io
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import polars as pl
import pytest

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report import audit, run_log, runs
from risk_assets.defs.checks import eligible_share
from risk_assets.lake import layout, replay
from risk_assets.lake.facts import FeatureFacts, PredictionFacts
from risk_assets.lake.tables import read_table
from tests.conftest import ROOT
from tests.defs.conftest import NEXT, Book, in_memory, on_disk
from tests.defs.test_checks import evidence, results

RULES = """
exclude:
  - {reason: already late, column: days_past_due, at_least: 20}
  - {reason: opened by telephone, column: channel, is: [telephone]}
"""


@pytest.fixture
def ruled_book(trained: Path, tmp_path: Path) -> Iterator[Book]:
    """The trained book with population rules in its contract."""
    shutil.copytree(trained, tmp_path / "book")
    contract = tmp_path / "contract.yml"
    contract.write_text((ROOT / "data/contract.yml").read_text(encoding="utf-8") + RULES, encoding="utf-8")
    with in_memory(on_disk(tmp_path / "book").model_copy(update={"contract": contract})) as book:
        book.adopt("contract")
        yield book


def printed(report: object, *arguments: object) -> str:
    console = LiteralConsole(file=io.StringIO(), width=400)
    assert callable(report)
    report(console, *arguments)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_accounts_that_are_not_eligible_are_counted_and_not_scored(ruled_book: Book) -> None:
    found = results(ruled_book, "daily_scoring", NEXT)
    assert all(check.passed for check in found.values())
    lake, lakehouse = ruled_book.lake, ruled_book.lakehouse
    predicted = read_table(lake, layout.predictions(NEXT)).collect()
    raw = pl.read_csv(ROOT / f"data/landing/accounts_{NEXT}.csv", infer_schema=False)
    late = (raw["days_past_due"].cast(pl.Float64, strict=False) >= 20).fill_null(False)
    expected = pl.select(pl.when(late).then(pl.lit("already late")).when(raw["channel"] == "telephone").then(pl.lit("opened by telephone")))
    known = predicted["status"] != "issue"
    assert predicted.filter(known)["excluded"].equals(expected.to_series().filter(known), null_equal=True)
    counts, reasons = Counter(predicted["status"]), Counter(predicted["excluded"].drop_nulls())
    assert min(reasons["already late"], reasons["opened by telephone"]) > 5
    assert predicted.filter(pl.col("status") != "scored")["probability"].null_count() == 300 - counts["scored"]

    checked = lakehouse.manifest("curated/features", NEXT).facts_as(FeatureFacts)
    facts = lakehouse.manifest("curated/predictions", NEXT).facts_as(PredictionFacts)
    excluded = counts["not eligible"]
    assert (checked.not_eligible, checked.excluded_counts) == (excluded, dict(reasons))
    assert (facts.scored, facts.with_issues, facts.not_eligible) == (counts["scored"], counts["issue"], excluded)
    assert f"and {excluded} not eligible of 300 rows" in (found["probabilities"].description or "")
    assert f"of {300 - excluded} eligible rows have issues" in (found["issue_share"].description or "")
    assert f"{excluded} rows not eligible; " in (found["issue_share"].description or "")
    assert evidence(found["issue_share"])["excluded"] == dict(reasons)
    assert "not eligible (limit 50.0%); opened by telephone in " in (found["eligible_share"].description or "")
    strict = lakehouse.policy.model_copy(update={"checks": lakehouse.policy.checks.model_copy(update={"max_not_eligible": 0.01})})
    with mock.patch.object(lakehouse._run, "documents", replace(lakehouse.documents, policy=strict)):
        assert not eligible_share(lakehouse, NEXT).passed
    listed = read_table(lake, layout.review(NEXT)).collect()
    assert set(listed["account_id"]) <= set(predicted.filter(status="scored")["account_id"])
    assert "excluded" not in listed.columns

    (row,) = ruled_book.log()
    assert (row["rows_in"], row["scored"], row["not_eligible"]) == ("300", str(counts["scored"]), str(excluded))
    assert "not eligible" in printed(run_log.newest, [row])
    shown = printed(runs.snapshots, lake, [NEXT])
    assert f"Not eligible on {NEXT}: " in shown and f"{reasons['already late']} already late" in shown
    assert replay.replay(lake, NEXT).agrees
    (explained,) = replay.explain_account(lake, NEXT, predicted.filter(excluded="already late")["account_id"][0])
    assert explained.recomputed == {}
    assert "Not eligible: already late. The account is not scored." in printed(audit.explanation, explained)
