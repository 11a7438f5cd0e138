"""Tests of the commands in the service's README: each `curl` works as it is written, except for the port."""

import json
import re
import subprocess

import pytest

from tests.conftest import ROOT
from tests.serving.conftest import Service

README = (ROOT / "risk_serving/README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```\n(curl .*?)\n```$", README, re.MULTILINE | re.DOTALL)
FORMATS = {"records", "columns", "dataframe_records", "dataframe_split", "inputs", "input_data"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_answered(service: Service, command: str) -> None:
    command = command.replace("http://127.0.0.1:8000", service.url)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    if "/outcomes" in command:
        stored = [{"date": "2026-01-07", "outcomes": 2, "status": "stored"}]
        assert json.loads(done.stdout) == {"stored": stored}
        assert json.dumps({"stored": stored}, separators=(",", ":")) in README
        return
    results = json.loads(done.stdout)["results"]
    assert {result["status"] for result in results} == {"issue" if "on_error" in command else "scored"}
    assert ("explanation" in results[0]) is ("explain" in command)
    if "on_error" in command:
        assert f'"issues":{json.dumps(results[0]["issues"], separators=(",", ":"))}' in README


def test_every_format_has_a_command() -> None:
    assert {name for name in FORMATS if any(f'"{name}": ' in command for command in COMMANDS)} == FORMATS
