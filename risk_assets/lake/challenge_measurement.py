"""The verdict on the challenger of a scored date, on the tables of all dates that the same two versions scored."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from risk_assets.clock import shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, Contract
from risk_assets.domain.contract.values import outcomes_digest
from risk_assets.domain.governance import arms
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.monitoring.challenger import CHAMPION, RIVAL, SNAPSHOT, Pair, verdict
from risk_assets.domain.monitoring.performance_report import Role, Verdict
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table

MOST_DATES = 90
MOST_ROWS = 2_000_000  # in memory; the newest dates are kept
ARM, SHADOW, PROBABILITY = "arm", "challenger_probability", "probability"


@dataclass(frozen=True)
class Challenge:
    """A challenge, from the newest scored date on backwards: its binding, and how outcomes count.

    `today` is the date by which outcomes must be known.
    """

    store: Store
    binding: Binding
    contract: Contract
    policy: Policy
    today: str

    def verdict(self, date: str) -> tuple[Verdict | None, tuple[str, ...]]:
        """Return the verdict on the dates up to a date, and a note for each date that cannot be read; None if there is no outcome."""
        challenger = self.binding.challenger
        used = _training_dates(self.store, self.contract, self.binding)
        if challenger is None or used is None:
            return None, ()
        frames: list[pl.DataFrame] = []
        notes: list[str] = []
        for day in self._dates(date, used):
            try:
                frames.append(self._rows(day))
            except LakeError as error:
                notes.append(f"the verdict on {challenger} leaves {day} out: {error}")
        rows = pl.concat(frames) if frames else None
        if rows is None or rows.is_empty():
            return None, tuple(notes)
        role: Role = "shadow" if self.binding.challenger_share is None else "challenger"
        window = self.contract.target.performance_days
        return verdict(Pair(self.binding.champion, challenger, role, rows, window)), tuple(notes)

    def _dates(self, date: str, used: frozenset[str]) -> Iterator[str]:
        """Yield the newest dates that the two versions scored and whose outcomes have matured, as many as fit into memory."""
        last = min(date, shift(self.today, -self.contract.target.performance_days))
        matured = {*committed_dates(self.store, PREDICTIONS)} & {*committed_dates(self.store, OUTCOMES)} - used
        rows = 0
        for day in sorted((day for day in matured if day <= last), reverse=True)[:MOST_DATES]:
            found = find_readable(self.store, layout.predictions(day))
            if found is None or not self._is_of_challenge(found) or not self._is_of_contract(day):
                continue
            rows += found.rows
            if rows > MOST_ROWS and rows > found.rows:
                return
            yield day

    def _is_of_challenge(self, predictions: Manifest) -> bool:
        """Return whether a date was scored by the same two versions in the same roles."""
        made_from, seq = predictions.made_from, predictions.made_from.binding
        if seq is None or (made_from.model_version, made_from.challenger) != (self.binding.champion, self.binding.challenger):
            return False
        try:
            return seq == self.binding.seq or binding_log.find(self.store, seq).mode == self.binding.mode
        except (LakeError, ModelError):
            return False

    def _is_of_contract(self, date: str) -> bool:
        """Return whether the outcomes of a date are of the contract's target."""
        outcomes = find_readable(self.store, layout.curated_outcomes(date))
        return outcomes is not None and outcomes.made_from.contract_values == outcomes_digest(self.contract)

    def _rows(self, date: str) -> pl.DataFrame:
        """Return the rows of a date that have an outcome; none if too many accounts lack one."""
        predicted = read_table(self.store, layout.predictions(date)).filter(pl.col(PROBABILITY).is_not_null())
        labels = known_by(read_table(self.store, layout.curated_outcomes(date)), self.today)
        joined = predicted.join(labels, on=ACCOUNT_ID, how="left", maintain_order="left")
        found = _frame(self._with_groups(joined, date), self.binding, date).collect(engine="streaming")
        lacking = found[OUTCOME].null_count()
        if not self.contract.target.derived and lacking > self.policy.checks.max_without_outcome * len(found):
            return found.clear()
        return found.filter(pl.col(OUTCOME).is_not_null())

    def _with_groups(self, rows: pl.LazyFrame, date: str) -> pl.LazyFrame:
        if self.contract.group is None:
            return rows.with_columns(pl.col(ACCOUNT_ID).alias(GROUP))
        customers = read_table(self.store, layout.features(date)).select(strip_cells(pl.col(ACCOUNT_ID)), GROUP).unique(ACCOUNT_ID)
        joined = rows.join(customers, on=ACCOUNT_ID, how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce(GROUP, ACCOUNT_ID).alias(GROUP))


def _frame(rows: pl.LazyFrame, binding: Binding, date: str) -> pl.LazyFrame:
    """Return date, group, outcome and the probabilities of champion and challenger of rows."""
    is_shadow, probability = binding.challenger_share is None, pl.col(PROBABILITY)
    rival = pl.col(SHADOW) if is_shadow else pl.when(pl.col(ARM) == arms.CHALLENGER).then(probability)
    found = rows.select(
        pl.lit(date).alias(SNAPSHOT),
        pl.col(GROUP).hash().alias(GROUP),
        OUTCOME,
        pl.when(pl.col(ARM) == arms.CHAMPION).then(probability).alias(CHAMPION),
        rival.alias(RIVAL),
    )
    return found.filter(pl.col(CHAMPION).is_not_null(), pl.col(RIVAL).is_not_null()) if is_shadow else found


def _training_dates(store: Store, contract: Contract, binding: Binding) -> frozenset[str] | None:
    """Return the dates that trained one of the two versions or were held out; None if one was trained on another target."""
    dates: set[str] = set()
    for version in filter(None, (binding.champion, binding.challenger)):
        origin = registry.read_version(store, version).metadata.origin
        if outcomes_digest(document_archive.read(store, Contract, origin.contract)) != outcomes_digest(contract):
            return None
        dates |= {*origin.train_dates, *origin.holdout_dates}
    return frozenset(dates)
