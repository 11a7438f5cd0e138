"""Objects of which some folders are kept at another place of the same store."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO

from risk_assets.lake.objects import Entry, Guard, Objects, TableTarget, no_guard


@dataclass(frozen=True)
class Places:
    """The folders that are kept elsewhere, each with its place. Paths end with a slash only if they are prefixes."""

    folders: Mapping[str, str]

    def actual(self, path: str) -> str:
        """Return where a path is kept."""
        for folder, place in self.folders.items():
            if path == folder or path.startswith(f"{folder}/"):
                return place + path[len(folder) :]
        return path

    def logical(self, path: str) -> str:
        """Return the path of what is kept at a place."""
        for folder, place in self.folders.items():
            if path.startswith(f"{place}/"):
                return folder + path[len(place) :]
        return path


@dataclass(frozen=True)
class RedirectedObjects:
    """The objects of another store, with some folders at other places; implements `Objects`."""

    objects: Objects
    places: Places

    def get(self, path: str) -> bytes:
        """Return the content of an object."""
        return self.objects.get(self.places.actual(path))

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from a position; none beyond its end."""
        return self.objects.get_range(self.places.actual(path), start, length)

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks."""
        return self.objects.chunks(self.places.actual(path))

    def reader(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Yield a seekable file with the content of an object."""
        return self.objects.reader(self.places.actual(path))

    def entry(self, path: str) -> Entry:
        """Return the size and the version of an object."""
        return self._logical(self.objects.entry(self.places.actual(path)))

    def entries(self, prefix: str) -> Iterable[Entry]:
        """Return all objects below a folder."""
        return (self._logical(entry) for entry in self.objects.entries(self.places.actual(prefix)))

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the objects and folders directly in a folder."""
        return self.objects.names(self.places.actual(folder))

    def put(self, path: str, content: bytes, guard: Guard = no_guard) -> None:
        """Write an object atomically; replaces an existing one."""
        self.objects.put(self.places.actual(path), content, guard)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether it has this content."""
        return self.objects.create(self.places.actual(path), content)

    def write(self, path: str, chunks: Iterable[bytes], guard: Guard = no_guard) -> None:
        """Write an object from chunks; writes nothing if reading them fails."""
        self.objects.write(self.places.actual(path), chunks, guard)

    def table_target(self, path: str, guard: Guard = no_guard) -> AbstractContextManager[TableTarget]:
        """Yield a file for a table, which exists at `path` only if the block succeeds."""
        return self.objects.table_target(self.places.actual(path), guard)

    def copy(self, source: str, target: str) -> None:
        """Copy an object; replaces an existing one."""
        self.objects.copy(self.places.actual(source), self.places.actual(target))

    def delete(self, path: str) -> None:
        """Delete an object."""
        self.objects.delete(self.places.actual(path))

    def exclusive(self, path: str, *, wait: bool) -> AbstractContextManager[bool]:
        """Keep other processes of this machine out of a block of this path."""
        return self.objects.exclusive(self.places.actual(path), wait=wait)

    def remove_old_temporary_files(self, older_than: timedelta) -> int:
        """Remove what interrupted writes left; return the number of files."""
        return self.objects.remove_old_temporary_files(older_than)

    def _logical(self, entry: Entry) -> Entry:
        return replace(entry, path=self.places.logical(entry.path))
