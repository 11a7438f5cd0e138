"""Kill a command at each of its writes, repeat it, and compare the lake with that of a command that was not killed.

python -m tests.faults.points                          # the cases, and the number of their points
python -m tests.faults.points run-new                  # all points of a case
python -m tests.faults.points run-new 3 before         # one point; the folder is kept and printed
python -m tests.faults.points run-new 3 before azurite
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.azurite.server import Azurite, running
from tests.faults.content import Content, differences, read
from tests.faults.places import Place
from tests.faults.states import CASES, STATES, Case, make_state
from tests.faults.warm import KILLED, warm_process
from tests.faults.writes import AFTER, Fault, Write, read_writes

OUTPUT_SHOWN = 300


@dataclass(frozen=True)
class Point:
    """A moment at which a command is killed: at which write, and when."""

    write: Write
    when: str

    def __str__(self) -> str:
        return f"{self.write.number} {self.when} {self.write.method} {self.write.path}"


@dataclass(frozen=True)
class Survey:
    """A command that was not killed: its points, and the content of the lake after it."""

    points: tuple[Point, ...]
    content: Content


def survey(state: Place, case: Case, folder: Path, azurite: Azurite | None) -> Survey:
    """Run the command of a case once; it must succeed."""
    place = state.copy(folder / "survey", azurite)
    place.require(*case.arguments)
    (notes,) = (place.folder / "notes").iterdir()
    points = tuple(Point(write, when) for write in read_writes(notes) for when in write.moments)
    return Survey(points, read(place))


def outcome(state: Place, case: Case, point: Point, expected: Content, folder: Path, azurite: Azurite | None) -> list[str]:
    """Kill the command at a point, repeat it, and return what is different; nothing if the kill left no trace."""
    place = state.copy(folder, azurite)
    killed = place.run(*case.arguments, fault=Fault(point.write.number, when=point.when))
    if killed.code != KILLED:
        return [f"the command was not killed: exit code {killed.code}: {killed.text[:OUTPUT_SHOWN]}"]
    completed = read(place).files == expected.files
    again = place.run(*case.arguments)
    problems = [f"repeated: exit code {again.code}: {again.text[-OUTPUT_SHOWN:]}"] if again.code else []
    return problems + differences(expected, read(place), completed=completed)


def distinct(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that leave different lakes: after a write is the same as before the next one, but for the last."""
    return tuple(point for point in points if point.when != AFTER or point == points[-1])


def failures(state: Place, case: Case, folder: Path, azurite: Azurite | None, step: int) -> tuple[int, dict[str, list[str]]]:
    """Try every `step`-th of the distinct points of a case, the last one among them.

    Returns the number of points tried, and the problems by point.
    """
    surveyed = survey(state, case, folder, azurite)
    chosen = distinct(surveyed.points)[::-step][::-1]
    found = {}
    for number, point in enumerate(chosen):
        place = folder / str(number)
        problems = outcome(state, case, point, surveyed.content, place, azurite)
        shutil.rmtree(place)
        if problems:
            found[str(point)] = problems
    return len(chosen), found


def require_no_trace(state: Callable[[str], Place], name: str, folder: Path, azurite: Azurite | None, step: int) -> None:
    """Verify that no point of a case leaves a trace; parameters as of `failures`."""
    tried, found = failures(state(CASES[name].state), CASES[name], folder, azurite, step)
    assert tried
    assert not found, f"{len(found)} of {tried} points of {name} failed\n{report(found)}"


def report(found: dict[str, list[str]]) -> str:
    """Return the problems as text, a line for each point and each problem."""
    return "\n".join(line for point, problems in found.items() for line in (point, *(f"    {problem}" for problem in problems)))


@contextmanager
def states(folder: Path) -> Iterator[Callable[[str], Place]]:
    """Yield a function that makes and returns a state below a folder."""
    with warm_process() as warm:

        def place(path: Path) -> Place:
            return Place(path, warm)

        def state(name: str) -> Place:
            source = STATES[name].source
            if not (folder / name).exists():
                make_state(name, folder / name, state(source) if source else None, place)
            return place(folder / name)

        yield state


@contextmanager
def _storage(name: str, folder: Path) -> Iterator[Azurite | None]:
    if name != "azurite":
        yield None
        return
    with running(folder / "azurite") as server:
        server.create_container("lake")
        yield server


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Try points by hand; the folder is kept."""
    storage = "azurite" if "azurite" in arguments else "disk"
    name, *chosen = [argument for argument in arguments if argument != "azurite"] or [""]
    folder = Path(tempfile.mkdtemp(prefix="risk-points-"))
    _say(f"folder: {folder}")
    with states(folder / "states") as state, _storage(storage, folder) as azurite:
        for each in [name] if name else CASES:
            case = CASES[each]
            surveyed = survey(state(case.state), case, folder / each, azurite)
            points = [point for point in surveyed.points if not chosen or [str(point.write.number), point.when] == chosen]
            _say(f"{each} in the state {case.state}: risk {' '.join(case.arguments)}: {len(points)} points")
            for point in points if name else ():
                target = folder / each / f"{point.write.number}-{point.when}"
                problems = outcome(state(case.state), case, point, surveyed.content, target, azurite)
                _say("\n    ".join([f"{'FAILED' if problems else 'ok'}: {point}", *problems]))


if __name__ == "__main__":
    main(sys.argv[1:])
