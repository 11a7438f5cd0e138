"""Settings, storage and the job runner for commands. Their imports are slow, so they are made when a command runs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from risk_assets.defs.resources import Lakehouse
    from risk_assets.lake.documents import Documents
    from risk_assets.lake.store import Store
    from risk_assets.runner import Runner
    from risk_assets.settings import Settings


def settings() -> "Settings":
    """Return the settings; raises `ContractError` if a variable cannot be used."""
    from risk_assets.settings import load_settings

    return load_settings()


def lake() -> "Store":
    """Return the lake of the settings."""
    return settings().open_lake()


def documents(settings: "Settings", lake: "Store") -> "Documents":
    """Return the contract and the policy in force: the bound ones, or those of the files while nothing is bound."""
    from risk_assets.lake.documents import in_force

    return in_force(lake, settings)


def warn_unused_files(settings: "Settings", documents: "Documents") -> None:
    """Print a warning for each file of a contract or a policy that is not the bound one."""
    from risk_assets.cli.console import print_warning
    from risk_assets.lake.documents import unused_files

    for file in unused_files(documents, settings):
        print_warning(file.kind, file.note)


def warn_unbound_files(lakehouse: "Lakehouse") -> None:
    """Print the warnings of `warn_unused_files` before runs; nothing if documents cannot be read: the runs report that."""
    from risk_assets.errors import RiskError

    try:
        documents = lakehouse.documents
    except RiskError:
        return
    warn_unused_files(lakehouse.settings, documents)


@contextmanager
def runner(settings: "Settings") -> "Iterator[Runner]":
    """Yield the job runner; print messages about the run log, and what Spark waits for. Jobs run long: garbage collection resumes."""
    from risk_assets.cli.console import print_warning, printed_progress
    from risk_assets.runner import open_runner

    gc.enable()
    with printed_progress(), open_runner(settings, lambda message: print_warning("run log", message)) as opened:
        yield opened
