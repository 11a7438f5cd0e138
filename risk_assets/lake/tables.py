"""Tables in the lake: streamed in and out with polars, each committed by its manifest."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import msgspec
import polars as pl

from risk_assets.clock import utc_now
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.azure_blobs import polars_retries
from risk_assets.lake.facts import F, Facts, facts_from_row
from risk_assets.lake.hashing import sha256, sha256_of_chunks
from risk_assets.lake.storage_errors import explain
from risk_assets.lake.store import Store

NUMBERS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **dict.fromkeys(("probability", "challenger_probability"), pl.Float64),
        **dict.fromkeys(("rank", "points", "points_before", "points_change"), pl.Int64),
        "prediction": pl.Int8,
    }
)


class Release(msgspec.Struct, frozen=True):
    """A blocking check that somebody released for a run: by whom and why."""

    check: str
    by: str
    reason: str


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a table: the run, the manifests of its inputs, the hashes of contract and policy, versions and binding.

    `contract_values` is the hash of those parts of the contract that decide values; `released` are the checks released.
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
    """The commit of a table: size and SHA-256 of each part, rows, columns, provenance and facts."""

    path: str
    parts: dict[str, int]
    sha256: dict[str, str]
    rows: int
    columns: tuple[str, ...]
    made_at: str
    code_version: str
    made_from: Provenance
    facts: Facts

    @property
    def bytes(self) -> int:
        """Size of all parts in bytes."""
        return sum(self.parts.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the table: of its only part, or of the joined hashes of all parts."""
        hashes = list(self.sha256.values())
        return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode())

    @property
    def numbers(self) -> dict[str, int | float]:
        """The facts that are numbers, by name."""
        return {name: fact for name, fact in msgspec.structs.asdict(self.facts).items() if isinstance(fact, int | float)}

    def facts_as(self, kind: type[F]) -> F:
        """Return the facts of a table of this kind; raises `LakeError` if the table is of another kind."""
        if not isinstance(self.facts, kind):
            raise LakeError(f"{layout.manifest(self.path)} has the facts of another kind of table: {_next_step(self.path)}")
        return self.facts


@dataclass(frozen=True)
class Table:
    """A table to write.

    Attributes
    ----------
    frame
        The rows.
    kind
        The struct of the table's facts.
    facts
        The expressions that compute `rows` and the fields of `kind`, in the pass that writes the table.
    made_from
        The provenance.
    descriptions
        A description of each column.
    quoted
        Whether every text in a CSV is quoted, so that a spreadsheet does not split it at any separator.
    keep_replaced
        Whether a table with other content that this one replaces is kept below `superseded/`.
    """

    frame: pl.LazyFrame
    kind: type[Facts]
    facts: tuple[pl.Expr, ...]
    made_from: Provenance
    descriptions: Mapping[str, str] = field(default_factory=dict)
    quoted: bool = False
    keep_replaced: bool = False


def write_table(store: Store, path: str, table: Table) -> Manifest:
    """Write a table (`.parquet` or `.csv`), then its manifest; return the manifest.

    The table is streamed: memory does not grow with it. If it fails, nothing is written.
    """
    replaced = _keep(store, path) if table.keep_replaced else None
    with translate_polars_errors(path), store.table_target(path) as target:
        sink = _sink(table, target.file, path)
        summary = pl.collect_all([sink, table.frame.select(table.facts)], engine="streaming")[1]
    row = summary.row(0, named=True)
    rows = row.pop("rows")
    columns = table.frame.collect_schema().names()
    manifest = commit(store, path, {path: target.sha256}, rows, columns, table.made_from, facts_from_row(row, table.kind))
    if replaced and replaced.sha256 == manifest.sha256:
        store.delete(layout.superseded(path, replaced.digest))
        store.delete(layout.manifest(layout.superseded(path, replaced.digest)))
    return manifest


def _keep(store: Store, path: str) -> Manifest | None:
    """Copy a committed table below `superseded/` and return its manifest; None if there is none."""
    try:
        manifest = find_manifest(store, path)
    except LakeError:
        return None
    if manifest is None or parts_of_other_size(store, manifest):
        return None
    kept = layout.superseded(path, manifest.digest)
    store.copy(path, kept)
    store.copy(layout.manifest(path), layout.manifest(kept))
    return manifest


# How polars begins its errors about the content of a file. The rest can quote rows, so it is not searched.
_MALFORMED_CSV = (
    "could not parse",
    "conversion from `str`",
    "invalid utf-8",
    "found more fields",
    "empty csv",
    "csv malformed",
    "the file has bytes that are not utf-8",
)
_DAMAGED_PARQUET = "parquet: "


@contextmanager
def translate_polars_errors(what: str) -> Iterator[None]:
    """Turn errors of polars, which quote rows, into a `LakeError` that does not.

    It reports a storage error, a malformed file, or another error; `FileNotFoundError` passes.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, OSError) as error:
        raise LakeError(_explain(error, what)) from None


def _explain(error: Exception, what: str) -> str:
    kind, text = type(error).__name__, str(error)
    if text.lower().startswith(_MALFORMED_CSV):
        return (
            f"{what} cannot be computed: one of its source files is malformed ({kind}). Look for stray quotes, an open quote "
            "or bytes that are not UTF-8, fix the file, land it with --replace and run the date again."
        )
    storage = explain(error, what) if isinstance(error, OSError | pl.exceptions.ComputeError) else None
    if storage is None and text.startswith(_DAMAGED_PARQUET):
        return f"{what} cannot be computed: a Parquet file of the lake is damaged ({kind}). Run its date again: risk run DATE."
    return storage or f"{what} cannot be computed ({kind}): run again. If it fails again, keep the files and open an issue."


def commit(
    store: Store, path: str, parts: Mapping[str, str], rows: int, columns: list[str], made_from: Provenance, facts: Facts
) -> Manifest:
    """Write and return the manifest of a table; `parts` are the paths and SHA-256 of its files."""
    manifest = Manifest(
        path=path,
        parts={part: store.size(part) or 0 for part in parts},
        sha256=dict(parts),
        rows=rows,
        columns=tuple(columns),
        made_at=utc_now(),
        code_version=version("risk-lakehouse"),
        made_from=made_from,
        facts=facts,
    )
    store.put(layout.manifest(path), msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


def read_table(store: Store, path: str) -> pl.LazyFrame:
    """Return a committed table; raises `LakeError` if it is missing or does not match its manifest."""
    require_manifest(store, path)
    scan = pl.scan_parquet if path.endswith(".parquet") else _scan_csv
    return scan(store.uri(path), glob=False, **polars_access(store))


def polars_access(store: Store) -> dict[str, Any]:
    """Return the arguments of a polars scan that give access to a store."""
    credential = store.credential
    if credential is None:
        return {}
    http: dict[str, Any] = {"allow_http": "true"} if credential.plain_http else {}
    provider = credential.provider and pl.CredentialProviderAzure(credential=credential.provider)
    options = {**credential.options(), **http, **polars_retries(store.retry_seconds)}
    return {"storage_options": options, "credential_provider": provider}


def find_manifest(store: Store, path: str) -> Manifest | None:
    """Return the manifest of a table, or None if the table is not committed."""
    content = store.find(layout.manifest(path))
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{layout.manifest(path)} cannot be read: {_next_step(path)}") from error


def require_manifest(store: Store, path: str) -> Manifest:
    """Return the manifest of a table after comparing the sizes of the parts with it.

    Raises
    ------
    LakeError
        If the table is not committed, or a part is missing or has another size.
    """
    manifest = find_manifest(store, path)
    if manifest is None:
        raise LakeError(f"{path} is not in the lake at {store.url}: {_next_step(path)}")
    changed = parts_of_other_size(store, manifest)
    if changed:
        raise LakeError(f"{', '.join(changed)} does not match its manifest: {_next_step(path)}")
    return manifest


def require_contract(manifest: Manifest, contract_values: str, date: str) -> None:
    """Verify that a table was made under a contract with the same values.

    Raises
    ------
    LakeError
        If it was made under another contract, so that its columns may mean something else.
    """
    if manifest.made_from.contract_values != contract_values:
        raise LakeError(f"{manifest.path} was made under another contract. Run the date again: risk run {date}.")


def parts_of_other_size(store: Store, manifest: Manifest) -> list[str]:
    """Return the parts that are missing or have another size than in the manifest."""
    return [part for part, size in manifest.parts.items() if store.size(part) != size]


def parts_of_other_content(store: Store, manifest: Manifest) -> list[str]:
    """Return the parts that are missing or have another SHA-256 than in the manifest; reads all parts."""
    return [part for part, digest in manifest.sha256.items() if store.size(part) is None or sha256_of_chunks(store.chunks(part)) != digest]


def digest(store: Store, path: str) -> str:
    """Return the SHA-256 of a table's manifest; it identifies the table as an input of another."""
    return sha256(store.get(layout.manifest(path)))


def partitions(store: Store, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the dates and paths whose tables are committed."""
    return {date: path for date, path in paths.items() if store.size(layout.manifest(path)) is not None}


def _next_step(path: str) -> str:
    return f"materialize the partition of {path}, then the partitions that depend on it."


def _sink(table: Table, target: Any, path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        sink = table.frame.sink_parquet(target, compression="lz4", lazy=True)
    else:
        sink = table.frame.sink_csv(target, quote_style="non_numeric" if table.quoted else "necessary", lazy=True)
    assert sink is not None
    return sink


def _scan_csv(uri: str, **with_store: Any) -> pl.LazyFrame:
    """Scan a CSV that the lake wrote: column names determine the types, ids stay text."""
    return pl.scan_csv(uri, infer_schema=False, schema_overrides=NUMBERS, **with_store)
