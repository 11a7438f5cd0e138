"""Help, wrong usage and wrong settings."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Risk, run_process
from tests.conftest import ROOT

COMMANDS = (
    "demo", "contract", "contract infer", "contract show", "contract adopt", "policy", "policy show", "policy adopt", "land", "run",
    "outcomes", "train", "log", "models", "models show", "impact", "promote",
    "rollback", "challenge", "live", "history", "monitor", "alerts", "dispositions",
    "simulate", "replay", "explain", "ui", "serve", "token",
    "azure", "azure export",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(risk: Risk, command: str) -> None:
    assert "Usage: risk" in risk(*command.split(), "--help").stdout


def test_help_lists_every_command(risk: Risk) -> None:
    listed = risk("--help").stdout
    assert all(command.split()[0] in listed for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "2026-01-01"), 1, "no accounts for 2026-01-01"),
        (("run", "2025-01-01"), 2, "RISK_START_DATE"),
        (("run", "2026-01-01", "--until", "2999-01-01"), 2, "the day has not ended"),
        (("run", "2026-01-01", "--release", "nonsense", "--reason", "x"), 1, "nonsense is not a blocking check"),
        (("run", "2026-01-01", "--release", "missing_share"), 1, "a release requires a reason"),
        (("run", "2026-01-05", "--until", "2026-01-01"), 2, "is before"),
        (("run", "2026-01-05", "--until", "soon"), 2, "is not a date"),
        (("run", "2026-99-01"), 2, "is not a date"),
        (("outcomes", "2026-99-01"), 2, "is not a date"),
        (("dispositions", "--since", "soon"), 2, "is not a date"),
        (("dispositions", "--csv", "nowhere/file.csv"), 2, "cannot be written"),
        (("replay", "2026-99-01"), 2, "is not a date"),
        (("explain", "2026-99-01", "A"), 2, "is not a date"),
        (("train", "2025-01-01"), 2, "RISK_START_DATE"),
        (("train", "soon"), 2, "soon"),
        (("train", "2026-01-01"), 1, "has both features and outcomes"),
        (("live",), 1, "no model is live yet"),
        (("live", "--at", "2020-01-01"), 1, "no version was live"),
        (("land", "nowhere.csv", "--date", "2026-01-01"), 2, "does not exist"),
        (("land", "data/policy.yml"), 2, "either --date"),
        (("train", "2026-01-01", "--estimator", "forest"), 2, "is not one of"),
        (("models", "show", "model_v001"), 1, "model_v001 is not in the lake"),
        (("impact", "latest"), 1, "latest is not a version"),
        (("promote", "model_v001"), 2, "--reason"),
        (("promote", "model_v001", "--reason", "x", "--yes"), 1, "model_v001 is not in the lake"),
        (("rollback", "--reason", "x"), 1, "no earlier version"),
        (("challenge", "model_v001", "--reason", "x"), 2, "either --share or --shadow"),
        (("challenge", "model_v001", "--share", "2", "--shadow", "--reason", "x"), 2, "either --share or --shadow"),
        (("challenge", "model_v001", "--share", "0.1", "--end", "--reason", "x"), 2, "--end alone"),
        (("challenge", "--shadow", "--end", "--reason", "x"), 2, "--end alone"),
        (("challenge", "--end", "--reason", "x"), 1, "nothing to end"),
        (("replay", "2026-01-01"), 1, "is not in the lake"),
        (("explain", "2026-01-01", "AC000001"), 1, "is not in the lake"),
        (("token", "batch", "--role", "admin"), 2, "--role is one of score, operate"),
        (("token", "two words"), 2, "NAME may contain only"),
        (("contract", "infer", "data/contract.yml", "--id", "ID", "--target", "T"), 1, "ID"),
    ],
)
def test_wrong_usage_names_the_next_step(risk: Risk, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = risk(*arguments, code=code)
    assert message in done.text
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if message in line]
    assert len(errors) == 1 and not set("│╭╰") & set(done.stderr)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RISK_CONTRACT": "missing.yml"}, "missing.yml cannot be read"),
        ({"RISK_LAKE": "ftp://somewhere"}, "is not a valid address"),
        ({"RISK_LAKE": "data/policy.yml"}, "data/policy.yml is a file"),
        ({"RISK_LAKE": "az://lake/book"}, "no account is set"),
        ({"RISK_START_DATE": "someday"}, "RISK_START_DATE"),
        ({"RISK_ENGINE": "cluster"}, "RISK_ENGINE: it is not an engine"),
        ({"RISK_START_DATE": "someday", "RISK_ENGINE": "cluster"}, "RISK_ENGINE: it is not an engine"),
    ],
)
def test_wrong_settings_name_the_next_step(risk: Risk, settings: dict[str, str], message: str) -> None:
    done = risk("run", "2026-01-01", code=1, **settings)
    assert any(message in line for line in done.stderr.splitlines())
    labels = ("error: ", "2026-01-01 failed: ", "run log: ", "daily_scoring ")  # the last one is the progress
    assert all(line.startswith(labels) for line in done.stderr.splitlines()), done.stderr


def test_a_command_without_arguments_shows_its_help(risk: Risk) -> None:
    done = risk(code=2)
    assert "Usage: risk" in done.text and "error" not in done.stderr


def test_an_unreachable_storage_account_is_reported(risk: Risk) -> None:
    unreachable = "AccountName=devstoreaccount1;AccountKey=AAAA;BlobEndpoint=http://127.0.0.1:9/devstoreaccount1"
    done = risk("models", code=1, RISK_LAKE="az://lake/book", AZURE_STORAGE_CONNECTION_STRING=unreachable, RISK_STORAGE_RETRY_SECONDS="0")
    assert "storage cannot be reached" in done.text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("models",), 0, "Model versions"),
        (("live",), 1, "error: no model is live yet"),
        (("train", "2025-01-01"), 2, "error: 2025-01-01"),
        (("run", "2026-01-05", "--until", "2026-01-01"), 2, "is before"),
    ],
)
def test_exit_codes_of_the_process(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = run_process(folder, *arguments, code=code)
    assert message in done.text
    assert "Traceback" not in done.stderr


def test_settings_point_to_files_of_another_folder(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data", tmp_path / "policies", ignore=shutil.ignore_patterns("landing"))
    settings = {"RISK_LAKE": str(trained / "lakehouse"), "RISK_POLICY": str(tmp_path / "policies/policy.yml")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "Base points" in run_process(elsewhere, "models", "show", "model_v001", **settings).stdout
    assert list(elsewhere.iterdir()) == []
