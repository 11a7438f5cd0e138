"""Nights with abnormal input: what stops, what warns, and how a person releases a check."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from risk_assets.defs.checks import issue_share
from risk_assets.defs.releases import BY_TAG, CHECKS_TAG, REASON_TAG, release_tags
from risk_assets.errors import RiskError
from risk_assets.lake import impact_files, layout, registry
from risk_assets.lake.manifests import find_manifest
from tests.conftest import POLICY
from tests.defs.conftest import LABELLED, NEXT, Book


def blank(book: Book, column: str, share: float = 1.0) -> None:
    """Land the next date with a column blanked in a share of its rows."""
    rows = pl.read_csv(book.landing.get(f"accounts_{NEXT}.csv"), infer_schema=False)
    first = pl.int_range(pl.len()) < share * len(rows)
    book.land(
        f"accounts_{NEXT}.csv", rows.with_columns(pl.when(first).then(pl.lit("")).otherwise(column).alias(column)).write_csv().encode()
    )


def test_a_blank_column_blocks_the_date(book: Book) -> None:
    blank(book, "bureau_score")
    result = book.score()
    assert result.status == "blocked"
    assert result.error is not None
    assert "missing_share of curated/features: missing: bureau_score 100.0%" in result.error
    assert find_manifest(book.lake, layout.predictions(NEXT)) is None
    (row,) = book.log()
    assert (row["status"], row["error"]) == ("blocked", result.error)


def test_a_renamed_level_blocks_the_date(book: Book) -> None:
    content = book.landing.get(f"accounts_{NEXT}.csv").replace(b",north,", b",nord,")
    book.land(f"accounts_{NEXT}.csv", content)
    result = book.score()
    assert result.status == "blocked"
    assert result.error is not None and "unseen_levels of curated/features: with unseen levels: region" in result.error


@pytest.fixture
def strict_book(book: Book, tmp_path: Path) -> Book:
    """The book with a live version that was trained with `unseen_missing: issue`."""
    policy = tmp_path / "policy.yml"
    policy.write_text(POLICY.read_text(encoding="utf-8").replace("unseen_missing: worst", "unseen_missing: issue"))
    strict = book.with_documents(policy=policy)
    strict.adopt("policy")
    assert strict.runner.run("training", LABELLED[-1]).error is None
    return strict


def test_issue_share_counts_missing_values_that_the_model_requires(strict_book: Book) -> None:
    card = registry.read_scorecard(strict_book.lake, "model_v002").scorecard
    assert "payment_ratio" in card.required
    blank(strict_book, "payment_ratio", share=0.05)
    assert strict_book.score().status == "success"
    row = strict_book.log()[-1]
    result = issue_share(strict_book.lakehouse, NEXT)
    assert result.description is not None
    assert "payment_ratio: missing in 15 rows" in result.description
    assert result.metadata["share"].value == pytest.approx(int(row["with_issues"]) / 300)

    blank(strict_book, "payment_ratio", share=0.2)
    result = strict_book.score()
    assert result.status == "blocked"
    assert result.error is not None and "issue_share of curated/features" in result.error


def test_the_impact_does_not_score_rows_without_a_required_feature(strict_book: Book) -> None:
    blank(strict_book, "payment_ratio", share=0.05)
    assert strict_book.score().status == "success"
    impact, _ = impact_files.compute(strict_book.lake, "model_v002", strict_book.lakehouse.contract, strict_book.lakehouse.policy)
    assert impact.unscored == impact.live_unscored == 15


def test_a_released_check_lets_the_date_run_and_is_recorded(book: Book) -> None:
    blank(book, "bureau_score")
    result = book.runner.run("daily_scoring", NEXT, tags=release_tags(["missing_share"], "ann", "the bureau is down"))
    assert (result.status, result.error) == ("warning", None)
    manifest = find_manifest(book.lake, layout.predictions(NEXT))
    assert manifest is not None
    (release,) = manifest.made_from.released
    assert (release.check, release.by, release.reason) == ("missing_share", "ann", "the bureau is down")
    row = book.log()[-1]
    assert row["status"] == "warning"
    assert row["released"] == "missing_share by ann: the bureau is down"
    assert ". Released by ann: the bureau is down" in row["warnings"]


def test_a_release_of_a_check_that_passed_is_noted(book: Book) -> None:
    blank(book, "bureau_score")
    result = book.runner.run("daily_scoring", NEXT, tags=release_tags(["issue_share", "missing_share"], "ann", "the bureau is down"))
    assert result.notes == ("issue_share: the check passed: nothing was released",)
    manifest = find_manifest(book.lake, layout.predictions(NEXT))
    assert manifest is not None
    assert [release.check for release in manifest.made_from.released] == ["missing_share"]
    assert book.log()[-1]["released"] == (
        "issue_share by ann: the bureau is down (the check passed: nothing was released); missing_share by ann: the bureau is down"
    )


def test_a_release_without_effect_is_a_success_and_described(book: Book) -> None:
    result = book.runner.run("daily_scoring", NEXT, tags=release_tags(["missing_share"], "ann", "x"))
    assert result.status == "success"
    assert book.log()[-1]["released"] == "missing_share by ann: x (the check passed: nothing was released)"
    run = book.runner.instance.get_run_records(limit=1)[0].dagster_run.run_id
    events = book.runner.instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    (found,) = (e.dagster_event.event_specific_data for e in events if e.dagster_event.event_specific_data.check_name == "missing_share")
    assert found.description.endswith("The check passed: nothing was released.")
    assert "missing:" in found.description


def test_a_release_covers_only_the_named_check(book: Book) -> None:
    blank(book, "bureau_score")
    assert book.runner.run("daily_scoring", NEXT, tags=release_tags(["issue_share"], "ann", "x")).status == "blocked"


@pytest.mark.parametrize(
    ("checks", "by", "reason", "says"),
    [
        (["row_count"], "ann", "x", "row_count is not a blocking check"),
        (["bogus", "issue_share"], "ann", "x", "bogus is not a blocking check"),
        ([" "], "ann", "x", "an empty name is not a blocking check"),
        (["required_columns"], "ann", "x", "required_columns cannot be released: no feature"),
        (["issue_share"], "ann", " ", "requires a reason"),
        (["issue_share"], "ann", None, "requires a reason"),
        (["issue_share"], "", "x", "requires the person"),
        (["issue_share"], " \t", "x", "requires the person"),
    ],
)
def test_a_release_that_is_not_possible_is_rejected(checks: list[str], by: str, reason: str | None, says: str) -> None:
    with pytest.raises(RiskError, match=says):
        release_tags(checks, by, reason)


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({CHECKS_TAG: "missing_share"}, "requires the person"),
        ({CHECKS_TAG: "missing_share", BY_TAG: " ", REASON_TAG: "x"}, "requires the person"),
        ({CHECKS_TAG: "missing_share", BY_TAG: "ann"}, "requires a reason"),
        ({CHECKS_TAG: "missing_share,bogus", BY_TAG: "ann", REASON_TAG: "x"}, "bogus is not a blocking check"),
        ({CHECKS_TAG: "", BY_TAG: "ann", REASON_TAG: "x"}, "an empty name is not a blocking check"),
        ({CHECKS_TAG: "required_columns", BY_TAG: "ann", REASON_TAG: "x"}, "required_columns cannot be released"),
    ],
)
def test_tags_of_an_incomplete_release_fail_the_run(book: Book, tags: dict[str, str], says: str) -> None:
    blank(book, "bureau_score")
    result = book.runner.run("daily_scoring", NEXT, tags=tags)
    assert result.status == "failed"
    assert result.error is not None and says in result.error
    assert find_manifest(book.lake, layout.predictions(NEXT)) is None
    assert (book.log()[-1]["released"], book.log()[-1]["error"]) == ("", result.error)


def test_only_a_check_that_can_be_released_is_offered(book: Book) -> None:
    blank(book, "bureau_score")
    assert book.score().releasable == ("missing_share",)
    content = book.landing.get(f"accounts_{NEXT}.csv").replace(b"bureau_score", b"other", 1)
    book.land(f"accounts_{NEXT}.csv", content)
    result = book.score()
    assert (result.status, result.releasable) == ("blocked", ())


def test_a_third_of_the_usual_rows_is_a_warning(book: Book) -> None:
    lines = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    book.land(f"accounts_{NEXT}.csv", b"".join(lines[:101]))
    result = book.score()
    assert (result.status, result.error) == ("warning", None)
    assert result.warnings == ("row_count of raw/accounts: 100 rows, -67% on the median of 300 (limit 50%)",)
    assert book.log()[-1]["warnings"] == result.warnings[0]


def test_without_a_live_model_there_is_no_reference(empty_book: Book) -> None:
    empty_book.land_sample(f"accounts_{NEXT}.csv")
    assert empty_book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").status == "success"
    found = {
        record.dagster_event.event_specific_data.check_name: record.dagster_event.event_specific_data.description
        for record in empty_book.runner.instance.all_logs(
            empty_book.runner.instance.get_run_records(limit=1)[0].dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
    }
    assert found["missing_share"] == found["unseen_levels"] == "no reference: no model is live"


def test_every_check_describes_its_figures(book: Book) -> None:
    assert book.score().error is None
    run = book.runner.instance.get_run_records(limit=1)[0].dagster_run.run_id
    events = book.runner.instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    descriptions = {e.dagster_event.event_specific_data.check_name: e.dagster_event.event_specific_data.description for e in events}
    assert len(descriptions) == 12
    assert all(text and any(letter.isdigit() for letter in text) for name, text in descriptions.items() if name != "required_columns")


def checks_only(book: Book, *keys: tuple[str, str]) -> dg.ExecuteInProcessResult:
    """Run checks without a partition, as *Execute all* in the UI does."""
    job = book.runner.definitions.resolve_implicit_global_asset_job_def()
    selected = {dg.AssetCheckKey(dg.AssetKey.from_user_string(asset), check) for asset, check in keys}
    return job.get_subset(asset_selection=set(), asset_check_selection=selected).execute_in_process(
        instance=book.runner.instance, raise_on_error=False
    )


def test_checks_without_a_partition_check_the_newest_date(scored_book: Book) -> None:
    done = checks_only(
        scored_book,
        ("raw/accounts", "row_count"),
        ("curated/predictions", "one_per_row"),
        ("training/model", "gates"),
        ("registry/champion", "chain"),
    )
    assert done.success
    assert {evaluation.check_name for evaluation in done.get_asset_check_evaluations()} == {
        "row_count",
        "one_per_row",
        "gates",
        "chain",
    }


def test_checks_of_an_empty_lake_say_what_to_do(empty_book: Book) -> None:
    done = checks_only(empty_book, ("raw/accounts", "row_count"))
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None and data.description is not None
    assert data.description.startswith("raw/accounts is not in the lake")
    assert data.metadata["next_step"].value == "Run a date first: risk run DATE, or materialize a partition in the UI."
