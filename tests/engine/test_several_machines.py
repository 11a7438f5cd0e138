"""What the documents say about several machines: the README's commands work as they are written, and messages are those of the code."""

import ast
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from risk_assets.settings import Settings
from risk_assets.simulation import demo as bank
from tests.cli.conftest import process_environment, run_here
from tests.conftest import ROOT
from tests.deploy.processes import ending_with_parent
from tests.process_tree import children

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "risk_assets/README.md").read_text(encoding="utf-8")
PREDICTIONS = "bank-lakehouse/curated/accounts_2026-01-28_predictions.csv"
SECONDS = 240


def section(text: str, title: str, level: str = "##") -> str:
    return text.split(f"\n{level} {title}\n")[1].split(f"\n{level} ", maxsplit=1)[0]


def commands() -> list[str]:
    """Return the commands of the README, a line each, without comments."""
    block = re.search(r"^```\n(.*?)^```$", section(README, "Several machines"), re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


def texts() -> str:
    """Return all texts of the engine, as they are in the code."""
    found = []
    for path in (ROOT / "risk_assets/engine").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(found)


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= 120


def test_documented_messages_are_those_of_the_code() -> None:
    cells = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", section(section(GUIDE, "Several machines"), "Errors", "###"), re.MULTILINE)
    messages = [message for cell in cells[1:] for message in re.findall(r"`([^`]+)`", cell) if message != "local"]
    assert len(messages) > 10
    known = texts()
    assert not [message for message in messages if message not in known]


def test_every_setting_is_documented() -> None:
    table = section(GUIDE, "Settings")
    names = [field.validation_alias or f"RISK_{name.upper()}" for name, field in Settings.model_fields.items()]
    assert not [name for name in names if f"`{name}`" not in table]


def test_each_form_of_an_engine_is_documented() -> None:
    assert all(f"`{form}`" in section(GUIDE, "Several machines") for form in ("local", "spark://HOST:PORT", "sc://HOST:PORT", "local[N]"))


def test_the_help_names_the_setting(tmp_path: Path) -> None:
    assert "RISK_ENGINE=spark://HOST:PORT" in run_here(tmp_path, "run", "--help").text


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone after a short `make demo`: the files of this one, with data of its own."""
    up_to_date = subprocess.run(["make", "--question", "spark"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert up_to_date.returncode == 0, f"the environment is not that of the locks: make spark\n{up_to_date.stderr}"
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in (".venv", "Makefile", "pyproject.toml", "requirements.lock", "spark.lock", "tests"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data/bank", folder / "data/bank")
    policy = folder / "data/bank/policy.yml"  # two snapshots of twelve have too few bad accounts for the limit of the demo
    wider = policy.read_text(encoding="utf-8").replace("max_band_calibration_ratio: 2.5", "max_band_calibration_ratio: 5")
    policy.write_text(wider, encoding="utf-8")
    monkeypatch.setattr(bank, "LABELLED", bank.LABELLED[5::6])
    monkeypatch.setattr(bank, "UNLABELLED", bank.UNLABELLED[-1:])
    run_here(folder, "demo")
    return folder


@contextmanager
def another_terminal(folder: Path, command: str) -> Iterator[tuple[list[str], int]]:
    """Run `make cluster`; yield the lines that it prints to copy, and the process of a worker."""
    printed, said = folder / "cluster.out", folder / "cluster.err"
    started = ending_with_parent(["bash", "-c", command])
    with printed.open("w") as out, said.open("w") as err:
        terminal = subprocess.Popen(started, cwd=folder, env=process_environment(), stdout=out, stderr=err, start_new_session=True)
    try:
        deadline = time.monotonic() + SECONDS
        while not (workers := re.search(r"processes (\d+) and \d+", said.read_text(encoding="utf-8"))):
            assert terminal.poll() is None and time.monotonic() < deadline, said.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield [line for line in printed.read_text(encoding="utf-8").splitlines() if line.startswith("export ")], int(workers[1])
    finally:
        os.killpg(terminal.pid, signal.SIGINT)
        terminal.wait(60)


@pytest.mark.long
def test_the_readme_s_commands_survive_a_killed_worker(clone: Path) -> None:
    before = (clone / PREDICTIONS).read_bytes()
    install, cluster, *here = commands()
    assert (install, cluster) == ("make spark", "make cluster")
    with another_terminal(clone, cluster) as (exports, worker):
        assert [line.partition("=")[0] for line in exports] == ["export RISK_ENGINE", "export SPARK_LOCAL_IP"]
        script = "\n".join(("set -e", install, *exports, *here))
        with subprocess.Popen(
            ["bash", "-c", script], cwd=clone, env=process_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as run:
            deadline = time.monotonic() + SECONDS
            while run.poll() is None and time.monotonic() < deadline and not children(worker):
                time.sleep(0.05)
            assert run.poll() is None and children(worker)
            os.kill(worker, signal.SIGKILL)
            out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert (clone / PREDICTIONS).read_bytes() == before
    assert [*(clone / "bank-lakehouse/curated/accounts_2026-01-28_features").glob("*.parquet")]
