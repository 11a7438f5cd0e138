"""The impact of a version, stored with it: the figures, and the affected accounts in a file of their own."""

import msgspec
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.impact import Impact, measure
from risk_assets.errors import LakeError
from risk_assets.lake import layout, registry, snapshots
from risk_assets.lake.store import Store
from risk_assets.lake.tables import translate_polars_errors


def compute(store: Store, version: str, contract: Contract, policy: Policy) -> tuple[Impact, pl.DataFrame]:
    """Return the changes on the newest dates if a version replaces the live one, and the accounts they affect."""
    candidate, live = registry.read_scorecard(store, version), registry.find_live(store)
    newest = snapshots.newest(store, candidate.scorecard.features, policy.promotion.impact_days)
    with translate_polars_errors(f"the impact of {version} on {', '.join(newest)}"):
        return measure(newest, candidate, live, policy, contract)


def write(store: Store, impact: Impact, accounts: pl.DataFrame) -> None:
    """Write the accounts, then the figures; replaces an earlier impact of the version."""
    store.put(layout.version_file(impact.candidate, layout.IMPACT_ACCOUNTS), accounts.write_csv().encode())
    store.put(layout.version_file(impact.candidate, layout.IMPACT), msgspec.json.format(msgspec.json.encode(impact), indent=1))


def read(store: Store, version: str) -> Impact:
    """Return the stored impact of a version; raises `LakeError` if there is none or it cannot be read."""
    path = layout.version_file(version, layout.IMPACT)
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake. Compute it: risk impact {version}.")
    try:
        return msgspec.json.decode(content, type=Impact)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read: {error}. Compute it again: risk impact {version}.") from error
