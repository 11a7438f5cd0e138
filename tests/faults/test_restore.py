"""A restore drill: a lake is copied to another place, verified, and a date is scored there."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.azurite.server import Azurite
from tests.faults.content import read
from tests.faults.places import Place
from tests.faults.states import FIRST, NEXT


def test_a_copied_lake_is_complete_and_scores_a_date(state: Callable[[str], Place], tmp_path: Path, storage: Azurite | None) -> None:
    copied = state("complete").copy(tmp_path / "restored", storage)
    shutil.rmtree(copied.folder / ".dagster")
    assert not read(copied).problems
    copied.require("replay", FIRST)
    copied.require("run", NEXT)
    copied.require("verify", "--all")
