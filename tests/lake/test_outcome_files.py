"""Outcome files: stored unchanged, and counted by what gives no label."""

from dataclasses import replace

import polars as pl
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.ingest.labels import OutcomeCounts, count_outcomes, labels
from risk_assets.errors import ContractError, LandingError
from risk_assets.lake import raw
from risk_assets.lake.landed_parts import OwnParts
from risk_assets.lake.landing import find
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.store import Store

DATE = "2026-01-01"
PATH = f"raw/outcomes_{DATE}.csv"
NONE = OutcomeCounts(known=0, bad=0, unlabelled=0, contradictory=0, repeated=0, unknown_labels=0, missing_ids=0, line_issues=0)


def outcomes(store: Store, landing: Store, content: bytes, contract: Contract) -> pl.LazyFrame:
    """Land and ingest a file; return its scan."""
    landing.put(f"outcomes_{DATE}.csv", content)
    raw.ingest(OwnParts(store, find(landing, "outcomes", DATE, (contract.id, contract.target.column))), PATH, Provenance(run_id="run-1"))
    assert store.get(PATH) == content
    return raw.scan(store, PATH)


FILES = {
    "clean": (b"id,defaulted\n1,0\n2,1\n", {"known": 2, "bad": 1}, [("1", 0), ("2", 1)]),
    "a comment with a comma": (b"id,comment,defaulted\n1,called, 1,0\n2,called,1\n", {"known": 1, "bad": 1, "line_issues": 1}, [("2", 1)]),
    "every comment with a comma": (b"id,comment,defaulted\n1,called, 1,0\n2,called, 1,0\n", {"line_issues": 2}, []),
    "a quoted comma after a blank": (b'id,comment,defaulted\n1, "x, 1",0\n2,x,0\n', {"known": 1, "line_issues": 1}, [("2", 0)]),
    "a quoted comment with a comma": (b'id,comment,defaulted\n1,"called, 1",0\n', {"known": 1}, [("1", 0)]),
    "a stray quote": (b'id,comment,defaulted\n1,O"Brian,0\n2,Lee,1\n', {"known": 1, "bad": 1, "line_issues": 1}, [("2", 1)]),
    "text after a quote": (b'id,comment,defaulted\n1,"x" y,0\n2,"z",1\n', {"known": 1, "bad": 1, "line_issues": 1}, [("2", 1)]),
    "a short line": (b"id,defaulted\n1\n2,1\n", {"known": 1, "bad": 1, "line_issues": 1}, [("2", 1)]),
    "a blank last line": (b"id,defaulted\n1,0\n\n", {"known": 1, "line_issues": 1}, [("1", 0)]),
    "a lone carriage return": (b"id,defaulted\n1,0\r2,1\n3,1\n", {"known": 1, "bad": 1, "line_issues": 1}, [("3", 1)]),
    "a trailing comma": (b"id,defaulted\n1,0,\n2,1,\n", {"known": 2, "bad": 1}, [("1", 0), ("2", 1)]),
    "missing ids": (b"id,defaulted\n,0\nNA,1\n3,1\n", {"known": 1, "bad": 1, "missing_ids": 2}, [("3", 1)]),
    "repeated ids": (b"id,defaulted\n1,0\n1,0\n2,1\n2,0\n", {"known": 1, "contradictory": 1, "repeated": 2}, [("1", 0), ("2", None)]),
    "unknown tokens": (b"id,defaulted\n1,yes\n2,\n", {"unlabelled": 2, "unknown_labels": 1}, [("1", None), ("2", None)]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_an_outcome_file_is_counted_and_labelled(store: Store, landing: Store, small: Contract, name: str) -> None:
    content, counts, expected = FILES[name]
    found = outcomes(store, landing, content, small)
    assert count_outcomes(found, small) == replace(NONE, **counts)
    assert labels(found, small).collect(engine="streaming").rows() == expected


@pytest.mark.parametrize("header", [b"id,defaulted,defaulted", b"id,defaulted,id", b"id, defaulted ,defaulted"])
def test_an_outcome_file_with_a_repeated_column_is_rejected(store: Store, landing: Store, small: Contract, header: bytes) -> None:
    found = outcomes(store, landing, header + b"\n1,0,1\n", small)
    with pytest.raises(ContractError, match="appears twice in the outcomes"):
        labels(found, small)


def test_an_outcome_file_with_an_open_quote_is_rejected(store: Store, landing: Store, small: Contract) -> None:
    with pytest.raises(LandingError, match="ends inside an open quote, in row 2"):
        outcomes(store, landing, b'id,defaulted\n1,0\n2,"1\n', small)
