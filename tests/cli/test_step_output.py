"""What the steps of a command print: to its terminal, or to where the run history's configuration keeps it."""

from pathlib import Path

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
