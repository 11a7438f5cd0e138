"""Two writers of one date, two trainings and two promotions at once leave one consistent result."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from risk_assets.lake import binding_log, layout
from tests.azurite.server import Azurite
from tests.faults.interleaving import estimators, inconsistencies, interleave, is_one_line_error
from tests.faults.places import LANDING, Place
from tests.faults.states import FIRST, TRAINED, WHY
from tests.faults.writes import AFTER, PAUSE, STOP, Fault

StateOf = Callable[[str], Place]
PROMOTE = ("promote", "model_v002", "--yes", "--override", *WHY)
RUN = ("run", FIRST)


def promote(place: Place) -> None:
    place.require(*PROMOTE)


def land_again(place: Place) -> None:
    rows = pl.read_csv(Path(__file__).parents[2] / LANDING / f"accounts_{FIRST}.csv", infer_schema=False)
    rows.head(len(rows) - 10).write_csv(place.folder / "changed.csv")
    place.require("land", "changed.csv", "--date", FIRST, "--replace")


CHANGES = {
    "raw/accounts": land_again,
    "curated/features": land_again,
    "curated/predictions": promote,
    "curated/review_list": promote,
}


@pytest.mark.parametrize("key", [pytest.param(key, marks=() if key == "curated/predictions" else pytest.mark.long) for key in CHANGES])
def test_two_writers_of_a_date_leave_one_table(key: str, state: StateOf, tmp_path: Path, storage: Azurite | None) -> None:
    require_one_table(state("trained").copy(tmp_path / "place", storage), key, PAUSE)


@pytest.mark.long
@pytest.mark.parametrize("key", CHANGES)
def test_a_writer_that_was_stopped_commits_nothing(key: str, state: StateOf, tmp_path: Path) -> None:
    require_one_table(state("trained").copy(tmp_path / "place"), key, STOP)


def require_one_table(place: Place, key: str, action: str) -> None:
    """Pause a run between the data and the manifest of a table; a second run succeeds or gets an error, as does the first."""
    fault = Fault(path=layout.manifest(layout.PATHS[key](FIRST)), action=action)
    both = interleave(place, RUN, fault, lambda: CHANGES[key](place), RUN)
    problems = inconsistencies(place, FIRST)
    problems += [
        f"an error of more than a line: {done.text}" for done in (both.paused, both.other) if done.code and not is_one_line_error(done)
    ]
    if not both.succeeded:
        problems.append("both failed")
    assert not problems, problems
    place.require("replay", FIRST)
    place.require(*RUN)
    assert inconsistencies(place, FIRST) == []


@pytest.mark.long
def test_concurrent_trainings_register_their_own_models(state: StateOf, tmp_path: Path) -> None:
    place = state("live").copy(tmp_path / "place")
    before = estimators(place)
    commands = {name: ("train", TRAINED, "--estimator", name, "--register-only") for name in ("logistic", "scorecard")}
    trained = Fault(path=f"{layout.TRAINING}/*{layout.METADATA}", when=AFTER, action=PAUSE)
    both = interleave(place, commands["logistic"], trained, lambda: None, commands["scorecard"])
    assert (both.paused.code, both.other.code) == (0, 0), both
    added = {name: found for name, found in estimators(place).items() if name not in before}
    assert sorted(estimator for estimator, _ in added.values()) == ["logistic", "scorecard"]
    (logistic,) = (card for estimator, card in added.values() if estimator == "logistic")
    assert logistic == before["model_v001"][1], "the same rows and estimator give the same scorecard"
    assert len({card for _, card in added.values()}) == 2


def test_concurrent_promotions_leave_an_unbroken_chain(state: StateOf, tmp_path: Path, storage: Azurite | None) -> None:
    place = state("trained").copy(tmp_path / "place", storage)
    others = ("--yes", "--override", "--reason", "another test", "--by", "bob")
    fault = Fault(path=layout.binding(2), action=PAUSE)
    both = interleave(place, PROMOTE, fault, lambda: None, ("promote", "model_v002", *others))
    bindings = binding_log.read(place.lake)
    assert binding_log.verify(place.lake) == []
    assert len(bindings) == 1 + both.succeeded
    assert bindings[-1].champion == "model_v002"
    assert all(done.code == 0 or is_one_line_error(done) for done in (both.paused, both.other)), both
