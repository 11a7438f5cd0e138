"""Commands that show whether a model is still right."""

from typing import Annotated

import typer

from risk_assets.cli import context
from risk_assets.cli.console import finish, out
from risk_assets.clock import parse_date


def monitor(
    date: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Scored date, YYYY-MM-DD. Defaults to the newest one.")] = None,
) -> None:
    """Show how far a scored date is from the training rows of the version that scored it.

    PSI, missing values, unseen levels and numbers out of range of each feature; the points by which it shifted the mean score; and
    why the number of accounts that are predicted bad changed. Figures beyond their limits are warnings: the exit code is 0.

    A report that is stored and current is shown as it is. Otherwise the job `monitoring` makes it.
    """
    from risk_assets.cli.report import monitoring as report
    from risk_assets.lake import drift_files
    from risk_assets.lake.dates import newest_date

    settings = context.settings()
    lake = settings.open_lake()
    day = parse_date(date) if date else newest_date(lake, drift_files.PREDICTIONS)
    drift_files.require_scored(lake, day)
    if not drift_files.is_current(lake, day, context.documents(settings, lake).policy.digest):
        with context.runner(settings) as runner:
            made = runner.run("monitoring", day)
        if made.error:
            finish([made])
    report.drift(out(), drift_files.read(lake, day).report)
