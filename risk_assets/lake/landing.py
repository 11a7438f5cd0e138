"""The landing folder, where source systems drop files: found by date, filled by `risk land`."""

from collections.abc import Iterator
from datetime import date as Date
from datetime import timedelta

from risk_assets.domain.errors import LandingError
from risk_assets.lake.raw import Landed
from risk_assets.lake.store import Store


def file_name(kind: str, date: str) -> str:
    """Return the name under which a date's `accounts` or `outcomes` land."""
    return f"{kind}_{date}.csv"


def find(landing: Store, kind: str, date: str, expected: tuple[str, ...]) -> Landed:
    """Return what landed for a date: one CSV, or a folder of shards in the order of their names.

    Raises
    ------
    LandingError
        When there is nothing, or both a file and a folder.
    """
    file, folder = file_name(kind, date), file_name(kind, date).removesuffix(".csv")
    there = landing.size(file) is not None
    shards = tuple(path for path in landing.list(f"{folder}/") if path.endswith(".csv"))
    if there and shards:
        raise LandingError(f"{date} has two sets of {kind} in {landing.url}: the file {file} and the folder {folder}/. Take one away.")
    if not there and not shards:
        raise LandingError(f"no {kind} for {date}: {file} is not in {landing.url}{_near(landing, folder)}. Land it: risk land FILE --date {date}.")
    return Landed(landing, (file,) if there else shards, expected)


def dates(landing: Store, kind: str) -> tuple[str, ...]:
    """Return the dates for which `kind` has landed, oldest first."""
    stems = (name.removesuffix(".csv").removeprefix(f"{kind}_") for name in landing.names("") if name.startswith(f"{kind}_"))
    return tuple(sorted({stem for stem in stems if _is_date(stem)}))


def deposit(landing: Store, kind: str, date: str, content: Iterator[bytes], replace: bool) -> str:
    """Put a file into the landing folder and return its address; an earlier one is replaced only when asked.

    Raises
    ------
    LandingError
        When the date already has one and `replace` is false.
    """
    name = file_name(kind, date)
    folder = name.removesuffix(".csv")
    if not replace and (landing.size(name) is not None or landing.list(f"{folder}/")):
        raise LandingError(f"{kind} for {date} have landed already in {landing.url}. Add --replace to land these in their place.")
    landing.write(name, content)
    return landing.uri(name)


def days(first: str, number: int) -> tuple[str, ...]:
    """Return `number` dates from `first` on."""
    start = Date.fromisoformat(first)
    return tuple((start + timedelta(days=day)).isoformat() for day in range(number))


def _near(landing: Store, stem: str) -> str:
    near = [name for name in landing.names("") if name.startswith(stem)]
    return f" ({', '.join(near)} is there: unpack or rename it)" if near else ""


def _is_date(text: str) -> bool:
    try:
        return Date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
