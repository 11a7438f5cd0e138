"""Posted outcomes in the lake: written once, read with the landed file, noticed and verified; on disk and on Azurite."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import OutcomeFacts
from risk_assets.lake.format import FORMAT, LakeFormat
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.outcome_tables import listed_accounts, outdated_outcomes
from risk_assets.lake.posted_outcomes import OutcomeShard, posted_shards, read_shard, shard_paths, shard_problems, store_shard
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.verify import lineage, table_problems, verify_all, verify_date
from tests.lake.test_outcome_tables import DATE, LANDED, TEXT, land, rows, write

MATURED = "2026-02-01"
PATH = layout.curated_outcomes(DATE)


def shard(*outcomes: tuple[str, str | None, str | None], at: str = "2026-03-05T12:00:00.000+00:00", **changed: object) -> OutcomeShard:
    """Return a shard with these accounts, labels and dates."""
    found = OutcomeShard(
        date=DATE,
        columns=("id", "defaulted", "since"),
        rows=outcomes,
        received_at=at,
        request_id="0" * 32,
        caller="collections",
        contract=LANDED.digest,
    )
    return msgspec.structs.replace(found, **changed)


def post(store: Store, *outcomes: tuple[str, str | None, str | None], at: str = "2026-03-05T12:00:00.000+00:00") -> str:
    """Store a shard and return its path."""
    found = shard(*outcomes, at=at)
    assert store_shard(store, found)
    return layout.posted_shard(DATE, found.key)


def inputs(manifest: Manifest) -> set[str]:
    return set(manifest.made_from.inputs)


@pytest.fixture
def lake(store: Store) -> Store:
    store.put(layout.FORMAT, msgspec.json.encode(LakeFormat(FORMAT)))
    return store


def test_a_shard_is_stored_once(lake: Store) -> None:
    first = shard(("a", "1", None))
    assert store_shard(lake, first)
    (path,) = shard_paths(lake, DATE)
    content = lake.get(path)
    later = msgspec.structs.replace(first, received_at="2026-04-01T00:00:00.000+00:00", request_id="1" * 32, caller="other")
    assert not store_shard(lake, later)
    assert lake.get(path) == content
    assert read_shard(lake, path).received_at == first.received_at
    assert store_shard(lake, msgspec.structs.replace(later, reference="case 17"))
    assert posted_shards(lake) == {DATE: shard_paths(lake, DATE)}
    assert len(shard_paths(lake, DATE)) == 2


def test_a_lake_that_is_gone_is_not_created_again(disk: Store) -> None:
    shutil.rmtree(disk.url.removeprefix("file://"))
    with pytest.raises(LakeError, match="does not exist"):
        store_shard(disk, shard(("a", "1", None)))
    assert not Path(disk.url.removeprefix("file://")).exists()


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    (tmp_path / "lake").mkdir()
    return open_store(str(tmp_path / "lake"))


def test_file_and_posted_outcomes_are_one_table(lake: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    land(lake, landing, monkeypatch, "id,defaulted,since\na,1,\nb,0,\n", "2026-02-20T12:00:00+00:00")
    write(lake, LANDED)
    # 23:30 UTC is the next day in Berlin
    path = post(lake, ("a", "0", None), ("c", "1", "2026-06-01"), at="2026-03-05T23:30:00.000+00:00")
    assert outdated_outcomes(lake, LANDED, [DATE]) == (DATE,)
    written = write(lake, LANDED)
    assert rows(lake) == [("a", 1, MATURED, 1), ("b", 0, MATURED, 1), ("a", 0, "2026-03-06", 2), ("c", 1, "2026-06-01", 2)]
    facts = written.facts_as(OutcomeFacts)
    assert (facts.labelled, facts.restated, facts.revisions, facts.posted_shards) == (2, 2, 2, 1)
    assert inputs(written) == {layout.outcomes(DATE), path}
    assert outdated_outcomes(lake, LANDED, [DATE]) == ()
    assert lineage(lake, PATH)[1:] == [layout.outcomes(DATE), path]
    assert listed_accounts(lake, LANDED, DATE).collect()["account_id"].to_list() == ["a", "b", "c"]


def test_posted_outcomes_need_no_file(lake: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LakeError, match="is not in the lake"):
        write(lake, LANDED)
    later = post(lake, ("a", "0", None), at="2026-03-06T12:00:00.000+00:00")
    first = post(lake, ("a", "1", None), ("b", "0", None))
    written = write(lake, LANDED)
    assert rows(lake) == [("a", 1, "2026-03-05", 1), ("b", 0, "2026-03-05", 1), ("a", 0, "2026-03-06", 2)]
    assert inputs(written) == {first, later}
    land(lake, landing, monkeypatch, "id,defaulted,since\na,1,\nc,0,\n", "2026-03-05T18:00:00+00:00")
    assert outdated_outcomes(lake, LANDED, [DATE]) == (DATE,)
    write(lake, LANDED)
    assert rows(lake)[2:] == [("c", 0, MATURED, 2), ("a", 0, "2026-03-06", 3)]


def test_a_lost_file_is_not_replaced_by_posted_outcomes(lake: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    land(lake, landing, monkeypatch, "id,defaulted,since\na,1,\n", "2026-02-20T12:00:00+00:00")
    post(lake, ("b", "0", None))
    lake.delete(layout.outcomes(DATE))
    with pytest.raises(LakeError, match=f"{layout.outcomes(DATE)} is missing"):
        write(lake, LANDED)


def test_a_shard_of_another_target_gives_no_labels(lake: Store) -> None:
    post(lake, ("a", "1", None))
    other = Contract.parse(TEXT.replace("column: defaulted", "column: late"), "contract.yml")
    assert len(inputs(write(lake, other))) == 1
    assert rows(lake) == []
    undated = Contract.parse(TEXT.replace(", known_at: since", ""), "contract.yml")
    write(lake, undated)
    assert rows(lake) == [("a", 1, "2026-03-05", 1)]


@pytest.mark.parametrize("damage", ["changed", "cut off", "renamed", "missing"])
def test_a_damaged_shard_is_found_and_not_used(lake: Store, damage: str) -> None:
    path = post(lake, ("account-a", "1", None))
    write(lake, LANDED)
    content = lake.get(path)
    lake.delete(path)
    if damage == "changed":
        lake.put(path, content.replace(b'"1"', b'"0"'))
    elif damage == "cut off":
        lake.put(path, content[:-10])
    elif damage == "renamed":
        lake.put(layout.posted_shard("2026-01-03", path.rpartition("/")[2].removesuffix(".json")), content)
    (problem,) = table_problems(lake, PATH)
    assert ("is missing" if damage in ("missing", "renamed") else "was changed") in problem
    assert "POST /outcomes" in problem and "account-a" not in problem
    assert problem in verify_date(lake, DATE).problems
    if damage in ("changed", "cut off"):
        assert shard_problems(lake, path) == [problem]
        with pytest.raises(LakeError, match="was changed since it was written"):
            write(lake, LANDED)
        with pytest.raises(LakeError, match="was changed since it was written"):
            store_shard(lake, shard(("account-a", "1", None)))
    if damage == "renamed":
        assert verify_date(lake, "2026-01-03").problems


def test_a_foreign_file_beside_shards_is_reported(lake: Store) -> None:
    shard = post(lake, ("account-a", "1", None))
    folder = layout.posted_folder("2026-01-09")
    foreign = f"{layout.posted_folder(DATE)}notes.json", f"{folder}{'0' * 63}.json"
    strays = f"{layout.POSTED}/notes.txt", f"{layout.POSTED}/outcomes_2026-01-10.json"
    for path in (*foreign, *strays):
        lake.put(path, b"{}")
    found = {part.what: part for part in verify_all(lake)}
    dates, beside = (found[DATE], found["2026-01-09"]), found["files beside posted outcomes"]
    assert "2026-01-10" not in found and found[DATE].files == len([shard, foreign[0]])
    problems = [problem for part in (*dates, beside) for problem in part.problems]
    assert problems == [
        f"{path} is not a shard of posted outcomes, and nothing reads it. Move it out of the lake." for path in (*foreign, *strays)
    ]


def test_many_shards_are_read_in_the_order_of_their_arrival(lake: Store) -> None:
    for hour in range(20):
        post(lake, ("a", str(hour % 2), None), (f"b{hour}", "0", None), at=f"2026-03-05T{hour:02d}:00:00.000+00:00")
    write(lake, LANDED)
    table = pl.DataFrame(rows(lake), schema=["account", "bad", "known_on", "revision"], orient="row")
    assert table.filter(account="a")["bad"].to_list() == [hour % 2 for hour in range(20)]
    assert table["revision"].is_sorted() and table.height == 40
