"""Measures the drift of a scored date on the tables of the lake."""

from functools import partial

import polars as pl

from risk_assets.domain.batch.predictions import predictions as predict
from risk_assets.domain.batch.predictions import scored_rows
from risk_assets.domain.contract.column_types import polars_schema
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.governance.artifacts import Profile
from risk_assets.domain.monitoring.counts import Tallies
from risk_assets.domain.monitoring.drift import measure, snapshot_of
from risk_assets.domain.monitoring.flagged import FlaggedChange, ScoredDate, flagged_change
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.domain.monitoring.tally import count_independent, tally_date
from risk_assets.errors import ContractError, LakeError, MissingModelError, ModelError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.dates import newest_before
from risk_assets.lake.drift_files import PREDICTIONS, require_scored
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Manifest, require_manifest
from risk_assets.lake.online_measurement import measure_requests
from risk_assets.lake.references import TrainedReference, read_reference
from risk_assets.lake.replay import Scoring, read_scoring
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, translate_polars_errors


def drift(store: Store, date: str, contract: Contract, policy: Policy) -> DriftReport:
    """Return how far a date is from the training rows of the version that scored it.

    Parameters
    ----------
    contract, policy
        The contract and the policy in force; the policy has the limits.

    Raises
    ------
    ModelError
        If no version is live and the date was not scored, or the version that scored it is not in the lake.
    ContractError
        If the features of the date mean something else than those that trained the version.
    LakeError
        If the date was not scored, no row of it was, or its features were made again since.
    """
    require_scored(store, date)
    scoring = _scoring(store, date)
    features = _features_of(store, scoring, date)
    trained = read_reference(store, scoring.arms.champion.version)
    reference = trained.version
    made_under = _contract_of(store, features, contract)
    _require_same_meaning(trained, made_under, date)
    with translate_polars_errors(f"the drift of {date}"):
        scored = partial(_scored_features, store, scoring, date)
        independent = count_independent(scored()) if made_under.group else None
        snapshot = snapshot_of(date, _tallies(store, scoring, date, reference.profile), reference.profile, scored, independent)
        if not snapshot.score.rows:
            raise LakeError(f"no row of {scoring.manifest.path} was scored by {reference.version}. See why: risk run {date}.")
        change, notes = _flagged_since(store, scoring, date)
        online = measure_requests(store, date, trained, policy.monitoring, scoring.policy.points)
    return measure(snapshot, reference, policy.monitoring, scoring.policy.points, change, notes, online)


def _scoring(store: Store, date: str) -> Scoring:
    try:
        return read_scoring(store, date)
    except MissingModelError as error:
        raise ModelError(
            f"{error.problem}, so {date}, which it scored, cannot be compared with its training rows. Restore its folder from a backup, or "
            f"score the date by the live version: risk run {date}."
        ) from error


def _features_of(store: Store, scoring: Scoring, date: str) -> Manifest:
    """Return the manifest of the features that were scored."""
    features = require_manifest(store, layout.features(date))
    if scoring.manifest.made_from.inputs.get(features.path) != features.identity:
        raise LakeError(f"{features.path} was made again since the date was scored. {layout.how_to_make(scoring.manifest.path)}")
    return features


def _contract_of(store: Store, features: Manifest, contract: Contract) -> Contract:
    """Return the contract under which features were made; that in force if it reads the same values."""
    made_from = features.made_from
    if made_from.contract_values == values_digest(contract):
        return contract
    found = document_archive.find(store, Contract, made_from.contract) if made_from.contract else None
    if found is None:
        raise LakeError(f"{features.path} was made under another contract, which is not in the lake. {layout.how_to_make(features.path)}")
    return found


def _require_same_meaning(trained: TrainedReference, made_under: Contract, date: str) -> None:
    other = trained.read_otherwise(made_under, made_under.features)
    if other:
        raise ContractError(
            f"the profile of {trained.version.version} is of another contract, which reads {', '.join(other)} in another way than the one "
            f"of the features of {date}, so they cannot be compared. Train a version under the contract in force: risk train DATE."
        )


def _tallies(store: Store, scoring: Scoring, date: str, profile: Profile) -> Tallies:
    """Return the tallies of a date: those that were counted when it was scored, if they are of its champion's profile."""
    stored = scoring.manifest.facts_as(PredictionFacts).tallies
    if stored is not None and stored.version == scoring.arms.champion.version:
        return stored
    return tally_date(read_table(store, layout.features(date)), read_table(store, scoring.manifest.path), scoring.arms, profile)


def _scored_features(store: Store, scoring: Scoring, date: str) -> pl.LazyFrame:
    """Return the features of the rows that were scored."""
    return scored_rows(read_table(store, layout.features(date)), scoring.arms)


def _flagged_since(store: Store, now: Scoring, date: str) -> tuple[FlaggedChange | None, tuple[str, ...]]:
    """Return why the number of flagged accounts changed since the previous scored date, or a note that says why this is not known."""
    since = newest_before(store, PREDICTIONS, date)
    if since is None:
        return None, ("no earlier date was scored: the change of flagged accounts is not known",)
    try:
        before = read_scoring(store, since)
        _features_of(store, before, since)
        return _flagged(store, before, since, now, date), ()
    except (LakeError, ModelError) as error:
        return None, (f"the change of flagged accounts since {since} is not known: {error}",)


def _flagged(store: Store, before: Scoring, since: str, now: Scoring, date: str) -> FlaggedChange:
    """Return why the number of flagged accounts changed; the earlier date is scored again if models or decisions have changed."""
    same_models, same_policy = before.arms == now.arms, _decides_alike(before.policy, now.policy)
    by_models = None if same_models else _again(store, now, before.policy, since)
    by_policy = None if same_policy else _again(store, now, now.policy, since)
    earlier, later = _scored_date(store, before, since), _scored_date(store, now, date)
    return flagged_change(since, earlier, later, by_models, by_policy)


def _scored_date(store: Store, scoring: Scoring, date: str) -> ScoredDate:
    return ScoredDate(read_table(store, scoring.manifest.path), _scored_features(store, scoring, date))


def _again(store: Store, now: Scoring, policy: Policy, since: str) -> pl.LazyFrame:
    """Return the earlier date scored by the later models under a policy."""
    path = layout.features(since)
    features = read_table(store, path)
    needed = polars_schema({name: kind for model in now.arms.models for name, kind in model.scorecard.features.items()})
    if not needed.items() <= features.collect_schema().items():
        raise LakeError(f"{path} lacks features of the later version.")
    return predict(features, now.arms, policy)


def _decides_alike(one: Policy, other: Policy) -> bool:
    return (one.cuts.by_points, one.cuts.cut_off, one.points) == (other.cuts.by_points, other.cuts.cut_off, other.points)
