"""The same as `test_kills.py` on Azurite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.azurite.server import Azurite
from tests.faults.places import Place
from tests.faults.points import require_no_trace
from tests.faults.states import CASES


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_no_kill_leaves_a_trace_on_azurite(name: str, state: Callable[[str], Place], tmp_path: Path, azurite: Azurite) -> None:
    require_no_trace(state, name, tmp_path, azurite, CASES[name].azure_step)
