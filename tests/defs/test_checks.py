"""Each asset check passes on a good date and fails on a spoilt one."""

import dataclasses

import dagster as dg
import msgspec
import pytest

from risk_assets.definitions import build
from risk_assets.defs import checks
from risk_assets.domain.governance.artifacts import Gate
from risk_assets.lake import layout, registry
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import find_manifest, write_manifest
from risk_assets.settings import Settings
from tests.defs.conftest import LABELLED, NEXT, Book

BLOCKING = {
    "required_columns",
    "issue_share",
    "missing_share",
    "unseen_levels",
    "one_per_row",
    "probabilities",
    "compiled_equals_fitted",
    "training_outcomes",
}


def specs(settings: Settings) -> list[dg.AssetCheckSpec]:
    return [spec for asset in build(settings).resolve_asset_graph().assets_defs for spec in asset.check_specs]


def results(book: Book, job: str, date: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Run a job and return the evaluations of its checks by name."""
    book.runner.run(job, date)
    record = book.runner.instance.get_run_records(limit=1)[0]
    events = book.runner.instance.all_logs(record.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [event.dagster_event.event_specific_data for event in events if event.dagster_event]
    return {evaluation.check_name: evaluation for evaluation in found if isinstance(evaluation, dg.AssetCheckEvaluation)}


def evidence(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def test_the_blocking_checks(disk_settings: Settings) -> None:
    assert {check.name for check in specs(disk_settings) if check.blocking} == BLOCKING


def test_every_check_is_partitioned_and_described(disk_settings: Settings) -> None:
    for check in specs(disk_settings):
        assert isinstance(check.partitions_def, dg.DailyPartitionsDefinition) or check.name == "chain"
        assert check.description


def test_a_good_date_passes_all_checks_of_daily_scoring(book: Book) -> None:
    found = results(book, "daily_scoring", NEXT)
    assert set(found) == {
        "required_columns",
        "row_count",
        "certain_lines",
        "unique_ids",
        "issue_share",
        "eligible_share",
        "missing_share",
        "unseen_levels",
        "one_per_row",
        "probabilities",
        "live_binding",
        "riskiest_first",
    }
    assert all(evaluation.passed for evaluation in found.values())
    assert evidence(found["one_per_row"]) == {"raw_rows": 300, "predictions": 300, "out_of_place": 0}


def test_required_columns_names_a_missing_column(book: Book) -> None:
    content = book.landing.get(f"accounts_{NEXT}.csv").replace(b"utilisation", b"other", 1)
    book.land(f"accounts_{NEXT}.csv", content)
    found = results(book, "daily_scoring", NEXT)
    assert not found["required_columns"].passed
    assert evidence(found["required_columns"])["missing"] == "utilisation"
    assert "issue_share" not in found


def test_row_count_warns_about_a_tenth_of_the_usual_rows(book: Book) -> None:
    lines = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    book.land(f"accounts_{NEXT}.csv", b"".join(lines[:31]))
    found = results(book, "daily_scoring", NEXT)
    assert not found["row_count"].passed
    assert found["row_count"].severity == dg.AssetCheckSeverity.WARN
    assert evidence(found["row_count"]) == {"rows": 30, "usual": 300.0, "change": pytest.approx(0.9)}
    assert found["probabilities"].passed


def test_certain_lines_warns_about_rows_inside_quotes(book: Book) -> None:
    header, *rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    opened, closed = b',"'.join(rows[10].rsplit(b",", 1)), rows[19].replace(b"\n", b'"\n')
    book.land(f"accounts_{NEXT}.csv", b"".join([header, *rows[:10], opened, *rows[11:19], closed, *rows[20:]]))
    found = results(book, "daily_scoring", NEXT)["certain_lines"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == (
        "'line: rows inside quotes' in 1 row (first: row 11); 9 lines inside quotes look like rows and are lost: look for stray quotes"
    )
    (row,) = book.log()
    assert (row["status"], row["rows_in"], row["with_issues"]) == ("warning", "291", "1")
    assert "9 lines inside quotes look like rows" in row["warnings"]


def test_bad_rate_counts_rows_inside_quotes(book: Book) -> None:
    header, *rows = book.landing.get(f"outcomes_{LABELLED[0]}.csv").splitlines(keepends=True)
    opened = rows[1].replace(b",", b',"')
    book.land(f"outcomes_{LABELLED[0]}.csv", b"".join([header, rows[0], opened, rows[2], rows[3].replace(b"\n", b'"\n'), *rows[4:]]))
    found = results(book, "outcomes", LABELLED[0])["bad_rate"]
    assert not found.passed
    assert "1 line with an issue, 2 lines inside quotes that look like rows" in str(found.description)


def test_unique_ids_warns_with_the_number_of_repeated_ids(book: Book) -> None:
    header, first, *rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    book.land(f"accounts_{NEXT}.csv", b"".join([header, first, first, *rows]))
    found = results(book, "daily_scoring", NEXT)
    assert not found["unique_ids"].passed
    assert evidence(found["unique_ids"]) == {"repeated": 2, "missing": 0, "with_line_ends": 0}
    assert found["one_per_row"].passed


def test_unique_ids_warns_about_an_id_with_line_ends(book: Book) -> None:
    header, first, second, *rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    middle = b"a line without separators\n"
    book.land(f"accounts_{NEXT}.csv", b"".join([header, b'"', middle, first.replace(b",", b'",', 1), second, *rows]))
    found = results(book, "daily_scoring", NEXT)
    assert not found["unique_ids"].passed
    assert evidence(found["unique_ids"]) == {"repeated": 0, "missing": 0, "with_line_ends": 1}
    assert "1 has an id with line ends: stray quotes" in str(found["unique_ids"].description)


def test_issue_share_stops_a_date_with_too_many_issues(book: Book) -> None:
    header, *rows = book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)
    spoilt = [row.replace(b",", b",x", 1) for row in rows[:60]]
    book.land(f"accounts_{NEXT}.csv", b"".join([header, *spoilt, *rows[60:]]))
    found = results(book, "daily_scoring", NEXT)
    assert not found["issue_share"].passed
    assert evidence(found["issue_share"])["share"] == pytest.approx(60 / 300)
    assert "one_per_row" not in found
    assert find_manifest(book.lake, layout.predictions(NEXT)) is None


def _tamper(book: Book, path: str, change: dict[bytes, bytes], **facts: float) -> None:
    """Change a table and adapt its manifest."""
    content = book.lake.get(path)
    for old, new in change.items():
        assert old in content
        content = content.replace(old, new, 1)
    book.lake.put(path, content)
    manifest = find_manifest(book.lake, path)
    assert manifest is not None
    fitting = msgspec.structs.replace(
        manifest, parts={path: len(content)}, sha256={path: sha256(content)}, facts=msgspec.structs.replace(manifest.facts, **facts)
    )
    write_manifest(book.lake, fitting)


def _tampered_predictions(book: Book, change: dict[bytes, bytes], **facts: float) -> None:
    """Change a scored date's predictions and adapt their manifest."""
    _tamper(book, layout.predictions(NEXT), change, **facts)


def test_one_per_row_fails_on_predictions_out_of_order(scored_book: Book) -> None:
    lines = scored_book.lake.get(layout.predictions(NEXT)).splitlines(keepends=True)
    _tampered_predictions(scored_book, {lines[1] + lines[2]: lines[2] + lines[1]})
    assert not checks.one_per_row(scored_book.lakehouse, NEXT).passed


def test_probabilities_fails_above_one_and_on_a_missing_one(scored_book: Book) -> None:
    good = find_manifest(scored_book.lake, layout.predictions(NEXT))
    assert good is not None
    _tampered_predictions(scored_book, {}, max_score=1.5)
    assert not checks.probabilities(scored_book.lakehouse, NEXT).passed
    write_manifest(scored_book.lake, good)
    assert checks.probabilities(scored_book.lakehouse, NEXT).passed
    _tampered_predictions(scored_book, {}, scored=299)
    assert not checks.probabilities(scored_book.lakehouse, NEXT).passed


def test_a_good_training_passes_its_checks(book: Book) -> None:
    found = results(book, "training", LABELLED[-1])
    assert {name: evaluation.passed for name, evaluation in found.items()} == {
        "training_outcomes": True,
        "stable_groups": True,
        "compiled_equals_fitted": True,
        "gates": True,
        "chain": True,
    }


def test_chain_names_a_changed_binding(book: Book) -> None:
    path = layout.binding(1)
    book.lake.put(path, book.lake.get(path).replace(b"passed the gates", b"pleased somebody"))
    found = checks.chain(book.lakehouse, "")
    assert isinstance(found, dg.AssetCheckResult)
    assert not found.passed
    assert found.metadata["broken"].value == f"{path} was changed since it was written. Restore it from a backup."


def test_riskiest_first_fails_on_another_order(scored_book: Book) -> None:
    assert checks.riskiest_first(scored_book.lakehouse, NEXT).passed
    path = layout.review(NEXT)
    _, first, second, *_ = scored_book.lake.get(path).splitlines(keepends=True)
    _tamper(scored_book, path, {first + second: second + first})
    assert not checks.riskiest_first(scored_book.lakehouse, NEXT).passed


def test_compiled_equals_fitted_and_gates_fail(book: Book) -> None:
    model = registry.read_trained(book.lake, LABELLED[-1])
    worse = msgspec.structs.replace(model.metrics, compiled_difference=1e-6)
    low = Gate("discrimination", "undecided", 0.62, 0.6, (0.55, 0.68), "AUC 0.62", 40)
    found = msgspec.structs.replace(model.gates, found=(low,))
    registry.write_trained(book.lake, LABELLED[-1], dataclasses.replace(model, metrics=worse, gates=found), "test")
    assert not checks.compiled_equals_fitted(book.lakehouse, LABELLED[-1]).passed
    result = checks.gates(book.lakehouse, LABELLED[-1])
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "discrimination (undecided: AUC 0.62; 40 more bad accounts" in (result.description or "")


def test_accounts_of_several_groups_are_a_warning(book: Book) -> None:
    model = registry.read_trained(book.lake, LABELLED[-1])
    registry.write_trained(
        book.lake, LABELLED[-1], dataclasses.replace(model, origin=msgspec.structs.replace(model.origin, regrouped=2)), "test"
    )
    found = checks.stable_groups(book.lakehouse, LABELLED[-1])
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2 accounts have several customers, or none on some date" in str(found.description)


def test_good_outcomes_pass_their_checks(book: Book) -> None:
    found = results(book, "outcomes", LABELLED[0])
    assert {name: evaluation.passed for name, evaluation in found.items()} == {
        "bad_rate": True,
        "known_accounts": True,
        "label_coverage": True,
    }


def test_bad_rate_and_known_accounts_warn(book: Book) -> None:
    strangers = b"".join(b"ZZ%06d,1\n" % number for number in range(2000))
    book.land(f"outcomes_{LABELLED[0]}.csv", book.landing.get(f"outcomes_{LABELLED[0]}.csv") + strangers)
    found = results(book, "outcomes", LABELLED[0])
    assert not found["bad_rate"].passed
    assert not found["known_accounts"].passed
    assert evidence(found["known_accounts"]) == {"unknown_accounts": 2000}


def test_bad_rate_counts_labels_neither_good_nor_bad(book: Book) -> None:
    book.land(f"outcomes_{LABELLED[0]}.csv", book.landing.get(f"outcomes_{LABELLED[0]}.csv") + b"AC999999,maybe\n")
    assert evidence(results(book, "outcomes", LABELLED[0])["bad_rate"])["without_label"] == 1
