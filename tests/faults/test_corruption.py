"""Every damaged file is found by `risk verify --all`, is never used silently, and stops no command that does not need it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.corruption import (
    COMMANDS,
    DAMAGES,
    REPORTED,
    RESTORED,
    STOPPED,
    UNDETECTED,
    WORKS,
    Normal,
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
SCORING = ("run", "next", "replay", "explain")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    pattern
        The file that is damaged.
    needs
        The commands that read it: they may stop or report it, with its name.
    restores
        The commands after which it has its content again, but for ids and instants.
    tolerates
        The commands that read it and must not stop.
    exempt
        The damages that `risk verify` cannot know, because nothing refers to the file.
    """

    pattern: str
    needs: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()


KINDS = {
    "raw accounts": Kind(f"raw/accounts_{FIRST}.csv", ("replay",), restores=("run",)),
    "raw accounts manifest": Kind(f"raw/accounts_{FIRST}.csv.manifest.json", ("replay", "next"), restores=("run",)),
    "raw outcomes": Kind(f"raw/outcomes_{LABELLED[1]}.csv", ("train",)),
    "raw outcomes manifest": Kind(f"raw/outcomes_{LABELLED[1]}.csv.manifest.json", ("train",)),
    "features": Kind(f"curated/accounts_{FIRST}_features.parquet", ("next", "replay", "explain", "train"), restores=("run",)),
    "features manifest": Kind(
        f"curated/accounts_{FIRST}_features.parquet.manifest.json", ("next", "replay", "explain", "train"), restores=("run",)
    ),
    "training features": Kind(f"curated/accounts_{LABELLED[1]}_features.parquet", ("run", "next", "train")),
    "training features manifest": Kind(f"curated/accounts_{LABELLED[1]}_features.parquet.manifest.json", ("run", "next", "train")),
    "predictions": Kind(f"curated/accounts_{FIRST}_predictions.csv", ("replay", "explain"), restores=("run",)),
    "predictions manifest": Kind(f"curated/accounts_{FIRST}_predictions.csv.manifest.json", ("replay", "explain"), restores=("run",)),
    "review list": Kind(f"curated/accounts_{FIRST}_review.csv", restores=("run",)),
    "review list manifest": Kind(f"curated/accounts_{FIRST}_review.csv.manifest.json", restores=("run",)),
    "scorecard": Kind(f"{LIVE}/scorecard.json", (*SCORING, "train")),
    "steps": Kind(f"{LIVE}/steps.json"),
    "metrics": Kind(f"{LIVE}/metrics.json", ("live",), tolerates=("models",)),
    "profile": Kind(f"{LIVE}/profile.json", ("run", "next")),
    "example": Kind(f"{LIVE}/example.json"),
    "pickle": Kind(f"{LIVE}/model.joblib"),
    "metadata": Kind(f"{LIVE}/metadata.json", (*SCORING, "train", "live"), tolerates=("models",)),
    "claim": Kind(f"{LIVE}/claim.json"),
    "metadata of the challenger": Kind(f"{CHALLENGER}/metadata.json", SCORING, tolerates=("models",)),
    "newest binding": Kind("registry/bindings/000002.json", (*SCORING, "train", "live", "history", "models")),
    "older binding": Kind("registry/bindings/000001.json", ("history",)),
    "policy": Kind("registry/policies/*.json", ("replay", "explain"), restores=("run", "next")),
    "run record": Kind(f"logs/batch_runs/{FIRST}/*.json", tolerates=("run", "next", "log")),
    "run log": Kind("logs/batch_runs_log.csv", tolerates=("run", "next", "log")),
    "format": Kind("format.json", tuple(COMMANDS)),
    "impact": Kind(f"{CHALLENGER}/impact.json"),
    "impact accounts": Kind(f"{CHALLENGER}/impact_accounts.csv"),
    "trained model": Kind(f"training/model_{TRAINED}/*scorecard.json"),
    "superseded accounts": Kind(f"raw/superseded/*/accounts_{FIRST}.csv", exempt=("deleted",)),
    "superseded predictions": Kind(f"curated/superseded/*/accounts_{FIRST}_predictions.csv"),
}
OTHERS = ("next", "replay", "explain", "models", "live", "history", "log")  # also tried with an emptied file that they may not need
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
    others = OTHERS if damage == "emptied" else ()
    tried = dict.fromkeys((*kind.needs, *kind.restores, *kind.tolerates, *others))
    outcomes = {each: result(complete, each, path, damage, normals(each), tmp_path / each) for each in tried}
    wrong = [f"{each}: {outcome}" for each, outcome in outcomes.items() if outcome not in accepted(kind, each)]
    assert not wrong, f"{path}, {damage}: {'; '.join(wrong)}"


@pytest.mark.parametrize(("name", "damage"), PAIRS)
def test_verify_names_the_damaged_file(name: str, damage: str, state: StateOf, tmp_path: Path) -> None:
    kind, complete = KINDS[name], state("complete")
    path = find(complete, kind.pattern)
    expected = (STOPPED, UNDETECTED) if damage in kind.exempt else (STOPPED,)
    assert verified(complete, path, damage, tmp_path / "place") in expected, path


def accepted(kind: Kind, command: str) -> tuple[str, ...]:
    """Return what a command may make of a damaged file of a kind."""
    if command in kind.restores:
        return (RESTORED,)
    if command in kind.needs:
        return (WORKS, RESTORED, REPORTED, STOPPED)
    return (WORKS, RESTORED, REPORTED) if command in kind.tolerates else (WORKS, RESTORED)


def test_a_flip_changes_one_digit() -> None:
    assert flip(b'{"a": 12}') == b'{"a": 17}'
    assert flip(b"\xff\x00\x01") == b"\xff\x01\x01"
