"""The states that commands start in, each made from another by commands, and the commands that are killed."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tests.conftest import ROOT, copy_documents
from tests.faults.places import LANDING, Place

LABELLED = ("2026-01-01", "2026-01-02", "2026-01-03")
TRAINED, FIRST, SECOND, NEXT = LABELLED[-1], "2026-01-04", "2026-01-05", "2026-01-06"
WHY = ("--reason", "a test", "--by", "ann")


@dataclass(frozen=True)
class State:
    """A state: the one that it is made from, and how."""

    source: str | None
    make: Callable[[Place], None]


@dataclass(frozen=True)
class Case:
    """A command in a state. Of its distinct kill points, every `step`-th is tried, on Azurite every `azure_step`-th."""

    state: str
    arguments: tuple[str, ...]
    step: int = 1
    azure_step: int = 1


def _empty(place: Place) -> None:
    """Make contract, policy, an empty landing folder, and two files with outcomes to land."""
    copy_documents(place.folder)
    (place.folder / LANDING).mkdir()
    for name, day in (("book.csv", 1), ("other.csv", 2)):
        accounts, outcomes = (
            pl.read_csv(ROOT / LANDING / f"{kind}_2026-01-{day:02d}.csv", infer_schema=False) for kind in ("accounts", "outcomes")
        )
        accounts.join(outcomes, on="account_id", maintain_order="left").write_csv(place.folder / name)


def _landed(place: Place) -> None:
    place.require("land", "book.csv", "--from", LABELLED[0], "--days", "3")


def _files(place: Place) -> None:
    """Land five dates of accounts and four of outcomes."""
    for kind, days in (("accounts", 5), ("outcomes", 4)):
        for day in range(1, days + 1):
            shutil.copy(ROOT / LANDING / f"{kind}_2026-01-{day:02d}.csv", place.folder / LANDING)


def _stored(place: Place) -> None:
    """Store accounts, features and outcomes of the labelled dates. Without a live model, the dates are not scored."""
    place.require("run", LABELLED[0], "--until", LABELLED[-1], code=1)
    place.require("outcomes", LABELLED[0], "--until", LABELLED[-1])


def _live(place: Place) -> None:
    place.require("train", TRAINED)


def _trained(place: Place) -> None:
    place.require("train", TRAINED, "--estimator", "scorecard", "--register-only")


def _promoted(place: Place) -> None:
    place.require("promote", "model_v002", "--yes", "--override", *WHY)


def _challenged(place: Place) -> None:
    place.require("challenge", "model_v002", "--shadow", *WHY)


def _relanded(place: Place) -> None:
    """Score a date, then land another file for it."""
    place.require("run", FIRST)
    rows = pl.read_csv(place.folder / LANDING / f"accounts_{FIRST}.csv", infer_schema=False)
    rows.head(len(rows) - 10).write_csv(place.folder / "changed.csv")
    place.require("land", "changed.csv", "--date", FIRST, "--replace")


def _complete(place: Place) -> None:
    """Make a lake with every kind of file, and land another date."""
    place.require("run", FIRST, "--until", SECOND)
    place.require("impact", "model_v002")
    place.require("monitor", FIRST)
    shutil.copy(ROOT / LANDING / f"accounts_{NEXT}.csv", place.folder / LANDING)


STATES = {
    "empty": State(None, _empty),
    "landed": State("empty", _landed),
    "files": State("empty", _files),
    "stored": State("files", _stored),
    "live": State("stored", _live),
    "trained": State("live", _trained),
    "promoted": State("trained", _promoted),
    "challenged": State("trained", _challenged),
    "relanded": State("challenged", _relanded),
    "complete": State("relanded", _complete),
}
CASES = {
    "land-date": Case("empty", ("land", "book.csv", "--date", LABELLED[0])),
    "land-days": Case("empty", ("land", "book.csv", "--from", LABELLED[0], "--days", "3"), azure_step=3),
    "land-replace": Case("landed", ("land", "other.csv", "--from", LABELLED[0], "--days", "3", "--replace"), azure_step=3),
    "run-new": Case("trained", ("run", FIRST), azure_step=5),
    "run-changed": Case("relanded", ("run", FIRST), step=3, azure_step=7),
    "outcomes": Case("trained", ("outcomes", FIRST), azure_step=5),
    "train-unstored": Case("files", ("train", TRAINED), step=15, azure_step=45),
    "train-first": Case("stored", ("train", TRAINED), step=5, azure_step=11),
    "train-second": Case("live", ("train", TRAINED, "--estimator", "scorecard"), step=5, azure_step=13),
    "promote": Case("trained", ("promote", "model_v002", "--yes", "--override", *WHY)),
    "rollback": Case("promoted", ("rollback", *WHY)),
    "challenge": Case("trained", ("challenge", "model_v002", "--shadow", *WHY)),
    "end-challenge": Case("challenged", ("challenge", "--end", *WHY)),
    "impact": Case("trained", ("impact", "model_v002")),
    "monitor": Case("complete", ("monitor", SECOND)),
}


def make_state(name: str, folder: Path, source: Place | None, place: Callable[[Path], Place]) -> None:
    """Make a state in a folder that does not exist, from the state that it is made from."""
    state = STATES[name]
    if source is None:
        folder.mkdir(parents=True)
        state.make(place(folder))
    else:
        state.make(source.copy(folder))
    shutil.rmtree(folder / "notes", ignore_errors=True)
