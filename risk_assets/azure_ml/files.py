"""The files of an export: registered versions, templates, code, and the folder that they are written to."""

import hashlib
import shutil
import string
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

import msgspec

from risk_assets.azure_ml.documents import to_yaml
from risk_assets.azure_ml.wheel import build_wheel
from risk_assets.domain.contract.documents import Document
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.governance.evidence import auc_text
from risk_assets.domain.scorecard.scorecard import Example
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import layout, registry
from risk_assets.lake.store import Store

Files = dict[str, bytes]

SCRIPT = "azureml/score.py"


class Template(string.Template):
    """A template with `%name` placeholders: `$` belongs to the shell."""

    delimiter = "%"


@dataclass(frozen=True)
class VersionFiles:
    """A registered version: its files without the pickle, the SHA-256 of its scorecard, and one line about it."""

    files: Mapping[str, bytes]
    scorecard: str
    summary: str


def read_version(store: Store, name: str) -> VersionFiles:
    """Return the files of a version; raises `ModelError` if one is missing or not the registered file."""
    version = registry.read_version(store, name)
    digests, origin = version.metadata.sha256, version.metadata.origin
    files = {layout.METADATA: store.get(layout.version_file(name, layout.METADATA))}
    for file, digest in digests.items():
        if file != layout.PIPELINE:
            files[file] = _read_unchanged(store, layout.version_file(name, file), digest)
    summary = f"trained for {origin.training_date}, AUC on other accounts {auc_text(version.metrics.other_accounts)}"
    return VersionFiles(files, digests[layout.SCORECARD], summary)


def code(binding: Binding, versions: Mapping[str, VersionFiles], documents: Mapping[str, Document]) -> Files:
    """Return the code folder: the scoring script, the project as a wheel, and the files that the script loads."""
    name, wheel = build_wheel()
    script = package_files("risk_serving").joinpath(SCRIPT).read_bytes()
    digests = {version: files.scorecard for version, files in versions.items()}
    return {
        "code/score.py": script,
        f"code/{name}": wheel,
        "code/binding.json": _json(binding),
        "code/scorecards.json": _json(digests),
        **{f"code/{name}.yml": to_yaml(document.model_dump(mode="json")) for name, document in documents.items()},
    }


def request(example: bytes) -> bytes:
    """Return a valid request with the record of a version's example, which is not a customer's."""
    record = {name: value for name, value in msgspec.json.decode(example, type=Example).record.items() if value is not None}
    return _json({"records": [{"id": "EXAMPLE", **record}]})


def fill(template: str, values: Mapping[str, object]) -> bytes:
    """Return a file of `templates/` with its placeholders replaced."""
    text = package_files(__package__).joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(values).encode()


def write(folder: Path, files: Files) -> None:
    """Write all files to a new or empty folder, or none; raises `LakeError` if the folder cannot be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
            complete = Path(work) / folder.name
            for name, content in files.items():
                path = complete / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            (complete / "deploy.sh").chmod(0o755)
            if folder.exists():
                folder.rmdir()
            shutil.move(complete, folder)
    except OSError as error:
        raise LakeError(f"{folder} cannot be written ({error.strerror}). Choose another folder, or free disk space.") from error


def _read_unchanged(store: Store, path: str, digest: str) -> bytes:
    content = store.find(path)
    if content is None or hashlib.sha256(content).hexdigest() != digest:
        state = "missing" if content is None else "not the file that was registered"
        raise ModelError(f"{path} is {state}. Restore it from a backup and export again.")
    return content


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
