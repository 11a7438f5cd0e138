"""Objects on disk. A write is complete and durable when it returns, and leaves nothing if it fails or the power does."""

import errno
import fcntl
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import IO, BinaryIO

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.hashing import content_of_file, sha256
from risk_assets.lake.objects import CHUNK_BYTES, Entry, Guard, TableTarget, no_guard

TEMPORARY = ".tmp"
WRITE_BACK_SECONDS = 0.25
LOCK, PIN = ".lock", "pin-"
_ATTEMPTS = 5  # to rename a file into a folder that others remove when it is empty
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP}
_CANNOT_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # between these files; `sendfile` can
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


class DiskObjects:
    """Objects below a folder, which the first write creates.

    A write goes to a new file in `.tmp/`, which is on the same file system and in no listing. The file is flushed to the
    disk, then renamed or linked to its path, then the folder is flushed. A file at a path is never changed in place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary_folder = folder / TEMPORARY

    def get(self, path: str) -> bytes:
        """Return the content of an object."""
        with self._open(path) as file:
            return file.read()

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from a position; none beyond its end."""
        with self._open(path) as file:
            file.seek(start)
            return file.read(length)

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of an object in chunks of 8 MiB; a write that replaces it meanwhile is not seen."""
        with self._open(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    @contextmanager
    def reader(self, path: str) -> Iterator[IO[bytes]]:
        """Yield a seekable file with the content of an object; a write that replaces it meanwhile is not seen."""
        with self._open(path) as file:
            yield file

    def entry(self, path: str) -> Entry:
        """Return the size and the version of an object."""
        with _no_folder(path):
            _require_no_pipe(path, self._file(path).stat())
            return _entry(path, self._file(path))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects below a folder."""
        for folder, folders, files in os.walk(self._below(prefix), followlinks=True, onerror=_raise_unless_missing):
            if Path(folder) == self._folder and TEMPORARY in folders:
                folders.remove(TEMPORARY)
            below = Path(folder).relative_to(self._folder).as_posix()
            for name in files:
                with suppress(FileNotFoundError):  # deleted meanwhile, or a link to nothing
                    yield _entry(name if below == "." else f"{below}/{name}", os.path.join(folder, name))  # noqa: PTH118 - there are many

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects and folders directly in a folder."""
        try:
            found = [file.name for file in self._below(folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found if folder else [name for name in found if name != TEMPORARY]

    def put(self, path: str, content: bytes, guard: Guard = no_guard) -> None:
        """Write an object atomically; replaces an existing one."""
        self.write(path, (content,), guard)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless it exists; return whether it has this content."""
        target = self._file(path)
        with self._temporary_file() as temporary:
            _write_synced(temporary, (content,))
            _make_folder(target.parent)
            try:
                os.link(temporary, target)
            except FileExistsError:
                created = self._find(path) == content
            except OSError as error:
                if error.errno in _NO_HARD_LINKS:
                    raise LakeError(
                        f"{self._folder} is on a file system without hard links, which create-only writes need (at {path}). "
                        "Use a folder on a local disk or on NFS, or Azure."
                    ) from error
                raise
            else:
                created = True
            sync_folder(target.parent)
            return created

    def write(self, path: str, chunks: Iterable[bytes], guard: Guard = no_guard) -> None:
        """Write an object from chunks; writes nothing if reading them fails."""
        target = self._file(path)
        with self._temporary_file() as temporary:
            _write_synced(temporary, chunks)
            with guard():
                _replace(temporary, target)

    def concatenate(self, sources: Sequence[str], target: str, guard: Guard = no_guard) -> None:
        """Write an object from the contents of others, in order. The system copies the bytes."""
        with self._temporary_file() as temporary:
            with temporary.open("xb") as file:
                for source in sources:
                    with self._open(source) as opened:
                        _append_all(opened.fileno(), file.fileno())
                _sync(file)
            with guard():
                _replace(temporary, self._file(target))

    def flush(self, path: str) -> None:
        """Flush an object to the disk that was written without: then it survives a loss of power."""
        with self._open(path) as file:
            _sync(file)

    def move(self, source: str, target: str, guard: Guard = no_guard) -> None:
        """Rename an object that is on the disk, see `flush`; replaces an existing one."""
        with guard():
            _replace(self._file(source), self._file(target))

    @contextmanager
    def table_target(self, path: str, guard: Guard = no_guard) -> Iterator[TableTarget]:
        """Yield a file for a table, which exists at `path` only if the block succeeds.

        The hash is computed from the complete file, while the system writes it to the disk: polars writes and Python reads it faster than
        Python forwards each chunk.
        """
        destination = self._file(path)
        with self._temporary_file() as temporary:
            with temporary.open("xb") as file:
                target = TableTarget(file)
                with _written_back(file):
                    yield target
                    file.flush()
                    target.content = content_of_file(temporary, target.lengths)
            with guard():
                _replace(temporary, destination)

    def copy(self, source: str, target: str) -> None:
        """Copy an object, by a hard link if the file system has them; replaces an existing one."""
        with self._temporary_file() as temporary:
            try:
                with _no_folder(source):
                    os.link(self._file(source), temporary)
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                _write_synced(temporary, self.chunks(source))
            _replace(temporary, self._file(target))

    def delete(self, path: str) -> None:
        """Delete an object."""
        file = self._file(path)
        with _no_folder(path):
            file.unlink()
        sync_folder(file.parent)

    @contextmanager
    def exclusive(self, path: str, *, wait: bool) -> Iterator[bool]:
        """Keep other processes out of a block of this path; yields False if one is in it and `wait` is false.

        The system ends the exclusion when the process ends. A process that is stopped inside keeps the others out. The lock
        file is removed at the end of the block, while it is locked.
        """
        _make_folder(self._temporary_folder)
        lock = self._temporary_folder / f"{sha256(path.encode())}{LOCK}"
        while True:
            with lock.open("wb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                except BlockingIOError:
                    yield False
                    return
                if not _is_at(file, lock):  # the one who had it has removed it
                    continue
                try:
                    yield True
                finally:
                    lock.unlink(missing_ok=True)
                return

    def remove_old_temporary_files(self, older_than: timedelta) -> int:
        """Remove the temporary files whose last write is older; return their number."""
        limit = time.time() - older_than.total_seconds()
        removed = 0
        for file in self._temporary_folder.glob("*"):
            if file.suffix == LOCK or _is_in_use(file):
                continue
            with suppress(FileNotFoundError):  # removed meanwhile by another process
                found = file.stat()
                if (found.st_ctime if file.name.startswith(PIN) else found.st_mtime) < limit:
                    file.unlink()
                    removed += 1
        return removed + self._remove_old_staged_files(limit)

    def _remove_old_staged_files(self, limit: float) -> int:
        removed = 0
        for folder in self._folder.glob(f"*/{layout.STAGED}/*/*"):
            with suppress(FileNotFoundError):  # removed meanwhile by another process
                found = list(folder.iterdir())
                if max(file.stat().st_mtime for file in (folder, *found)) < limit:
                    shutil.rmtree(folder)
                    removed += len(found)
        return removed

    def pin(self, path: str) -> Path:
        """Return another name of an object's file: it keeps this content when the object is replaced. The caller deletes it.

        Without hard links, or on a disk that is read-only, it is the object's own file.
        """
        pinned = self._temporary_folder / f"{PIN}{os.getpid()}-{uuid.uuid4()}{Path(path).suffix}"
        try:
            _make_folder(self._temporary_folder)
            with _no_folder(path):
                os.link(self._file(path), pinned)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS | {errno.EROFS, errno.EACCES}:
                raise
            return self._file(path)
        return pinned

    def _find(self, path: str) -> bytes | None:
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def _file(self, path: str) -> Path:
        """Return the file of an object; raises `OSError` if the path leads elsewhere."""
        parts = path.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or parts[0] == TEMPORARY or "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        return self._folder.joinpath(*parts)

    def _below(self, prefix: str) -> Path:
        """Return a folder; an empty prefix is the root."""
        return self._file(prefix.rstrip("/")) if prefix else self._folder

    @contextmanager
    def _open(self, path: str) -> Iterator[BinaryIO]:
        with _no_folder(path):
            _require_no_pipe(path, self._file(path).stat())  # to open a pipe may take forever
            with self._file(path).open("rb", buffering=0) as file:
                yield file

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        """Yield a path in `.tmp/` where nothing exists yet; what exists there after the block is removed."""
        _make_folder(self._temporary_folder)
        file = self._temporary_folder / f"{os.getpid()}-{uuid.uuid4()}"
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)


def _is_in_use(temporary: Path) -> bool:
    """Return whether the process that made a temporary file still runs, or another one with its number."""
    number = temporary.name.removeprefix(PIN).partition("-")[0]
    return number.isdigit() and Path("/proc", number).exists()


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def version_of(file: Path) -> str:
    """Return the version of a file: inode, time of modification and size; the same for each of its names."""
    return _version(file.stat())


def _version(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _entry(path: str, file: Path | str) -> Entry:
    found = os.stat(file)  # noqa: PTH116 - a path of a listing is a text
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return Entry(path, found.st_size, _version(found), found.st_mtime)


def _require_no_pipe(path: str, found: os.stat_result) -> None:
    """Raise `OSError` if a path is neither a file nor a folder."""
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _no_folder(path: str) -> Iterator[None]:
    """Turn the errors of a folder at a path, or of a file where a folder is expected, into `FileNotFoundError`."""
    try:
        yield
    except (IsADirectoryError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None


def _write_synced(file: Path, chunks: Iterable[bytes]) -> None:
    with file.open("xb") as opened:
        for chunk in chunks:
            opened.write(chunk)
        _sync(opened)


@contextmanager
def _written_back(file: BinaryIO) -> Iterator[None]:
    """Let the system write a file to the disk while it grows; after the block, all that was flushed is there."""
    ended = Event()

    def write_back() -> None:
        while not ended.wait(WRITE_BACK_SECONDS):
            os.fdatasync(file.fileno())
        os.fsync(file.fileno())

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write_back)
        try:
            yield
        finally:
            ended.set()
        written.result()


def _append_all(source: int, target: int) -> None:
    """Append the rest of an open file to another one."""
    rest = os.fstat(source).st_size
    while rest > 0 and (copied := _append(source, target, rest)):  # none if the file was cut off meanwhile
        rest -= copied


def _append(source: int, target: int, length: int) -> int:
    """Append at most `length` bytes of an open file to another one; return their number."""
    try:
        return os.copy_file_range(source, target, length)
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
        return os.sendfile(target, source, None, length)


def _replace(temporary: Path, target: Path) -> None:
    """Rename a file that is on disk; the new name is on disk too when this returns."""
    for repeat in range(_ATTEMPTS):
        try:
            _make_folder(target.parent)
            temporary.replace(target)
        except FileNotFoundError:  # another process has removed the folder when it was empty
            if repeat == _ATTEMPTS - 1 or not temporary.exists():
                raise
        else:
            break
    sync_folder(target.parent)


def _make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder: only then do new names and deletions in it survive a loss of power."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:  # some network file systems cannot, and need not
            raise
    finally:
        os.close(opened)
