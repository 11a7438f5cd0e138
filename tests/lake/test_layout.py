"""Paths in the lake, and the dates, numbers and keys that are read from them."""

import pytest

from risk_assets.lake import layout


def test_every_asset_has_its_path() -> None:
    assert {key: path("2026-01-31") for key, path in layout.PATHS.items()} == {
        "raw/accounts": "raw/accounts_2026-01-31.csv",
        "raw/outcomes": "raw/outcomes_2026-01-31.csv",
        "curated/features": "curated/accounts_2026-01-31_features.parquet",
        "curated/outcomes": "curated/outcomes_2026-01-31.parquet",
        "curated/account_states": "curated/account_states_2026-01-31.parquet",
        "curated/predictions": "curated/accounts_2026-01-31_predictions.csv",
        "curated/account_index": "curated/accounts_2026-01-31_index",
        "curated/review_list": "curated/accounts_2026-01-31_review.csv",
    }


def test_the_parts_of_an_index_are_in_its_folder() -> None:
    part = layout.account_index_part("2026-01-31", 7)
    assert part == "curated/accounts_2026-01-31_index/part-0007.parquet"
    assert layout.date_of(part) == "2026-01-31"


def test_the_parts_of_features_are_in_their_folder() -> None:
    part = layout.features_part("2026-01-31", "0123abcd", 7)
    assert part == "curated/accounts_2026-01-31_features/0123abcd-000007.parquet"
    assert layout.date_of(part) == "2026-01-31"
    assert layout.without_token(part) == "curated/accounts_2026-01-31_features/000007.parquet"


@pytest.mark.parametrize(
    "path", [layout.features("2026-01-31"), layout.account_index_part("2026-01-31", 7), "raw/accounts_2026-01-31/a.csv"]
)
def test_other_paths_have_no_token(path: str) -> None:
    assert layout.without_token(path) == path


def test_staged_pieces_are_in_the_zone_of_their_table() -> None:
    path = layout.predictions("2026-01-31")
    assert layout.staged(path, "0123abcd") == "curated/staged/accounts_2026-01-31_predictions/0123abcd/"
    assert layout.staged_piece(path, "0123abcd", 7, "feed").startswith(layout.staged_folder(path))


def test_parts_of_a_table_are_staged_in_its_folder() -> None:
    path = layout.accounts("2026-01-31")
    assert layout.staged_folder(path) == "raw/staged/accounts_2026-01-31/"
    assert {layout.staged_folder(layout.shard(path, name)) for name in ("a.csv", "north/a.csv")} == {layout.staged_folder(path)}


def test_a_superseded_file_had_a_path() -> None:
    path = layout.predictions("2026-01-31")
    assert layout.before_superseded(layout.superseded(path, "0" * 64)) == path


def test_every_report_has_its_path() -> None:
    assert {key: path("2026-01-31") for key, path in layout.REPORTS.items()} == {
        "monitoring/drift": "monitoring/drift_2026-01-31.json",
        "monitoring/performance": "monitoring/performance_2026-01-31.json",
        "monitoring/alerts": "monitoring/alerts_2026-01-31.json",
        "monitoring/retraining": "monitoring/retraining_2026-01-31.json",
        "reports/morning": "reports/morning_2026-01-31.json",
    }
    assert layout.morning_page("2026-01-31") == "reports/morning_2026-01-31.html"
    assert layout.morning_text("2026-01-31") == "reports/morning_2026-01-31.txt"


def test_shards_and_superseded_files_are_below_raw() -> None:
    assert layout.shard("raw/accounts_2026-01-31.csv", "part-1.csv") == "raw/accounts_2026-01-31/part-1.csv"
    assert layout.superseded("raw/accounts_2026-01-31.csv", "0123456789abcdef") == "raw/superseded/0123456789ab/accounts_2026-01-31.csv"


def test_the_number_of_a_revision_round_trips() -> None:
    name = layout.revision("raw/outcomes_2026-01-31.csv", 7)
    assert name == "raw/revisions/outcomes_2026-01-31.csv/000007"
    assert layout.revision_number(layout.manifest(name)) == 7
    assert layout.revision_number(name) is None
    assert name.startswith(layout.REVISIONS) and layout.date_of(name) == "2026-01-31"


def test_files_of_models_are_below_their_folders() -> None:
    assert layout.artifact(layout.training_folder("2026-01-31"), layout.METRICS) == "training/model_2026-01-31/metrics.json"
    assert layout.version_file("model_v001", layout.SCORECARD) == "registry/model_v001/scorecard.json"


@pytest.mark.parametrize("number", [1, 999, 1000])
def test_a_version_number_round_trips(number: int) -> None:
    assert layout.version_number(layout.version_name(number)) == number


@pytest.mark.parametrize("name", ["model_v", "model_v001_backup", "bindings", "../model_v001", "model_v\u0661", ""])
def test_other_names_have_no_version_number(name: str) -> None:
    assert layout.version_number(name) is None


@pytest.mark.parametrize("number", [1, 999_999, 1_000_000])
def test_a_binding_number_round_trips(number: int) -> None:
    assert layout.binding_number(layout.binding(number)) == number


@pytest.mark.parametrize("path", ["registry/bindings/1.json", "registry/bindings/000001.json.bak", "registry/000001.json"])
def test_other_paths_have_no_binding_number(path: str) -> None:
    assert layout.binding_number(path) is None


def test_the_key_of_a_run_record_round_trips() -> None:
    assert layout.run_record_key(layout.run_record("2026-01-31", "run-1")) == ("2026-01-31", "run-1")
    assert layout.run_record_key("logs/batch_runs/2026-01-31/deeper/run-1.json") is None


def test_the_date_of_a_features_manifest_round_trips() -> None:
    path = layout.manifest(layout.features("2026-01-31"))
    assert layout.features_date(path.rpartition("/")[2]) == "2026-01-31"
    assert layout.features_date("accounts_2026-01-31_features.parquet") is None


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (layout.accounts("2026-01-31"), "risk run 2026-01-31,"),
        (layout.shard(layout.accounts("2026-01-31"), "part-1.csv"), "risk run 2026-01-31,"),
        (layout.features("2026-01-31"), "risk run 2026-01-31,"),
        (layout.predictions("2026-01-31"), "risk run 2026-01-31,"),
        (layout.outcomes("2026-01-31"), "risk outcomes 2026-01-31,"),
        (layout.shard(layout.outcomes("2026-01-31"), "part-1.csv"), "risk outcomes 2026-01-31,"),
        (layout.curated_outcomes("2026-01-31"), "risk outcomes 2026-01-31 (derived outcomes: the date on which they mature),"),
        (layout.revision(layout.outcomes("2026-01-31"), 1), "risk outcomes 2026-01-31,"),
        (layout.account_states("2026-01-31"), "risk outcomes 2026-01-31,"),
    ],
)
def test_the_command_that_makes_a_table_has_its_date(path: str, command: str) -> None:
    assert command in layout.how_to_make(path)
