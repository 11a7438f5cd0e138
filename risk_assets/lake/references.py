"""What dates are compared with: a version's scorecard and profile, and the contract that gives its features their meaning."""

from collections.abc import Collection
from dataclasses import dataclass

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import reads_alike
from risk_assets.domain.monitoring.drift import Reference
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import document_archive, registry
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.store import Store


@dataclass(frozen=True)
class TrainedReference:
    """A version, and the contract that trained it."""

    version: Reference
    contract: Contract

    def read_otherwise(self, contract: Contract, columns: Collection[str]) -> list[str]:
        """Return the features of the profile that a contract reads in another way than in training, or that are not among columns."""
        inputs = self.contract.inputs
        return [
            name
            for name in self.version.profile.features
            if name not in inputs or name not in columns or not reads_alike(self.contract, contract, (name,))
        ]


def find_comparable(store: Store, version: str, features: Manifest) -> TrainedReference | None:
    """Return a version if a features table can be compared with its profile.

    None if the version has no profile that can be read, or the features mean something else than those that trained it: then drift
    reports what is wrong.
    """
    digest = features.made_from.contract
    contract = document_archive.find(store, Contract, digest) if digest else None
    if contract is None:
        return None
    try:
        trained = read_reference(store, version)
    except (LakeError, ModelError):
        return None
    return None if trained.read_otherwise(contract, contract.features) else trained


def read_reference(store: Store, version: str) -> TrainedReference:
    """Return a version to compare with. Earlier releases counted groups instead of independent rows.

    Raises
    ------
    ModelError
        If the version is not in the lake.
    LakeError
        If the contract that trained it is not.
    """
    profile, found = registry.read_profile(store, version), registry.read_version(store, version)
    independent = profile.independent or float(found.metrics.groups_train)
    reference = Reference(version, registry.read_scorecard(store, version).scorecard, profile, independent)
    return TrainedReference(reference, document_archive.read(store, Contract, found.metadata.origin.contract))
