"""A small contract and a policy for bindings that tests write themselves."""

from pathlib import Path

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.lake import document_archive
from risk_assets.lake.store import Store

SMALL_CONTRACT = """
id: id
target: {column: defaulted, bad: "1", good: "0"}
features:
  age: {type: number, risk: down, reason: Age}
  city: {type: category, reason: City}
"""
SMALL = Contract.parse(SMALL_CONTRACT, "small.yml")
SAMPLE_POLICY = Policy.parse((Path(__file__).parents[1] / "data/policy.yml").read_text(encoding="utf-8"), "data/policy.yml")
BOUND = {"policy": SAMPLE_POLICY.digest, "contract": SMALL.digest}


def archived(store: Store) -> dict[str, str]:
    """Archive the contract and the policy, and return their digests."""
    document_archive.archive(store, SMALL, SAMPLE_POLICY)
    return BOUND
