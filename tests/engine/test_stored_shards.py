"""Executors store the shards of a date as one process does: the same files, manifests, revisions and errors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from risk_assets.domain.ingest import csv_counts
from risk_assets.engine import parts
from risk_assets.engine.engines import ClusterEngine
from risk_assets.engine.jobs import CopyJob, LandingAddress, MeasuredPart, MeasureJob, Result, encode_result
from risk_assets.engine.parts import ClusterParts
from risk_assets.errors import EngineError, LakeError, LandingError, RiskError
from risk_assets.lake import landed_parts, landing, layout, parallel, raw
from risk_assets.lake.facts import RawFacts
from risk_assets.lake.format import open_lake
from risk_assets.lake.landed_parts import OwnParts, PartWork
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.store import AzureCredential, Store, open_store
from tests.azurite.server import Azurite
from tests.engine.in_process import InProcess
from tests.engine.lakes import azurite_credential
from tests.faults.proxy import proxied

DATE = "2026-01-01"
PATH = layout.accounts(DATE)
COLUMNS = ("id", "age")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assets.domain.ingest.csv_records._BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_counts, "PIECE_BYTES", 500)


@dataclass
class Place:
    """A landing folder and a lake."""

    landing: Store
    lake: Store

    def land(self, contents: Sequence[bytes]) -> None:
        for name in self.landing.list(""):
            self.landing.delete(name)
        for number, content in enumerate(contents):
            self.landing.put(shard(number), content)

    def own(self) -> PartWork:
        return OwnParts(self.lake, landing.find(self.landing, landing.ACCOUNTS, DATE, COLUMNS))

    def by(self, cluster: InProcess | None = None) -> PartWork:
        return ClusterParts(cluster or InProcess(), self.lake, landing.find(self.landing, landing.ACCOUNTS, DATE, COLUMNS))

    def raw(self) -> dict[str, bytes]:
        """Return the raw zone, without manifests, whose instants differ."""
        return {path: self.lake.get(path) for path in self.lake.list("raw/") if not path.endswith(".manifest.json")}

    def folders(self) -> list[str]:
        """Return the folder of what is staged on disk, and what is in it, also empty folders."""
        return [path.name for path in self.lake.folder.glob("raw/staged*/**")] if self.lake.folder else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(open_store(str(tmp_path / "landing")), open_lake(str(tmp_path / "lake")))


@pytest.fixture
def other(tmp_path: Path) -> Place:
    """The same landing folder, and another lake."""
    return Place(open_store(str(tmp_path / "landing")), open_lake(str(tmp_path / "other")))


def shard(number: int) -> str:
    return f"accounts_{DATE}/part-{number:04d}.csv"


def part(number: int) -> str:
    return f"raw/{shard(number)}"


def store(work: PartWork, guard: Guard = no_guard, run_id: str = "run") -> Manifest:
    return raw.ingest(work, PATH, Provenance(run_id=run_id), guard)


def require_equal(one: Manifest, two: Manifest) -> None:
    for name in ("path", "parts", "sha256", "segments", "rows", "columns", "made_from", "facts"):
        assert getattr(two, name) == getattr(one, name), name
    assert [*one.parts] == [*two.parts]


def rows(first: int, count: int, end: str = "\n", last: str = "") -> bytes:
    return "".join(f"A{number:05d},{number % 70 + 18}{last}{end}" for number in range(first, first + count)).encode()


def good(number: int, count: int = 60) -> bytes:
    return b"id,age\n" + rows(number * count, count)


CONTENTS: dict[str, list[bytes]] = {
    "plain": [good(0), good(1), good(2)],
    "a shard with a header alone": [good(0), b"id,age\n", good(1)],
    "a header alone without line end": [b"id,age", good(1)],
    "no last line end": [good(0)[:-1], good(1)[:-1]],
    "both kinds of quotes": [b'id,age\n"1","4\n1"\n2,"4""2"\n' + rows(0, 60), b'id,age\n1,5"6"\n2,x\n', good(2)],
    "lines with issues": [
        b'id,age\n1,2\n2\n3,4,5\n\n5,"6" x\n' + rows(0, 60) + b"7\n",
        good(1),
        b'id,age\n1,x\0\n2,"a\nb,c\nd,e\nf"\n3\n',
    ],
    "BOM and CRLF": [
        b"\xef\xbb\xbfid,age\r\n" + rows(0, 60, "\r\n"),
        b"\xef\xbb\xbfid,age\r\n" + rows(60, 60, "\r\n"),
        b"id,age\r\n1,2\r\n",
    ],
    "CR": [b"id,age\r" + rows(0, 60, "\r"), b"id,age\r1,2\r"],
    "BOM and CRLF in one shard": [good(0), b"\xef\xbb\xbfid,age\r\n" + rows(60, 60, "\r\n"), good(2)],
    "NUL bytes in one shard": [good(0), b"id,age\n1,\0\n" + rows(60, 60)],
    "separators at the end of rows": [b"id,age\n" + rows(0, 60, last=","), good(1), b"id,age\n1,2,\n2,3\n"],
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("small", [10**6, 0], ids=["small parts", "large parts"])
def test_manifests_are_equal(place: Place, other: Place, monkeypatch: pytest.MonkeyPatch, name: str, small: int) -> None:
    monkeypatch.setattr(landed_parts, "SMALL_BYTES", small)
    place.land(CONTENTS[name])
    one, two = store(place.own()), store(other.by(InProcess(attempts=2)))
    require_equal(one, two)
    assert [two.facts_as(RawFacts).pieces, other.raw()] == [one.facts_as(RawFacts).pieces, place.raw()]
    assert other.folders() == []
    assert raw.scan(other.lake, PATH).collect().equals(raw.scan(place.lake, PATH).collect())


@pytest.mark.parametrize("limit", [2, 4, 5], ids=["of a shard", "of all shards", "none"])
def test_many_lines_with_issues(place: Place, other: Place, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", limit)
    place.land([good(0), b"id,age\n1\n2,2\n3\n4,4,4\n", b"id,age\n1\n2\n"])
    one, two = store(place.own()), store(other.by())
    require_equal(one, two)
    assert (two.facts_as(RawFacts).short_lines, two.facts_as(RawFacts).ragged is None) == (4, limit < 5)


def test_results_have_few_positions_and_no_cell(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Recording(InProcess):
        results: Sequence[Result] = ()

        def measure(self, job: MeasureJob) -> list[Result]:
            self.results = super().measure(job)
            return [*self.results]

    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", 4)
    place.land([b"id,age\nsecret-1\nsecret-2\n", b"id,age\nsecret-3\nsecret-4\n", b"id,age\nsecret-5,1\n"])
    cluster = Recording()
    store(place.by(cluster))
    found = [result for result in cluster.results if isinstance(result, MeasuredPart)]
    assert [result.counts.ragged and result.counts.ragged.short for result in found] == [(0, 1), (0, 1), ()]
    assert "secret" not in "".join(map(encode_result, cluster.results))
    monkeypatch.setattr(landed_parts, "MAX_RAGGED_ROWS", 3)
    store(place.by(cluster))
    assert [result.counts.ragged for result in cluster.results if isinstance(result, MeasuredPart)] == [None] * 3


def test_a_date_lands_again(place: Place, other: Place) -> None:
    landings = [[good(0), good(1), good(2)], [good(0), good(1), good(2)], [good(0), good(7), good(2)], [good(0), good(8)]]
    for number, contents in enumerate(landings):
        place.land(contents)
        one, two = store(place.own(), run_id=f"run-{number}"), store(other.by(), run_id=f"run-{number}")
        require_equal(one, two)
        assert two.made_from.run_id == f"run-{number if number != 1 else 0}"
        assert other.raw() == place.raw()
        kept, expected = raw.revisions(other.lake, PATH), raw.revisions(place.lake, PATH)
        assert [revision.name for revision in kept] == [revision.name for revision in expected]
        assert [raw.revision_problems(other.lake, revision.name) for revision in kept] == [[]] * len(kept)
    assert len(raw.revisions(other.lake, PATH)) == 2
    assert other.folders() == []


def test_the_same_bytes_are_not_copied(place: Place) -> None:
    place.land([good(0), good(1)])
    store(place.by())
    cluster = InProcess()
    store(place.by(cluster))
    assert cluster.calls == ["measure"]


@pytest.mark.parametrize("damage", [Store.delete, lambda lake, path: lake.put(path, b"other")], ids=["lost", "changed"])
def test_a_damaged_lake_is_repaired(place: Place, damage: Callable[[Store, str], None]) -> None:
    place.land([good(0), good(1)])
    first = store(place.by())
    damage(place.lake, part(1))
    assert store(place.by(), run_id="again") == first
    assert place.lake.get(part(1)) == good(1)
    assert require_manifest(place.lake, PATH) == first


REJECTED: dict[str, list[bytes]] = {
    "another header": [good(0), b"id,years\n1,2\n", good(2)],
    "another separator": [good(0), b"id;age\n1;2\n", good(2)],
    "the first one without header": [b"1,2\n3,4\n", good(1)],
    "another one without header": [good(0), b"1,2\n3,4\n"],
    "nothing": [good(0), b"", good(2)],
    "UTF-16": [good(0), "id,age\n1,2\n".encode("utf-16")],
    "columns in another order": [good(0), b"age,id\n2,1\n"],
    "CR": [good(0), b"id,age\r1,2\r"],
    "a byte that is not UTF-8": [good(0), good(1) + b"secret\xe9,1\n" + good(2)],
    "an open quote": [good(0), b'id,age\n1,2\n2,"secret\n', b'id,age\n1,"secret\n'],
    "two errors of headers": [good(0), b"id,years\n1,2\n", b""],
    "an open quote before another header": [good(0), b'id,age\n2,"secret\n', b"id,years\n1,2\n"],
}


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize("small", [10**6, 20, 0], ids=["small parts", "parts of all sizes", "large parts"])
def test_the_first_error_is_the_same(place: Place, other: Place, monkeypatch: pytest.MonkeyPatch, name: str, small: int) -> None:
    monkeypatch.setattr(landed_parts, "SMALL_BYTES", small)
    place.land(REJECTED[name])
    messages = []
    for work in (place.own(), other.by()):
        with pytest.raises(LandingError) as caught:
            store(work)
        messages.append(str(caught.value))
    assert messages[1] == messages[0]
    assert str(place.landing.folder) in messages[1]
    assert "\n" not in messages[1] and "secret" not in messages[1]
    assert other.lake.list("raw/") == ()


class Meanwhile(InProcess):
    """A cluster while something happens before a step."""

    def __init__(self, step: str, action: Callable[[], object]) -> None:
        super().__init__()
        self._step, self._action = step, action

    def measure(self, job: MeasureJob) -> list[Result]:
        if self._step == "measure":
            self._action()
        return super().measure(job)

    def copy(self, job: CopyJob) -> list[Result]:
        if self._step == "copy":
            self._action()
        return super().copy(job)


@pytest.mark.parametrize("step", ["measure", "copy"])
def test_a_shard_that_is_removed_is_named(place: Place, step: str) -> None:
    place.land([good(0), good(1)])
    with pytest.raises(LandingError) as caught:
        store(place.by(Meanwhile(step, lambda: place.landing.delete(shard(1)))))
    uri = place.landing.uri(shard(1))
    assert str(caught.value) == f"{uri} was removed while it was read. Run the date again when all of its files have landed."
    assert (place.lake.list("raw/"), place.folders()) == ((), [])


@pytest.mark.parametrize("content", [good(7), good(1) + b"1,2\n", good(1)[:-9]], ids=["other bytes", "longer", "shorter"])
def test_a_shard_that_changes_while_it_is_copied(place: Place, content: bytes) -> None:
    place.land([good(0), good(1)])
    with pytest.raises(LandingError) as caught:
        store(place.by(Meanwhile("copy", lambda: place.landing.put(shard(1), content))))
    uri = place.landing.uri(shard(1))
    assert str(caught.value) == f"{uri} changed while it was copied. Run the date again when it has landed completely."
    assert (place.lake.list("raw/"), place.folders()) == ((), [])


class Elsewhere(InProcess):
    """Executors whose landing folder, or lake, is another one."""

    def __init__(self, **addresses: Any) -> None:
        super().__init__()
        self._addresses = addresses

    def measure(self, job: MeasureJob) -> list[Result]:
        return super().measure(msgspec.structs.replace(job, **self._addresses))


@pytest.mark.parametrize("exists", [True, False], ids=["an empty folder", "no folder"])
def test_executors_need_the_landing_folder(place: Place, tmp_path: Path, exists: bool) -> None:
    place.land([good(5), good(6)])
    earlier = store(place.by())
    place.land([good(0), good(1)])
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.mkdir()
    before = place.raw()
    with pytest.raises(EngineError) as caught:
        store(place.by(Elsewhere(landing=LandingAddress(elsewhere.as_uri(), 0))))
    assert str(caught.value).startswith(f"an executor does not find the landed file {place.landing.uri(shard(0))} (host ")
    assert str(caught.value).endswith("the landing folder must be on Azure, or in a folder that all of them have mounted at the same path.")
    assert "\n" not in str(caught.value)
    assert (place.raw(), require_manifest(place.lake, PATH)) == (before, earlier)


def test_executors_need_the_lake_before_anything_moves(place: Place, tmp_path: Path) -> None:
    place.land([good(5), good(6)])
    earlier = store(place.by())
    place.land([good(0), good(1)])
    job = parts.lake_address(open_store(str(tmp_path / "elsewhere")))
    with pytest.raises(EngineError, match="an executor does not find the lake at"):
        store(place.by(Elsewhere(lake=job)))
    assert require_manifest(place.lake, PATH) == earlier
    assert raw.revisions(place.lake, PATH) == ()


def taken_over_at(entry: int) -> tuple[Guard, list[int]]:
    """Return a guard that lets some blocks pass, and the blocks that were entered."""
    entered: list[int] = []

    @contextmanager
    def guard() -> Iterator[None]:
        entered.append(len(entered))
        if len(entered) > entry:
            raise LakeError("taken over by another run")
        yield

    return guard, entered


def test_a_run_that_was_overtaken_leaves_the_earlier_file(place: Place) -> None:
    place.land([good(5), good(6)])
    earlier, before = store(place.by()), place.raw()
    place.land([good(0), good(1)])
    with pytest.raises(LakeError, match="taken over"):
        store(place.by(), taken_over_at(0)[0])
    assert (place.raw(), require_manifest(place.lake, PATH)) == (before, earlier)


def test_a_run_that_is_overtaken_while_it_copies_commits_nothing(place: Place) -> None:
    place.land([good(0), good(1)])
    with pytest.raises(LakeError, match="taken over"):
        store(place.by(), taken_over_at(1)[0])
    assert (place.lake.list("raw/"), place.folders()) == ((), [])


def test_parts_are_committed_in_guarded_batches(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "BATCH_ITEMS", 3)
    place.land([good(number, 1) for number in range(10)])
    guard, entered = taken_over_at(100)
    assert store(place.by(), guard).rows == 10
    assert len(entered) == 1 + 4 + 1  # before the copies, four batches, and the manifest
    with pytest.raises(LakeError, match="taken over"):
        place.land([good(number, 2) for number in range(10)])
        store(place.by(), taken_over_at(3)[0])
    assert place.folders() == []
    assert store(place.by()).rows == 20


def test_what_a_killed_run_has_staged_is_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.land([good(0), good(1)])
    with monkeypatch.context() as patch:
        patch.setattr(parts, "discard_staged", lambda *_: None)
        patch.setattr(parts, "commit_each", lambda *_: (_ for _ in ()).throw(LakeError("killed")))
        with pytest.raises(LakeError, match="killed"):
            store(place.by())
    assert len(place.lake.list("raw/staged/")) == 2
    store(place.own())
    assert place.folders() == []


def test_small_files_and_single_files_are_stored_by_this_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ClusterEngine(InProcess())

    def work() -> PartWork:
        return engine.parts(place.lake, landing.find(place.landing, landing.ACCOUNTS, DATE, COLUMNS))

    contents = [good(0), good(1)]
    place.land(contents)
    assert parts.DIVIDED_BYTES == 64 * 1024**2 and work().engine == "local"
    monkeypatch.setattr(parts, "DIVIDED_BYTES", sum(map(len, contents)))
    assert work().engine == "in process"
    monkeypatch.setattr(parts, "DIVIDED_BYTES", sum(map(len, contents)) + 1)
    assert work().engine == "local"
    monkeypatch.setattr(parts, "DIVIDED_BYTES", 1)
    place.land([])
    place.landing.put(f"accounts_{DATE}.csv", good(0))
    assert work().engine == "local"


def test_shards_on_azurite(azurite: Azurite, worker_id: str, monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    credential = azurite_credential(azurite)
    root = f"az://lake/stored-{worker_id}"
    found = Place(open_store(f"{root}/landing", credential), open_lake(f"{root}/lake", credential))
    for contents in (CONTENTS["lines with issues"], [good(3), good(4), CONTENTS["lines with issues"][2]]):
        for at in (place, found):
            at.land(contents)
        one, two = store(place.own()), store(found.by(InProcess(attempts=2)))
        source = two.facts_as(RawFacts).source
        assert source == f"{root}/landing/accounts_{DATE}"
        require_equal(msgspec.structs.replace(one, facts=msgspec.structs.replace(one.facts_as(RawFacts), source=source)), two)
        assert found.raw() == place.raw()
    assert len(raw.revisions(found.lake, PATH)) == 1
    found.land([good(0), b'id,age\n1,"secret\n'])
    with pytest.raises(RiskError, match=rf"^{root}/landing/{shard(1)} ends inside an open quote, in row 1"):
        store(found.by())
    assert found.raw() == place.raw()


def test_many_shards_need_no_more_listings(azurite: Azurite, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number, listings = 60, []
    with proxied(azurite) as proxy:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", proxy.connection_string)
        credential = AzureCredential(azurite.account, proxy.endpoint, key=azurite.key)
        for who in (Place.own, Place.by):
            root = f"az://lake/listings-{worker_id}-{who.__name__}"
            found = Place(open_store(f"{root}/landing", credential), open_lake(f"{root}/lake", credential))
            found.land([good(at, 1) for at in range(number)])
            proxy.requests.clear()
            assert store(who(found)).rows == number
            listings.append(sum("comp=list&" in path or path.endswith("comp=list") for _, path in proxy.requests))
            reads = [path for method, path in proxy.requests if method in {"GET", "HEAD"} and "/landing/" in path]
            assert len(reads) <= (1 if who is Place.own else 2) * number + 10
    assert 0 < listings[1] <= listings[0] <= 7


def test_executors_that_may_not_read_what_landed_are_named(
    azurite: Azurite, place: Place, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Place(open_store(f"az://lake/unreadable-{worker_id}", azurite_credential(azurite)), place.lake)
    found.land([good(0), good(1)])
    wrong = f"AccountName={azurite.account};AccountKey={'A' * 86}==;BlobEndpoint={azurite.endpoint}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    with pytest.raises(LakeError, match=r"^the executor \S+: access denied.* \(at az://lake/unreadable-") as caught:
        store(found.by())
    assert "\n" not in str(caught.value)
