"""The impact of a version, stored with it: the figures, and the affected accounts in a file of their own."""

from collections.abc import Iterable

import msgspec
import polars as pl

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.governance.impact import Impact, Side, compare, measure
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.errors import ContractError, LakeError, ModelError
from risk_assets.lake import document_archive, layout, registry, snapshots
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.documents import AnyDocument, Documents
from risk_assets.lake.feature_tables import features_under
from risk_assets.lake.hashing import sha256
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.store import Store
from risk_assets.lake.tables import translate_polars_errors


def compute(store: Store, version: str, contract: Contract, policy: Policy) -> tuple[Impact, pl.DataFrame]:
    """Return the changes on the newest dates if a version replaces the live one, and the accounts they affect.

    If the version was trained under a contract that decides other values than `contract`, which is in force, its features are made
    from the raw files.
    """
    candidate, live = registry.read_scorecard(store, version), registry.find_live(store)
    own = document_archive.read(store, Contract, registry.read_version(store, version).metadata.origin.contract)
    days = policy.promotion.impact_days
    if live is None or values_digest(own) == values_digest(contract):
        newest = snapshots.newest(store, candidate.scorecard.features, days)
        with translate_polars_errors(f"the impact of {version} on {', '.join(newest)}"):
            return measure(newest, candidate, live, policy, contract)
    bound, theirs = features_under(store, contract, own, snapshots.newest(store, live.scorecard.features, days))
    with translate_polars_errors(f"the impact of {version} on {', '.join(theirs)}"):
        return compare(Side(version, candidate, policy, theirs), Side(live.version, live, policy, bound), own)


def require_adoptable(store: Store, bound: Documents, proposed: AnyDocument) -> None:
    """Verify that a proposed contract can be put in force; a policy always can.

    Raises
    ------
    ModelError
        If the contract lacks a feature of the live version.
    ContractError
        If the newest raw file lacks a column that the contract requires and the bound contract does not.
    """
    if isinstance(proposed, Policy):
        return
    require_fit(registry.bound(store, bound.binding).arms.champion, proposed)
    raw = _newest_raw(store)
    added = [name for name in _missing(raw, proposed) if name not in bound.contract.columns]
    if raw and added:
        raise ContractError(
            f"{raw.path}, the newest raw file, has no column {', '.join(added)}, which the contract of the file requires, so that each "
            f"such file would be blocked. Remove {'it' if len(added) == 1 else 'them'} from the contract or correct the name; or store a "
            "file that has the column (risk run DATE) and then adopt the contract (risk contract adopt --reason WHY)."
        )


def adoption(store: Store, bound: Documents, proposed: AnyDocument) -> tuple[Impact, pl.DataFrame]:
    """Return the changes on the newest dates if a policy or a contract replaces the bound one, and the accounts they affect.

    Both sides are scored by the live version; a challenger is left out. A contract must be adoptable: see `require_adoptable`.

    Raises
    ------
    ModelError
        If no version is live, there is no snapshot with its features, or none of them can be read under both contracts.
    """
    live = registry.bound(store, bound.binding).arms.champion
    newest = snapshots.newest(store, live.scorecard.features, bound.policy.promotion.impact_days)
    if isinstance(proposed, Policy):
        ours, theirs, policy, kind = newest, newest, proposed, "policy"
    else:
        ours, theirs = features_under(store, bound.contract, proposed, newest)
        if newest and not theirs:
            raise ModelError(_why_incomparable(store, bound.contract, proposed, newest))
        policy, kind = bound.policy, "contract"
    candidate = Side(f"{live.version} with the {kind} of the file", live, policy, theirs)
    with translate_polars_errors(f"the impact of the {kind} on {', '.join(theirs)}"):
        return compare(candidate, Side(f"{live.version} with the bound {kind}", live, bound.policy, ours), bound.contract)


def _why_incomparable(store: Store, bound: Contract, proposed: Contract, dates: Iterable[str]) -> str:
    """Return why none of the dates has features under both contracts, and the next step."""
    raw = _newest_raw(store)
    for contract, name in ((bound, "in force"), (proposed, "of the file")):
        if raw and (missing := _missing(raw, contract)):
            return (
                f"{raw.path}, the newest raw file, has no column {', '.join(missing)}, which the contract {name} requires. Adopt a "
                "contract without it, or store a file that has it (risk run DATE)."
            )
    return (
        f"the features of {', '.join(dates)} are older than their raw files, or were made under another contract than the one in force. "
        "Run a date again: risk run DATE."
    )


def _newest_raw(store: Store) -> Manifest | None:
    """Return the manifest of the newest raw file of accounts, or None if there is none."""
    newest = committed_dates(store, "raw/accounts")[-1:]
    return find_readable(store, layout.accounts(newest[0])) if newest else None


def _missing(raw: Manifest | None, contract: Contract) -> list[str]:
    """Return the columns of a contract that a raw file lacks."""
    return [name for name in contract.columns if name not in raw.columns] if raw else []


def write(store: Store, impact: Impact, accounts: pl.DataFrame) -> None:
    """Write the accounts, the figures, then the hashes of both; replaces an earlier impact of the version."""
    files = {
        layout.IMPACT_ACCOUNTS: accounts.write_csv().encode(),
        layout.IMPACT: msgspec.json.format(msgspec.json.encode(impact), indent=1),
    }
    for file, content in files.items():
        store.put(layout.version_file(impact.candidate, file), content)
    hashes = {file: sha256(content) for file, content in files.items()}
    store.put(layout.version_file(impact.candidate, layout.IMPACT_HASHES), msgspec.json.encode(hashes))


def read(store: Store, version: str) -> Impact:
    """Return the stored impact of a version after comparing the hashes; raises `LakeError` if there is none or it was changed."""
    path = layout.version_file(version, layout.IMPACT)
    if store.size(path) is None:
        raise LakeError(f"{path} is not in the lake. Compute it: risk impact {version}.")
    try:
        hashes = msgspec.json.decode(store.get(layout.version_file(version, layout.IMPACT_HASHES)), type=dict[str, str])
        files = {file: store.get(layout.version_file(version, file)) for file in (layout.IMPACT, layout.IMPACT_ACCOUNTS)}
        impact = msgspec.json.decode(files[layout.IMPACT], type=Impact)
    except (msgspec.MsgspecError, UnicodeDecodeError, FileNotFoundError) as error:
        others = " or ".join(layout.version_file(version, file) for file in (layout.IMPACT_ACCOUNTS, layout.IMPACT_HASHES))
        raise LakeError(f"{path}, {others} is missing or cannot be read. Compute them again: risk impact {version}.") from error
    changed = [layout.version_file(version, file) for file, content in files.items() if hashes.get(file) != sha256(content)]
    if changed:
        hashes_path = layout.version_file(version, layout.IMPACT_HASHES)
        raise LakeError(f"{', '.join(changed)} does not have the hash in {hashes_path}. Compute both again: risk impact {version}.")
    return impact


def versions(store: Store) -> list[str]:
    """Return the versions that have an impact, or a part of one."""
    files = (layout.IMPACT, layout.IMPACT_ACCOUNTS, layout.IMPACT_HASHES)
    paths = [(name, layout.version_file(name, file)) for name in registry.names(store) for file in files]
    return list(dict.fromkeys(name for name, path in paths if store.size(path) is not None))
