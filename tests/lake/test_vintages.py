"""Vintages: the accounts that went bad before the window ends, by age, next to an earlier cohort, on disk and on Azurite."""

from collections.abc import Mapping

import polars as pl
import pytest

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.domain.ingest.validation import feature_facts
from risk_assets.domain.monitoring.performance_evidence import vintage_table
from risk_assets.domain.monitoring.performance_report import Cohort, VintagePoint
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts, PredictionFacts
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.outcome_tables import state_table
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, write_table
from risk_assets.lake.vintages import ages, next_age_on, vintage

TEXT = """
id: id
target: {derived: {bad_when: {column: days, at_least: 90}, within_days: 60, when_gone: good}}
features:
  days: {type: number, reason: Days}
"""
CONTRACT = Contract.parse(TEXT, "contract.yml")
EARLIER, DATE = "2026-01-05", "2026-01-12"
BECAME_BAD = {"a": 9, "b": 13, "c": 30}  # days after the earlier date
IDS = ("a", "b", "c", "d", "e")


def put_day(store: Store, date: str, days: Mapping[str, float]) -> None:
    """Store the features and the states of a date."""
    columns = {"account_id": pl.String, "days": pl.Float64, "group": pl.String, "excluded": pl.String, "issues": pl.String}
    data = {"account_id": list(days), "days": list(days.values()), "group": list(days), "excluded": None, "issues": None}
    made_from = Provenance(run_id="run", contract_values=values_digest(CONTRACT))
    frame = pl.LazyFrame(data, schema=columns)
    write_table(store, layout.features(date), Table(frame, FeatureFacts, tuple(feature_facts(CONTRACT)), made_from))
    write_table(store, layout.account_states(date), state_table(store, CONTRACT, date, "run"))


def put_predictions(store: Store, date: str) -> None:
    """Store the predictions of a date; the last account was not scored."""
    counts = dict.fromkeys(("scored", "with_issues", "not_eligible", "predicted_bad", "challenger_scored"), 0)
    means = dict.fromkeys(("min_score", "mean_score", "max_score", "challenger_mean_score"), 0.1)
    facts = (pl.len().alias("rows"), *(pl.lit(value).alias(name) for name, value in (counts | means | {"histogram.00": 0}).items()))
    frame = pl.LazyFrame({"account_id": IDS, "probability": [0.1, 0.1, 0.1, 0.1, None]})
    write_table(store, layout.predictions(date), Table(frame, PredictionFacts, facts, Provenance(run_id="run")))


@pytest.fixture
def cohorts(store: Store) -> Store:
    """A lake with two scored dates and the states of 28 days."""
    for day, date in enumerate(date_range(EARLIER, shift(EARLIER, 28))):
        put_day(store, date, {account: 95.0 if BECAME_BAD.get(account, 99) == day else 0.0 for account in IDS})
    for date in (EARLIER, DATE):
        put_predictions(store, date)
    return store


def test_bads_so_far_are_compared_at_the_same_age(cohorts: Store) -> None:
    found = vintage(cohorts, DATE, EARLIER, CONTRACT, "2026-01-30")
    assert found and found.earlier == EARLIER
    assert found.points == (VintagePoint(7, Cohort(4, 2), Cohort(4, 0)), VintagePoint(14, Cohort(4, 2), Cohort(4, 2)))
    assert vintage_table(found).splitlines()[2] == "| 7 | 4 | 2 (50.00%) | 0 (0.00%) |"


def test_only_days_that_have_passed_and_have_states_count(cohorts: Store) -> None:
    alone = vintage(cohorts, DATE, None, CONTRACT, "2026-01-20")
    assert alone and [(point.days, point.earlier) for point in alone.points] == [(7, None)]
    assert vintage_table(alone).splitlines()[0] == "| days since the snapshot | accounts | bad so far |"
    assert vintage(cohorts, DATE, EARLIER, CONTRACT, "2026-01-18") is None
    cohorts.delete(layout.manifest(layout.account_states("2026-01-19")))
    late = vintage(cohorts, DATE, EARLIER, CONTRACT, "2026-03-01")
    assert late and [point.days for point in late.points] == [14, 21]


def test_landed_outcomes_have_no_vintage(cohorts: Store) -> None:
    landed = Contract.parse(TEXT.replace(TEXT.splitlines()[2], "target: {column: t, bad: 1, matures_after_days: 60}"), "contract.yml")
    assert vintage(cohorts, DATE, EARLIER, landed, "2026-03-01") is None


def test_states_of_another_rule_are_left_out(cohorts: Store) -> None:
    other = Contract.parse(TEXT.replace("at_least: 90", "at_least: 30"), "contract.yml")
    assert vintage(cohorts, DATE, EARLIER, other, "2026-03-01") is None


@pytest.mark.parametrize(("window", "expected"), [(0, ()), (7, ()), (8, (7,)), (60, (7, 14, 21, 28, 56)), (56, (7, 14, 21, 28))])
def test_ages_are_the_same_day_of_the_week(window: int, expected: tuple[int, ...]) -> None:
    assert ages(window) == expected


def test_the_next_age() -> None:
    assert next_age_on("2026-01-05", 60, "2026-01-05") == "2026-01-12"
    assert next_age_on("2026-01-05", 60, "2026-01-12") == "2026-01-19"
    assert next_age_on("2026-01-05", 60, "2026-03-02") is None
