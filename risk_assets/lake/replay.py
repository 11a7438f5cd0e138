"""A past date scored again from what the lake holds, and one account explained."""

from dataclasses import dataclass

import polars as pl

from risk_assets.domain.batch.comparison import count_differences
from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.explanation import Explanation, explain
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, layout, policy_archive, registry
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Manifest, digest, parts_of_other_content, read_table, require_manifest, translate_polars_errors


@dataclass(frozen=True)
class Replay:
    """How a date went when it was scored again.

    `changed` names what is not what it was, `columns` how many rows differ in each column, `first` the first such row.
    """

    date: str
    rows: int
    version: str
    changed: tuple[str, ...]
    columns: dict[str, int]
    first: int | None

    @property
    def agrees(self) -> bool:
        """Whether every row agrees, and nothing was changed."""
        return not self.changed and not self.columns


def replay(store: Store, date: str) -> Replay:
    """Score a date again from its stored features, by the stored version, binding and policy, and compare every row.

    Raises
    ------
    LakeError, ModelError
        Which name the file that is missing, or so changed that nothing can be scored by it.
    """
    manifest, arms, policy = _made_by(store, date)
    changed = _changed(store, date, manifest)
    with translate_polars_errors(f"{manifest.path} or {layout.features(date)}"):
        again = predictions(read_table(store, layout.features(date)), arms, policy)
        columns, first = count_differences(read_table(store, manifest.path), again, policy)
    return Replay(date, manifest.rows, arms.champion.version, changed, columns, first)


def explain_account(store: Store, date: str, account: str) -> tuple[Explanation, ...]:
    """Return the explanation of an account's row on a date; of each of its rows where its id is repeated.

    Raises
    ------
    LakeError
        When the date's predictions do not have it.
    """
    manifest, arms, policy = _made_by(store, date)
    cards = {model.version: model.scorecard for model in arms.models}
    with translate_polars_errors(f"{manifest.path} or {layout.features(date)}"):
        rows = _rows_of(read_table(store, manifest.path), account)
        features = _rows_of(read_table(store, layout.features(date)), account)
    if rows.is_empty() or len(rows) != len(features):
        raise LakeError(f"{manifest.path} has no account of this id. Look it up there, or try another date.")
    stored = rows.rows(named=True)
    return tuple(explain(features[at], row, cards[row["model_version"]], policy) for at, row in enumerate(stored))


def _made_by(store: Store, date: str) -> tuple[Manifest, Arms, Policy]:
    """Return the manifest of a date's predictions, and the models and the policy that made them."""
    manifest = require_manifest(store, layout.predictions(date))
    made_from = manifest.made_from
    if made_from.policy is None or made_from.model_version is None:
        raise LakeError(f"{layout.manifest(manifest.path)} names no version and policy. Run the date again: risk run {date}.")
    policy = policy_archive.read(store, made_from.policy)
    if made_from.binding is None:
        return manifest, Arms(registry.read_scorecard(store, made_from.model_version)), policy
    return manifest, registry.arms(store, binding_log.find(store, made_from.binding)), policy


def _changed(store: Store, date: str, manifest: Manifest) -> tuple[str, ...]:
    """Return what is not to the byte what it was when the date was scored."""
    path = layout.features(date)
    found = [f"{part} was changed since it was written" for part in parts_of_other_content(store, manifest)]
    found += [f"{part} was changed since it was written" for part in parts_of_other_content(store, require_manifest(store, path))]
    if digest(store, path) != manifest.made_from.inputs.get(path):
        found.append(f"{path} was made anew, or its manifest changed, since the date was scored")
    return tuple(found)


def _rows_of(table: pl.LazyFrame, account: str) -> pl.DataFrame:
    return table.filter(pl.col(ACCOUNT_ID) == account).collect(engine="streaming")
