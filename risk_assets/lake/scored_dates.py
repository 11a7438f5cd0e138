"""How dates were scored: predictions, models, policy and features by the manifests; without a table library."""

from dataclasses import dataclass

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.arms import Arms
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.manifests import Manifest, find_readable, require_manifest
from risk_assets.lake.store import Store


@dataclass(frozen=True)
class ScoredDate:
    """A scored date: its predictions, and the models and the policy that scored it.

    `features` is None if they are not those that were scored: they have been replaced since, or are gone.
    """

    date: str
    predictions: Manifest
    arms: Arms
    policy: Policy
    features: Manifest | None


def read_scored_date(store: Store, date: str) -> ScoredDate:
    """Return how a date was scored; raises `LakeError` or `ModelError` if its predictions, versions or policy cannot be read."""
    predictions = require_manifest(store, layout.predictions(date))
    policy = document_archive.read(store, Policy, _recorded(predictions, predictions.made_from.policy))
    return ScoredDate(date, predictions, read_arms(store, predictions), policy, scored_features(store, date, predictions))


def read_arms(store: Store, predictions: Manifest) -> Arms:
    """Return the models that scored predictions; raises `LakeError` or `ModelError` if they cannot be read."""
    binding = predictions.made_from.binding
    if binding is None:
        return Arms(registry.read_scorecard(store, _recorded(predictions, predictions.made_from.model_version)))
    return registry.arms(store, binding_log.find(store, binding))


def scored_features(store: Store, date: str, predictions: Manifest) -> Manifest | None:
    """Return the manifest of the features from which predictions were made; None if they have been replaced since, or are gone."""
    found = find_readable(store, layout.features(date))
    return found if found and predictions.made_from.inputs.get(found.path) == found.identity else None


def _recorded(predictions: Manifest, value: str | None) -> str:
    if value is None:
        raise LakeError(f"{layout.manifest(predictions.path)} has no version or no policy. {layout.how_to_make(predictions.path)}")
    return value
