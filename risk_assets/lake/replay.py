"""Score a past date again from the stored inputs, and explain the prediction of one account."""

from dataclasses import dataclass

import polars as pl

from risk_assets.domain.batch.comparison import count_differences
from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.contract.text import strip_cell
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.scorecard.explanation import Explanation, explain
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.manifests import Manifest, require_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_changed, read_table, translate_polars_errors
from risk_assets.lake.verify import lineage, table_problems


@dataclass(frozen=True)
class Replay:
    """The result of scoring a date again.

    Attributes
    ----------
    changed
        A message for each file that was changed since the date was scored.
    columns
        The number of rows that differ, by column.
    first
        The first row that differs.
    """

    date: str
    rows: int
    version: str
    changed: tuple[str, ...]
    columns: dict[str, int]
    first: int | None

    @property
    def agrees(self) -> bool:
        """Whether every row agrees and no file was changed."""
        return not self.changed and not self.columns


@dataclass(frozen=True)
class Scoring:
    """The manifest of a date's predictions, and the models and the policy that scored them."""

    manifest: Manifest
    arms: Arms
    policy: Policy


def replay(store: Store, date: str) -> Replay:
    """Score a date again with the stored features, versions, binding and policy, and compare every row.

    The files from the predictions back to the raw file are verified first.

    Raises
    ------
    LakeError, ModelError
        If a file is missing, or is changed so that the date cannot be scored. The message names the file.
    """
    scoring = read_scoring(store, date)
    path, features = scoring.manifest.path, layout.features(date)
    changed = tuple(dict.fromkeys(problem for table in lineage(store, path) for problem in table_problems(store, table)))
    with translate_polars_errors(f"{path} or {features}"):
        replayed = predictions(read_table(store, features), scoring.arms, scoring.policy)
        columns, first = count_differences(read_changed(store, path), replayed, scoring.policy)
    return Replay(date, scoring.manifest.rows, scoring.arms.champion.version, changed, columns, first)


def explain_account(store: Store, date: str, account: str) -> tuple[Explanation, ...]:
    """Return the explanation of an account's row on a date, or of each of its rows if its id is repeated.

    Whitespace around ids is ignored.

    Raises
    ------
    LakeError
        If the date's predictions do not have the account.
    """
    scoring = read_scoring(store, date)
    path = scoring.manifest.path
    scorecards = {model.version: model.scorecard for model in scoring.arms.models}
    with translate_polars_errors(f"{path} or {layout.features(date)}"):
        rows = _rows_of(read_table(store, path), account)
        features = _rows_of(read_table(store, layout.features(date)), account)
    if rows.is_empty() or len(rows) != len(features):
        raise LakeError(f"{path} has no account with this id. Look it up in the file, or try another date.")
    stored = rows.rows(named=True)
    return tuple(explain(features[at], row, scorecards[row["model_version"]], scoring.policy) for at, row in enumerate(stored))


def read_scoring(store: Store, date: str) -> Scoring:
    """Return how a date was scored; raises `LakeError` or `ModelError` if its predictions, versions or policy are not in the lake."""
    manifest = require_manifest(store, layout.predictions(date))
    made_from = manifest.made_from
    if made_from.policy is None or made_from.model_version is None:
        raise LakeError(f"{layout.manifest(manifest.path)} has no version or no policy. Run the date again: risk run {date}.")
    policy = document_archive.read(store, Policy, made_from.policy)
    if made_from.binding is None:
        return Scoring(manifest, Arms(registry.read_scorecard(store, made_from.model_version)), policy)
    return Scoring(manifest, registry.arms(store, binding_log.find(store, made_from.binding)), policy)


def _rows_of(table: pl.LazyFrame, account: str) -> pl.DataFrame:
    return table.filter(strip_cells(pl.col(ACCOUNT_ID)) == strip_cell(account)).collect(engine="streaming")
