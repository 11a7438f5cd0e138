"""Train a registered version again from the tables and documents it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Origin, TrainedModel
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.lake import document_archive, layout, registry
from risk_assets.lake.manifests import changed_tables
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, translate_polars_errors


@dataclass(frozen=True)
class Reproduction:
    """The result of training a version again.

    Attributes
    ----------
    differences
        The features and other parts of the scorecard that are not the same to the bit.
    changed
        The tables that were written again with other content since the training, and the code and the libraries that are not
        those of the training, as "name then -> now".
    """

    version: str
    differences: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the scorecard is the same to the bit."""
        return not self.differences


def reproduce(store: Store, version: str) -> Reproduction:
    """Train a version again and compare the scorecards.

    Raises
    ------
    LakeError
        If a table that trained it is missing or damaged.
    ModelError
        If the version is missing.
    """
    origin = registry.read_version(store, version).metadata.origin
    trained, registered = _train(store, origin), registry.read_scorecard(store, version).scorecard
    differences = tuple(_differences(trained.scorecard, registered))
    return Reproduction(version, differences, (*changed_tables(store, origin.inputs), *_changed(origin, trained.origin)))


def _train(store: Store, origin: Origin) -> TrainedModel:
    from risk_assets.domain.training.dataset import labelled  # scikit-learn and pandas are imported by training only
    from risk_assets.domain.training.train import train

    contract = document_archive.read(store, Contract, origin.contract)
    policy = document_archive.read(store, Policy, origin.policy).with_estimator(origin.requested)
    dates = sorted({date for path in origin.inputs if (date := layout.date_of(path))})
    features = {date: read_table(store, layout.features(date)) for date in dates}
    outcomes = {date: known_by(read_table(store, layout.curated_outcomes(date)), origin.known_by) for date in dates}
    with translate_polars_errors(f"the tables of {dates[0]} to {dates[-1]}"):
        rows = labelled(features, outcomes, contract, policy.training)
    return train(rows, origin.training_date, contract, policy, live=None)


def _differences(ours: Scorecard, theirs: Scorecard) -> Iterator[str]:
    """Return the parts of two scorecards that are not the same to the bit."""
    parts = [
        {"estimator": card.estimator, "intercept": card.intercept, **{term.feature: term for term in card.terms}} for card in (ours, theirs)
    ]
    one, other = parts
    return (name for name in {**one, **other} if one.get(name) != other.get(name))


def _changed(then: Origin, now: Origin) -> Iterator[str]:
    versions = ({"code": origin.code} | origin.libraries for origin in (then, now))
    before, after = versions
    return (f"{name} {before.get(name)} -> {after.get(name)}" for name in {**before, **after} if before.get(name) != after.get(name))
