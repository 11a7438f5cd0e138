"""Raw files: stored byte for byte as they landed, counted while they are read, scanned as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
import polars as pl

from risk_assets.errors import LakeError
from risk_assets.lake import layout, verification
from risk_assets.lake.csv_scan import mark_lines, scan_mixed, scan_text
from risk_assets.lake.hashing import Content
from risk_assets.lake.landed_parts import LandedFile, PartWork, require_same_shards
from risk_assets.lake.manifests import Manifest, Provenance, Written, commit, existing, find_manifest, find_readable, require_manifest
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.raw_pieces import chunks_of, raw_file
from risk_assets.lake.staging import discard_staged, staged_tokens
from risk_assets.lake.store import Store
from risk_assets.lake.verification import remember, verified_files


def ingest(work: PartWork, path: str, made_from: Provenance, guard: Guard = no_guard) -> Manifest:
    """Copy a landed file to `path` of the lake and return its manifest; shards go to the folder of that name without `.csv`.

    The same bytes change nothing, unless the lake has lost or changed them: then they are restored, and the manifest stays, which
    says when they were stored first. Other bytes replace the earlier ones, which move to `raw/superseded/`; their manifest is kept
    as a revision.

    Parameters
    ----------
    work
        The landed file and the lake, and who measures and copies the parts.
    guard
        Keeps other writers out while a part is replaced and while the file is committed; raises if one has taken over the path.

    Raises
    ------
    LandingError
        If the file is empty, not a CSV or has no header, or its shards have different columns or changed while they were read. Nothing
        is written then.
    """
    lake, landed, measured = work.lake, work.landed, work.measure()
    require_same_shards(landed)
    parts = dict(zip(_targets(path, landed), (part.content for part in measured.parts), strict=True))
    earlier = find_readable(lake, path)
    if earlier is not None and earlier.sha256 == _hashes(parts) and not verification.problems(lake, earlier):
        return earlier
    is_same = earlier is not None and earlier.sha256 == _hashes(parts)
    with guard():
        if not is_same:
            _keep_revision(lake, path, earlier)
            _discard_manifest(lake, path)
        _supersede(lake, path, _hashes(parts))
        for token in staged_tokens(lake, path):
            discard_staged(lake, path, token)
    work.copy(dict(zip(landed.parts, parts.items(), strict=True)), guard)
    if earlier is not None and is_same:
        remember(lake, earlier)
        return earlier
    rows = sum(part.rows for part in measured.parts)
    manifest = commit(lake, Written(path, parts, rows, measured.dialect.columns, made_from, measured.facts(landed.source)), guard)
    remember(lake, manifest)
    return manifest


@dataclass(frozen=True)
class Revision:
    """A revision of a raw file: the name by which it is an input of tables, and its manifest with the places of its parts.

    `manifest` is None if it is missing or cannot be read; then the content is lost.
    """

    name: str
    manifest: Manifest | None


def revisions(lake: Store, path: str) -> tuple[Revision, ...]:
    """Return the earlier revisions of a raw file, oldest first. The file itself is the newest revision and not among them."""
    current = find_readable(lake, path)
    names = [layout.revision(path, number) for number in range(1, _newest_kept(lake, path) + 1)]
    manifests = {name: find_readable(lake, name) for name in names}
    earlier = (Revision(name, _located(lake, manifest, current) if manifest else None) for name, manifest in manifests.items())
    return tuple(found for found in earlier if not (current and found.manifest and found.manifest.seal == current.seal))


def revision_problems(lake: Store, name: str) -> list[str]:
    """Return a message for each part of an earlier revision that is missing or was changed, or one if its manifest cannot be read."""
    try:
        manifest = find_manifest(lake, name)
    except LakeError as error:
        return [str(error)]
    if manifest is None:
        return [f"{layout.manifest(name)} is missing"]
    return verification.problems(lake, _located(lake, manifest, find_readable(lake, manifest.path)))


def scan(lake: Store, path: str) -> pl.LazyFrame:
    """Return the columns of a raw file as text, and `RAGGED`: null, or why the line cannot be read with certainty.

    Raises
    ------
    LakeError
        If the file is missing or its content is not the one in its manifest.
    """
    return scan_manifest(lake, require_manifest(lake, path))


def scan_manifest(lake: Store, manifest: Manifest) -> pl.LazyFrame:
    """Return what `scan` returns, of the raw file or the revision with this manifest."""
    files = verified_files(lake, manifest)
    raw = raw_file(lake, manifest)
    if raw.quoting == "mixed":
        return mark_lines(scan_mixed([partial(chunks_of, file) for file in files], raw.dialect), raw.issues)
    return mark_lines(scan_text(files, raw.dialect, raw.quoting), raw.issues)


def _targets(path: str, landed: LandedFile) -> tuple[str, ...]:
    if len(landed.parts) == 1:
        return (path,)
    return tuple(layout.shard(path, part.partition("/")[2]) for part in landed.parts)


def _hashes(parts: Mapping[str, Content]) -> dict[str, str]:
    return {part: content.sha256 for part, content in parts.items()}


def _keep_revision(lake: Store, path: str, manifest: Manifest | None) -> None:
    """Copy the manifest of a raw file, which says when its content was stored, to the next number of its revisions.

    Repeating it after a crash copies nothing. A manifest that is missing or cannot be read is not kept.
    """
    if manifest is None:
        return
    newest = _newest_kept(lake, path)
    if not newest or lake.find(layout.manifest(layout.revision(path, newest))) != lake.find(layout.manifest(path)):
        lake.copy(layout.manifest(path), layout.manifest(layout.revision(path, newest + 1)))


def _newest_kept(lake: Store, path: str) -> int:
    """Return the number of the newest earlier revision of a raw file, or 0."""
    return max((number for found in lake.list(layout.revisions(path)) if (number := layout.revision_number(found))), default=0)


def _located(lake: Store, manifest: Manifest, current: Manifest | None) -> Manifest:
    """Return the manifest of an earlier revision with the places of its parts: superseded, or the current file's if it has them too."""
    places = {part: layout.superseded(part, digest) for part, digest in manifest.sha256.items()}
    shared = [part for part, digest in manifest.sha256.items() if current and current.sha256.get(part) == digest]
    kept = existing(lake, manifest.path, [places[part] for part in shared])
    places |= {part: part for part in shared if places[part] not in kept}
    return msgspec.structs.replace(
        manifest,
        parts={places[part]: size for part, size in manifest.parts.items()},
        sha256={places[part]: digest for part, digest in manifest.sha256.items()},
        segments={places[part]: segments for part, segments in manifest.segments.items()},
    )


def _discard_manifest(lake: Store, path: str) -> None:
    """Delete the manifest of an earlier landing before its parts are replaced, so that a crash leaves no committed partition."""
    if lake.size(layout.manifest(path)) is not None:
        lake.delete(layout.manifest(path))


def _supersede(lake: Store, path: str, replacement: Mapping[str, str]) -> None:
    """Move the parts of an earlier landing away, named by their content, except those that stay as they are.

    After a crash, repeating it moves what is left.
    """
    alone = (path,) if lake.size(path) is not None else ()

    def supersede(part: str) -> None:
        digest = lake.content(part).sha256
        if replacement.get(part) != digest:
            lake.copy(part, layout.superseded(part, digest))
            lake.delete(part)

    shards = lake.list(layout.shard(path, ""))
    in_threads(supersede, (*alone, *shards))
    for shard in shards:
        lake.prune(shard)
