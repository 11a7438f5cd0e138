"""Tables in the lake: streamed in and out with polars, each committed by its manifest."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
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
from risk_assets.lake.store import RETRIES, Store

NUMBERS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **dict.fromkeys(("probability", "challenger_probability"), pl.Float64),
        **dict.fromkeys(("rank", "points", "points_before", "points_change"), pl.Int64),
        "prediction": pl.Int8,
    }
)
Facts = dict[str, bool | int | float | str | dict[str, int] | None]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What made a table: the manifests it was made from, contract and policy hashes, model versions and binding."""

    run_id: str
    inputs: dict[str, str] = {}
    contract: str | None = None
    policy: str | None = None
    model_version: str | None = None
    challenger: str | None = None
    binding: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The commit of a table: what lies there (bytes and SHA-256 of each part, rows, columns), what made it, figures about it."""

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
        """SHA-256 of what lies there: of the only part, or of the hashes of all, joined."""
        hashes = list(self.sha256.values())
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


@dataclass(frozen=True)
class Table:
    """A table that is to be written: its rows, the expressions that sum it up in the same pass, and its provenance.

    One of `facts` is named `rows`. Facts named `group.name` are joined to one mapping, and a list of (value, count)
    becomes a mapping too. `descriptions` say what each column is. `quoted` puts every text of a CSV into quotes, so that no
    spreadsheet splits it, whatever separator it expects.
    """

    frame: pl.LazyFrame
    facts: tuple[pl.Expr, ...]
    made_from: Provenance
    descriptions: Mapping[str, str] = field(default_factory=dict)
    quoted: bool = False


def write_table(store: Store, path: str, table: Table) -> Manifest:
    """Write a table (`.parquet` or `.csv`) and then its manifest: all or nothing, in memory that does not grow with it."""
    with readable(path), store.table_target(path) as target:
        sink = _sink(table, target.file, path)
        found = pl.collect_all([sink, table.frame.select(table.facts)], engine="streaming")[1]
    facts = _facts(found.row(0, named=True))
    parts = {path: target.sha256}
    return commit(store, path, parts, facts.pop("rows"), table.frame.collect_schema().names(), table.made_from, facts)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Say what is wrong with the rows behind a table in place of polars, whose messages quote them.

    Raises
    ------
    LakeError
        When what lies in the lake is no well-formed table.
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        kind = type(error).__name__
        raise LakeError(
            f"{what} can't be worked out: a file behind it is malformed ({kind}); look there for stray quotes, an open quote "
            "or bytes that are no UTF-8. Mend the file, land it with --replace and run the date again."
        ) from None


def commit(
    store: Store,
    path: str,
    parts: Mapping[str, str],
    rows: Any,
    columns: list[str],
    made_from: Provenance,
    facts: Facts,
) -> Manifest:
    """Write and return the manifest of what lies at `parts`, each with its SHA-256."""
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
    """Return a committed table; raises `LakeError` when it is missing or not what its manifest says."""
    require_manifest(store, path)
    scan = pl.scan_parquet if path.endswith(".parquet") else _scan_csv
    return scan(store.uri(path), **polars_access(store))


def polars_access(store: Store) -> dict[str, Any]:
    """Return the arguments with which polars reaches a store."""
    credential = store.credential
    if credential is None:
        return {}
    http: dict[str, Any] = {"allow_http": "true"} if credential.plain_http else {}
    provider = credential.provider and pl.CredentialProviderAzure(credential=credential.provider)
    options = {**credential.options(), **http, "max_retries": RETRIES}
    return {"storage_options": options, "credential_provider": provider}


def find_manifest(store: Store, path: str) -> Manifest | None:
    """Return a table's manifest, or None when the table was never committed."""
    content = store.find(layout.manifest(path))
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{layout.manifest(path)} can't be read: {_again(path)}") from error


def require_manifest(store: Store, path: str) -> Manifest:
    """Return a table's manifest after holding it against the table.

    Raises
    ------
    LakeError
        When there is none, or the bytes that lie there are not the ones it tells of.
    """
    manifest = find_manifest(store, path)
    if manifest is None:
        raise LakeError(f"{path} is not in the lake at {store.url}: {_again(path)}")
    changed = parts_with_other_size(store, manifest)
    if changed:
        raise LakeError(f"{', '.join(changed)} is not what its manifest says: {_again(path)}")
    return manifest


def parts_with_other_size(store: Store, manifest: Manifest) -> list[str]:
    """Return the parts that are missing or have another size than the manifest says."""
    return [part for part, size in manifest.parts.items() if store.size(part) != size]


def parts_with_other_content(store: Store, manifest: Manifest) -> list[str]:
    """Return the parts that are missing or not to the byte what the manifest says; reads them whole."""
    return [part for part, sha256 in manifest.sha256.items() if store.size(part) is None or _sha256(store.chunks(part)) != sha256]


def digest(store: Store, path: str) -> str:
    """Return the SHA-256 of a table's manifest: what names this very table as an input of another."""
    return hashlib.sha256(store.get(layout.manifest(path))).hexdigest()


def partitions(store: Store, paths: Mapping[str, str]) -> dict[str, str]:
    """Return those dates and paths whose tables are committed."""
    return {date: path for date, path in paths.items() if store.size(layout.manifest(path)) is not None}


def _sha256(chunks: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


def _again(path: str) -> str:
    return f"materialize the partition that makes {path} (again), then what is made from it."


def _sink(table: Table, target: Any, path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        sink = table.frame.sink_parquet(target, compression="lz4", lazy=True)
    else:
        sink = table.frame.sink_csv(target, quote_style="non_numeric" if table.quoted else "necessary", lazy=True)
    assert sink is not None
    return sink


def _scan_csv(uri: str, **with_store: Any) -> pl.LazyFrame:
    """Scan a table that the product wrote: types are told by the columns' names, ids stay text."""
    return pl.scan_csv(uri, infer_schema=False, schema_overrides=NUMBERS, **with_store)


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in row.items():
        group, _, member = name.partition(".")
        if member:
            facts.setdefault(group, {})[member] = value
        else:
            facts[name] = _counts(value) if isinstance(value, list) else value
    return facts


def _counts(pairs: list[dict[str, Any]]) -> dict[str, int]:
    return {str(value): int(count) for value, count in (pair.values() for pair in pairs)}
