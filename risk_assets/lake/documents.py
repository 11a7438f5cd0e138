"""Which contract and policy are in force: those of the newest binding, or the files while nothing is bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeAlias

from risk_assets.domain.contract.differences import differences, named
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import outcomes_digest, states_digest, values_digest
from risk_assets.domain.governance.bindings import Binding
from risk_assets.errors import ContractError, ModelError
from risk_assets.lake import binding_log, document_archive, layout
from risk_assets.lake.store import Store

CONTRACT, POLICY = "contract", "policy"
KINDS = (POLICY, CONTRACT)
AnyDocument: TypeAlias = Policy | Contract


class DocumentFiles(Protocol):
    """The files that propose a contract and a policy."""

    @property
    def contract(self) -> Path:
        """The path of the contract."""

    @property
    def policy(self) -> Path:
        """The path of the policy."""

    def read_contract(self) -> Contract:
        """Return the contract; raises `ContractError` if the file is missing or not valid."""

    def read_policy(self) -> Policy:
        """Return the policy; raises `ContractError` if the file is missing or not valid."""

    def proposes(self, kind: str) -> bool:
        """Return whether there is a file of a kind, or a setting names one."""


@dataclass(frozen=True)
class Documents:
    """The contract and the policy in force, and the binding that names them; None if they are those of the files."""

    contract: Contract
    policy: Policy
    binding: Binding | None = None

    @cached_property
    def values(self) -> str:
        """The hash of those parts of the contract that decide values."""
        return values_digest(self.contract)


@dataclass(frozen=True)
class UnusedFile:
    """A file of a kind, `contract` or `policy`, that is not in force, and why."""

    kind: str
    note: str


def in_force(store: Store, files: DocumentFiles, at: str | None = None) -> Documents:
    """Return the documents in force now, or at an instant (ISO 8601, UTC). The files are read only if nothing was ever bound.

    Raises
    ------
    ModelError
        If no version was live at the instant.
    ContractError
        If nothing is bound, and a file is missing or not valid.
    LakeError
        If a bound document is missing or was changed.
    """
    binding = binding_log.live(store, at)
    if binding is not None:
        return of_binding(store, binding)
    if at is not None:
        raise ModelError(f"no version was live at {at}, before the first binding. See which version was live when: risk history.")
    return Documents(files.read_contract(), files.read_policy())


def of_binding(store: Store, binding: Binding) -> Documents:
    """Return the documents that a binding names; raises `LakeError` if one is missing or was changed."""
    contract = document_archive.read(store, Contract, binding.contract)
    return Documents(contract, document_archive.read(store, Policy, binding.policy), binding)


def read_file(files: DocumentFiles, kind: str) -> AnyDocument:
    """Return the document in the file of a kind; raises `ContractError` if it is missing or not valid."""
    return files.read_policy() if kind == POLICY else files.read_contract()


def has_same_tables(one: Contract, other: Contract) -> bool:
    """Return whether features, states of accounts and outcomes are the same under two contracts."""
    return all(digest(one) == digest(other) for digest in (values_digest, outcomes_digest, states_digest))


def candidate_tables(store: Store, contract: str) -> Store:
    """Return the lake with the tables of features, states and outcomes of a contract that is not bound, by its digest.

    They are kept apart from the curated zone, below `training/contracts/`; everything else is that of the lake.
    """
    return store.redirected(layout.candidate_folders(contract))


def unused_files(documents: Documents, files: DocumentFiles) -> tuple[UnusedFile, ...]:
    """Return the files that are not the bound documents; none while nothing is bound. Never raises a `ContractError`."""
    if documents.binding is None:
        return ()
    notes = {kind: _note(documents, files, kind) for kind in KINDS if files.proposes(kind)}
    return tuple(UnusedFile(kind, note) for kind, note in notes.items() if note)


def changed_keys(store: Store, before: Binding | None, binding: Binding) -> tuple[str, ...]:
    """Return the keys of policy and contract that a binding changed, such as `policy: threshold`; none for the first binding.

    A document that cannot be read is named without keys: `binding_log.verify` reports why.
    """
    return tuple(_changed_keys(store, before, binding)) if before else ()


def _changed_keys(store: Store, before: Binding, binding: Binding) -> Iterator[str]:
    kinds: tuple[tuple[str, type[AnyDocument]], ...] = ((POLICY, Policy), (CONTRACT, Contract))
    for name, kind in kinds:
        old, new = getattr(before, name), getattr(binding, name)
        if old == new:
            continue
        one, other = (document_archive.find(store, kind, digest) for digest in (old, new))
        keys = [found.key for found in differences(one, other)] if one and other else []
        yield f"{name}: {named(keys)}" if keys else name


def _note(documents: Documents, files: DocumentFiles, kind: str) -> str | None:
    """Return why the file of a kind is not used; None if it has the bound document."""
    path: Path = getattr(files, kind)
    bound: AnyDocument = getattr(documents, kind)
    try:
        proposed = read_file(files, kind)
    except ContractError as error:
        return f"{' '.join(str(error).split())} The bound {kind} is in force."
    if proposed.digest == bound.digest:
        return None
    keys = named([found.key for found in differences(bound, proposed)])
    return (
        f"{path} differs from the bound {kind} and is not used ({keys}). Compare them: risk {kind}. "
        f"Put the file in force: risk {kind} adopt --reason WHY."
    )
