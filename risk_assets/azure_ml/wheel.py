"""A wheel of the installed project.

The wheel is built from the installed packages and their metadata, so an editable install and an installed wheel both work, and no
build tool is needed. Equal files give equal bytes.
"""

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "risk-lakehouse"
PACKAGES = ("risk_assets", "risk_serving")
TAG = "py3-none-any"
WHEEL = f"Wheel-Version: 1.0\nGenerator: {DISTRIBUTION}\nRoot-Is-Purelib: true\nTag: {TAG}\n"
METADATA = ("METADATA", "entry_points.txt", "licenses/LICENSE")


def build_wheel() -> tuple[str, bytes]:
    """Return the file name and the content of a wheel of the installed project."""
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    stem = f"{DISTRIBUTION.replace('-', '_')}-{distribution.version}"
    metadata = {name: text.encode() for name in METADATA if (text := distribution.read_text(name)) is not None}
    info = {f"{stem}.dist-info/{name}": content for name, content in (metadata | {"WHEEL": WHEEL.encode()}).items()}
    files = dict(sorted(_package_files(PACKAGES).items())) | info
    record = f"{stem}.dist-info/RECORD"
    return f"{stem}-{TAG}.whl", _zip(files | {record: _record(files, record)})


def _package_files(packages: Iterable[str]) -> dict[str, bytes]:
    """Return the files of packages by their paths in a wheel, without bytecode and hidden files."""
    roots = (_root(package) for package in packages)
    paths = ((root, path) for root in roots for path in root.rglob("*") if path.is_file())
    names = {path.relative_to(root.parent): path for root, path in paths}
    return {name.as_posix(): path.read_bytes() for name, path in names.items() if not _is_excluded(name)}


def _root(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])


def _is_excluded(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _record(files: Mapping[str, bytes], record: str) -> bytes:
    """Return the RECORD of a wheel: each file with its hash and size, and RECORD itself with neither."""
    lines = (f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    return "".join([*lines, f"{record},,\n"]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive whose bytes depend only on the files: all entries have the same time."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()
