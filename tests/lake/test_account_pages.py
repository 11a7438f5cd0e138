"""The facts of the page of an account."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pytest

from risk_assets.domain.governance.bindings import challenge, promote
from risk_assets.domain.morning.account_facts import AccountFacts, AccountsOfKey
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.facts import Day, MorningReport, WorkList
from risk_assets.errors import LakeError
from risk_assets.lake import account_history, binding_log, layout, registry
from risk_assets.lake.account_index import IndexedAccount, find
from risk_assets.lake.account_pages import find_account_id, read_accounts
from risk_assets.lake.manifests import require_manifest, write_manifest
from risk_assets.lake.store import Store, open_store
from risk_assets.lake.tables import read_table
from tests.documents import SAMPLE_POLICY, archived
from tests.pages import samples
from tests.prepared import prepared
from tests.scored_lake import account, score_dates, small_model, write_features

DATES = tuple(f"2026-01-{day:02d}" for day in range(5, 10))
DATE = DATES[-1]
KEY = account_key("A1")


def book() -> dict[str, list[dict[str, object]]]:
    """Five dates: A1 ages backwards, and is not in the file of one date and not scored on another."""
    ages = dict(zip(DATES, (60.0, 50.0, 45.0, 40.0, 22.0), strict=True))
    days = {date: [account("A0"), account("A1", age, balance=age * 10), account("A2", None)] for date, age in ages.items()}
    days[DATES[1]] = [account("A0")]
    days[DATES[3]][1]["issues"] = "age: not a number; city: missing"
    days[DATE] += [account("A3", excluded="closed"), account("A4", issues="age: not a number")]
    return days


@pytest.fixture(scope="session")
def scored_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    return prepared("accounts", tmp_path_factory, worker_id, lambda folder: score_dates(open_store(str(folder)), book()))


@pytest.fixture
def lake(scored_folder: Path) -> Store:
    """The lake that tests only read."""
    return open_store(str(scored_folder))


@pytest.fixture
def own_lake(scored_folder: Path, tmp_path: Path) -> Store:
    """A copy of the lake that a test changes."""
    shutil.copytree(scored_folder, tmp_path / "lake")
    return open_store(str(tmp_path / "lake"))


def facts_of(
    store: Store, name: str = "A1", date: str = DATE, other: str | None = None, report: MorningReport | None = None
) -> AccountFacts:
    (found,) = read_accounts(store, date, account_key(name), find, other, report).accounts
    return found


def report_of(store: Store, *names: str) -> MorningReport:
    """Return a report of the date that lists accounts."""
    items = tuple(msgspec.structs.replace(samples.ordinary().work_list.items[at], account=name) for at, name in enumerate(names))
    day = Day(DATE, predictions=require_manifest(store, layout.predictions(DATE)).identity)
    return msgspec.structs.replace(samples.ordinary(), date=DATE, shown_date=DATE, work_list=WorkList(items), series=(day,))


def test_facts_are_those_of_the_tables(lake: Store) -> None:
    found = facts_of(lake)
    stored = read_table(lake, layout.predictions(DATE)).collect().row(1, named=True)
    assert (found.account, found.status, found.version) == ("A1", "scored", "model_v001")
    assert (found.probability, found.points, found.band) == (stored["probability"], stored["points"], stored["band"])
    assert (found.flagged, found.exposure, found.exposure_name) == (True, 220.0, "balance")
    assert found.reasons == tuple(stored[f"reason_{rank}"] for rank in range(1, SAMPLE_POLICY.reasons + 1) if stored[f"reason_{rank}"])
    assert found.contributions is not None
    assert [each.feature for each in found.contributions.features] == ["age", "city"]
    assert round(found.contributions.total) == found.points
    assert [area.name for area in found.bands] == list(SAMPLE_POLICY.bands)


def test_facts_on_disk_and_on_azure(store: Store, lake: Store) -> None:
    score_dates(store, book())
    assert facts_of(store) == facts_of(lake)


def test_history_is_that_of_the_predictions(lake: Store) -> None:
    found = facts_of(lake).history
    assert [score.date for score in found] == list(DATES)
    assert [(score.present, score.points is not None) for score in found] == [
        (True, True),
        (False, False),
        (True, True),
        (True, False),
        (True, True),
    ]
    first = read_table(lake, layout.predictions(DATES[0])).collect().row(1, named=True)
    assert (found[0].points, found[0].band, found[0].flagged, found[0].version) == (first["points"], first["band"], False, "model_v001")
    assert (found[1].version, found[3].version) == (None, "model_v001")
    assert found[4].flagged


def test_history_has_the_last_scored_dates(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_history, "HISTORY_DATES", 3)
    assert [score.date for score in facts_of(lake).history] == list(DATES[2:])


def test_history_does_not_look_into_the_future(lake: Store) -> None:
    assert [score.date for score in facts_of(lake, date=DATES[2]).history] == list(DATES[:3])


def test_an_earlier_date_without_an_index_is_left_out_with_a_note(lake: Store) -> None:
    def found_later(store: Store, date: str, key: int) -> tuple[IndexedAccount, ...]:
        if date == DATES[0]:
            raise LakeError("no index")
        return find(store, date, key)

    (found,) = read_accounts(lake, DATE, KEY, found_later).accounts
    assert [score.date for score in found.history] == list(DATES[1:])
    assert found.notes[0] == "1 of the earlier dates is not shown: it has no usable index of accounts."


def test_comparison_with_the_last_scored_snapshot(lake: Store) -> None:
    compared = facts_of(lake).comparison
    assert compared is not None
    assert (compared.date, compared.present, compared.note) == (DATES[2], True, None)
    age = compared.features[0]
    assert (age.feature, age.before, age.now) == ("age", 45.0, 22.0)
    points = facts_of(lake).contributions
    assert points is not None
    assert age.points is not None
    assert age.points < 0
    assert compared.points == facts_of(lake, date=DATES[2]).points
    assert compared.band == facts_of(lake, date=DATES[2]).band
    assert compared.stored is not None
    assert compared.stored.points == compared.points


def test_comparison_uses_the_policy_of_the_shown_date(own_lake: Store) -> None:
    scale = SAMPLE_POLICY.points.model_copy(update={"pdo": 40})
    score_dates(own_lake, {DATE: book()[DATE]}, policy=SAMPLE_POLICY.model_copy(update={"points": scale}))
    compared = facts_of(own_lake).comparison
    assert compared is not None
    assert compared.stored is not None
    assert compared.points != compared.stored.points


@pytest.mark.parametrize(
    ("other", "note"),
    [
        ("2025-12-24", "This date was not scored."),
        (DATES[1], "The file of this date does not have the account."),
    ],
)
def test_comparison_with_a_date_without_the_account(lake: Store, other: str, note: str) -> None:
    compared = facts_of(lake, other=other).comparison
    assert compared is not None
    assert (compared.date, compared.present, compared.features, compared.note) == (other, False, (), note)


def test_comparison_with_a_snapshot_that_was_not_scored(lake: Store) -> None:
    compared = facts_of(lake, other=DATES[3]).comparison
    assert compared is not None
    assert (compared.present, compared.points) == (True, None)
    assert [(each.feature, each.before, each.points) for each in compared.features] == [("age", 40.0, None), ("city", "north", None)]


def test_comparison_with_a_later_date(lake: Store) -> None:
    compared = facts_of(lake, date=DATES[0], other=DATE).comparison
    assert compared is not None
    assert (compared.points, compared.features[0].before, compared.features[0].now) == (facts_of(lake).points, 22.0, 60.0)


def test_no_comparison_on_the_first_date(lake: Store) -> None:
    assert facts_of(lake, date=DATES[0]).comparison is None


def test_comparison_with_the_same_date(lake: Store) -> None:
    compared = facts_of(lake, other=DATE).comparison
    assert compared is not None
    assert (compared.note, compared.features) == ("Both dates are the same. Choose another one.", ())


def test_features_that_the_other_date_lacks_are_named(own_lake: Store) -> None:
    _replace_features(own_lake, DATES[2], lambda frame: frame.drop("city"))
    compared = facts_of(own_lake).comparison
    assert compared is not None
    assert compared.note == "The features of this date lack city."
    assert [(each.feature, each.points) for each in compared.features] == [("age", None)]


@pytest.mark.parametrize(
    ("name", "status", "issues", "excluded"),
    [
        ("A3", "not eligible", (), "closed"),
        ("A4", "issue", ("age: not a number",), None),
    ],
)
def test_accounts_that_were_not_scored_say_why(lake: Store, name: str, status: str, issues: tuple[str, ...], excluded: str | None) -> None:
    found = facts_of(lake, name)
    assert (found.status, found.issues, found.excluded) == (status, issues, excluded)
    assert (found.points, found.band, found.flagged, found.contributions) == (None, None, None, None)


def test_place_on_the_review_list(lake: Store) -> None:
    found = facts_of(lake, report=report_of(lake, "A0", "A1"))
    assert found.item is not None
    assert (found.item.rank, found.list_known, found.categories) == (2, True, found.item.categories)
    other = facts_of(lake, report=report_of(lake, "A0"))
    assert (other.item, other.list_known, other.notes) == (None, True, ())


def test_the_review_list_of_other_predictions_is_not_shown(lake: Store) -> None:
    report = report_of(lake, "A1")
    later = msgspec.structs.replace(report, series=(msgspec.structs.replace(report.series[0], predictions="others"),))
    for unusable in (None, later, msgspec.structs.replace(report, shown_date=DATES[0])):
        found = facts_of(lake, report=unusable)
        assert (found.item, found.list_known) == (None, False)
        assert found.notes == (
            "The place on the review list is not known: the morning report of the date is missing or older than its scores.",
        )


def test_replaced_features_are_not_read(own_lake: Store) -> None:
    write_features(own_lake, DATE, [account("B"), account("A1", 70.0)])
    found = facts_of(own_lake, report=report_of(own_lake, "A1"))
    assert (found.account, found.points, found.contributions, found.exposure) == (None, facts_of(own_lake, date=DATE).points, None, None)
    assert found.notes[0].startswith("curated/accounts_2026-01-09_features.parquet is not the one that was scored")
    assert found.comparison is not None
    assert found.comparison.note == "The features of one of the dates are not those that were scored."


def test_replaced_features_of_the_other_date(own_lake: Store) -> None:
    write_features(own_lake, DATES[2], [account("B"), account("A1", 70.0)])
    compared = facts_of(own_lake).comparison
    assert compared is not None
    assert (compared.features, compared.note) == ((), "The features of one of the dates are not those that were scored.")


def test_an_index_that_does_not_match_the_features(lake: Store) -> None:
    with pytest.raises(
        LakeError, match=r"the index of accounts of 2026-01-09 does not match curated/.*\. Run the date: risk run 2026-01-09"
    ):
        read_accounts(lake, DATE, KEY, lambda *_: [IndexedAccount(0, 0.1, 500, 0)])


def test_another_stored_score_has_a_note(lake: Store) -> None:
    true = facts_of(lake)

    def find(store: Store, date: str, key: int) -> list[IndexedAccount]:
        return [msgspec.convert({"row": 1, "probability": true.probability, "points": 1, "prediction": 1}, IndexedAccount)]

    (found,) = read_accounts(lake, DATE, KEY, find).accounts
    assert found.points == 1
    assert "risk replay 2026-01-09" in found.notes[0]
    assert true.notes[:-1] == ()


def test_two_ids_with_one_key(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [facts_of(lake, name) for name in ("A0", "A1")]
    monkeypatch.setattr("risk_assets.lake.account_pages.account_key", lambda _: KEY)

    def find(store: Store, date: str, key: int) -> list[IndexedAccount]:
        rows = read_table(store, layout.predictions(date)).select("probability", "points", "prediction").collect().head(2)
        return [IndexedAccount(row=at, **row) for at, row in enumerate(rows.iter_rows(named=True))]

    assert list(read_accounts(lake, DATE, KEY, find).accounts) == alone


def test_a_repeated_id_is_shown_twice(own_lake: Store) -> None:
    score_dates(own_lake, {DATE: [account("A1", issues="account_id: repeated"), account("A1", issues="account_id: repeated")]})
    found = read_accounts(own_lake, DATE, KEY, find).accounts
    assert [(each.account, each.issues) for each in found] == [("A1", ("account_id: repeated",))] * 2


def test_of_many_rows_with_one_id_the_first_are_shown(own_lake: Store) -> None:
    score_dates(own_lake, {date: [account("A1", issues="account_id: repeated")] * 9 for date in DATES[3:]})
    found = read_accounts(own_lake, DATE, KEY, find)
    assert (found.rows, len(found.accounts)) == (9, 5)


def test_an_account_that_the_date_does_not_have(lake: Store) -> None:
    assert read_accounts(lake, DATE, account_key("nobody"), find) == AccountsOfKey(DATE, key_text(account_key("nobody")), 0, ())


def test_the_id_of_a_key(own_lake: Store) -> None:
    assert find_account_id(own_lake, DATE, KEY, find) == "A1"
    assert find_account_id(own_lake, DATE, account_key("nobody"), find) is None
    write_features(own_lake, DATE, [account("B"), account("A1", 70.0)])
    assert find_account_id(own_lake, DATE, KEY, find) is None


def test_a_date_that_was_not_scored(lake: Store) -> None:
    with pytest.raises(LakeError, match=r"accounts_2025-01-01_predictions\.csv is not in the lake"):
        read_accounts(lake, "2025-01-01", KEY, find)


def test_predictions_without_a_policy(own_lake: Store) -> None:
    manifest = require_manifest(own_lake, layout.predictions(DATE))
    write_manifest(own_lake, msgspec.structs.replace(manifest, made_from=msgspec.structs.replace(manifest.made_from, policy=None)))
    with pytest.raises(LakeError, match=r"manifest\.json has no version or no policy\. Run the date"):
        facts_of(own_lake)


def test_versions_of_a_challenge_are_drawn_by_group(disk_store: Store) -> None:
    store = disk_store
    names = [registry.register(store, small_model(), f"run-{at}").name for at in (1, 2)]
    registry.bind(store, promote(binding_log.read(store), names[0], "ann", "a test", **archived(store)))
    bound = registry.bind(store, challenge(binding_log.read(store), names[1], 0.5, "salt", "ann", "a test"))
    rows = [account(f"A{at}") for at in range(8)]
    score_dates(store, {DATES[3]: rows, DATE: rows}, bound)
    stored = dict(read_table(store, layout.predictions(DATE)).select("account_id", "model_version").collect().iter_rows())
    assert set(stored.values()) == set(names)
    for name, version in stored.items():
        found = facts_of(store, name)
        assert [found.version, *(score.version for score in found.history)] == [version] * 3


def _replace_features(store: Store, date: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Write other features as if they were those that were scored."""
    path = layout.features(date)
    predictions, features = require_manifest(store, layout.predictions(date)), require_manifest(store, path)
    changed = change(read_table(store, path).collect())
    target = store.file(path)
    assert target is not None
    target.unlink()
    changed.write_parquet(target)
    content = store.content(path)
    replaced = msgspec.structs.replace(features, parts={path: content.bytes}, sha256={path: content.sha256}, columns=tuple(changed.columns))
    write_manifest(store, replaced)
    made_from = msgspec.structs.replace(predictions.made_from, inputs={path: replaced.identity})
    write_manifest(store, msgspec.structs.replace(predictions, made_from=made_from))
