"""Measures the performance of a scored date on the tables of the lake."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from risk_assets.clock import shift
from risk_assets.domain.batch.review_list import treatment
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, Contract
from risk_assets.domain.contract.values import outcomes_digest
from risk_assets.domain.governance.arms import CHALLENGER, CHAMPION
from risk_assets.domain.ingest.outcome_history import KNOWN_ON, known_by, matures_on
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.monitoring.migration import migration
from risk_assets.domain.monitoring.performance import BAND, PROBABILITY, TREATMENT, Scored, measure
from risk_assets.domain.monitoring.performance_report import Migration, ModelPerformance, PerformanceReport, Role, Verdict
from risk_assets.domain.scorecard.scoring import decide
from risk_assets.errors import LakeError, MissingModelError, ModelError
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.challenge_measurement import Challenge
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS, require_scored
from risk_assets.lake.manifests import find_readable, require_contract, require_manifest
from risk_assets.lake.replay import Scoring, read_scoring
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, translate_polars_errors
from risk_assets.lake.vintages import next_age_on, vintage

MONTH, LONGEST_MONTH = 28, 34  # days between the dates of a migration: as many weeks, or the newest date of the week before
_ARM, _SHADOW = "arm", "challenger_probability"


@dataclass(frozen=True)
class _Outcomes:
    """The outcomes of a date as known today: the labels, None before they mature; and the date from which more is known."""

    labels: pl.LazyFrame | None = None
    more_known_on: str | None = None


@dataclass(frozen=True)
class _Models:
    """The models that scored a date, and how they were trained."""

    store: Store
    scoring: Scoring
    date: str
    contract: Contract

    def scored(self, rows: pl.DataFrame, categories: tuple[str, ...]) -> Iterator[Scored]:
        """Yield the champion, and the challenger or the shadow, with the rows that each scored."""
        arms = self.scoring.arms
        yield self._scored(arms.champion.version, "champion", rows.filter(pl.col(_ARM) == CHAMPION), categories)
        if arms.shadow:
            shadowed = _as_shadow(rows.filter(pl.col(_SHADOW).is_not_null()), self.scoring.policy)
            yield self._scored(arms.shadow.version, "shadow", shadowed, categories)
        elif arms.challenger:
            yield self._scored(arms.challenger.version, "challenger", rows.filter(pl.col(_ARM) == CHALLENGER), categories)

    def _scored(self, version: str, role: Role, rows: pl.DataFrame, categories: tuple[str, ...]) -> Scored:
        found = registry.read_version(self.store, version)
        origin = found.metadata.origin
        trained_under = document_archive.read(self.store, Contract, origin.contract)
        return Scored(
            version=version,
            role=role,
            rows=rows,
            bands=tuple(self.scoring.policy.bands),
            categories=categories,
            metrics=found.metrics,
            used_in_training=self.date in (*origin.train_dates, *origin.holdout_dates),
            same_target=outcomes_digest(trained_under) == outcomes_digest(self.contract),
        )


def performance(store: Store, date: str, contract: Contract, policy: Policy, today: str) -> PerformanceReport:
    """Return the performance of the models that scored a date, by the outcomes that are known today; before they mature, estimates.

    Parameters
    ----------
    contract, policy
        The contract and the policy in force: the contract has the performance window, the policy the limits.
    today
        The date in the team's time zone.

    Raises
    ------
    ModelError
        If no version is live and the date was not scored, or a version that scored it is not in the lake.
    LakeError
        If the date was not scored, no row of it was, or its outcomes were made under another contract.
    """
    require_scored(store, date)
    scoring, matures = _scoring(store, date), matures_on(date, contract).isoformat()
    matured = matures <= today
    with translate_polars_errors(f"the performance of {date}"):
        outcomes = _outcomes(store, date, contract, today) if matured else _Outcomes(more_known_on=_next_age_on(date, contract, today))
        rows, categories = _rows(store, scoring, date, contract, outcomes.labels)
        labelled = rows[OUTCOME].count()
        lacking = 0.0 if contract.target.derived else 1 - labelled / len(rows)
        evaluated = matured and lacking <= policy.checks.max_without_outcome
        scored = list(_Models(store, scoring, date, contract).scored(rows, categories))
        models = measure(scored, policy.monitoring, evaluated)
        since = _month_before(store, date)
        moved, moved_note = _migration(store, scoring, since) if since else (None, ())
        curve = None if matured else vintage(store, date, since, contract, today)
        decided, challenge_notes = _verdict(store, scoring, date, contract, policy, today)
    notes = [*_outcome_notes(date, matures, matured, labelled, lacking, policy), *_model_notes(date, scored, models)]
    return PerformanceReport(
        date=date,
        matures_on=matures,
        as_of=today,
        matured=matured,
        scored=len(rows),
        labelled=labelled,
        more_known_on=outcomes.more_known_on,
        models=models,
        migration=moved,
        vintage=curve,
        notes=(*notes, *_table_notes(store, scoring, date), *moved_note, *challenge_notes),
        verdict=decided,
    )


def _scoring(store: Store, date: str) -> Scoring:
    try:
        return read_scoring(store, date)
    except MissingModelError as error:
        raise ModelError(
            f"{error.problem}, so the performance of {date}, which it scored, cannot be compared with its training. Restore its folder "
            "from a backup."
        ) from error


def _outcomes(store: Store, date: str, contract: Contract, today: str) -> _Outcomes:
    path = layout.curated_outcomes(date)
    manifest = find_readable(store, path)
    if manifest is None:
        return _Outcomes()
    require_contract(manifest, outcomes_digest(contract))
    table = read_table(store, path)
    later = table.select(pl.col(KNOWN_ON).filter(pl.col(KNOWN_ON) > pl.lit(today).str.to_date()).min()).collect(engine="streaming").item()
    return _Outcomes(known_by(table, today), later.isoformat() if later else None)


def _rows(
    store: Store, scoring: Scoring, date: str, contract: Contract, labels: pl.LazyFrame | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows that were scored, with account or customer, categories and outcome; and the categories."""
    predicted = read_table(store, scoring.manifest.path).filter(pl.col(PROBABILITY).is_not_null())
    table = predicted.select(ACCOUNT_ID, PROBABILITY, BAND, _ARM, _SHADOW, "prediction")
    features = read_table(store, layout.features(date)).filter(can_be_scored())
    columns = features.collect_schema().names()
    categories = tuple(name for name in contract.all_categories if name in columns)
    known = features.select(strip_cells(pl.col(ACCOUNT_ID)), *categories, *([GROUP] if contract.group else []))
    found = labels if labels is not None else pl.LazyFrame(schema={ACCOUNT_ID: pl.String, OUTCOME: pl.Int8})
    joined = table.join(known, on=ACCOUNT_ID, how="left", maintain_order="left").join(
        found, on=ACCOUNT_ID, how="left", maintain_order="left"
    )
    group = pl.coalesce(GROUP, ACCOUNT_ID) if contract.group else pl.col(ACCOUNT_ID)
    rows = joined.with_columns(group.alias(GROUP)).collect(engine="streaming")
    if rows.is_empty():
        raise LakeError(f"no row of {scoring.manifest.path} was scored. See why: risk run {date}.")
    treated = _treatment(store, date, rows).alias(TREATMENT)
    return rows.drop(ACCOUNT_ID, "prediction").with_columns(pl.col(GROUP).cast(pl.Categorical).to_physical(), treated), categories


def _treatment(store: Store, date: str, rows: pl.DataFrame) -> pl.Series:
    """Return which flagged accounts were on the review list, and which were held out; null if the list's policy holds none out."""
    listed = find_readable(store, layout.review(date))
    digest = listed.made_from.policy if listed else None
    policy = document_archive.find(store, Policy, digest) if digest else None
    if policy is None or not policy.review.hold_out:
        return pl.Series([None] * len(rows), dtype=pl.String)
    return treatment(rows, policy.review)


def _as_shadow(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return rows with the probability of the shadow, and the band that the policy gives it."""
    chance = rows[_SHADOW].to_numpy()
    bands = pl.Series(list(policy.bands), dtype=pl.String)
    with np.errstate(divide="ignore"):
        log_odds = np.log(chance) - np.log1p(-chance)
    return rows.with_columns(rows[_SHADOW].alias(PROBABILITY), bands.gather(pl.Series(decide(log_odds, policy).band)).alias(BAND))


def _next_age_on(date: str, contract: Contract, today: str) -> str | None:
    return next_age_on(date, contract.target.performance_days, today) if contract.target.derived else None


def _month_before(store: Store, date: str) -> str | None:
    """Return the newest scored date that is a month older, None if there is none."""
    first, last = shift(date, -LONGEST_MONTH), shift(date, -MONTH)
    return max((found for found in committed_dates(store, PREDICTIONS) if first <= found <= last), default=None)


def _migration(store: Store, scoring: Scoring, since: str) -> tuple[Migration | None, tuple[str, ...]]:
    """Return how accounts moved between bands since an earlier date, or a note that says why this is not known."""
    try:
        before = require_manifest(store, layout.predictions(since))
        earlier = document_archive.read(store, Policy, before.made_from.policy or "")
        tables = read_table(store, before.path), read_table(store, scoring.manifest.path)
    except LakeError as error:
        return None, (f"the migration of bands since {since} is not known: {error}",)
    changed = earlier.cuts != scoring.policy.cuts or earlier.points != scoring.policy.points
    note = (f"bands have other bounds than on {since}: accounts changed bands by the policy too",) if changed else ()
    return migration(since, tables[0], tuple(earlier.bands), tables[1], tuple(scoring.policy.bands)), note


def _verdict(
    store: Store, scoring: Scoring, date: str, contract: Contract, policy: Policy, today: str
) -> tuple[Verdict | None, tuple[str, ...]]:
    """Return the verdict on the challenger or the shadow of a date, over all its matured dates up to this one, with notes."""
    seq = scoring.manifest.made_from.binding
    if seq is None or scoring.arms.challenger is None:
        return None, ()
    return Challenge(store, binding_log.find(store, seq), contract, policy, today).verdict(date)


def _outcome_notes(date: str, matures: str, matured: bool, labelled: int, lacking: float, policy: Policy) -> Iterator[str]:
    if not matured:
        yield f"outcomes mature on {matures}: until then, the figures are the models' own estimates"
    elif not labelled:
        yield f"no outcome of the accounts that were scored is known: risk outcomes {date}"
    elif lacking > (limit := policy.checks.max_without_outcome):
        yield f"{lacking:.1%} of the rows that were scored have no outcome (checks.max_without_outcome {limit:.1%}): figures have no limits"


def _model_notes(date: str, scored: list[Scored], models: tuple[ModelPerformance, ...]) -> Iterator[str]:
    for model in scored:
        if model.used_in_training:
            yield f"{date} was used to train {model.version}: its figures have no limits"
        if not model.same_target:
            yield f"{model.version} was trained on another target than the one of the contract in force: its figures have no limits"
    for found in models:
        if found.overall and found.ranking is None:
            same = "bad" if found.overall.observed else "good"
            yield f"all outcomes of {found.version} are {same}: the ranking is not measured"


def _table_notes(store: Store, scoring: Scoring, date: str) -> Iterator[str]:
    path = layout.features(date)
    if scoring.manifest.made_from.inputs.get(path) != require_manifest(store, path).identity:
        yield f"{path} was made again since the date was scored: categories are those of now"
