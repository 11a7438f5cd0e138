"""Addresses of lakes and landing folders: a folder, `file:///folder` or `az://container/prefix`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from risk_assets.errors import LakeError

AZURE = "az://"
FILE = "file://"


@dataclass(frozen=True)
class Blobs:
    """The blobs of a container whose names begin with a prefix; an empty prefix is the complete container."""

    container: str
    prefix: str


def is_azure(url: str) -> bool:
    """Return whether an address is on Azure or Azurite."""
    return url.startswith(AZURE)


def parse_address(url: str) -> Path | Blobs:
    """Return the folder or the blobs at an address.

    A folder and a prefix are taken literally: `#`, `?`, `%`, brackets and blanks have no special meaning. In `file:///`
    addresses, `%` begins an escape, as in `Path.as_uri()`.

    Raises
    ------
    LakeError
        If the address is not valid.
    """
    if is_azure(url):
        container, _, prefix = url.removeprefix(AZURE).partition("/")
        if not container:
            raise LakeError(f"{url} has no container: write az://container/prefix.")
        return Blobs(container, prefix.strip("/"))
    path = unquote(url.removeprefix(FILE)) if url.startswith(FILE) else url
    relative_file = url.startswith(FILE) and not path.startswith("/")
    if not path.strip() or "://" in path or relative_file or "\0" in path:
        raise LakeError(f"{url or 'an empty text'} is not a valid address: write a folder, file:///folder or az://container/prefix.")
    return Path(path).absolute()
