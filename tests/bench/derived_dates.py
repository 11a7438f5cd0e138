"""The dates of `derived`: a lake whose states are carried through all dates; then the last dates again, with each window in turns."""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from datetime import time as Time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from risk_assets.clock import Calendar, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.outcome_tables import outcome_table, state_table
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import Table, write_table

ACCOUNTS, DATES, MEASURED = 100_000, 380, 10
WINDOWS = (30, 365)
FIRST = "2024-01-01"
LEAVE = 1000  # one in so many accounts leaves on a date, and another one opens
CALENDAR = Calendar(ZoneInfo("UTC"), Time(2), Time(6), frozenset(range(7)))
TEXT = """
id: id
target: {{derived: {{bad_when: {{column: days, at_least: 90}}, within_days: {days}, when_gone: unknown}}}}
features:
  days: {{type: number, reason: Days}}
"""


def main(root: str, rounds: str) -> None:
    """Make a lake, then carry its last dates and write the outcomes that mature on them with each window, in turns."""
    store = open_store(root)
    dates = [shift(FIRST, day) for day in range(DATES)]
    contracts = {window: _contract(window) for window in WINDOWS}
    for date, features in zip(dates, _book(), strict=True):
        _put_features(store, date, features, contracts[WINDOWS[0]])
        _carry(store, contracts[WINDOWS[0]], date)
    spent: dict[int, list[tuple[float, float]]] = {window: [] for window in WINDOWS}
    for _ in range(int(rounds)):
        for date in dates[-MEASURED:]:
            for window, contract in contracts.items():
                spent[window].append((_carry(store, contract, date), _derive(store, contract, shift(date, -window))))
    figures = {window: [statistics.median(ms) for ms in zip(*found, strict=True)] for window, found in spent.items()}
    sys.stdout.write(json.dumps(figures))


def _contract(window: int) -> Contract:
    return Contract.parse(TEXT.format(days=window), "contract.yml")


def _book() -> Iterator[pl.DataFrame]:
    """Yield the days past due of each account on one date after the other; some leave, and others open."""
    random = np.random.Generator(np.random.PCG64(1))
    ids, days, newest = np.arange(ACCOUNTS), np.zeros(ACCOUNTS), ACCOUNTS
    for _ in range(DATES):
        leaving = random.random(ACCOUNTS) < 1 / LEAVE
        ids[leaving], days[leaving] = np.arange(newest, newest + leaving.sum()), 0.0
        newest += int(leaving.sum())
        misses = random.random(ACCOUNTS) < np.where(days > 0, 0.97, 0.002)
        days = np.where(misses, days + 1, 0.0)
        yield pl.DataFrame({"account_id": ids, "days": days}).with_columns(pl.format("AC{}", "account_id").alias("account_id"))


def _put_features(store: Store, date: str, rows: pl.DataFrame, contract: Contract) -> None:
    frame = rows.lazy().with_columns(pl.lit(None, pl.String).alias("issues"))
    made_from = Provenance(run_id="bench", contract_values=values_digest(contract))
    write_table(store, layout.features(date), Table(frame, FeatureFacts, tuple(feature_facts(contract)), made_from))


def _carry(store: Store, contract: Contract, date: str) -> float:
    """Carry the states to a date; return the processor milliseconds."""
    start = time.process_time()
    write_table(store, layout.account_states(date), state_table(store, contract, date, "bench"))
    return (time.process_time() - start) * 1000


def _derive(store: Store, contract: Contract, snapshot: str) -> float:
    """Write the outcomes of a snapshot as if for the first time; return the processor milliseconds."""
    path = layout.curated_outcomes(snapshot)
    for written in (layout.manifest(path), path):
        if store.size(written) is not None:
            store.delete(written)
    start, today = time.process_time(), datetime.now(UTC).date().isoformat()
    write_table(store, path, outcome_table(store, contract, CALENDAR, snapshot, "bench", today))
    return (time.process_time() - start) * 1000


if __name__ == "__main__":
    main(*sys.argv[1:])
