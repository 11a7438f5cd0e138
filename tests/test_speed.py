"""What makes the tests quicker has an effect: files that are named exist, engines are used again, and migrations are read once."""

from pathlib import Path

import sqlalchemy
from alembic.script import ScriptDirectory
from dagster._core.storage import sql
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy.pool import NullPool

from tests.conftest import FIRST
from tests.scheduling import SPREAD, WAITING

TESTS = Path(__file__).parent


def test_files_that_are_first_spread_or_waiting_exist_once() -> None:
    found = [path.name for path in TESTS.rglob("test_*.py")]
    assert {name: found.count(name) for name in (*FIRST, *SPREAD, *WAITING)} == dict.fromkeys((*FIRST, *SPREAD, *WAITING), 1)


def test_dagster_uses_the_engine_of_a_file_again(tmp_path: Path) -> None:
    one, same, other = (sql.create_engine(f"sqlite:///{tmp_path / name}.db", poolclass=NullPool) for name in ("a", "a", "b"))
    assert one is same is not other
    assert sql.create_engine is sqlalchemy.create_engine


def test_engines_that_keep_connections_are_not_shared() -> None:
    assert sql.create_engine("sqlite://") is not sql.create_engine("sqlite://")


def test_migrations_are_read_once() -> None:
    one, same = (ScriptDirectory.from_config(sql.get_alembic_config(sqlite_run_storage.__file__)) for _ in range(2))
    assert one is same
