"""Tables of outcomes and states in the lake: pure functions of what is stored, on disk and on Azurite."""

from collections.abc import Mapping, Sequence
from datetime import time
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from risk_assets.clock import Calendar
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import outcomes_digest, values_digest
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake import layout, manifests, raw
from risk_assets.lake.facts import AccountStateFacts, FeatureFacts, OutcomeFacts
from risk_assets.lake.landed_parts import OwnParts
from risk_assets.lake.landing import find
from risk_assets.lake.manifests import Manifest, Provenance, find_manifest
from risk_assets.lake.outcome_tables import (
    dates_to_carry,
    matured_outcomes,
    outcome_table,
    outdated_outcomes,
    outdated_states,
    state_at_end,
    state_table,
    states_to_carry,
)
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, write_table

DATE = "2026-01-02"
MONDAYS_TO_FRIDAYS = Calendar(ZoneInfo("Europe/Berlin"), time(2), time(6), frozenset(range(5)))
LANDED_TARGET = "{column: defaulted, bad: 1, good: 0, matures_after_days: 30, known_at: since}"
TEXT = f"""
id: id
target: {LANDED_TARGET}
features:
  days: {{type: number, reason: Days}}
"""
LANDED = Contract.parse(TEXT, "contract.yml")
RULE = "{derived: {bad_when: {column: days, at_least: 90}, within_days: 2, when_gone: unknown}}"
DERIVED = Contract.parse(TEXT.replace(LANDED_TARGET, RULE), "contract.yml")
FRIDAY, MONDAY, TUESDAY = "2026-01-09", "2026-01-12", "2026-01-13"
Rows = list[tuple[str, int | None, str, int]]


def land(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch, content: str, now: str) -> None:
    """Land and store outcomes at an instant."""
    monkeypatch.setattr(manifests, "utc_now", lambda: now)
    landing.put(f"outcomes_{DATE}.csv", content.encode())
    raw.ingest(OwnParts(store, find(landing, "outcomes", DATE, ("id",))), layout.outcomes(DATE), Provenance(run_id="run"))


def write(store: Store, contract: Contract, date: str = DATE, today: str = "2026-03-01") -> Manifest:
    table = outcome_table(store, contract, MONDAYS_TO_FRIDAYS, date, "run", today)
    return write_table(store, layout.curated_outcomes(date), table)


def rows(store: Store, date: str = DATE) -> Rows:
    table = read_table(store, layout.curated_outcomes(date))
    return table.select("account_id", "bad", pl.col("known_on").dt.to_string("%Y-%m-%d"), "revision").collect().rows()


def test_outcomes_of_all_revisions(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    land(store, landing, monkeypatch, "id,defaulted,since\na,1,2026-02-14\nb,0,\nc,0,soon\n", "2026-02-20T12:00:00+00:00")
    first = write(store, LANDED)
    assert rows(store) == [("a", 1, "2026-02-14", 1), ("b", 0, "2026-02-01", 1), ("c", 0, "2026-02-01", 1)]
    assert first.facts == OutcomeFacts(
        labelled=3, bad=1, restated=0, revisions=1, known_on="2026-02-14", missing_known_at=1, unreadable_known_at=1
    )
    assert outdated_outcomes(store, LANDED, [DATE]) == ()
    # 23:30 UTC is the next day in Berlin
    land(store, landing, monkeypatch, "id,defaulted,since\na,0,\nb,0,\n", "2026-03-10T23:30:00+00:00")
    assert outdated_outcomes(store, LANDED, [DATE]) == (DATE,)
    second = write(store, LANDED)
    assert rows(store)[3:] == [("a", 0, "2026-03-11", 2), ("c", None, "2026-03-11", 2)]
    assert set(second.made_from.inputs) == {layout.outcomes(DATE), layout.revision(layout.outcomes(DATE), 1)}
    store.delete(layout.manifest(layout.curated_outcomes(DATE)))
    assert write(store, LANDED).sha256 == second.sha256
    assert outdated_outcomes(store, LANDED, [DATE]) == ()
    other = Contract.parse(TEXT.replace("matures_after_days: 30", "matures_after_days: 60"), "contract.yml")
    assert outdated_outcomes(store, other, [DATE, "2026-01-03"]) == (DATE,)


def test_outcomes_that_land_again_after_others_are_outdated(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = "id,defaulted,since\na,1,\n", "id,defaulted,since\na,0,\n"
    land(store, landing, monkeypatch, first, "2026-02-20T12:00:00+00:00")
    write(store, LANDED)
    for day, content in (("10", other), ("11", first)):
        land(store, landing, monkeypatch, content, f"2026-03-{day}T12:00:00+00:00")
        assert outdated_outcomes(store, LANDED, [DATE]) == (DATE,)
    write(store, LANDED)
    assert [(bad, known_on) for _, bad, known_on, _ in rows(store)] == [(1, "2026-02-01"), (0, "2026-03-10"), (1, "2026-03-11")]


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_a_damaged_file_that_is_restored_is_no_revision(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path, corrected = layout.outcomes(DATE), "id,defaulted,since\na,0,\n"
    land(store, landing, monkeypatch, "id,defaulted,since\na,1,\n", "2026-02-20T12:00:00+00:00")
    land(store, landing, monkeypatch, corrected, "2026-03-10T12:00:00+00:00")
    before = write(store, LANDED)
    if damage == "changed":
        store.put(path, store.get(path).replace(b"a,0", b"a,1"))
    else:
        store.delete(path)
    land(store, landing, monkeypatch, corrected, "2026-05-10T12:00:00+00:00")
    assert store.get(path) == corrected.encode()
    assert write(store, LANDED).facts == before.facts
    assert rows(store) == [("a", 1, "2026-02-01", 1), ("a", 0, "2026-03-10", 2)]


def test_an_earlier_file_without_the_target_gave_no_labels(store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    land(store, landing, monkeypatch, "id,other\na,1\n", "2026-03-01T12:00:00+00:00")
    with pytest.raises(
        ContractError, match=f"no column defaulted, since in raw/outcomes_{DATE}.csv. Fix .* target.column and target.known_at"
    ):
        write(store, LANDED)
    land(store, landing, monkeypatch, "id,defaulted\na,1\n", "2026-03-02T12:00:00+00:00")
    land(store, landing, monkeypatch, "id,defaulted,since\na,1,\nb,0,\n", "2026-03-03T12:00:00+00:00")
    write(store, LANDED)
    assert rows(store) == [("a", 1, "2026-02-01", 1), ("b", 0, "2026-03-03", 2)]


@pytest.mark.parametrize("lost", ["content", "manifest"])
def test_labels_of_a_lost_file_are_known_when_the_next_was_stored(
    store: Store, landing: Store, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    for content, now in (
        ("id,defaulted,since\na,1,\n", "2026-03-02T12:00:00+00:00"),
        ("id,defaulted,since\na,1,\n\n", "2026-03-03T12:00:00+00:00"),
    ):
        land(store, landing, monkeypatch, content, now)
    (kept,) = store.list("raw/superseded/")
    if lost == "content":
        store.delete(kept)
    else:
        store.put(layout.manifest(layout.revision(layout.outcomes(DATE), 1)), b"{")
    write(store, LANDED)
    assert rows(store) == [("a", 1, "2026-03-03", 2)]


# --- derived -----------------------------------------------------------------------------------------------------------


def put_features(store: Store, date: str, days: Mapping[str, float | None]) -> None:
    """Store checked features of a date."""
    frame = pl.LazyFrame(
        {"account_id": list(days), "days": list(days.values()), "group": list(days), "excluded": None, "issues": None},
        schema={"account_id": pl.String, "days": pl.Float64, "group": pl.String, "excluded": pl.String, "issues": pl.String},
    )
    made_from = Provenance(run_id="run", contract_values=values_digest(DERIVED))
    write_table(store, layout.features(date), Table(frame, FeatureFacts, tuple(feature_facts(DERIVED)), made_from))


def carry(store: Store, dates: Sequence[str]) -> None:
    for date in dates:
        write_table(store, layout.account_states(date), state_table(store, DERIVED, date, "run"))


@pytest.fixture
def week(store: Store) -> Store:
    """A lake with features of a Friday, a Monday and a Tuesday."""
    put_features(store, FRIDAY, {"a": 0, "b": 0, "c": 0})
    put_features(store, MONDAY, {"a": 0, "b": 95})
    put_features(store, TUESDAY, {"a": 91, "b": 0})
    return store


def test_states_are_carried_over_a_weekend(week: Store) -> None:
    assert dates_to_carry(week, DERIVED, TUESDAY) == (FRIDAY, MONDAY, TUESDAY)
    with pytest.raises(LakeError, match=f"account_states_{FRIDAY}.parquet is not in the lake.*risk outcomes {FRIDAY}"):
        state_table(week, DERIVED, MONDAY, "run")
    carry(week, (FRIDAY, MONDAY))
    assert dates_to_carry(week, DERIVED, TUESDAY) == (TUESDAY,)
    carry(week, (TUESDAY,))
    assert dates_to_carry(week, DERIVED, TUESDAY) == ()
    manifest = find_manifest(week, layout.account_states(TUESDAY))
    assert manifest is not None and manifest.facts == AccountStateFacts(seen=2, bad=1, became_bad=1, dates=3)
    assert set(manifest.made_from.inputs) == {layout.features(TUESDAY), layout.account_states(MONDAY)}


def test_a_date_that_is_run_late_makes_later_states_outdated(week: Store) -> None:
    carry(week, (FRIDAY, MONDAY, TUESDAY))
    put_features(week, "2026-01-10", {"a": 95})
    assert dates_to_carry(week, DERIVED, TUESDAY) == ("2026-01-10", MONDAY, TUESDAY)
    carry(week, ("2026-01-10",))
    assert dates_to_carry(week, DERIVED, TUESDAY) == (MONDAY, TUESDAY)
    other = Contract.model_validate(
        DERIVED.model_dump() | {"target": {"derived": {**DERIVED.target.model_dump()["derived"], "within_days": 9}}}
    )
    assert dates_to_carry(week, other, TUESDAY) == (MONDAY, TUESDAY)


def carried(store: Store, since: str) -> list[str]:
    """Carry the states that have to be, one after the other, and return their dates."""
    found = []
    for date in states_to_carry(store, DERIVED, since, "2026-01-14"):
        carry(store, [date])
        found.append(date)
    return found


def test_corrected_accounts_make_states_outdated_until_they_no_longer_change(week: Store) -> None:
    put_features(week, "2026-01-14", {"a": 0, "b": 0})
    assert carried(week, FRIDAY) == [FRIDAY, MONDAY, TUESDAY, "2026-01-14"]
    assert outdated_states(week, FRIDAY, "2026-01-14") == ()
    put_features(week, MONDAY, {"a": 95, "b": 95})
    assert dates_to_carry(week, DERIVED, "2026-01-14") == ()
    assert outdated_states(week, FRIDAY, "2026-01-14") == (MONDAY,)
    assert outdated_states(week, TUESDAY, "2026-01-14") == () and carried(week, TUESDAY) == []
    # on Tuesday, a is in a new time of being bad, which began on Monday; on the 14th the states differ by that as well
    assert carried(week, FRIDAY) == [MONDAY, TUESDAY, "2026-01-14"]
    put_features(week, MONDAY, {"a": 96, "b": 96})
    assert carried(week, FRIDAY) == [MONDAY]
    assert outdated_states(week, FRIDAY, "2026-01-14") == () and carried(week, FRIDAY) == []


def test_derived_outcomes_of_a_weekend(week: Store) -> None:
    carry(week, (FRIDAY, MONDAY, TUESDAY))
    # 11 January is a Sunday: the newest states not after it are those of Friday
    assert state_at_end(week, DERIVED, MONDAYS_TO_FRIDAYS, FRIDAY) == FRIDAY
    assert matured_outcomes(week, DERIVED, MONDAYS_TO_FRIDAYS, TUESDAY) == [(FRIDAY, FRIDAY)]
    every_day = Calendar(ZoneInfo("UTC"), time(2), time(6), frozenset(range(7)))
    with pytest.raises(LakeError, match=r"mature on 2026-01-11, and 2026-01-11 has no features.*risk run 2026-01-11.*risk outcomes"):
        state_at_end(week, DERIVED, every_day, FRIDAY)
    assert matured_outcomes(week, DERIVED, every_day, TUESDAY) == []


def test_derived_outcomes_are_written_once_and_restated_if_run_again(week: Store) -> None:
    put_features(week, "2026-01-14", {"a": 0, "b": 0})
    dates = (FRIDAY, MONDAY, TUESDAY, "2026-01-14")
    carry(week, dates)
    first = write(week, DERIVED, MONDAY)
    assert rows(week, MONDAY) == [("a", 1, "2026-01-14", 1), ("b", 0, "2026-01-14", 1)]
    assert matured_outcomes(week, DERIVED, MONDAYS_TO_FRIDAYS, "2026-01-14") == [(FRIDAY, FRIDAY)]
    assert write(week, DERIVED, MONDAY).sha256 == first.sha256
    put_features(week, TUESDAY, {"a": 0, "b": 0})  # corrected
    assert outdated_outcomes(week, DERIVED, [MONDAY]) == ()
    carry(week, dates[2:])
    assert outdated_outcomes(week, DERIVED, [MONDAY]) == (MONDAY,)
    second = write(week, DERIVED, MONDAY, today="2026-02-03")
    assert outdated_outcomes(week, DERIVED, [MONDAY]) == ()
    assert rows(week, MONDAY)[2:] == [("a", 0, "2026-02-03", 2)]
    assert second.facts_as(OutcomeFacts).revisions == 2
    assert write(week, DERIVED, MONDAY, today="2026-02-04").sha256 == second.sha256


def test_another_rule_keeps_the_dates_of_restatements(week: Store) -> None:
    put_features(week, "2026-01-14", {"a": 0, "b": 0})
    dates = (FRIDAY, MONDAY, TUESDAY, "2026-01-14")
    carry(week, dates)
    write(week, DERIVED, MONDAY)
    put_features(week, TUESDAY, {"a": 0, "b": 0})  # corrected
    carry(week, dates[2:])
    write(week, DERIVED, MONDAY, today="2026-02-03")
    other = Contract.parse(TEXT.replace(LANDED_TARGET, RULE.replace("unknown", "good")), "contract.yml")
    write(week, other, MONDAY, today="2026-03-01")
    assert rows(week, MONDAY) == [("a", 0, "2026-02-03", 1), ("b", 0, "2026-01-14", 1)]


def test_features_are_no_part_of_the_rule_of_outcomes() -> None:
    text = TEXT.replace(LANDED_TARGET, RULE)
    other = Contract.parse(text.replace("reason: Days", "min: -100, reason: Days"), "contract.yml")
    assert outcomes_digest(other) == outcomes_digest(DERIVED)


def test_damaged_restated_outcomes_are_not_derived_again(week: Store) -> None:
    put_features(week, "2026-01-14", {"a": 0, "b": 0})
    dates = (FRIDAY, MONDAY, TUESDAY, "2026-01-14")
    carry(week, dates)
    first = write(week, DERIVED, MONDAY)
    week.put(first.path, b"damaged")
    assert write(week, DERIVED, MONDAY).sha256 == first.sha256
    put_features(week, TUESDAY, {"a": 0, "b": 0})  # corrected
    carry(week, dates[2:])
    write(week, DERIVED, MONDAY, today="2026-02-03")
    week.put(first.path, b"damaged")
    with pytest.raises(LakeError, match=f"{first.path} was changed, and it has the dates of restated outcomes. Restore"):
        write(week, DERIVED, MONDAY)


def test_states_need_a_rule(week: Store) -> None:
    with pytest.raises(LakeError, match="does not derive outcomes"):
        state_table(week, LANDED, FRIDAY, "run")
