"""Outcomes that are derived from later snapshots: states are carried in order, outcomes are written when they have matured."""

import polars as pl
import pytest

from risk_assets.cli.jobs import derive, refresh
from risk_assets.defs import checks
from risk_assets.defs.sensors import watch_states
from risk_assets.lake import layout, registry
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.facts import AccountStateFacts
from risk_assets.lake.tables import read_table
from tests.defs.conftest import LABELLED, Book
from tests.defs.test_stale_data import with_contract

TARGET = '  column: defaulted\n  bad: "1"\n  good: "0"\n  matures_after_days: 0\n'
RULE = "  derived: {bad_when: {column: days_past_due, at_least: 1}, within_days: 2, when_gone: unknown}\n"


@pytest.fixture
def deriving(book: Book) -> Book:
    derived = with_contract(book, (TARGET, RULE), "derived.yml")
    derived.adopt("contract")
    return derived


def listed(book: Book, zone: str) -> tuple[str, ...]:
    return committed_dates(book.lake, zone)


def test_states_and_outcomes_of_a_date(deriving: Book) -> None:
    for date in LABELLED:
        deriving.lake.delete(layout.manifest(layout.curated_outcomes(date)))
    carried, written = derive(deriving.runner, LABELLED[-1:])
    assert [result.date for result in carried] == list(LABELLED)
    assert [(result.date, result.error) for result in written] == [(LABELLED[-3], None)]
    assert listed(deriving, "curated/outcomes") == (LABELLED[-3],)
    facts = deriving.lakehouse.manifest("curated/account_states", LABELLED[-1]).facts_as(AccountStateFacts)
    assert facts.dates == 6 and facts.seen >= 297 and facts.bad >= facts.became_bad
    features = [read_table(deriving.lake, layout.features(date)).collect() for date in LABELLED]
    later = pl.concat(features[-2:]).filter(pl.col("days_past_due") >= 1)["account_id"].implode()
    outcomes = read_table(deriving.lake, layout.curated_outcomes(LABELLED[-3])).collect()
    assert outcomes["bad"].sum() == outcomes["account_id"].is_in(later).sum() > 0
    assert checks.label_coverage(deriving.lakehouse, LABELLED[-3]).passed


def test_training_on_derived_outcomes(deriving: Book) -> None:
    assert all(result.error is None for result in refresh(deriving.runner, LABELLED[0], LABELLED[-1]))
    trained = deriving.runner.run("training", LABELLED[-1], "training/model")
    origin = registry.read_trained(deriving.lake, LABELLED[-1]).origin
    assert trained.error is None and origin.matured_until == LABELLED[-3]
    assert (*origin.train_dates, *origin.holdout_dates) == LABELLED[:-2]


def test_a_date_out_of_order_names_the_date_to_run_first(deriving: Book) -> None:
    error = deriving.runner.run("account_states", LABELLED[1]).error
    assert (
        error is not None
        and f"account_states_{LABELLED[0]}.parquet is not in the lake" in error
        and f"risk outcomes {LABELLED[0]}" in error
    )


def test_outcomes_that_have_not_matured_are_an_error(deriving: Book) -> None:
    error = deriving.runner.run("outcomes", LABELLED[-1], "curated/outcomes").error
    assert error is not None and "mature on 2026-01-08, and 2026-01-08 has no features in the lake" in error


def test_files_of_outcomes_are_rejected(deriving: Book) -> None:
    error = deriving.runner.run("outcomes", LABELLED[0]).error
    assert error is not None and "no file of outcomes is read" in error and "risk outcomes DATE" in error


def requested(book: Book) -> list[tuple[str | None, str | None]]:
    """Return the jobs and dates that a tick of the sensor requests, and run them."""
    result = watch_states(book.lakehouse)
    for request in result.run_requests or ():
        only = [key.to_user_string() for key in request.asset_selection or ()]
        assert request.job_name and request.partition_key
        assert book.runner.run(request.job_name, request.partition_key, *only).error is None
    return [(request.job_name, request.partition_key) for request in result.run_requests or ()]


def test_the_sensor_carries_dates_in_order_and_writes_what_matured(deriving: Book) -> None:
    for date in LABELLED:
        deriving.lake.delete(layout.manifest(layout.curated_outcomes(date)))
    ticks = [requested(deriving) for _ in range(5)]
    states = [[("account_states", date)] for date in LABELLED]
    assert ticks == [*states[:3], [*states[3], ("outcomes", LABELLED[0])], [*states[4], ("outcomes", LABELLED[1])]]
    keys = {request.run_key for request in watch_states(deriving.lakehouse).run_requests or ()}
    assert len(keys) == 2 and keys == {request.run_key for request in watch_states(deriving.lakehouse).run_requests or ()}


def test_the_sensor_skips_contracts_with_files(book: Book) -> None:
    result = watch_states(book.lakehouse)
    assert not result.run_requests and "does not derive outcomes" in str(result.skip_reason)
