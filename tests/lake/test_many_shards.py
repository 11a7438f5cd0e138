"""A date whose raw file has many shards: requests for each kind of step, and errors that name one shard."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest

from risk_assets.errors import LakeError, LandingError
from risk_assets.lake import landed_parts, landing, layout, parallel, raw, staleness, verification
from risk_assets.lake.landed_parts import OwnParts
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.raw_pieces import raw_file, read_piece
from risk_assets.lake.store import AzureCredential, Store, open_store
from risk_assets.lake.verify import table_problems
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.conftest import CONTRACT, POLICY
from tests.faults.proxy import Proxy, proxied

DATE = "2026-01-05"
PATH = layout.accounts(DATE)
MAX_LISTS = 6


def shard(number: int) -> str:
    return f"accounts_{DATE}/part-{number:05d}.csv"


def content(number: int, value: str = "1") -> bytes:
    return f"id,age\nA{number},{value}\n".encode()


def land_all(store: Store, shards: int, value: str = "1") -> None:
    in_threads(lambda number: store.put(shard(number), content(number, value)), range(shards))


def ingest(lake: Store, found: Store) -> Manifest:
    landed = landing.find(found, landing.ACCOUNTS, DATE, ("id",))
    return raw.ingest(OwnParts(lake, landed), PATH, Provenance(run_id="run-1", inputs=staleness.landed_versions(landed)))


@dataclass
class Counted:
    """A lake and a landing folder whose requests are counted."""

    proxy: Proxy
    lake: Store
    landing: Store

    def requests(self, step: Callable[[], object]) -> Counter[str]:
        """Return the number of requests of a step, by kind."""
        self.proxy.requests.clear()
        step()
        return Counter("LIST" if "comp=list" in path else method for method, path in self.proxy.requests)


@pytest.fixture
def counted(azurite: Azurite, worker_id: str, request: pytest.FixtureRequest) -> Iterator[Counted]:
    with proxied(azurite) as proxy:
        root = f"az://lake/shards-{worker_id}-{abs(hash(request.node.name))}"
        settings = Settings(
            lake=f"{root}/lake",
            landing=f"{root}/landing",
            AZURE_STORAGE_CONNECTION_STRING=proxy.connection_string,
            contract=CONTRACT,
            policy=POLICY,
            _env_file=None,
        )
        yield Counted(proxy, settings.open_lake(), settings.open_landing())
    verification.remove_copies()


KINDS = {
    "get": "GET",
    "get_range": "GET",
    "chunks": "GET",
    "entry": "HEAD",
    "entries": "LIST",
    "names": "LIST",
    "put": "PUT",
    "write": "PUT",
}


class CountedObjects:
    """The objects of a store, whose calls are counted by the kind of their requests."""

    def __init__(self, objects: Any, counts: Counter[str]) -> None:
        self._objects, self._counts = objects, counts

    def __getattr__(self, name: str) -> Any:
        self._counts[KINDS.get(name, name)] += 1
        return getattr(self._objects, name)


@pytest.mark.long
def test_ten_thousand_shards_on_azurite(azurite: Azurite, worker_id: str) -> None:
    """At most five listings for each check of the manifest, and a request for the content of each shard."""
    counts: Counter[str] = Counter()
    credential = AzureCredential(azurite.account, azurite.endpoint, key=azurite.key)
    lake, found = (open_store(f"az://lake/ten-thousand-{worker_id}/{name}", credential) for name in ("lake", "landing"))
    lake, found = (replace(store, _objects=CountedObjects(store._objects, counts)) for store in (lake, found))
    shards = 10_000
    land_all(found, shards)

    def count(step: Callable[[], object]) -> Counter[str]:
        counts.clear()
        step()
        assert counts["LIST"] <= MAX_LISTS and counts["HEAD"] <= 8
        return Counter(counts)

    ingested = count(lambda: ingest(lake, found))
    assert (ingested["GET"] <= shards + 20, ingested["PUT"] <= shards + 5) == (True, True)
    manifest = require_manifest(lake, PATH)
    assert (manifest.rows, len(manifest.parts)) == (shards, shards)
    assert count(lambda: require_manifest(lake, PATH)).total() <= 3
    assert count(lambda: verification.problems(lake, manifest)).total() <= 3
    assert count(lambda: staleness.changed_dates(lake, found, landing.ACCOUNTS, ("id",), [DATE])).total() <= 10
    verification._known.clear()
    assert count(lambda: table_problems(lake, PATH))["GET"] <= shards + 5
    assert count(lambda: raw.scan(lake, PATH).select(pl.len()).collect())["GET"] <= shards + 5
    verification.remove_copies()


def test_requests_for_many_shards_on_azurite(counted: Counted) -> None:
    """Only the content of a shard costs requests of its own: one to read it, one to write it."""
    lake, found, shards = counted.lake, counted.landing, 200
    land_all(found, shards)
    steps: dict[str, Counter[str]] = {}

    def count(name: str, step: Callable[[], object], lists: int = MAX_LISTS) -> Counter[str]:
        steps[name] = counted.requests(step)
        assert steps[name]["LIST"] <= lists, name
        assert steps[name]["HEAD"] <= 8, name
        return steps[name]

    assert count("find", lambda: landing.find(found, landing.ACCOUNTS, DATE, ("id",))).total() <= 4
    count("ingest", lambda: ingest(lake, found))
    assert shards <= steps["ingest"]["GET"] <= shards + 20
    assert shards <= steps["ingest"]["PUT"] <= shards + 5
    count("ingest again", lambda: ingest(lake, found))
    assert (steps["ingest again"]["PUT"], steps["ingest again"]["DELETE"]) == (0, 0)
    manifest = require_manifest(lake, PATH)
    assert (manifest.rows, len(manifest.parts)) == (shards, shards)
    assert count("manifest", lambda: require_manifest(lake, PATH)).total() == 2
    assert count("known content", lambda: verification.problems(lake, manifest)).total() == 1
    verification._known.clear()
    assert shards <= count("content", lambda: table_problems(lake, PATH))["GET"] <= shards + 2
    assert count("up to date", lambda: staleness.changed_dates(lake, found, landing.ACCOUNTS, ("id",), [DATE])).total() <= 7
    assert count("copies", lambda: verification.verified_files(lake, manifest)) == {"GET": shards}
    pieces = raw_file(lake, manifest).pieces
    assert count("pieces", lambda: [read_piece(lake, piece) for piece in pieces[:50]]) == {"GET": 50}
    land_all(found, shards, "2")
    count("replace", lambda: ingest(lake, found), MAX_LISTS + 3)  # those of the landing folder too
    assert steps["replace"]["GET"] <= 2 * shards + 20  # the new ones, and the earlier ones to name them by their content
    (revision,) = raw.revisions(lake, PATH)
    verification._known.clear()
    assert shards <= count("revision", lambda: raw.revision_problems(lake, revision.name))["GET"] <= shards + 3


# --- errors, by a run of the command -----------------------------------------------------------------------------------

SHARDS = 12


@pytest.fixture
def many(lake_and_landing: tuple[Store, Store]) -> tuple[Store, Store]:
    lake, found = lake_and_landing
    land_all(found, SHARDS)
    return lake, found


@pytest.fixture
def lake_and_landing(settings: Settings) -> tuple[Store, Store]:
    return settings.open_lake(), settings.open_landing()


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "A3" not in text
    return text


def test_shards_with_different_headers(many: tuple[Store, Store]) -> None:
    lake, found = many
    found.put(shard(3), b"id,years\nA3,1\n")
    with pytest.raises(LandingError) as caught:
        ingest(lake, found)
    assert f"{found.uri(shard(3))} has a header with other columns, compared with {shard(0)}" in one_line(caught)
    assert one_line(caught).endswith("Fix the shard, land all shards of the date again, and run again.")
    assert lake.list("raw/") == ()


def test_an_empty_shard(many: tuple[Store, Store]) -> None:
    lake, found = many
    found.put(shard(3), b"")
    with pytest.raises(LandingError) as caught:
        ingest(lake, found)
    assert one_line(caught).startswith(f"{found.uri(shard(3))} is empty. Its first line must be a header with the column names.")
    assert lake.list("raw/") == ()


def test_a_shard_with_a_header_alone_has_no_rows(many: tuple[Store, Store]) -> None:
    lake, found = many
    found.put(shard(3), b"id,age\n")
    assert ingest(lake, found).rows == SHARDS - 1


def test_a_shard_that_is_removed_while_it_is_read(many: tuple[Store, Store]) -> None:
    lake, found = many
    landed = landing.find(found, landing.ACCOUNTS, DATE, ("id",))
    found.delete(shard(3))
    for entries in (landed.found, ()):
        with pytest.raises(LandingError) as caught:
            raw.ingest(OwnParts(lake, replace(landed, found=entries)), PATH, Provenance(run_id="run-1"))
        assert one_line(caught).startswith(f"{found.uri(shard(3))} was removed while it was read. Run the date again when all of its files")
    assert lake.list("raw/") == ()


def test_a_shard_that_lands_while_others_are_read(many: tuple[Store, Store]) -> None:
    lake, found = many
    work = OwnParts(lake, landing.find(found, landing.ACCOUNTS, DATE, ("id",)))
    found.put(shard(SHARDS), content(SHARDS))
    with pytest.raises(LandingError) as caught:
        raw.ingest(work, PATH, Provenance(run_id="run-1"))
    assert one_line(caught).startswith(f"{found.uri(f'accounts_{DATE}')} changed while it was read. Run the date again")
    assert lake.list("raw/") == ()


def test_a_missing_shard_of_the_lake(many: tuple[Store, Store]) -> None:
    lake, found = many
    manifest = ingest(lake, found)
    part = list(manifest.parts)[3]
    lake.delete(part)
    with pytest.raises(LakeError) as caught:
        raw.scan(lake, PATH)
    assert one_line(caught).startswith(f"{part} is missing. Run the date: risk run {DATE}")
    with pytest.raises(LakeError) as caught:
        read_piece(lake, raw_file(lake, manifest).pieces[3])
    assert one_line(caught).startswith(f"{part} is missing. Run the date: risk run {DATE}")
    assert table_problems(lake, PATH) == [f"{part} is missing"]
    assert ingest(lake, found) == manifest
    assert table_problems(lake, PATH) == []


def test_a_damaged_shard_of_the_lake(many: tuple[Store, Store]) -> None:
    lake, found = many
    manifest = ingest(lake, found)
    part = list(manifest.parts)[3]
    lake.put(part, content(3, "9"))
    with pytest.raises(LakeError) as caught:
        raw.scan(lake, PATH)
    assert one_line(caught).startswith(f"{part} was changed since it was written. Run the date: risk run {DATE}")
    with pytest.raises(LakeError) as caught:
        read_piece(lake, raw_file(lake, manifest).pieces[3])
    assert one_line(caught).startswith(f"{part} was changed since it was written. Run the date: risk run {DATE}")
    assert table_problems(lake, PATH) == [f"{part} was changed since it was written"]
    assert ingest(lake, found) == manifest
    assert table_problems(lake, PATH) == []
    assert [lake.get(path) for path in lake.list("raw/superseded/")] == [content(3, "9")]


def test_many_damaged_shards_are_one_short_line(many: tuple[Store, Store]) -> None:
    lake, found = many
    manifest = ingest(lake, found)
    for part in manifest.parts:
        lake.put(part, b"cut")
    with pytest.raises(LakeError, match=r"part-00004\.csv does not match its manifest and 7 more\. Run the date") as caught:
        raw.scan(lake, PATH)
    assert len(one_line(caught)) < 500
    verification.remove_copies()


@pytest.mark.parametrize("kept", [0, 40, 10**6], ids=["none", "some", "all"])
def test_shards_that_do_not_fit_into_memory(many: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(landed_parts, "KEPT_BYTES", kept)
    monkeypatch.setattr(landed_parts, "SMALL_BYTES", 15)  # A10 and A11 are not small
    monkeypatch.setattr(parallel, "BATCH_ITEMS", 3)
    lake, found = many
    manifest = ingest(lake, found)
    assert [lake.get(part) for part in manifest.parts] == [content(number) for number in range(SHARDS)]
    assert manifest.rows == SHARDS


def test_an_overtaken_writer_stores_no_shard(many: tuple[Store, Store]) -> None:
    @contextmanager
    def taken_over() -> Iterator[None]:
        raise LakeError("taken over")
        yield

    lake, found = many
    landed = landing.find(found, landing.ACCOUNTS, DATE, ("id",))
    with pytest.raises(LakeError, match="taken over"):
        raw.ingest(OwnParts(lake, landed), PATH, Provenance(run_id="run-1"), taken_over)
    assert lake.list("raw/") == ()
