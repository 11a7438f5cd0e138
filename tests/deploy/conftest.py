"""Fixtures of deployments: a Postgres server for the worker, and a new database for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tests.deploy.postgres import Database, require_postgres, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """A Postgres server; without Postgres, tests are skipped, and in CI they fail."""
    with running(require_postgres()) as server:
        yield server


@pytest.fixture
def database(postgres: Database) -> Database:
    """A new, empty database."""
    return postgres.create(f"history_{next(_numbers)}")
