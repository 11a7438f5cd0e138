"""Four assets that do nothing and ten checks that pass, run by date as `risk run` runs the product's: what Dagster itself costs."""

import sys

import dagster as dg

from risk_assets.clock import date_range
from risk_assets.runner import QUIET, prepare_home
from risk_assets.settings import load_settings

ASSETS, CHECKS = 4, 10


class Nothing(dg.IOManager):
    """Stores nothing."""

    def handle_output(self, context: dg.OutputContext, obj: int) -> None:
        """Drop the value."""

    def load_input(self, context: dg.InputContext) -> int:
        """Return a number."""
        return 0


def definitions(first: str) -> dg.Definitions:
    """Return a chain of assets, each made from the one before."""
    daily = dg.DailyPartitionsDefinition(start_date=first)
    assets = [_asset(number, daily) for number in range(ASSETS)]
    checks = [_check(number, assets[number % ASSETS]) for number in range(CHECKS)]
    job = dg.define_asset_job("chain", selection=dg.AssetSelection.assets(*assets))
    return dg.Definitions(
        assets=assets, asset_checks=checks, jobs=[job], resources={"io_manager": Nothing()}, executor=dg.in_process_executor
    )


def _asset(number: int, daily: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    if not number:
        return dg.asset(name="asset_0", partitions_def=daily)(lambda: 0)

    @dg.asset(name=f"asset_{number}", partitions_def=daily, ins={"before": dg.AssetIn(f"asset_{number - 1}")})
    def asset(before: int) -> int:
        """Return the value of the asset before."""
        return before

    return asset


def _check(number: int, asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=f"check_{number}", blocking=number % 2 == 0)
    def check() -> dg.AssetCheckResult:
        """Pass."""
        return dg.AssetCheckResult(passed=True, metadata={"number": number})

    return check


def main(first: str, last: str) -> None:
    """Run the chain for each date."""
    prepare_home(load_settings())
    loaded = definitions(first)
    with dg.DagsterInstance.get() as instance:
        for date in date_range(first, last):
            job = loaded.resolve_job_def("chain")
            assert job.execute_in_process(instance=instance, partition_key=date, run_config=QUIET).success


if __name__ == "__main__":
    main(*sys.argv[1:])
