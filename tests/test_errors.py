"""The parts of an error's message: the problem and the next step."""

from pathlib import Path

import dagster as dg
import pytest

from risk_assets.defs.failures import reported_failures
from risk_assets.errors import RiskError
from risk_assets.lake import registry
from risk_assets.lake.store import open_store


@pytest.mark.parametrize(
    ("message", "problem", "step"),
    [
        ("a.csv is empty. Land it again.", "a.csv is empty", "Land it again."),
        ("a.csv has no line end in 4 MiB. Export it as CSV.", "a.csv has no line end in 4 MiB", "Export it as CSV."),
        ("no account is set: set RISK_LAKE.", "no account is set", "set RISK_LAKE."),
        ("access denied: no SAS (at a, b): renew it.", "access denied: no SAS (at a, b)", "renew it."),
        ("two dates: 1 and 2. Run them: risk run 1.", "two dates: 1 and 2", "Run them: risk run 1."),
        ("two sets: a.csv and the folder a/. Take one away.", "two sets: a.csv and the folder a/", "Take one away."),
        ("nothing is live", "nothing is live", None),
    ],
)
def test_message_is_split_into_problem_and_next_step(message: str, problem: str, step: str | None) -> None:
    error = RiskError(message)
    assert (error.problem, error.next_step) == (problem, step)


def test_failure_of_a_step_has_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(dg.Failure, match="no model is live yet") as raised, reported_failures():
        registry.champion(open_store(str(tmp_path)))
    assert raised.value.metadata["next_step"].value.startswith("train one on dates with outcomes (risk train DATE), or promote one")
