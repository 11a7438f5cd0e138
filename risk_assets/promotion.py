"""The gates of a version, measured again on the tables that it was trained from: under the policy and the live version of now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import reads_alike
from risk_assets.domain.governance.artifacts import MeasuredGates, Origin
from risk_assets.domain.governance.bindings import Binding, rivals
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import binding_log, document_archive, layout, registry, snapshots
from risk_assets.lake.manifests import changed_tables
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, translate_polars_errors
from risk_assets.reproduction import training_tables

if TYPE_CHECKING:
    import pandas as pd

    from risk_assets.domain.training.measurement import Compared, Snapshot
    from risk_assets.domain.training.split import Split


def gates_now(store: Store, version: str, policy: Policy) -> MeasuredGates:
    """Return the gates of a version under a policy and against what is live: the stored ones if these have not changed since."""
    stored, history = registry.read_version(store, version).metadata.gates, binding_log.read(store)
    if (stored.policy, stored.live, stored.champions) == (policy.digest, live_version(history), rivals(history)):
        return stored
    return measure_again(store, version, policy)


def measure_again(store: Store, version: str, policy: Policy) -> MeasuredGates:
    """Return the gates of a version, measured on the tables that it was trained from, under a policy and against what is live.

    The version is not trained again. If a table was changed since or is gone, the gates that need it are undecided, and the
    evidence names it. The snapshot of the gate `stability` is the newest one in the lake.
    """
    from risk_assets.domain.training.measurement import Candidate, measure_gates  # imports scikit-learn

    found = registry.read_version(store, version)
    card, origin = registry.read_scorecard(store, version).scorecard, found.metadata.origin
    contract = document_archive.read(store, Contract, origin.contract)
    candidate, tables = Candidate(card, registry.read_profile(store, version), found.metrics.groups_train), training_tables(store, origin)
    return measure_gates(
        candidate, _rows(tables, origin, contract), compared(store, contract), newest_snapshot(tables, contract), contract, policy
    )


def compared(store: Store, contract: Contract) -> "Compared":
    """Return the live version, and the versions that a new one of a contract is compared with."""
    from risk_assets.domain.training.measurement import Compared

    history = binding_log.read(store)
    return Compared(live_version(history), {name: _comparable(store, name, contract) for name in rivals(history)})


def newest_snapshot(store: Store, contract: Contract) -> "Snapshot | None":
    """Return the rows that can be scored of the newest snapshot with the features of a contract, or None if there is none."""
    from risk_assets.domain.training.measurement import Snapshot

    newest = snapshots.newest(store, {name: feature.type for name, feature in contract.inputs.items()}, 1)
    for date, table in newest.items():
        with translate_polars_errors(f"the newest snapshot, {date}"):
            rows = table.filter(can_be_scored()).collect(engine="streaming")
        return Snapshot(date, rows) if len(rows) else None
    return None


def live_version(history: Sequence[Binding]) -> str | None:
    """Return the version that is live after a history of bindings, or None."""
    return history[-1].champion if history else None


def _comparable(store: Store, version: str, contract: Contract) -> Scorecard | None:
    """Return the scorecard of a version; None if a file of it is damaged, or a contract reads one of its features in another way."""
    try:
        card, origin = registry.read_scorecard(store, version).scorecard, registry.read_version(store, version).metadata.origin
        own = document_archive.read(store, Contract, origin.contract)
    except (LakeError, ModelError):
        return None
    return card if reads_alike(own, contract, card.features) else None


def _rows(store: Store, origin: Origin, contract: Contract) -> "tuple[pd.DataFrame, Split] | str":
    """Return the labelled rows of a training and their parts, or why they are not available."""
    from risk_assets.domain.training.dataset import labelled
    from risk_assets.domain.training.split import split

    if changed := changed_tables(store, origin.inputs):
        return f"{', '.join(changed)} was changed since the training or is missing, so the version cannot be measured again"
    policy = document_archive.read(store, Policy, origin.policy).training
    dates = sorted({date for path in origin.inputs if (date := layout.date_of(path))})
    try:
        features = {date: read_table(store, layout.features(date)) for date in dates}
        outcomes = {date: known_by(read_table(store, layout.curated_outcomes(date)), origin.known_by) for date in dates}
        with translate_polars_errors(f"the tables of {dates[0]} to {dates[-1]}"):
            frame = labelled(features, outcomes, contract, policy)
    except LakeError as error:
        return error.problem
    return frame, split(frame, policy)
