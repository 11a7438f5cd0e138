"""The landing folder: source systems put files there, `risk land` too. Each date has one file or one folder of shards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from risk_assets.clock import is_date
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.labels import outcome_keys
from risk_assets.errors import LandingError
from risk_assets.lake.hashing import Content, content_of_chunks
from risk_assets.lake.landed_parts import LandedFile
from risk_assets.lake.landing_sources import Source, SourceFolder
from risk_assets.lake.landing_watch import DONE, INCOMPLETE
from risk_assets.lake.manifests import named
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.store import Entry, Store

ACCOUNTS, OUTCOMES = "accounts", "outcomes"


def file_name(kind: str, date: str) -> str:
    """Return the name of the landed file of a date's `accounts` or `outcomes`."""
    return f"{kind}_{date}.csv"


def folder_name(kind: str, date: str) -> str:
    """Return the name of the folder of a date's shards."""
    return f"{kind}_{date}"


def find(landing: Store, kind: str, date: str, expected: tuple[str, ...]) -> LandedFile:
    """Return the landed file of a date: one CSV, or the shards of a folder ordered by name.

    Files in the folder whose names begin with `_` or `.` are ignored.

    Raises
    ------
    LandingError
        If there is nothing, both a file and a folder, a folder that is not complete, a folder or a link to nothing with the name of a
        file, or a shard whose name does not end with `.csv`.
    """
    file, shards = file_name(kind, date), _shards(landing, kind, date)
    if landing.list(f"{file}/"):
        raise _not_a_file(landing, kind, date)
    alone = landing.entry(file)
    has_file = alone is not None
    if not has_file and file in landing.names(""):
        raise _not_a_file(landing, kind, date)
    if has_file and shards:
        raise LandingError(
            f"{date} has two sets of {kind} in {landing.url}: the file {file} and the folder {folder_name(kind, date)}/. Take away the one "
            "that is wrong."
        )
    if not has_file and not shards:
        command = f"risk land FILE{_option(kind)} --date {date}"
        raise LandingError(f"no {kind} for {date}: {file} is not in {landing.url}{_similar(landing, kind, date)}. Land it: {command}.")
    found = (alone,) if alone else shards
    return LandedFile(landing, tuple(entry.path for entry in found), expected, found)


def dates(landing: Store, kind: str) -> tuple[str, ...]:
    """Return the dates for which `kind` has landed, oldest first."""
    stems = (name.removesuffix(".csv").removeprefix(f"{kind}_") for name in landing.names("") if name.startswith(f"{kind}_"))
    return tuple(sorted({stem for stem in stems if is_date(stem)}))


def missing_folder(landing: Store) -> str | None:
    """Return a note with the next step if the landing folder does not exist on disk, or None."""
    if landing.folder is None or landing.folder.is_dir():
        return None
    return (
        f"the landing folder {landing.url} does not exist, so only files that the lake has already are used. Set RISK_LANDING to the "
        "folder with the files, or land a file (risk land FILE --date DATE)."
    )


@dataclass(frozen=True)
class Landed:
    """The names of the files that were written by kind, and of those that were replaced."""

    written: dict[str, list[str]]
    replaced: tuple[str, ...]


def land(landing: Store, source: Source | SourceFolder, contract: Contract, wanted: Sequence[str], *, replace: bool) -> Landed:
    """Land a source unchanged, or a piece of a file for each date; with the target column, the same bytes land as outcomes too.

    A folder lands for one date. While its shards are written, `find` raises: a reader takes all of them or none.

    Raises
    ------
    LandingError
        If other bytes have landed for a date and `replace` is false, or the source cannot be scored: it has no rows, or a column of the
        contract is missing or repeated. Nothing is written.
    """
    labelled = source.is_labelled(contract)
    columns = tuple(dict.fromkeys((*contract.columns, *contract.outcome_columns))) if labelled else contract.columns
    source.require(columns, "Land a file that has them, or set RISK_CONTRACT to the contract of this file.")
    return _land(landing, source, (ACCOUNTS, OUTCOMES) if labelled else (ACCOUNTS,), wanted, replace)


def land_outcomes(landing: Store, source: Source | SourceFolder, contract: Contract, wanted: Sequence[str], *, replace: bool) -> Landed:
    """Land a source unchanged as outcomes, or a piece of a file for each date; returns and raises as `land`.

    Only the columns of outcomes are required. Raises `ContractError` if outcomes are derived.
    """
    columns = contract.outcome_columns
    source.require(columns, f"Outcomes need {' and '.join(columns)}: fix the file, or {outcome_keys(columns, contract)} in the contract.")
    return _land(landing, source, (OUTCOMES,), wanted, replace)


def _land(landing: Store, source: Source | SourceFolder, kinds: Sequence[str], wanted: Sequence[str], replace: bool) -> Landed:
    landing.remove_old_temporary_files()
    _require_files(landing, kinds, wanted)
    if isinstance(source, SourceFolder):
        _require_elsewhere(landing, source, kinds, wanted)
    else:
        source.sizes(len(wanted))
    there = {(kind, date): _there(landing, kind, date) for kind, date in product(kinds, wanted)}
    hashed = isinstance(source, SourceFolder) or any(found.shards or found.files for found in there.values())
    contents = _contents(source, kinds, wanted) if hashed else {}
    if not replace:
        _require_free(landing, there, contents)
    repeated = [key for key, found in there.items() if found.mark is not None and found.mark == _identity(contents[key])]
    replaced = [path for key, found in there.items() for path in found.files if replace or (key in repeated and path not in contents[key])]
    put = _put_shards if isinstance(source, SourceFolder) else _put_file
    written: dict[str, list[str]] = {kind: [] for kind in kinds}
    for kind in kinds:
        for date, files in _files(source, kind, wanted):
            put(landing, there[kind, date], files, _identity(contents.get((kind, date), {})))
            written[kind] += files
    return Landed(written, tuple(replaced))


@dataclass(frozen=True)
class _There:
    """What is in the landing folder for a date.

    Attributes
    ----------
    file, folder
        The names of the file and of the folder of shards.
    files
        The file and the shards that are there.
    shards
        All that is in the folder of shards.
    mark
        The content of `_LANDING`, or None: what `risk land` writes there identifies what it lands; source systems write other contents.
    """

    file: str
    folder: str
    files: tuple[str, ...]
    shards: tuple[str, ...]
    mark: bytes | None


def _there(landing: Store, kind: str, date: str) -> _There:
    file, folder = file_name(kind, date), f"{folder_name(kind, date)}/"
    shards = landing.list(folder)
    files = [*([file] if landing.size(file) is not None else []), *(path for path in shards if path.endswith(".csv"))]
    return _There(file, folder, tuple(files), shards, landing.find(f"{folder}{INCOMPLETE}") if shards else None)


def _contents(source: Source | SourceFolder, kinds: Sequence[str], wanted: Sequence[str]) -> dict[tuple[str, str], dict[str, Content]]:
    """Return the contents to land for each kind and date by path."""
    return {
        (kind, date): {path: content_of_chunks(chunks) for path, chunks in files.items()}
        for kind in kinds
        for date, files in _files(source, kind, wanted)
    }


def _identity(contents: Mapping[str, Content]) -> bytes:
    """Return the content of `_LANDING` while these are written: after a kill, only the command that lands the same may go on."""
    return "".join(f"{path} {content.bytes} {content.sha256}\n" for path, content in contents.items()).encode()


def _files(source: Source | SourceFolder, kind: str, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, Iterator[bytes]]]]:
    """Yield the files to land for each date and their bytes. Read those of a date before the next."""
    if isinstance(source, SourceFolder):
        (date,) = wanted
        yield date, {f"{folder_name(kind, date)}/{shard.path.name}": shard.chunks() for shard in source.shards}
        return
    for date, content in zip(wanted, source.pieces(source.sizes(len(wanted))), strict=True):
        yield date, {file_name(kind, date): content}


def _shards(landing: Store, kind: str, date: str) -> tuple[Entry, ...]:
    folder = folder_name(kind, date)
    found = landing.entries(f"{folder}/")
    if any(entry.path == f"{folder}/{INCOMPLETE}" for entry in found):
        raise LandingError(
            f"the {kind} for {date} in {landing.url} are incomplete: a command or a source system writes them, or was ended. Wait for it, "
            f"or repeat it: risk land FOLDER{_option(kind)} --date {date}. A source system deletes {folder}/{INCOMPLETE} at its end."
        )
    broken = [name for name in landing.names(folder) if landing.is_broken_link(f"{folder}/{name}")] if landing.folder else []
    if broken:
        raise LandingError(
            f"{named(sorted(broken))} in {landing.uri(folder)} would be left out: the target of the link does not exist. Remove the link, "
            "or restore its target."
        )
    shards = tuple(entry for entry in found if entry.path.endswith(".csv"))
    names = [entry.path for entry in found if not entry.path.endswith(".csv")]
    others = [path for path in names if not path.rpartition("/")[2].startswith(("_", "."))]
    if others:
        raise LandingError(
            f"{named(others)} in {landing.url} would be left out: the names of shards end with .csv. Unpack, rename or remove each of them."
        )
    return shards


def _require_files(landing: Store, kinds: Sequence[str], wanted: Iterable[str]) -> None:
    """Verify that no folder and no link to nothing has the name of a file to land."""
    there = landing.names("")
    for kind, date in product(kinds, wanted):
        file = file_name(kind, date)
        if file in there and (landing.list(f"{file}/") or landing.size(file) is None):
            raise _not_a_file(landing, kind, date)


def _require_elsewhere(landing: Store, source: SourceFolder, kinds: Sequence[str], wanted: Sequence[str]) -> None:
    """Verify that a folder is not one that it would replace."""
    targets = [landing.folder / folder_name(kind, date) for kind, date in product(kinds, wanted)] if landing.folder else []
    if any(source.path.resolve() == target.resolve() for target in targets):
        raise LandingError(
            f"{source.path} is in the landing folder already. If it has {INCOMPLETE}, delete that when all shards are there. "
            f"Next: risk run {wanted[0]}."
        )


def _require_free(
    landing: Store, there: Mapping[tuple[str, str], _There], contents: Mapping[tuple[str, str], Mapping[str, Content]]
) -> None:
    """Verify that nothing else has landed for the dates. The same bytes may be there: a command that was killed is repeated."""
    for key, found in there.items():
        kind, date = key
        if found.mark is not None and found.mark != _identity(contents[key]):
            raise LandingError(
                f"{found.folder}{INCOMPLETE} in {landing.url} says that another command or a source system writes {kind} for {date}, or "
                "was ended. Wait for it, or add --replace to replace what is there."
            )
        if found.mark is None and found.files and not _is_same(landing, found.files, contents[key]):
            raise LandingError(f"other {kind} for {date} have already landed in {landing.url}. Add --replace to replace them.")


def _is_same(landing: Store, there: Sequence[str], contents: Mapping[str, Content]) -> bool:
    if set(there) != set(contents) or any(landing.size(path) != content.bytes for path, content in contents.items()):
        return False
    return all(landing.content(path) == content for path, content in contents.items())


def _not_a_file(landing: Store, kind: str, date: str) -> LandingError:
    """Return the error of a folder, or of a link to nothing, with the name of a landed file."""
    if landing.is_broken_link(file_name(kind, date)):
        return LandingError(
            f"{file_name(kind, date)} in {landing.url} is a link whose target does not exist. Remove the link, or restore its target."
        )
    return LandingError(
        f"{file_name(kind, date)} in {landing.url} is a folder. Rename it to {folder_name(kind, date)} if it has the shards of the date, "
        "or remove it."
    )


def _put_file(landing: Store, there: _There, files: Mapping[str, Iterator[bytes]], identity: bytes) -> None:
    """Write the file of a date in place of an earlier one, or of shards. From the first to the last change of these `find` raises."""
    mark = f"{there.folder}{INCOMPLETE}"
    if there.shards:
        landing.put(mark, identity)
    try:
        for path, content in files.items():
            landing.write(path, content)
    except BaseException:
        if there.shards and there.mark is None:  # nothing has changed
            landing.delete(mark)
        raise
    in_threads(landing.delete, [path for path in there.shards if path != mark])
    if there.shards:
        _remove_mark(landing, mark)


def _put_shards(landing: Store, there: _There, files: Mapping[str, Iterator[bytes]], identity: bytes) -> None:
    """Write the shards of a date in place of earlier ones, or of a file. From the first to the last change `find` raises."""
    mark = f"{there.folder}{INCOMPLETE}"
    landing.put(mark, identity)
    in_threads(landing.delete, [path for path in there.shards if path != mark and path not in files])
    in_threads(lambda path: landing.write(path, files[path]), files)
    if there.file in there.files:
        landing.delete(there.file)
    landing.put(f"{there.folder}{DONE}", b"")
    _remove_mark(landing, mark)


def _remove_mark(landing: Store, mark: str) -> None:
    with suppress(FileNotFoundError):  # the same command at the same time has removed it
        landing.delete(mark)


def _option(kind: str) -> str:
    return " --outcomes" if kind == OUTCOMES else ""


def _similar(landing: Store, kind: str, date: str) -> str:
    """Return a hint that names files of the date with another ending, or an empty text."""
    folder = folder_name(kind, date)
    names = [name for name in landing.names("") if name.startswith(folder)]
    if names == [folder]:
        return f" and the folder {folder} has no file that ends with .csv"
    return f" (found {', '.join(names)}: unpack or rename it)" if names else ""
