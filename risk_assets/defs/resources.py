"""Dagster's resources over the lake and the settings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import dagster as dg

from risk_assets.defs.failures import PARTITION_TAG
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import outcomes_digest, states_digest
from risk_assets.domain.training.window import TrainingWindow, training_window
from risk_assets.engine.engines import Engine, open_engine
from risk_assets.errors import LakeError
from risk_assets.lake import documents, landing, layout, raw
from risk_assets.lake.addresses import is_azure
from risk_assets.lake.documents import Documents
from risk_assets.lake.format import open_lake
from risk_assets.lake.landed_parts import LandedFile, PartWork
from risk_assets.lake.leases import Leases
from risk_assets.lake.manifests import Manifest, Provenance, identity, require_manifest
from risk_assets.lake.objects import Guard
from risk_assets.lake.outcome_tables import OUTCOMES, STATES
from risk_assets.lake.staleness import landed_versions
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.verification import remove_copies
from risk_assets.settings import Settings

if TYPE_CHECKING:
    from dagster_azure.blob import AzureBlobStorageResource


PREDICTIONS = "curated__predictions"
LIVE, AS_OF = "live", "as_of"


@dataclass
class _Run:
    """What was resolved for the present run. `at` is the instant whose binding decides; None for the newest binding."""

    at: str | None = None
    documents: Documents | None = None
    candidate: "Lakehouse | None" = None
    engine: Engine | None = None


@dataclass(frozen=True)
class Lakehouse:
    """The lake, the landing folder, and the contract and policy in force, each opened when first used.

    The documents in force are resolved once in a run, so that all its steps and checks use the same ones. Each run has an engine of its
    own, unless it gets one that its caller keeps for several runs, and closes.
    """

    settings: Settings
    blob: "AzureBlobStorageResource | None" = field(default=None, repr=False)
    kept_engine: Engine | None = field(default=None, repr=False, compare=False)
    _run: _Run = field(default_factory=_Run, repr=False, compare=False)

    @cached_property
    def store(self) -> Store:
        """The lake."""
        return open_lake(self.settings.lake, self._credential_for(self.settings.lake), self.settings.storage_retry_seconds)

    @cached_property
    def landing(self) -> Store:
        """The landing folder."""
        return open_store(self.settings.landing, self._credential_for(self.settings.landing), self.settings.storage_retry_seconds)

    @property
    def documents(self) -> Documents:
        """The documents in force in this run: of the newest binding at its start, or of the one when an `as_of` date was due."""
        if self._run.documents is None:
            self._run.documents = documents.in_force(self.store, self.settings, self._run.at)
        return self._run.documents

    @property
    def contract(self) -> Contract:
        """The contract in force."""
        return self.documents.contract

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.documents.policy

    @property
    def candidate(self) -> "Lakehouse":
        """The lakehouse as training uses it: the contract of the file with the policy in force.

        If that contract decides other features, states or outcomes than the bound one, their tables are kept apart from the curated
        zone, which belongs to the bound contract.

        Raises
        ------
        ContractError
            If the file of the contract is missing or not valid.
        """
        if self._run.candidate is None:
            bound, contract = self.documents, self.settings.read_contract()
            found = replace(self, _run=_Run(documents=replace(bound, contract=contract), engine=self.engine))
            same = documents.has_same_tables(bound.contract, contract)
            found.__dict__["store"] = self.store if same else documents.candidate_tables(self.store, contract.digest)
            self._run.candidate = found
        return self._run.candidate

    @property
    def engine(self) -> Engine:
        """Where the landed files of this run are stored, and its features and predictions are computed."""
        if self.kept_engine is not None:
            return self.kept_engine
        if self._run.engine is None:
            self._run.engine = open_engine(self.settings)
        return self._run.engine

    @property
    def is_apart(self) -> bool:
        """Whether tables are kept apart from the curated zone, because their contract is not bound."""
        return self.store.actual(layout.CURATED) != layout.CURATED

    def begin(self, at: str | None = None) -> None:
        """Begin a run: resolve the documents in force again when they are next used, as of an instant if one is given."""
        self._run.at, self._run.documents, self._run.candidate = at, None, None

    def manifest(self, key: str, date: str) -> Manifest:
        """Return the manifest of an asset's partition; raises `LakeError` if it is missing or does not match."""
        return require_manifest(self.store, layout.PATHS[key](date))

    def made_from(self, run_id: str, date: str, *inputs: str, **more: Any) -> Provenance:
        """Return the provenance of a table made by a run from the same date's partitions of other assets."""
        paths = [layout.PATHS[key](date) for key in inputs]
        identities = {path: identity(self.store, path) for path in paths}
        return Provenance(run_id=run_id, inputs=identities, contract=self.contract.digest, contract_values=self.contract_values, **more)

    @cached_property
    def leases(self) -> Leases:
        """The leases of the tables that this process writes."""
        return Leases(lambda: self.store, self.settings.lease_wait_seconds)

    @contextmanager
    def opened(self, at: str | None = None) -> Iterator["Lakehouse"]:
        """Yield the lakehouse for a run; at the end, release its leases, end its engine, and remove its copies of files on Azure."""
        self.begin(at)
        try:
            yield self
        finally:
            with suppress(LakeError):  # storage is down: the leases expire
                self.leases.release()
                if self._run.candidate:
                    self._run.candidate.leases.release()
            if self._run.engine:
                self._run.engine.close()
            self.begin()
            remove_copies()

    def guard(self, key: str, date: str) -> Guard:
        """Return the guard of an asset's date: it keeps other writers out, and raises `LakeError` if one has taken over."""
        return partial(self.leases.guard, layout.leased(key, date) or "")

    def landed(self, kind: str, date: str) -> LandedFile:
        """Return the `accounts` or `outcomes` that landed for a date; raises `LandingError` if there are none."""
        return landing.find(self.landing, kind, date, self.expected_columns(kind))

    def store_raw(self, kind: str, date: str, run_id: str, work: PartWork | None = None) -> Manifest:
        """Store what landed for a date unchanged, and return its manifest; `work` is the engine's if none is given."""
        found = work or self.engine.parts(self.store, self.landed(kind, date))
        made_from = Provenance(run_id=run_id, inputs=landed_versions(found.landed), contract=self.contract.digest)
        return raw.ingest(found, layout.PATHS[f"raw/{kind}"](date), made_from, self.guard(f"raw/{kind}", date))

    def expected_columns(self, kind: str) -> tuple[str, ...]:
        """Return the columns that a file of `accounts` or `outcomes` should have."""
        contract = self.contract
        return contract.columns if kind == "accounts" else contract.outcome_columns

    @property
    def contract_values(self) -> str:
        """The hash of those parts of the contract that decide values."""
        return self.documents.values

    def values_of(self, key: str) -> str:
        """Return the hash of those parts of the contract that decide the values of an asset's tables."""
        if key == OUTCOMES:
            return outcomes_digest(self.contract)
        return states_digest(self.contract) if key == STATES else self.contract_values

    def training_window(self, date: str) -> TrainingWindow:
        """Return the snapshots that train for a date; raises `ContractError` if the windows are too long."""
        return training_window(date, self.contract, self.policy.training)

    def _credential_for(self, url: str) -> AzureCredential | None:
        if not is_azure(url):
            return None
        return credential_of(self.blob) if self.blob else self.settings.credential()


def run_resource(lakehouse: Lakehouse) -> dg.ResourceDefinition:
    """Return the lakehouse as Dagster's resource: at the end of a run its leases are released."""

    @contextmanager
    def opened(context: dg.InitResourceContext) -> Iterator[Lakehouse]:
        with lakehouse.opened(_scored_at(context.run, lakehouse.settings)):
            yield lakehouse

    return dg.ResourceDefinition(resource_fn=opened, description="The lake, the landing folder, the contract and the policy.")


def _scored_at(run: dg.DagsterRun | None, settings: Settings) -> str | None:
    """Return the instant whose binding scores a run that is configured `as_of`; None for the newest binding."""
    if run is None or configured_model(run.run_config) != AS_OF or PARTITION_TAG not in run.tags:
        return None
    return settings.calendar.due(run.tags[PARTITION_TAG])


def configured_model(run_config: Mapping[str, Any]) -> str:
    """Return by what a run scores: `live`, `as_of` or a version."""
    config = run_config.get("ops", {}).get(PREDICTIONS, {}).get("config", {})
    return str(config.get("model", LIVE))


def azure_blob(credential: AzureCredential) -> "AzureBlobStorageResource":
    """Return dagster-azure's resource for an account; the import costs two seconds, so it is made on Azure only."""
    from dagster_azure import blob

    how: Any = blob.AzureBlobStorageAnonymousCredential()
    if credential.key:
        how = blob.AzureBlobStorageKeyCredential(key=credential.key)
    elif credential.sas:
        how = blob.AzureBlobStorageSASTokenCredential(token=credential.sas)
    elif credential.provider:
        how = blob.AzureBlobStorageDefaultCredential()
    url = credential.endpoint or f"https://{credential.account}.blob.core.windows.net"
    return blob.AzureBlobStorageResource(account_url=url, credential=how)


def credential_of(blob: "AzureBlobStorageResource") -> AzureCredential:
    """Return how the lake reaches the account of dagster-azure's resource: the one place that maps its credentials."""
    parts = urlparse(blob.account_url)
    account = parts.path.strip("/") or parts.netloc.split(".")[0]
    kind: Any = blob.credential
    if kind.credential_type == "key":
        return AzureCredential(account, blob.account_url, key=kind.key)
    if kind.credential_type == "sas":
        return AzureCredential(account, blob.account_url, sas=kind.token)
    if kind.credential_type == "anonymous":
        return AzureCredential(account, blob.account_url)
    from azure.identity import DefaultAzureCredential

    return AzureCredential(account, blob.account_url, provider=DefaultAzureCredential(**kind.kwargs))
