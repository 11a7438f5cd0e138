"""Verify the lake: every file against its hashes, and every table against what it was made from."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from risk_assets.domain.contract.documents import Document
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import (
    alert_files,
    binding_log,
    document_archive,
    documents,
    drift_files,
    impact_files,
    layout,
    model_files,
    morning_files,
    performance_files,
    raw,
    registry,
    retraining,
    run_log,
    verification,
)
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.format import require_format
from risk_assets.lake.manifests import Manifest, find_manifest, find_readable, identity
from risk_assets.lake.posted_outcomes import shard_problems, stray_files
from risk_assets.lake.store import Store

TRAINED = "training/model"
REPORTS: dict[str, tuple[str, Callable[[Store, str], list[str]]]] = {
    layout.DRIFT: ("drift reports", drift_files.problems),
    layout.PERFORMANCE: ("performance reports", performance_files.problems),
    layout.ALERTS: ("alert reports", alert_files.problems),
    layout.RETRAINING: ("retrainings", retraining.problems),
    layout.MORNING: ("morning reports", morning_files.problems),
}


@dataclass(frozen=True)
class Verified:
    """What was verified, how many files, and a message for each difference."""

    what: str
    files: int
    problems: tuple[str, ...]


def verify_date(store: Store, date: str) -> Verified:
    """Verify a date from its predictions, review list and index back to its raw files, with the model and policy, and its reports.

    Raises
    ------
    LakeError
        If the lake has nothing of the date.
    """
    reports = [(key, problems(store, date)) for key, (_, problems) in REPORTS.items() if store.size(layout.commit(key, date)) is not None]
    found = [*_tables(store, date), *reports]
    if not found:
        raise LakeError(f"{date} is not in the lake at {store.url}. Run the date: risk run {date}.")
    return _verified(date, found)


def verify_all(store: Store) -> list[Verified]:
    """Verify each date, then versions, bindings, documents, superseded and stray files, revisions, reports and the run log."""
    require_format(store)
    paths = (path for zone in (layout.RAW, layout.CURATED) for path in store.list(f"{zone}/") if not layout.superseded_digest(path))
    strays = stray_files(store)
    dates = sorted({date for path in paths if path not in strays and (date := layout.date_of(path))})
    return [
        *(_verified(date, _tables(store, date)) for date in dates),
        _verified("versions", [(name, _version_problems(store, name)) for name in registry.names(store)]),
        _verified("impacts", [(name, _errors(partial(impact_files.read, store, name))) for name in impact_files.versions(store)]),
        _verified("trained models", [(folder, model_files.problems(store, folder)) for folder in registry.trained_folders(store)]),
        _verified(
            "training dates", [(date, _errors(partial(registry.read_trained, store, date))) for date in committed_dates(store, TRAINED)]
        ),
        _verified("tables of contracts that were not bound", _candidate_tables(store)),
        _verified("bindings", [(layout.BINDINGS, binding_log.verify(store))]),
        *(_documents(store, kind, what) for kind, what in ((Policy, "policies"), (Contract, "contracts"))),
        _verified("superseded files", [(path, _superseded_problems(store, path)) for path in _superseded(store)]),
        _verified("files beside posted outcomes", [(path, shard_problems(store, path)) for path in strays]),
        _verified("earlier revisions", [(name, raw.revision_problems(store, name)) for name in _revisions(store)]),
        *(
            _verified(what, [(date, problems(store, date)) for date in committed_dates(store, key)])
            for key, (what, problems) in REPORTS.items()
        ),
        _verified("run log", [(layout.RUN_LOG, run_log.differences(store))]),
    ]


def table_problems(store: Store, path: str) -> list[str]:
    """Return a message for each part of a table that was changed, and each input that is not the one it was made from."""
    try:
        manifest = find_manifest(store, path)
    except LakeError as error:
        return [str(error)]
    if manifest is None:
        return [f"{path} has no manifest: it was not committed"]
    return [*verification.problems(store, manifest), *_input_problems(store, manifest), *_scoring_problems(store, manifest)]


def lineage(store: Store, path: str) -> list[str]:
    """Return the paths of a table and of the tables it was made from, back to the raw files."""
    manifest = find_manifest(store, path)
    inputs = manifest.made_from.inputs if manifest else {}
    return [path, *(other for source in inputs if layout.is_table(source) for other in lineage(store, source))]


def _tables(store: Store, date: str) -> list[tuple[str, list[str]]]:
    """Return the tables and posted outcomes of a date, with their problems."""
    paths = [path_of(date) for path_of in layout.PATHS.values()]
    stored = [path for path in paths if _is_stored(store, path)]
    posted = store.list(layout.posted_folder(date))
    return [*((path, table_problems(store, path)) for path in stored), *((path, shard_problems(store, path)) for path in posted)]


def _is_stored(store: Store, path: str) -> bool:
    """Return whether a table is in the lake, with or without its manifest: as a file, or as a folder of parts."""
    return any(store.size(found) is not None for found in (layout.manifest(path), path)) or bool(store.names(path))


def _input_problems(store: Store, manifest: Manifest) -> Iterator[str]:
    for path, expected in manifest.made_from.inputs.items():
        if not layout.is_table(path):
            continue
        if layout.posted_key(path):
            yield from shard_problems(store, path)
            continue
        if store.size(layout.manifest(path)) is None:
            yield f"{layout.manifest(path)}, from which {manifest.path} was made, is missing"
            continue
        try:
            if identity(store, path) != expected:
                yield f"{path} was written again with another content since {manifest.path} was made from it"
        except LakeError as error:
            yield str(error)


def _scoring_problems(store: Store, manifest: Manifest) -> Iterator[str]:
    made_from = manifest.made_from
    if made_from.policy is not None:
        yield from _errors(partial(document_archive.read, store, Policy, made_from.policy))
    if made_from.binding is not None:
        yield from _errors(partial(_read_binding, store, made_from.binding))
    for version in filter(None, (made_from.model_version, made_from.challenger)):
        yield from registry.problems(store, version)


def _read_binding(store: Store, seq: int) -> None:
    """Read a binding and the documents that it names."""
    documents.of_binding(store, binding_log.find(store, seq))


def _version_problems(store: Store, name: str) -> Iterator[str]:
    """Yield a message for each file of a version, and each document that trained it, that is missing or was changed."""
    yield from registry.problems(store, name)
    origin = registry.find_origin(store, name)
    if origin:
        yield from _errors(partial(document_archive.read, store, Policy, origin.policy))
        yield from _errors(partial(document_archive.read, store, Contract, origin.contract))


def _documents(store: Store, kind: type[Document], what: str) -> Verified:
    return _verified(
        what, [(found, _errors(partial(document_archive.read, store, kind, found))) for found in document_archive.digests(store, kind)]
    )


def _candidate_tables(store: Store) -> Iterator[tuple[str, list[str]]]:
    """Yield each table that training made under a contract that was not bound, with its problems."""
    suffix = layout.manifest("")
    for path in store.list(f"{layout.CANDIDATES}/"):
        contract = layout.candidate_contract(path)
        if contract and path.endswith(suffix):
            tables = documents.candidate_tables(store, contract)
            yield path, table_problems(tables, tables.logical(path.removesuffix(suffix)))


def _superseded(store: Store) -> list[str]:
    listed = (path for zone in (layout.RAW, layout.CURATED) for path in store.list(layout.superseded_folder(zone)))
    return [path for path in listed if layout.superseded_digest(path)]


def _revisions(store: Store) -> list[str]:
    listed = store.list(f"{layout.REVISIONS}/")
    return [path.removesuffix(layout.manifest("")) for path in listed if layout.revision_number(path) is not None]


def _superseded_problems(store: Store, path: str) -> list[str]:
    if path.endswith(layout.manifest("")):
        table = path.removesuffix(layout.manifest(""))
        missing = [f"{table} is missing"] if store.size(table) is None else []
        return [*missing, *_errors(lambda: find_manifest(store, table))]
    expected = layout.superseded_digest(path) or ""
    known = store.content(path, _lengths_of_superseded(store, path, expected)).sha256
    return [] if known.startswith(expected) else [f"{path} was changed since it was kept"]


def _lengths_of_superseded(store: Store, path: str, expected: str) -> tuple[int, ...]:
    """Return the lengths of the segments of a superseded table, by the manifest beside it; without one, by the manifest in force.

    A copy has no manifest yet if the writer was killed before it replaced the table.
    """
    if not path.startswith(f"{layout.CURATED}/"):
        return ()
    in_force = layout.before_superseded(path)
    for manifest in (find_readable(store, path), find_readable(store, in_force)):
        if manifest and manifest.sha256.get(in_force, "").startswith(expected):
            return manifest.lengths(in_force)
    return ()


def _errors(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except RiskError as error:
        return [str(error)]
    return []


def _verified(what: str, found: Iterable[tuple[str, Iterable[str]]]) -> Verified:
    listed = [(name, tuple(problems)) for name, problems in found]
    unique = dict.fromkeys(problem for _, problems in listed for problem in problems)
    return Verified(what, len(listed), tuple(unique))
