"""The run history's configuration: what the steps of a command print goes to its terminal, or to where the file says."""

from pathlib import Path

import pytest

from tests.cli.conftest import Risk

DATE = "2026-01-04"
KEPT = """
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config: {base_dir: %s}
"""


def outputs(folder: Path) -> list[str]:
    return [path.suffix for path in sorted(folder.rglob("compute_logs/*")) if path.suffix in {".err", ".out"}]


def test_it_is_not_copied_through_files(on_trained: Risk, trained: Path) -> None:
    on_trained("run", DATE)
    assert outputs(trained / ".dagster") == []


def test_the_configuration_says_where_it_is_kept(on_trained: Risk, trained: Path, tmp_path: Path) -> None:
    with (trained / ".dagster/dagster.yaml").open("a", encoding="utf-8") as configuration:
        configuration.write(KEPT % (tmp_path / "kept"))
    on_trained("run", DATE)
    assert outputs(tmp_path / "kept") == [".err", ".out"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("telemetry: {enabled: false\n", "ParserError, line 2"),
        ("- SECRET\n", "CheckError"),
        ("telemetry: {enabled: SECRET}\n", "DagsterInvalidConfigError"),
        ("run_storage: {module: nothing, class: SECRET}\n", "CheckError"),
        ("compute_logs: {module: dagster, class: SECRET}\n", "CheckError"),
        ("storage: {postgres: {postgres_url: {env: SECRET}}}\n", "DagsterInvalidConfigError"),
    ],
)
def test_a_file_that_dagster_cannot_use_is_an_error(on_trained: Risk, trained: Path, text: str, why: str) -> None:
    file = trained / ".dagster/dagster.yaml"
    file.write_text(text, encoding="utf-8")
    done = on_trained("run", DATE, code=1)
    assert f"error: Dagster cannot use {file} ({why}). To see why: DAGSTER_HOME=" in done.text
    assert "SECRET" not in done.text and "Traceback" not in done.text
    file.unlink()
    on_trained("run", DATE)
