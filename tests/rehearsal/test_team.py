"""The team of a rehearsal: what ends it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from risk_assets.errors import RiskError
from risk_assets.rehearsal.team import Team
from risk_assets.runner import Result, Runner
from risk_assets.simulation.scenarios import SCENARIOS
from risk_assets.simulation.scripted_bank import Landed, Morning

MORNING = Morning(-20, "2025-02-11", (Landed("outcomes", "2025-01-14", b"account_id,defaulted\n"),))


def team(error: str) -> Team:
    """Return a team whose runs end with an error, which a real run cannot be made to do in time."""

    def run(job: str, date: str, *only: str, **config: Any) -> Result:
        return Result(date, error)

    landing = SimpleNamespace(put=lambda name, content: None)
    return Team(cast(Runner, SimpleNamespace(run=run, lakehouse=SimpleNamespace(landing=landing))), SCENARIOS["quiet"])


def test_a_failure_before_the_first_day_ends_a_rehearsal() -> None:
    with pytest.raises(RiskError, match="a run for 2025-01-14 that must succeed failed: no space"):
        team("no space").prepare(MORNING)
