"""Every damaged file is found by `risk verify --all`, is never used silently, and stops no command that does not need it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from risk_assets.lake import layout
from tests.faults.corruption import (
    COMMANDS,
    DAMAGES,
    REPORTED,
    RESTORED,
    STOPPED,
    UNDETECTED,
    WORKS,
    Normal,
    changes,
    find,
    flip,
    normal,
    result,
    verified,
)
from tests.faults.places import Place
from tests.faults.states import FIRST, LABELLED, TRAINED

StateOf = Callable[[str], Place]
LIVE, CHALLENGER = "registry/model_v001", "registry/model_v002"
ACCOUNTS, OUTCOMES, KNOWN = layout.accounts(FIRST), layout.outcomes(LABELLED[1]), layout.curated_outcomes(LABELLED[1])
FEATURES, OLDER = layout.features(FIRST), layout.features(LABELLED[1])
PREDICTIONS, REVIEW = layout.predictions(FIRST), layout.review(FIRST)
SCORING = ("run", "next", "replay", "explain")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    pattern
        The file that is damaged.
    needs
        The commands that use it: they stop or report it with its name, or restore it.
    may
        The commands that may read it, or read a part of it that no hash covers: they may also stop.
    restores
        The commands after which it has its content again, but for ids and instants.
    tolerates
        The commands that read it and must not stop.
    exempt
        The damages that `risk verify` cannot know, because nothing refers to the file.
    """

    pattern: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()

    @property
    def users(self) -> dict[str, None]:
        """The commands that read it, or may."""
        return dict.fromkeys((*self.needs, *self.may, *self.restores, *self.tolerates))


KINDS = {
    "raw accounts": Kind(ACCOUNTS, ("replay",), restores=("run",)),
    "raw accounts manifest": Kind(layout.manifest(ACCOUNTS), ("replay",), ("next",), restores=("run",)),
    "raw outcomes": Kind(OUTCOMES, ("train",)),
    "raw outcomes manifest": Kind(layout.manifest(OUTCOMES), may=("train",)),
    "features": Kind(FEATURES, ("replay", "explain", "train"), ("next",), restores=("run",)),
    "features manifest": Kind(layout.manifest(FEATURES), ("replay",), ("next", "explain", "train"), restores=("run",)),
    "training features": Kind(OLDER, ("train",), ("run", "next")),
    "training features manifest": Kind(layout.manifest(OLDER), may=("run", "next", "train")),
    "outcomes": Kind(KNOWN, restores=("train",)),
    "outcomes manifest": Kind(layout.manifest(KNOWN), restores=("train",)),
    "predictions": Kind(PREDICTIONS, ("replay", "explain"), restores=("run",)),
    "predictions manifest": Kind(layout.manifest(PREDICTIONS), may=("replay", "explain"), restores=("run",)),
    "index of accounts": Kind(layout.account_index_part(FIRST, 0), restores=("run",)),
    "manifest of the index": Kind(layout.manifest(layout.account_index(FIRST)), restores=("run",)),
    "review list": Kind(REVIEW, restores=("run",)),
    "review list manifest": Kind(layout.manifest(REVIEW), restores=("run",)),
    "scorecard": Kind(f"{LIVE}/scorecard.json", (*SCORING, "train", "live")),
    "steps": Kind(f"{LIVE}/steps.json", ("live",)),
    "metrics": Kind(f"{LIVE}/metrics.json", ("live",), tolerates=("models",)),
    "profile": Kind(f"{LIVE}/profile.json", ("run", "next", "live")),
    "example": Kind(f"{LIVE}/example.json", ("live",)),
    "pickle": Kind(f"{LIVE}/model.joblib", ("live",)),
    "metadata": Kind(f"{LIVE}/metadata.json", may=(*SCORING, "train", "live"), tolerates=("models",)),
    "claim": Kind(f"{LIVE}/claim.json", ("live",)),
    "metadata of the challenger": Kind(f"{CHALLENGER}/metadata.json", ("live",), SCORING, tolerates=("models",)),
    "newest binding": Kind(layout.binding(2), (*SCORING, "train", "live", "history"), ("models",)),
    "older binding": Kind(layout.binding(1), ("history",)),
    "policy": Kind(layout.policy("*"), (*SCORING, "train", "live", "history")),
    "contract": Kind(layout.contract("*"), ("run", "next", "replay", "train", "live", "history")),
    "run record": Kind(layout.run_record(FIRST, "*"), tolerates=("run", "next", "log")),
    "run log": Kind(layout.RUN_LOG, tolerates=("run", "next", "log")),
    "format": Kind(layout.FORMAT, tuple(COMMANDS)),
    "impact": Kind(f"{CHALLENGER}/impact.json"),
    "impact accounts": Kind(f"{CHALLENGER}/impact_accounts.csv"),
    "drift report": Kind(layout.drift(FIRST), exempt=("deleted",)),
    "trained model": Kind(f"{layout.training_folder(TRAINED)}/*scorecard.json"),
    "superseded accounts": Kind(f"raw/superseded/*/accounts_{FIRST}.csv"),
    "revision of accounts": Kind(f"raw/revisions/accounts_{FIRST}.csv/*", exempt=("deleted",)),
    "superseded predictions": Kind(f"curated/superseded/*/accounts_{FIRST}_predictions.csv"),
}
OTHERS = ("next", "replay", "explain", "models", "live", "history", "log")  # also tried with all files empty that they do not need
SHORT = (("raw accounts", "flipped"), ("run record", "emptied"), ("metadata of the challenger", "truncated"))
PAIRS = [
    pytest.param(kind, damage, marks=() if (kind, damage) in SHORT else pytest.mark.long, id=f"{kind}, {damage}")
    for kind in KINDS
    for damage in DAMAGES
]


@pytest.fixture(scope="session")
def normals(state: StateOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Normal]:
    """Return a function that returns what a command does on the lake without damage."""
    folder, known = tmp_path_factory.mktemp("normal"), dict[str, Normal]()

    def find_normal(name: str) -> Normal:
        if name not in known:
            known[name] = normal(state("complete"), name, folder / name)
        return known[name]

    return find_normal


@pytest.mark.parametrize(("name", "damage"), PAIRS)
def test_damage_is_never_used_silently(name: str, damage: str, state: StateOf, normals: Callable[[str], Normal], tmp_path: Path) -> None:
    kind, complete = KINDS[name], state("complete")
    path = find(complete, kind.pattern)
    outcomes = {each: result(complete, each, path, damage, normals(each), tmp_path / each) for each in kind.users}
    wrong = [f"{each}: {outcome}" for each, outcome in outcomes.items() if outcome not in accepted(kind, each, damage)]
    assert not wrong, f"{path}, {damage}: {'; '.join(wrong)}"


@pytest.mark.long
@pytest.mark.parametrize("command", OTHERS)
def test_damage_stops_no_command_that_does_not_need_the_file(
    command: str, state: StateOf, normals: Callable[[str], Normal], tmp_path: Path
) -> None:
    complete = state("complete")
    others = [find(complete, kind.pattern) for kind in KINDS.values() if command not in kind.users]
    if command == "replay":  # it verifies all files of the version
        others = [path for path in others if not path.startswith(LIVE)]
    assert len(others) > len(KINDS) // 2
    assert changes(complete, command, others, normals(command), tmp_path / "place") == []


@pytest.mark.parametrize(("name", "damage"), PAIRS)
def test_verify_names_the_damaged_file(name: str, damage: str, state: StateOf, tmp_path: Path) -> None:
    kind, complete = KINDS[name], state("complete")
    path = find(complete, kind.pattern)
    expected = (STOPPED, UNDETECTED) if damage in kind.exempt else (STOPPED,)
    assert verified(complete, path, damage, tmp_path / "place") in expected, path


def accepted(kind: Kind, command: str, damage: str) -> tuple[str, ...]:
    """Return what a command may make of a damaged file of a kind.

    A table whose manifest is deleted, and the newest binding, were never written as far as a command can see, and a record of
    the run log is not read while its row is sound: `risk verify --all` finds these. `replay` verifies all files of a version.
    """
    unseen = damage == "deleted" and kind.pattern in (*map(layout.manifest, (FEATURES, OLDER)), layout.binding(2))
    if unseen or (kind.pattern == layout.RUN_LOG and command == "log" and damage == "flipped"):
        return (WORKS, RESTORED, REPORTED, STOPPED, UNDETECTED)
    if command == "replay" or (kind.pattern == layout.binding(2) and damage == "emptied" and command == "train"):
        return (WORKS, RESTORED, REPORTED, STOPPED)
    if command in kind.restores:
        return (RESTORED, WORKS) if kind.pattern == layout.manifest(ACCOUNTS) else (RESTORED,)
    if command in kind.needs:
        return (RESTORED, REPORTED, STOPPED)
    if command in kind.may:
        return (WORKS, RESTORED, REPORTED, STOPPED)
    return (WORKS, RESTORED, REPORTED) if command in kind.tolerates else (WORKS, RESTORED)


def test_a_flip_changes_one_digit() -> None:
    assert flip(b'{"a": 12}') == b'{"a": 17}'
    assert flip(b"account_id\nAC000002,1\nAC000003,1\n") == b"account_id\nAC000002,1\nAC000003,6\n"
    assert flip(b"\xff\x00\x01") == b"\xff\x01\x01"
