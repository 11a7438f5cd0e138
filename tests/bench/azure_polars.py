"""The least that a CSV of this size costs on a storage account: streamed from one blob to another, nothing done to the rows."""

import os
import sys

import polars as pl

from risk_assets.lake import layout


def main(lake: str, snapshot: str) -> None:
    """Copy the snapshot's raw blob through polars."""
    parts = dict(part.split("=", 1) for part in os.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if part)
    account = {"account_name": parts["AccountName"], "account_key": parts["AccountKey"], "endpoint": parts["BlobEndpoint"]}
    options = {**account, "allow_http": "true"}
    pl.scan_csv(f"{lake}/{layout.accounts(snapshot)}", storage_options=options).sink_csv(f"{lake}/polars.csv", storage_options=options)


if __name__ == "__main__":
    main(*sys.argv[1:])
