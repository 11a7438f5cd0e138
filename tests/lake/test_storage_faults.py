"""Faults of Azure: each operation of the store succeeds if a fault is shorter than the retry budget, and else fails cleanly."""

import itertools
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pytest

from risk_assets.errors import LakeError
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.tables import read_table, write_table
from risk_assets.lake.verification import remove_copies
from tests.azurite.server import Azurite
from tests.faults.proxy import Proxy, proxied
from tests.lake.conftest import table as any_table

MIB = 1024 * 1024
SMALL = b"small " * 100
LARGE = b"".join(bytes([number]) * MIB for number in range(10))  # three blocks, two chunks
BUDGET = 6.0  # a stalled request ends after a third of it
TINY_BUDGET = 1.0

_numbers = itertools.count(1)


def sink(store: Store) -> None:
    with store.table_target("new") as target:
        for start in range(0, len(LARGE), MIB):
            part = LARGE[start : start + MIB]
            target.lengths.append(len(part))
            target.file.write(part)


@dataclass(frozen=True)
class Operation:
    """What is done to a lake with the objects `small` and `large`, what it returns, and which objects it changes."""

    act: Callable[[Store], Any]
    returns: Any = None
    changes: dict[str, bytes | None] = field(default_factory=dict)


OPERATIONS = {
    "put": Operation(lambda store: store.put("new", SMALL), changes={"new": SMALL}),
    "put large": Operation(lambda store: store.put("new", LARGE), changes={"new": LARGE}),
    "create": Operation(lambda store: store.create("new", SMALL), True, {"new": SMALL}),
    "write": Operation(lambda store: store.write("new", iter([LARGE[: 7 * MIB], LARGE[7 * MIB :]])), changes={"new": LARGE}),
    "table_target": Operation(sink, changes={"new": LARGE}),
    "get": Operation(lambda store: store.get("small"), SMALL),
    "get large": Operation(lambda store: store.get("large"), LARGE),
    "chunks": Operation(lambda store: b"".join(store.chunks("large")), LARGE),
    "get_range": Operation(lambda store: store.get_range("large", 0, 3 * MIB), LARGE[: 3 * MIB]),
    "size": Operation(lambda store: store.size("large"), len(LARGE)),
    "list": Operation(lambda store: store.list(""), ("large", "small")),
    "names": Operation(lambda store: store.names(""), ("large", "small")),
    "copy": Operation(lambda store: store.copy("small", "new"), changes={"new": SMALL}),
    "delete": Operation(lambda store: store.delete("small"), changes={"small": None}),
}
SHORT_FAULTS: dict[str, Callable[[Proxy], None]] = {
    "503": lambda proxy: proxy.fail(503, times=3),
    "429": lambda proxy: proxy.fail(429, times=2, headers={"Retry-After": "1"}),
    "500": lambda proxy: proxy.fail(500, times=2),
    "reset": lambda proxy: proxy.reset(times=2),
    "stall": lambda proxy: proxy.stall(),
    "truncate": lambda proxy: proxy.truncate(times=2),
    "lose": lambda proxy: proxy.lose_response(),
    "down": lambda proxy: proxy.down(1.0),
}
LONG_FAULTS: dict[str, Callable[[Proxy], None]] = {
    "503": lambda proxy: proxy.fail(503, times=None),
    "429": lambda proxy: proxy.fail(429, times=None),
    "reset": lambda proxy: proxy.reset(times=None),
    "stall": lambda proxy: proxy.stall(times=None),
    "truncate": lambda proxy: proxy.truncate(times=None),
    "lose": lambda proxy: proxy.lose_response(times=None),
    "down": lambda proxy: proxy.down(),
}
# Responses without a body cannot be truncated, and a batch whose response is cut off was carried out.
NO_BODY = {"put", "put large", "create", "write", "table_target", "size", "copy", "delete"}
QUICK = {
    ("put", "503"),
    ("create", "reset"),
    ("create", "lose"),
    ("write", "lose"),
    ("table_target", "429"),
    ("get", "500"),
    ("chunks", "truncate"),
    ("list", "truncate"),
    ("delete", "lose"),
    ("copy", "reset"),
    ("get_range", "down"),
}
QUICK_LONG = {("put", "503"), ("create", "lose"), ("write", "down"), ("table_target", "reset"), ("chunks", "truncate"), ("delete", "down")}


def matrix(faults: dict[str, Callable[[Proxy], None]], quick: set[tuple[str, str]]) -> list[Any]:
    pairs = [pair for pair in itertools.product(OPERATIONS, faults) if not (pair[1] == "truncate" and pair[0] in NO_BODY)]
    return [pytest.param(*pair, id=" ".join(pair), marks=() if pair in quick else pytest.mark.long) for pair in pairs]


@dataclass(frozen=True)
class Place:
    """A lake that is reached directly, and through a proxy."""

    url: str
    direct: Store
    credential: AzureCredential
    proxy: Proxy

    def through(self, retry_seconds: float) -> Store:
        return open_store(self.url, self.credential, retry_seconds)


@pytest.fixture
def place(azurite: Azurite, worker_id: str) -> Iterator[Place]:
    """A lake on Azurite with the objects `small` and `large`."""
    url = f"az://lake/faults-{worker_id}-{next(_numbers)}"
    direct = open_store(url, AzureCredential(azurite.account, azurite.endpoint, key=azurite.key))
    direct.put("small", SMALL)
    direct.write("large", iter([LARGE]))
    with proxied(azurite) as proxy:
        yield Place(url, direct, AzureCredential(azurite.account, proxy.endpoint, key=azurite.key), proxy)


def contents(store: Store) -> dict[str, bytes]:
    return {path: store.get(path) for path in store.list("")}


def expected(operation: Operation) -> dict[str, bytes]:
    all_objects = {"small": SMALL, "large": LARGE} | operation.changes
    return {path: content for path, content in all_objects.items() if content is not None}


@pytest.mark.parametrize(("operation", "fault"), matrix(SHORT_FAULTS, QUICK))
def test_a_fault_shorter_than_the_budget_is_survived(place: Place, operation: str, fault: str) -> None:
    SHORT_FAULTS[fault](place.proxy)
    assert OPERATIONS[operation].act(place.through(BUDGET)) == OPERATIONS[operation].returns
    assert contents(place.direct) == expected(OPERATIONS[operation])
    assert place.proxy.faults > 0 or fault == "down"


@pytest.mark.parametrize(("operation", "fault"), matrix(LONG_FAULTS, QUICK_LONG))
def test_a_fault_longer_than_the_budget_is_reported(place: Place, operation: str, fault: str) -> None:
    LONG_FAULTS[fault](place.proxy)
    with pytest.raises(LakeError) as caught:
        OPERATIONS[operation].act(place.through(TINY_BUDGET))
    assert re.search(r"storage .*\(at az://lake/faults-.*\): .*, then run again\.", str(caught.value))
    assert place.credential.key not in "".join(traceback.format_exception(caught.value))
    # a request whose response is lost is carried out, completely
    allowed = [expected(Operation(lambda _: None))] + ([expected(OPERATIONS[operation])] if fault == "lose" else [])
    assert contents(place.direct) in allowed


def test_a_budget_of_zero_makes_one_attempt(place: Place) -> None:
    place.proxy.fail(503, times=1)
    with pytest.raises(LakeError, match="storage is busy"):
        place.through(0).get("small")
    assert len(place.proxy.requests) == 1


@pytest.mark.parametrize("status", [403, 404, 409, 412])
@pytest.mark.parametrize("operation", ["create", "get", "delete"])
def test_an_error_that_stays_is_not_retried(place: Place, operation: str, status: int) -> None:
    place.proxy.fail(status, times=None, body=b"<Error><Code>Denied</Code></Error>")
    with suppress(FileNotFoundError, LakeError):
        OPERATIONS[operation].act(place.through(BUDGET))
    assert len(place.proxy.requests) <= 2  # a create that finds an object reads it


# --- ambiguous requests ------------------------------------------------------------------------------------------------


def test_a_lost_response_does_not_claim_other_content(place: Place) -> None:
    place.direct.create("new", b"theirs")
    place.proxy.lose_response(times=1)
    assert place.through(BUDGET).create("new", b"ours") is False
    assert place.direct.get("new") == b"theirs"


def test_a_create_is_read_back_when_no_attempt_gets_a_response(place: Place) -> None:
    place.proxy.lose_response(times=None, method="PUT")
    store = place.through(TINY_BUDGET)
    assert store.create("new", b"ours") is True
    assert store.create("new", b"other") is False
    place.proxy.clear()
    place.proxy.reset(times=None, method="PUT")
    with pytest.raises(LakeError, match="cannot be reached"):
        store.create("absent", b"ours")
    assert place.direct.find("absent") is None


def test_a_create_that_is_answered_is_one_request(place: Place) -> None:
    assert place.through(BUDGET).create("new", b"x") is True
    assert place.proxy.requests == [("PUT", place.proxy.requests[0][1])]


def test_a_delete_of_a_missing_object_is_reported_without_a_retry(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        place.through(BUDGET).delete("nothing")
    assert len(place.proxy.requests) == 1


@pytest.mark.parametrize("operation", ["write", "put large", "table_target"])
def test_a_commit_whose_response_is_lost_succeeds(place: Place, operation: str) -> None:
    place.proxy.lose_response(path="comp=blocklist")
    OPERATIONS[operation].act(place.through(BUDGET))
    assert place.direct.get("new") == LARGE


def test_a_commit_that_is_never_carried_out_is_an_error(place: Place) -> None:
    place.direct.put("new", b"earlier")
    place.proxy.reset(times=None, path="comp=blocklist")
    with pytest.raises(LakeError, match="cannot be reached"):
        OPERATIONS["write"].act(place.through(TINY_BUDGET))
    assert place.direct.get("new") == b"earlier"


# --- large objects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "budget"), [(1.0, 10.0), pytest.param(10.0, 30.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("operation", ["write", "table_target"])
def test_a_large_write_survives_a_server_that_goes_down(place: Place, operation: str, seconds: float, budget: float) -> None:
    place.proxy.go_down(seconds, path="comp=block&", skip=2)
    OPERATIONS[operation].act(place.through(budget))
    assert contents(place.direct) == expected(OPERATIONS[operation])
    assert place.proxy.faults == 1


def test_a_broken_download_continues_at_its_offset(place: Place) -> None:
    place.proxy.truncate(after=9 * MIB, times=1)
    assert b"".join(place.through(BUDGET).chunks("large")) == LARGE
    assert place.proxy.count("GET") == 2


def test_a_stalled_download_continues_at_its_offset(place: Place) -> None:
    place.proxy.stall(after=9 * MIB, times=1)
    assert b"".join(place.through(3.0).chunks("large")) == LARGE


def test_a_broken_download_does_not_mix_versions(place: Place) -> None:
    place.proxy.truncate(after=9 * MIB, times=1)
    place.proxy.before(lambda: place.direct.write("large", iter([b"other" * (2 * MIB)])), method="GET")
    received = b""
    with pytest.raises(LakeError, match="then run again"):
        for chunk in place.through(BUDGET).chunks("large"):
            received += chunk
    assert LARGE.startswith(received)
    assert place.proxy.faults == 2


# --- tables ------------------------------------------------------------------------------------------------------------

ROWS = 300_000
SLOW_FAULTS = ("429", "stall", "truncate", "down")


def stored_table(store: Store, path: str) -> None:
    write_table(store, path, any_table(pl.LazyFrame({"rank": range(ROWS)})))


@pytest.mark.parametrize("path", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("fault", ["503", "reset", *(pytest.param(fault, marks=pytest.mark.long) for fault in SLOW_FAULTS)])
def test_a_table_is_read_in_spite_of_a_fault_shorter_than_the_budget(place: Place, path: str, fault: str) -> None:
    stored_table(place.direct, path)
    remove_copies()  # of an equal table
    SHORT_FAULTS[fault](place.proxy)
    frame = read_table(place.through(BUDGET * 2), path)
    assert frame.select(pl.col("rank").sum()).collect().item() == ROWS * (ROWS - 1) // 2


@pytest.mark.parametrize(
    ("path", "fault", "problem"), [("t.csv", "503", "storage is busy"), ("t.parquet", "down", "storage cannot be reached")]
)
def test_a_table_that_cannot_be_written_names_the_reason(place: Place, path: str, fault: str, problem: str) -> None:
    LONG_FAULTS[fault](place.proxy)
    with pytest.raises(LakeError) as caught:
        stored_table(place.through(TINY_BUDGET), path)
    assert problem in str(caught.value)
    assert "malformed" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "fault", "problem"), [("t.csv", "down", "storage cannot be reached"), ("t.parquet", "503", "storage is busy")]
)
def test_a_table_that_cannot_be_read_names_the_reason(place: Place, path: str, fault: str, problem: str) -> None:
    stored_table(place.direct, path)
    remove_copies()  # of an equal table
    LONG_FAULTS[fault](place.proxy)
    with pytest.raises(LakeError) as caught:
        read_table(place.through(TINY_BUDGET), path)
    assert problem in str(caught.value)
    assert "malformed" not in str(caught.value)


# --- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "fault"), [("put", "503"), ("write", "reset"), ("get", "truncate"), ("list", "down"), ("copy", "503")]
)
def test_no_error_contains_the_signature(azurite: Azurite, place: Place, operation: str, fault: str) -> None:
    token = azurite.sas_token()
    signature = re.search("sig=([^&]{8})", token)
    assert signature
    store = open_store(place.url, replace(place.credential, key=None, sas=token), 0)
    LONG_FAULTS[fault](place.proxy)
    with pytest.raises(LakeError) as caught:
        OPERATIONS[operation].act(store)
    shown = "".join(traceback.format_exception(caught.value))
    assert signature[1] not in shown
    assert "sig=" not in shown
