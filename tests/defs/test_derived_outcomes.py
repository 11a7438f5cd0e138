"""Outcomes that are derived from later snapshots: states are carried in order, outcomes are written when they have matured."""

import polars as pl
import pytest

from risk_assets.cli.jobs import derive, refresh
from risk_assets.clock import utc_now
from risk_assets.defs import checks
from risk_assets.defs.sensors import watch_states
from risk_assets.lake import layout, registry
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.facts import AccountStateFacts, OutcomeFacts
from risk_assets.lake.tables import read_table
from risk_assets.lake.verify import table_problems
from tests.defs.conftest import LABELLED, NEXT, Book
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


def test_outcomes_of_an_earlier_target_are_left_out_until_they_can_be_derived(deriving: Book) -> None:
    """The outcomes of the last but one date landed; the day on which they mature has no snapshot."""
    landed = LABELLED[-2]
    deriving.landing.delete(f"accounts_{NEXT}.csv")
    failed = [result for result in refresh(deriving.runner, LABELLED[0], NEXT) if result.error]
    assert [result.date for result in failed] == [landed]
    assert f"and {NEXT} has no features in the lake. Land the accounts of {NEXT} and run it (risk run {NEXT})" in str(failed[0].error)
    assert deriving.runner.run("training", NEXT, "training/model").error is None
    origin = registry.read_trained(deriving.lake, NEXT).origin
    assert (*origin.train_dates, *origin.holdout_dates) == LABELLED[:-2]
    assert layout.curated_outcomes(landed) not in origin.inputs


def correct(book: Book, date: str) -> None:
    """Land the accounts of a date again: none of them is past due."""
    header, *lines = book.landing.get(f"accounts_{date}.csv").decode().splitlines()
    at = header.split(",").index("days_past_due")
    rows = [line.split(",") for line in lines]
    book.land(f"accounts_{date}.csv", "\n".join([header, *(",".join([*row[:at], "0", *row[at + 1 :]]) for row in rows), ""]).encode())


def test_corrected_accounts_are_carried_and_restate_derived_outcomes(deriving: Book) -> None:
    corrected, trained = LABELLED[2], LABELLED[-1]
    assert all(result.error is None for result in refresh(deriving.runner, LABELLED[0], trained))
    assert refresh(deriving.runner, LABELLED[0], trained) == []
    correct(deriving, corrected)
    assert f"accounts landed again for {corrected}" in str(deriving.runner.run("training", trained, "training/model").error)
    assert deriving.runner.run("daily_scoring", corrected, "raw/accounts", "curated/features").error is None
    error = str(deriving.runner.run("training", trained, "training/model").error)
    assert f"accounts of {corrected} were corrected, and states of accounts were not carried since" in error
    assert "risk train DATE" in error and f"materialize curated/account_states of {corrected}" in error
    results = refresh(deriving.runner, corrected, trained)  # also of outcomes before the window
    assert [(result.date, result.error) for result in results] == [(date, None) for date in (*LABELLED[2:], *LABELLED[:4])]
    assert refresh(deriving.runner, LABELLED[0], trained) == []
    assert [problem for date in LABELLED[:4] for problem in table_problems(deriving.lake, layout.curated_outcomes(date))] == []
    facts = [deriving.lakehouse.manifest("curated/outcomes", date).facts_as(OutcomeFacts) for date in LABELLED[:4]]
    assert [found.revisions for found in facts] == [2, 1, 1, 1] and facts[0].restated > 0 and facts[0].known_on == utc_now()[:10]


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
