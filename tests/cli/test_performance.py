"""`risk monitor`: the performance of a date, before and after its outcomes are known."""

from pathlib import Path

from tests.cli.conftest import Risk, copy_sample
from tests.cli.test_imports import SLOW, imported


def test_estimates_are_shown_then_the_outcomes(on_scored: Risk, scored: Path) -> None:
    first = on_scored("monitor")
    assert "Performance of 2026-01-05, outcomes known by" in first.stdout
    assert "estimate: model_v001 (champion) expects" in first.text
    assert "note: no outcome of the accounts that were scored is known: risk outcomes 2026-01-05" in first.text
    copy_sample(scored, "outcomes", range(5, 6))
    on_scored("outcomes", "2026-01-05")
    second = on_scored("monitor")
    assert "model_v001 (champion) is within its limits" in second.text
    assert "model_v002 (shadow)" in second.text and "at training" in second.text
    assert "model_v002 (shadow) is undecided against model_v001: gain in AUC" in second.text
    assert "Bands and categories" in second.stdout
    assert "revision 1, known by" in second.text
    assert on_scored("monitor").stdout == second.stdout
    assert not imported(scored, "monitor") & SLOW


def test_a_report_that_cannot_be_made_leaves_the_other_one(on_scored: Risk, scored: Path) -> None:
    copy_sample(scored, "outcomes", range(5, 6))
    on_scored("outcomes", "2026-01-05")
    (scored / "lakehouse/curated/outcomes_2026-01-05.parquet").write_bytes(b"damaged")
    done = on_scored("monitor", code=1)
    assert "Drift of 2026-01-05" in done.stdout
    assert "Performance of" not in done.stdout
    assert "outcomes_2026-01-05.parquet" in done.text
