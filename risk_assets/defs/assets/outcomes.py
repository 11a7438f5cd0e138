"""The curated zone: outcomes with the date from which each is known, and the states of accounts from which they can be derived."""

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake.outcome_tables import outcome_table, state_table
from risk_assets.lake.tables import Table


def outcomes(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> Table:
    """Which accounts of a snapshot went bad, and from when that is known; every restatement is kept with its date.

    Outcomes come from the files in raw/outcomes. If the contract derives them, they come from curated/account_states of the end
    of the performance window: then the partition can be materialized when that date has been run.
    """
    return snapshot_outcomes(lakehouse, context.partition_key, context.run.run_id)


def account_states(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> Table:
    """When each account was last seen and last bad, carried from date to date; only for contracts that derive outcomes.

    Materialize the dates in order: each one continues the newest earlier date.
    """
    return state_table(lakehouse.store, lakehouse.contract, context.partition_key, context.run.run_id)


def snapshot_outcomes(lakehouse: Lakehouse, date: str, run_id: str) -> Table:
    """Return the table of a snapshot's outcomes."""
    calendar = lakehouse.settings.calendar
    return outcome_table(lakehouse.store, lakehouse.contract, calendar, date, run_id, calendar.day(utc_now()))
