"""The documents in force, and the tables of a contract that is not bound."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import adopt_contract, adopt_policy, promote
from risk_assets.errors import ContractError, LakeError, ModelError
from risk_assets.lake import binding_log, document_archive, documents, layout
from risk_assets.lake.manifests import find_manifest
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, write_table
from tests.documents import BOUND, SAMPLE_POLICY, SMALL, SMALL_CONTRACT, archived
from tests.lake.conftest import people, table

OTHER = Policy(threshold=0.2)
WIDER = Contract.parse(
    SMALL_CONTRACT.replace("risk: down, ", "").replace("city: {type: category, reason: City}", "income: {type: number, reason: Income}"),
    "wider.yml",
)
PATH = layout.review("2026-01-07")


@dataclass(frozen=True)
class Files:
    """Files of a contract and a policy with given content; a `ContractError` if a document is None."""

    found_contract: Contract | None = SMALL
    found_policy: Policy | None = SAMPLE_POLICY
    contract: Path = Path("c.yml")
    policy: Path = Path("p.yml")

    def read_contract(self) -> Contract:
        if self.found_contract is None:
            raise ContractError("c.yml is not valid YAML. Fix it.")
        return self.found_contract

    def read_policy(self) -> Policy:
        if self.found_policy is None:
            raise ContractError("p.yml is not valid YAML. Fix it.")
        return self.found_policy

    def proposes(self, kind: str) -> bool:
        return kind != "nothing"


@pytest.fixture
def bound(store: Store) -> Store:
    """A lake with one binding, of the small contract and the sample policy."""
    binding_log.write(store, promote((), "model_v001", "ada", "because", **archived(store)))
    return store


def notes(store: Store, files: Files) -> dict[str, str]:
    return {file.kind: file.note for file in documents.unused_files(documents.in_force(store, files), files)}


# --- in force ------------------------------------------------------------------------------------------------------------


def test_the_files_are_in_force_while_nothing_is_bound(store: Store) -> None:
    found = documents.in_force(store, Files(SMALL, OTHER))
    assert (found.contract, found.policy, found.binding) == (SMALL, OTHER, None)
    assert documents.unused_files(found, Files(None, None)) == ()
    with pytest.raises(ContractError, match=r"p\.yml"):
        documents.in_force(store, Files(SMALL, None))


def test_the_bound_documents_are_in_force_whatever_the_files_are(bound: Store) -> None:
    for files in (Files(WIDER, OTHER), Files(None, None)):
        found = documents.in_force(bound, files)
        assert (found.contract, found.policy) == (SMALL, SAMPLE_POLICY)
        assert found.binding == binding_log.live(bound)


def test_the_documents_of_an_instant_are_those_of_its_binding(bound: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = binding_log.read(bound)[0]
    monkeypatch.setattr(binding_log, "utc_now", lambda: "2999-01-01T00:00:00+00:00")
    document_archive.archive(bound, OTHER)
    binding_log.write(bound, adopt_policy(binding_log.read(bound), OTHER.digest, "ada", "stricter"))
    assert documents.in_force(bound, Files()).policy == OTHER
    assert documents.in_force(bound, Files(), first.effective_from).policy == SAMPLE_POLICY
    with pytest.raises(ModelError, match=r"no version was live at 2020-01-01.*risk history"):
        documents.in_force(bound, Files(), "2020-01-01T00:00:00+00:00")


def test_a_bound_document_that_is_missing_or_changed_is_named(bound: Store) -> None:
    path = layout.policy(BOUND["policy"])
    bound.put(path, bound.get(path).replace(b"0.25", b"0.35", 1))
    for problem in (f"{path} was changed", f"{path} is not in the lake"):
        with pytest.raises(LakeError, match=problem):
            documents.in_force(bound, Files())
        assert any(problem in found for found in binding_log.verify(bound))
        if bound.size(path) is not None:
            bound.delete(path)


# --- files that are not in force -----------------------------------------------------------------------------------------


def test_files_that_differ_or_cannot_be_read_are_reported(bound: Store) -> None:
    assert notes(bound, Files()) == {}
    different = notes(bound, Files(WIDER, OTHER))
    assert different["policy"] == (
        "p.yml differs from the bound policy and is not used (threshold). Compare them: risk policy. "
        "Put the file in force: risk policy adopt --reason WHY."
    )
    assert "(features.age.risk, features.city, features.income)" in different["contract"]
    broken = notes(bound, Files(None, None))
    assert broken["contract"] == "c.yml is not valid YAML. Fix it. The bound contract is in force."
    assert set(broken) == {"policy", "contract"}


def test_changed_keys_name_what_a_binding_changed(bound: Store) -> None:
    document_archive.archive(bound, WIDER)
    binding_log.write(bound, adopt_contract(binding_log.read(bound), WIDER.digest, "ada", "more columns"))
    first, second = binding_log.read(bound)
    assert documents.changed_keys(bound, None, first) == ()
    assert documents.changed_keys(bound, first, second) == ("contract: features.age.risk, features.city, features.income",)
    bound.delete(layout.contract(WIDER.digest))
    assert documents.changed_keys(bound, first, second) == ("contract",)


# --- tables of a contract that is not bound ------------------------------------------------------------------------------


def test_candidate_tables_are_apart_from_the_curated_zone(store: Store) -> None:
    apart = documents.candidate_tables(store, WIDER.digest)
    write_table(store, PATH, table(people().head(1)))
    written = write_table(apart, PATH, table(people()))
    assert written.path == PATH
    assert (read_table(store, PATH).collect().height, read_table(apart, PATH).collect().height) == (1, 3)
    kept = f"training/contracts/{WIDER.digest}/{PATH.removeprefix('curated/')}"
    assert apart.actual(PATH) == kept and apart.logical(kept) == PATH
    assert store.size(kept) == apart.size(PATH) == apart.content(PATH).bytes
    assert apart.uri(PATH) == store.uri(kept)
    assert apart.list("curated/") == store.list("curated/") == (PATH, layout.manifest(PATH))
    assert apart.names("curated") == store.names("curated")
    assert find_manifest(store, kept) == written
    write_table(apart, PATH, table(people().head(2), keep_replaced=True))
    assert read_table(apart, PATH).collect().height == 2
    assert any("superseded" in path for path in apart.list("curated/"))
    assert not any("superseded" in path for path in store.list("curated/"))


def test_candidate_tables_share_everything_else_with_the_lake(store: Store) -> None:
    apart = documents.candidate_tables(store, WIDER.digest)
    apart.put("raw/accounts_2026-01-01.csv", b"id\n1\n")
    assert store.get("raw/accounts_2026-01-01.csv") == b"id\n1\n"
    assert store.create("logs/batch_runs/x.json", b"{}")
    assert apart.list("logs/") == store.list("logs/")
    assert apart.create("leases/curated/x/000001.json", b"{}")
    assert store.find("leases/curated/x/000001.json") is None
    assert apart.list("leases/curated/") == ("leases/curated/x/000001.json",)
    apart.delete("leases/curated/x/000001.json")
    assert store.list("leases/") == ()
