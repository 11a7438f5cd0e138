"""Damages to the files of a lake, and what each command makes of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.faults.content import Content, differences, read
from tests.faults.places import LAKE, Place
from tests.faults.states import FIRST, NEXT, TRAINED
from tests.faults.warm import Done

ACCOUNT = "AC000003"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "run": ("run", FIRST),
    "next": ("run", NEXT),
    "train": ("train", TRAINED, "--register-only"),
    "replay": ("replay", FIRST),
    "explain": ("explain", FIRST, ACCOUNT),
    "models": ("models",),
    "live": ("live",),
    "history": ("history", "--verify"),
    "log": ("log",),
}
WRITING = ("run", "next", "train")
VERIFY = ("verify", "--all")

WORKS, RESTORED, REPORTED, STOPPED = "works", "restored", "reported", "stopped"
UNNAMED, UNDETECTED = "STOPPED WITHOUT THE NAME", "NOT DETECTED"

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(\+00:00)?|\d:\d{2}:\d{2}|\d+\.\d+ ?s\b")
_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Normal:
    """What a command does on the lake without damage: what it prints, and the content of the lake after it."""

    text: str
    content: Content


def flip(content: bytes) -> bytes:
    """Return the content with another digit, or with another byte if it is not text.

    The digit is the middle one of the explained account's line if there is one, else that of the file.
    """
    if not _is_text(content):
        at = len(content) // 2
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    found = content.find(ACCOUNT.encode())
    start = found + len(ACCOUNT) if found >= 0 else 0
    end = content.find(b"\n", start) if found >= 0 else len(content)
    digits = [at for at in range(start, end) if chr(content[at]) in "0123456789"]
    at = digits[len(digits) // 2]
    return content[:at] + str((content[at] - ord("0") + 5) % 10).encode() + content[at + 1 :]


DAMAGES: Mapping[str, Callable[[bytes], bytes] | None] = {
    "flipped": flip,
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "deleted": None,
}


def find(place: Place, pattern: str) -> str:
    """Return the first path of the lake that matches a pattern."""
    return next(path for path in sorted(place.objects(place.lake)) if fnmatch(path, pattern))


def damage(place: Place, path: str, kind: str) -> None:
    """Damage a file of the lake."""
    file, change = place.folder / LAKE / path, DAMAGES[kind]
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))


def normal(state: Place, name: str, folder: Path) -> Normal:
    """Run a command on a copy of the lake without damage."""
    place = state.copy(folder)
    text = place.require(*COMMANDS[name])
    return Normal(_plain(text, place), read(place))


def result(state: Place, name: str, path: str, kind: str, expected: Normal, folder: Path) -> str:
    """Return what a command makes of a damaged file."""
    place = state.copy(folder)
    before = (folder / LAKE / path).read_bytes()
    damage(place, path, kind)
    done = place.run(*COMMANDS[name])
    if done.code:
        return STOPPED if is_named(path, done) else f"{UNNAMED} ({done.text[-160:]})"
    file = folder / LAKE / path
    if not _changes(name, (path,), expected, place, done):
        as_it_was = file.exists() and file.read_bytes() == before
        return RESTORED if as_it_was or _is_made_again(name, path, expected, place) else WORKS
    return REPORTED if is_named(path, done) else UNDETECTED


def changes(state: Place, name: str, paths: Sequence[str], expected: Normal, folder: Path) -> list[str]:
    """Return what a command does otherwise if these files are empty."""
    place = state.copy(folder)
    for path in paths:
        damage(place, path, "emptied")
    done = place.run(*COMMANDS[name])
    return [done.text[-300:]] if done.code else _changes(name, paths, expected, place, done)


def verified(state: Place, path: str, kind: str, folder: Path) -> str:
    """Return whether `risk verify --all` names a damaged file and fails."""
    place = state.copy(folder)
    damage(place, path, kind)
    done = place.run(*VERIFY)
    if not done.code:
        return UNDETECTED
    return STOPPED if is_named(path, done) else f"{UNNAMED} ({done.text[-160:]})"


def is_named(path: str, done: Done) -> bool:
    """Return whether a command printed the path of a file, of the table of a manifest, or of the folder of a model."""
    folder = path.rpartition("/")[0]
    names = {path, path.removesuffix(".manifest.json"), *([folder] if "/model_" in path else [])}
    return any(name in done.text for name in names)


def _changes(name: str, paths: Sequence[str], expected: Normal, place: Place, done: Done) -> list[str]:
    """Return how what a command printed, or what a writing command left, differs from what is expected, but for damaged files."""
    if name not in WRITING:
        return [] if _plain(done.text, place) == expected.text else [done.text[-300:]]
    found = differences(expected.content, read(place), completed=False)
    return [line for line in found if not any(_is_about(line, path) for path in paths)]


def _is_made_again(name: str, path: str, expected: Normal, place: Place) -> bool:
    """Return whether a writing command has made a file again with the expected content, but for ids and instants."""
    found = read(place).files.get(path) if name in WRITING else None
    return found is not None and found == expected.content.files.get(path)


def _is_about(problem: str, path: str) -> bool:
    """Return whether a difference is the damage itself, or follows from it for the comparison alone."""
    table = path.removesuffix(".manifest.json")
    chain = "registry/bindings/"
    model = f"{path.rpartition('/')[0]}/" if "/model_" in path else table
    file = path.rpartition("/")[2]
    if "/model_" in path and f"/{file}" in problem and problem.startswith(("registry/version-", "training/")):
        return True  # names of versions and runs are replaced in a content
    log = path.startswith("logs/") and ("run log" in problem or "logs/" in problem)
    kept = ("/superseded/" in problem or "/revisions/" in problem) and table.rpartition("/")[
        2
    ] in problem  # the damaged file, when another one replaced it
    return kept or table in problem or model in problem or log or (path.startswith(chain) and chain in problem)


def _plain(text: str, place: Place) -> str:
    for address in place.addresses:
        text = text.replace(address, "")
    return _RUN.sub("", _INSTANT.sub("", text))


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
