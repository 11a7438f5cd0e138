"""Makes Dagster's run history in SQLite cheaper for tests: the queries, the files and their contents are the same.

For each connection Dagster makes a new engine, for which SQLAlchemy compiles every query again, and opens the file again. For each
database it reads all migrations, although there are none to run, and each run gets a database with tables of its own, as have the
events without a run. Together with fsync, this is more than half of a short run.
"""

import atexit
import os
import re
import sqlite3
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

MAX_ENGINES = 64
MAX_QUERIES = 5000
SQLITE = "sqlite:///"
_EVENTS = re.compile(r"([0-9a-f]{8}-[0-9a-f-]{27})?\.db")
_kept = OrderedDict[tuple[object, ...], Engine]()


def quicken() -> None:
    """Skip fsync of SQLite, and keep engines and migrations in this process; must run before Dagster's storage is imported."""
    assert "dagster._core.storage.sql" not in sys.modules, "Dagster has its own reference to create_engine already"
    event.listen(Engine, "connect", _do_not_wait_for_the_disk)
    _keep_engines()
    _keep_migrations()


def read_ahead() -> None:
    """Read all migrations, and make the database of a run without events, for the processes that are forked from this one."""
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
    from dagster._core.storage.sql import get_alembic_config

    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        ScriptDirectory.from_config(get_alembic_config(module.__file__)).get_current_head()
    _no_events()


@cache
def _no_events() -> bytes:
    """Return the database of the events of a run that has none yet, as Dagster makes it."""
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    with TemporaryDirectory() as folder:
        file = Path(folder, "events.db")
        engine = sqlalchemy.create_engine(f"{SQLITE}{file}", poolclass=StaticPool)
        SqliteEventLogStorage._initdb(cast("SqliteEventLogStorage", None), engine)
        engine.dispose()  # the last connection: nothing is left in a file beside it
        return file.read_bytes()


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


def _keep_engines() -> None:
    create = sqlalchemy.create_engine
    first = create(SQLITE, query_cache_size=MAX_QUERIES)
    first.connect().close()  # from now on its dialect knows the version of SQLite
    first.dispose()

    def of_file(url: str, connect_args: dict[str, Any]) -> Engine:
        _make_events(Path(url.removeprefix(SQLITE)))
        key = (url, _file_number(url), *connect_args.items())
        if key not in _kept:
            _kept[key] = create(url, poolclass=QueuePool, pool_size=1, max_overflow=-1, connect_args=connect_args)
            _kept[key].dispose = _keep  # type: ignore[method-assign]
            _kept[key].dialect, _kept[key]._compiled_cache = first.dialect, first._compiled_cache  # queries are compiled once for all
        _kept.move_to_end(key)
        if len(_kept) > MAX_ENGINES:
            Engine.dispose(_kept.popitem(last=False)[1])
        return _kept[key]

    def create_engine(url: str, **options: Any) -> Engine:
        if options.keys() <= {"poolclass", "connect_args"} and options.get("poolclass") is NullPool and str(url).startswith(SQLITE):
            return of_file(url, options.get("connect_args", {}))
        return create(url, **options)

    sqlalchemy.create_engine = create_engine
    atexit.register(close)


def close() -> None:
    """Close all connections; the compiled queries stay."""
    while _kept:
        Engine.dispose(_kept.popitem()[1])


def _make_events(file: Path) -> None:
    """Make the database of the events of a new run, or of those without a run: to copy one is a twentieth of the work of its tables."""
    if file.parent.name == "runs" and _EVENTS.fullmatch(file.name) and file.parent.is_dir() and not file.exists():
        copy = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
        copy.write_bytes(_no_events())
        with suppress(FileExistsError):  # another process has made it meanwhile
            file.hardlink_to(copy)
        copy.unlink()


def _file_number(url: str) -> int | None:
    """Return the number of a database's file, or None if it does not exist: another file at its path needs another connection."""
    try:
        return Path(url.removeprefix(SQLITE)).stat().st_ino
    except FileNotFoundError:
        return None


def _keep(close: bool = True) -> None:
    """Close no connection: Dagster disposes of the engine of a run's events after each query."""


def _keep_migrations() -> None:
    read, known = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in known:
            known[folder] = read(config)
        return known[folder]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign, assignment]
