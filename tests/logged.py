"""The prediction log of the service, written by the service's own code in the test's process."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUES, Contract
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table
from risk_serving.observability.event_lines import Entry
from risk_serving.observability.prediction_log import EntryFiles
from risk_serving.scoring.live_model import build_snapshot
from tests.answered import answered

MAX_RECORDS = 1000
Records = Sequence[Mapping[str, Any]]


def records_of(store: Store, date: str) -> list[dict[str, Any]]:
    """Return the accounts of a date without issues as records of a request; missing values are null."""
    found = read_table(store, layout.features(date)).filter(pl.col(ISSUES).is_null(), pl.col(EXCLUDED).is_null())
    return found.drop(GROUP, EXCLUDED, ISSUES).rename({ACCOUNT_ID: "id"}).collect().to_dicts()


def log_requests(store: Store, date: str, *requests: Records) -> None:
    """Answer requests by the live binding as the service does, and log them in one pair of files, at noon of a date (UTC)."""
    binding = binding_log.live(store)
    assert binding and binding.contract and binding.policy
    contract, policy = document_archive.read(store, Contract, binding.contract), document_archive.read(store, Policy, binding.policy)
    live = build_snapshot(binding, registry.arms(store, binding), contract, policy, MAX_RECORDS)
    noon = datetime.fromisoformat(f"{date}T12:00:00").replace(tzinfo=UTC).timestamp()
    entries = []
    for request in requests:
        sent = live.decoder.decode(msgspec.json.encode({"on_error": "skip", "records": list(request)}))
        made = answered(live, msgspec.json.encode({"on_error": "skip", "records": list(request)}))
        records = len(made.scored)
        entries.append(
            Entry(uuid.uuid4().hex, noon, sent.sent.content(), made.content, records, binding, "loans", shadow=made.scored.shadow)
        )
    EntryFiles(store, "test").write(entries)


def change(store: Store, date: str, collection: str, old: bytes, new: bytes) -> str:
    """Replace the first occurrence of a text in the log of a date, and return the file."""
    for path in store.list(layout.online_folder(collection, date)):
        content = store.get(path)
        if old in content:
            store.put(path, content.replace(old, new, 1))
            return path
    raise AssertionError(old)
