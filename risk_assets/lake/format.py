"""The lake's format: a number at its root, written with the first object and compared when the lake is opened."""

from importlib.metadata import version

import msgspec

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.azure_blobs import RETRY_SECONDS
from risk_assets.lake.store import AzureCredential, Store, open_store

FORMAT = 3


class LakeFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `format.json`."""

    format: int


def open_lake(url: str, credential: AzureCredential | None = None, retry_seconds: float = RETRY_SECONDS) -> Store:
    """Return the lake at `url`, as `open_store`, after comparing its format.

    An empty or missing lake stays as it is until the first write, which begins with `format.json`.

    Raises
    ------
    LakeError
        If the lake has another format, or storage cannot be reached.
    """
    store = open_store(url, credential, retry_seconds)
    if require_format(store) is None:
        return store.before_first_write(lambda: _write_format(store))
    return store


def require_format(store: Store) -> int | None:
    """Return the format of a lake, or None if the lake is empty. Costs one request; two if the lake is empty.

    `format.json` is looked for again before it is called missing: another process may have begun the lake meanwhile.

    Raises
    ------
    LakeError
        If another release wrote the lake: its format is another one, or it has content and no `format.json`.
    """
    content = store.find(layout.FORMAT)
    if content is None:
        if set(layout.FOLDERS).isdisjoint(store.names("")):
            return None
        content = store.find(layout.FORMAT)
    if content is None:
        raise LakeError(f"the lake at {store.url} has no {layout.FORMAT}: an earlier release wrote it. {_next_step()}")
    found = _decode(content, store)
    if found.format != FORMAT:
        age = "a later" if found.format > FORMAT else "an earlier"
        raise LakeError(
            f"the lake at {store.url} has format {found.format} ({layout.FORMAT}), this release reads format {FORMAT}: "
            f"{age} release wrote it. {_next_step()}"
        )
    return found.format


def _write_format(store: Store) -> None:
    """Write `format.json`; if another process was first, compare with its format."""
    if not store.create(layout.FORMAT, msgspec.json.encode(LakeFormat(FORMAT))):
        require_format(store)


def _decode(content: bytes, store: Store) -> LakeFormat:
    try:
        return msgspec.json.decode(content, type=LakeFormat)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{layout.FORMAT} of the lake at {store.url} cannot be read: {error}. Restore it from a backup.") from error


def _next_step() -> str:
    return f"Use that release (this one is {version('risk-lakehouse')}), or set RISK_LAKE to a new folder."
