"""Manifests: the commit of each table, with the hashes of its parts, its provenance and its facts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import msgspec

from risk_assets.clock import utc_now
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import F, Facts
from risk_assets.lake.hashing import Content, Segment, joined, sha256
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.seals import has_seal_as_written, sealed
from risk_assets.lake.store import Entry, Store

FEW_SUPERSEDED = 20  # their folder has those of all dates, so that a listing costs more than a few requests
MAX_NAMED = 5


class Release(msgspec.Struct, frozen=True):
    """A blocking check that somebody released for a run: by whom and why."""

    check: str
    by: str
    reason: str


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a table: the run, the identities of its inputs, the hashes of contract and policy, versions and binding.

    Inputs that are tables have their `Manifest.identity`, landed files their version. `contract_values` is the hash of those
    parts of the contract that decide values; `released` are the checks released.
    """

    run_id: str
    inputs: dict[str, str] = {}
    contract: str | None = None
    policy: str | None = None
    model_version: str | None = None
    challenger: str | None = None
    binding: int | None = None
    contract_values: str | None = None
    released: tuple[Release, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The commit of a table: size and SHA-256 of each part, rows, columns, provenance and facts; with its seal.

    `segments` are the lengths and hashes of the segments of each part that has several; the hash of such a part is the SHA-256
    of their joined hashes.
    """

    path: str
    parts: dict[str, int]
    sha256: dict[str, str]
    rows: int
    columns: tuple[str, ...]
    made_at: str
    code_version: str
    made_from: Provenance
    facts: Facts
    segments: dict[str, tuple[Segment, ...]] = {}
    seal: str | None = None

    @property
    def bytes(self) -> int:
        """Size of all parts in bytes."""
        return sum(self.parts.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the table: of its only part, or of the joined hashes of all parts."""
        return joined(list(self.sha256.values()))

    @property
    def identity(self) -> str:
        """SHA-256 of what the table contains and means: its parts, rows, columns and the contract's values; not of when it was made."""
        parts = {layout.without_token(part): size for part, size in self.parts.items()}
        hashes = {layout.without_token(part): digest for part, digest in self.sha256.items()}
        content = (parts, hashes, self.rows, self.columns, self.made_from.contract_values)
        return sha256(msgspec.json.encode(content))

    @property
    def numbers(self) -> dict[str, int | float]:
        """The facts that are numbers, by name."""
        return {name: fact for name, fact in msgspec.structs.asdict(self.facts).items() if isinstance(fact, int | float)}

    def lengths(self, part: str) -> tuple[int, ...]:
        """Return the lengths of the segments along which a part is hashed."""
        segments = self.segments.get(part)
        return tuple(segment.bytes for segment in segments) if segments else (self.parts[part],)

    def facts_as(self, kind: type[F]) -> F:
        """Return the facts of a table of this kind; raises `LakeError` if the table is of another kind."""
        if not isinstance(self.facts, kind):
            raise LakeError(f"{layout.manifest(self.path)} has the facts of another kind of table. {layout.how_to_make(self.path)}")
        return self.facts


@dataclass(frozen=True)
class Written:
    """A table whose parts have been written: their contents as the writer computed them, and what the manifest says of them."""

    path: str
    parts: Mapping[str, Content]
    rows: int
    columns: tuple[str, ...]
    made_from: Provenance
    facts: Facts


def commit(store: Store, written: Written, guard: Guard = no_guard) -> Manifest:
    """Write and return the manifest of a table.

    Parameters
    ----------
    guard
        Keeps other writers out while the manifest is written; raises if one has taken over the table.
    """
    parts = written.parts.items()
    manifest = Manifest(
        path=written.path,
        parts={part: content.bytes for part, content in parts},
        sha256={part: content.sha256 for part, content in parts},
        rows=written.rows,
        columns=written.columns,
        made_at=utc_now(),
        code_version=version("risk-lakehouse"),
        made_from=written.made_from,
        facts=written.facts,
        segments={part: content.segments for part, content in parts if len(content.segments) > 1},
    )
    return write_manifest(store, manifest, guard)


def write_manifest(store: Store, manifest: Manifest, guard: Guard = no_guard) -> Manifest:
    """Write a manifest with its seal, and return it."""
    written = sealed(manifest)
    store.put(layout.manifest(manifest.path), msgspec.json.format(msgspec.json.encode(written), indent=1), guard)
    return written


def find_manifest(store: Store, path: str) -> Manifest | None:
    """Return the manifest of a table, or None if the table is not committed."""
    content = store.find(layout.manifest(path))
    if content is None:
        return None
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{layout.manifest(path)} cannot be read. {layout.how_to_make(path)}") from error
    if not has_seal_as_written(content):
        raise LakeError(f"{layout.manifest(path)} was changed since it was written. {layout.how_to_make(path)}")
    return manifest


def find_readable(store: Store, path: str) -> Manifest | None:
    """Return the manifest of a table, or None if there is none or it cannot be read."""
    try:
        return find_manifest(store, path)
    except LakeError:
        return None


def require_manifest(store: Store, path: str) -> Manifest:
    """Return the manifest of a table after comparing the sizes of the parts with it.

    Raises
    ------
    LakeError
        If the table is not committed, or a part is missing or has another size.
    """
    manifest = _committed(store, path)
    found = entries(store, manifest)
    missing = [f"{part} is missing" for part in manifest.parts if part not in found]
    changed = [f"{part} does not match its manifest" for part, entry in found.items() if entry.size != manifest.parts[part]]
    if missing or changed:
        raise LakeError(f"{named([*missing, *changed])}. {layout.how_to_make(path)}")
    return manifest


def require_contract(manifest: Manifest, contract_values: str) -> None:
    """Verify that a table was made under a contract with the same values.

    Raises
    ------
    LakeError
        If it was made under another contract, so that its columns may mean something else.
    """
    if manifest.made_from.contract_values != contract_values:
        raise LakeError(f"{manifest.path} was made under another contract. {layout.how_to_make(manifest.path)}")


def entries(store: Store, manifest: Manifest) -> dict[str, Entry]:
    """Return those parts of a table that exist; the parts of a folder cost one listing, whatever their number."""
    return existing(store, manifest.path, manifest.parts)


def existing(store: Store, path: str, parts: Collection[str]) -> dict[str, Entry]:
    """Return those parts of a table that exist, of which some may be superseded files; many of them cost one listing."""
    found: dict[str, Entry] = {}
    rest = set(parts)
    for folder, few in ((layout.shard(path, ""), 1), (layout.superseded_folder(layout.zone(path)), FEW_SUPERSEDED)):
        inside = {part for part in rest if part.startswith(folder)}
        if len(inside) > few:
            found |= {entry.path: entry for entry in store.entries(folder) if entry.path in inside}
            rest -= inside
    found |= {part: entry for part in rest if (entry := store.entry(part))}
    return {part: found[part] for part in parts if part in found}


def named(texts: Sequence[str]) -> str:
    """Return texts for a message of one line: the first ones, and the number of the others."""
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def identity(store: Store, path: str) -> str:
    """Return the identity of a table as an input of another; raises `LakeError` if it is not committed or its manifest is damaged."""
    return _committed(store, path).identity


def digest(store: Store, path: str) -> str:
    """Return the SHA-256 of a table's manifest, which changes whenever the table is written."""
    return sha256(store.get(layout.manifest(path)))


def partitions(store: Store, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the dates and paths whose tables are committed."""
    return {date: path for date, path in paths.items() if store.size(layout.manifest(path)) is not None}


def _committed(store: Store, path: str) -> Manifest:
    """Return the manifest of a table; raises `LakeError` if there is none."""
    manifest = find_manifest(store, path)
    if manifest is None:
        raise LakeError(f"{path} is not in the lake at {store.url}. {layout.how_to_make(path)}")
    return manifest


def changed_tables(store: Store, inputs: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tables whose content is missing or not the one whose digest is recorded, by path."""
    manifests = {path: find_readable(store, path) for path in inputs}
    return tuple(path for path, manifest in manifests.items() if manifest is None or manifest.digest != inputs[path])
