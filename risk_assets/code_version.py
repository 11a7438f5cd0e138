"""The version of the code: the release, and a hash of the modules that decide what a model is."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_DIGITS = 12


@cache
def code_version() -> str:
    """Return the release and the first digits of the SHA-256 of all modules in `domain/`, such as 0.1.0+3fa4c1d09b72."""
    folder = Path(__file__).parent / "domain"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return f"{version('risk-lakehouse')}+{digest.hexdigest()[:_DIGITS]}"
