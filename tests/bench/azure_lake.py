"""Set-up of `azure`: the workspace's lake copied to a storage account, and what the runs made there deleted."""

import sys
from pathlib import Path

from risk_assets.lake import layout
from risk_assets.lake.store import Store
from risk_assets.settings import Settings
from tests.bench.workspace import Workspace


def open_lake(workspace: Workspace, address: str) -> Store:
    """Return the lake of the account that the environment names."""
    return Settings(lake=address, landing=str(workspace.landing), contract=workspace.contract, policy=workspace.policy).connect_lake()


def copy(workspace: Workspace, lake: Store) -> None:
    """Copy all objects but those that runs make."""
    for path in sorted(workspace.lake.rglob("*")):
        name = path.relative_to(workspace.lake).as_posix()
        if path.is_file() and not name.startswith(layout.CURATED):
            with path.open("rb") as file:
                lake.write(name, iter(lambda: file.read(8 << 20), b""))


def clear(_workspace: Workspace, lake: Store) -> None:
    """Delete what runs made: the product's tables and the copy of polars."""
    for path in (*lake.list(layout.CURATED), *lake.list("polars")):
        lake.delete(path)


def main(command: str, root: str, address: str) -> None:
    """Do one of the two."""
    workspace = Workspace(Path(root))
    {"copy": copy, "clear": clear}[command](workspace, open_lake(workspace, address))


if __name__ == "__main__":
    main(*sys.argv[1:])
