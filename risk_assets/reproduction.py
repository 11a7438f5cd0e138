"""Train a registered version again from the tables and documents it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import outcomes_digest, values_digest
from risk_assets.domain.governance.artifacts import Origin, TrainedModel
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import document_archive, layout, registry
from risk_assets.lake.documents import candidate_tables
from risk_assets.lake.manifests import changed_tables, find_readable
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
    next_step
        How to make the tables again, if they were made under another contract since the training; else None.
    """

    version: str
    differences: tuple[str, ...]
    changed: tuple[str, ...]
    next_step: str | None = None

    @property
    def identical(self) -> bool:
        """Whether the scorecard is the same to the bit."""
        return not self.differences


def reproduce(store: Store, version: str) -> Reproduction:
    """Train a version again and compare the scorecards.

    Raises
    ------
    LakeError
        If a table that trained it is missing or damaged, or was made under another contract since and cannot train it any more.
    ModelError
        If the version is missing.
    """
    origin = registry.read_version(store, version).metadata.origin
    contract, tables = document_archive.read(store, Contract, origin.contract), training_tables(store, origin)
    next_step = _restore(store, origin, version) if _is_of_another_contract(tables, origin, contract) else None
    try:
        trained = _train(tables, origin, contract)
    except RiskError as error:
        if next_step is None:
            raise
        raise LakeError(f"{version} cannot be trained again ({error}). {next_step}") from error
    differences = tuple(_differences(trained.scorecard, registry.read_scorecard(store, version).scorecard))
    return Reproduction(version, differences, (*changed_tables(tables, origin.inputs), *_changed(origin, trained.origin)), next_step)


def _is_of_another_contract(store: Store, origin: Origin, contract: Contract) -> bool:
    """Return whether a table that trained a version was made again under a contract that decides other values."""
    values = {values_digest(contract), outcomes_digest(contract)}
    manifests = (find_readable(store, path) for path in origin.inputs)
    return any(manifest is not None and manifest.made_from.contract_values not in values for manifest in manifests)


def _restore(store: Store, origin: Origin, version: str) -> str:
    """Return the commands that make the tables of a version again under its contract."""
    path = layout.contract(origin.contract)
    return (
        f"Tables that trained it were made again under another contract. Its contract, {origin.contract[:12]}, is archived: copy "
        f"{store.uri(path)} to then.yml, make the tables again (RISK_CONTRACT=then.yml risk train {origin.training_date} --register-only), "
        f"then: risk models reproduce {version}. The curated zone stays as it is."
    )


def training_tables(store: Store, origin: Origin) -> Store:
    """Return the lake with the tables that trained a version.

    They are in the curated zone, or apart from it if their contract was not bound. If the curated ones were made again under
    another contract, a later training under the contract of the version may have made its tables again, apart.
    """
    apart = {contract for path in origin.inputs if (contract := layout.candidate_contract(path))}
    if apart:
        return candidate_tables(store, apart.pop())
    own = candidate_tables(store, origin.contract)
    return own if changed_tables(store, origin.inputs) and not changed_tables(own, origin.inputs) else store


def _train(store: Store, origin: Origin, contract: Contract) -> TrainedModel:
    from risk_assets.domain.training.dataset import labelled  # scikit-learn and pandas are imported by training only
    from risk_assets.domain.training.train import train

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
