"""Where a command works: a folder with contract, policy and run history, and a lake and a landing folder on disk or Azurite."""

import itertools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.faults.warm import Done, Started, Warm
from tests.faults.writes import Fault

LAKE, LANDING = "lakehouse", "data/landing"
NO_FAULT = Fault()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A working folder; `settings` are the variables that address a lake elsewhere than in the folder."""

    folder: Path
    warm: Warm
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> Store:
        return self._settings.connect_lake()

    @property
    def landing(self) -> Store:
        return self._settings.open_landing()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The texts that differ from place to place, longest first."""
        return tuple(sorted({self.lake.uri(""), self.landing.uri(""), str(self.folder)}, key=len, reverse=True))

    def objects(self, store: Store) -> dict[str, bytes]:
        """Return all objects of a store; on disk all files, also those that no listing returns."""
        root = store.folder
        if root is None:
            return {path: store.get(path) for path in store.list("")}
        found = (path for path in root.rglob("*") if path.is_file()) if root.exists() else ()
        return {str(path.relative_to(root)): path.read_bytes() for path in found}

    def start(self, *arguments: str, fault: Fault = NO_FAULT) -> Started:
        """Start `risk` with arguments; the fault's notes and the output are below the folder."""
        notes = self.folder / "notes" / str(next(_numbers))
        notes.mkdir(parents=True)
        return self.warm.start(self.folder, arguments, self.settings, replace(fault, folder=str(notes)), notes / "output")

    def run(self, *arguments: str, fault: Fault = NO_FAULT) -> Done:
        """Run `risk` with arguments to its end."""
        return self.warm.wait(self.start(*arguments, fault=fault))

    def require(self, *arguments: str, code: int = 0) -> str:
        """Run `risk`, require its exit code, and return what it printed as one line."""
        done = self.run(*arguments)
        assert done.code == code, f"risk {' '.join(arguments)} exited with {done.code}: {done.output}"
        return done.text

    def copy(self, folder: Path, azurite: Azurite | None = None) -> "Place":
        """Return a copy on disk, or with lake and landing folder on Azurite under a prefix of its own."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("notes"))
        if azurite is None:
            return Place(folder, self.warm)
        prefix = f"az://lake/{os.getpid()}-{next(_numbers)}"
        copied = Place(
            folder,
            self.warm,
            {
                "RISK_LAKE": f"{prefix}/lake",
                "RISK_LANDING": f"{prefix}/landing",
                "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
            },
        )
        for store, target in ((self.lake, copied.lake), (self.landing, copied.landing)):
            for path, content in self.objects(store).items():
                target.put(path, content)
        for name in (LAKE, LANDING):
            shutil.rmtree(folder / name, ignore_errors=True)
        return copied

    @property
    def _settings(self) -> Settings:
        return Settings(
            lake=self.settings.get("RISK_LAKE", f"file://{self.folder / LAKE}"),
            landing=self.settings.get("RISK_LANDING", str(self.folder / LANDING)),
            AZURE_STORAGE_CONNECTION_STRING=self.settings.get("AZURE_STORAGE_CONNECTION_STRING"),
            _env_file=None,
        )
