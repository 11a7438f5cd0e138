"""Tests of the commands in the service's README: each `curl` works as it is written, except for the port."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from risk_assets.simulation.demo import LAST
from tests.conftest import ROOT
from tests.serving.conftest import Service

README = (ROOT / "risk_serving/README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```\n(curl .*?)\n```$", README, re.MULTILINE | re.DOTALL)
STREAMS = re.findall(r"^```\n(python .*?)\n```$", README, re.MULTILINE | re.DOTALL)
FORMATS = {"records", "columns", "dataframe_records", "dataframe_split", "inputs", "input_data"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_answered(service: Service, command: str) -> None:
    command = command.replace("http://127.0.0.1:8000", service.url)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    answer = json.loads(done.stdout)
    if "/outcomes" in command:
        stored = [{"date": LAST.isoformat(), "outcomes": 2, "status": "stored"}]  # a date that `risk demo` has scored
        assert answer == {"stored": stored}
        assert json.dumps({"stored": stored}, separators=(",", ":")) in README
        return
    if '"answer": "columns"' in command:
        assert answer["columns"]["status"] == ["scored"] * 2
        return
    results = answer["results"]
    assert {result["status"] for result in results} == {"issue" if "on_error" in command else "scored"}
    assert ("explanation" in results[0]) is ("explain" in command)
    if "on_error" in command:
        assert f'"issues":{json.dumps(results[0]["issues"], separators=(",", ":"))}' in README


@pytest.mark.parametrize("commands", STREAMS)
def test_arrow_stream_is_answered(service: Service, commands: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    commands = commands.replace("http://127.0.0.1:8000", service.url)
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=30, check=True
    )
    assert [result["status"] for result in json.loads(done.stdout)] == ["scored"]


def test_arrow_has_a_command() -> None:
    assert len(STREAMS) == 1


def test_every_format_has_a_command() -> None:
    assert {name for name in FORMATS if any(f'"{name}": ' in command for command in COMMANDS)} == FORMATS
