"""Fixtures of deployments: Postgres, and one machine with all processes."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.defs.conftest import on_disk, trained_book
from tests.deploy.deployment import Deployment, deployed
from tests.deploy.postgres import Database, require_postgres, running

SCHEDULE_MINUTES = 4  # until the nightly schedule ticks; the deployment must have started by then


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """A Postgres server; without Postgres, tests are skipped, and in CI they fail."""
    with running(require_postgres()) as server:
        yield server


@pytest.fixture(scope="session")
def tick() -> datetime:
    """When the nightly schedule of the deployment ticks."""
    return datetime.now(UTC) + timedelta(minutes=SCHEDULE_MINUTES)


def previous_day(tick: datetime) -> str:
    """Return the date that the schedule scores."""
    return (tick - timedelta(days=1)).date().isoformat()


@pytest.fixture(scope="session")
def machine_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with a book that has a live model."""
    folder = tmp_path_factory.mktemp("machine")
    shutil.copytree(trained_book(tmp_path_factory, worker_id), folder / "book")
    return folder


@pytest.fixture(scope="session")
def machine(postgres: Database, machine_folder: Path, tick: datetime) -> Iterator[Deployment]:
    """One machine over the book; the nightly schedule is on."""
    book = on_disk(machine_folder / "book")
    with deployed(machine_folder, book, postgres.create("machine"), RISK_SCORING_TIME=f"{tick:%H:%M}") as deployment:
        deployment.land(previous_day(tick))
        deployment.start_schedule("nightly")
        yield deployment
