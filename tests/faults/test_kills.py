"""A command that is killed at any of its writes and repeated leaves the lake of a command that was not killed: on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.content import differences, read
from tests.faults.places import Place
from tests.faults.points import require_no_trace
from tests.faults.states import CASES
from tests.faults.warm import KILLED
from tests.faults.writes import AFTER, BEFORE, MIDDLE, Fault, read_writes

SHORT = {"land-days": 12, "run-new": 40, "promote": 12}  # of the distinct points, every n-th; the long tests try more


@pytest.mark.parametrize("name", SHORT)
def test_a_few_kills_leave_no_trace(name: str, state: Callable[[str], Place], tmp_path: Path) -> None:
    require_no_trace(state, name, tmp_path, None, SHORT[name])


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_no_kill_leaves_a_trace(name: str, state: Callable[[str], Place], tmp_path: Path) -> None:
    require_no_trace(state, name, tmp_path, None, CASES[name].step)


def test_two_runs_that_are_not_killed_are_equal(state: Callable[[str], Place], tmp_path: Path) -> None:
    first, second = (state("trained").copy(tmp_path / name) for name in ("first", "second"))
    for place in (first, second):
        place.require("run", "2026-01-04")
    assert differences(read(first), read(second), completed=False) == []


@pytest.mark.parametrize("when", [BEFORE, MIDDLE, AFTER])
def test_a_kill_ends_the_command_at_the_write(when: str, state: Callable[[str], Place], tmp_path: Path) -> None:
    place = state("empty").copy(tmp_path / "place")
    killed = place.run("land", "book.csv", "--date", "2026-01-01", fault=Fault(1, when=when))
    assert killed.code == KILLED
    assert len(read_writes(next((place.folder / "notes").iterdir()))) == 1
    assert ("accounts_2026-01-01.csv" in place.objects(place.landing)) == (when == AFTER)


@pytest.mark.parametrize(
    ("path", "change", "problem"),
    [
        ("curated/accounts_2026-01-04_predictions.csv", lambda content: content + b"x", "does not match its part"),
        ("curated/accounts_2026-01-04_review.csv", None, "is missing"),
        ("registry/bindings/000001.json", lambda content: content + b" ", "was changed"),
        ("logs/batch_runs_log.csv", lambda content: b"\n".join(content.split(b"\n")[:-2]) + b"\n", "lacks"),
        ("logs/batch_runs_log.csv", lambda content: content + content.split(b"\n")[-2] + b"\n", "times"),
        (".left.partial", lambda _: b"x", "is left over"),
    ],
)
def test_the_comparison_finds_a_change(
    path: str, change: Callable[[bytes], bytes] | None, problem: str, state: Callable[[str], Place], tmp_path: Path
) -> None:
    place = state("complete").copy(tmp_path / "place")
    file = place.folder / "lakehouse" / path
    before = read(place)
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes() if file.exists() else b""))
    found = differences(before, read(place), completed=False)
    assert any(problem in each for each in found), json.dumps(found)
