"""The simulated bank of `risk demo`, and the files that land in it."""

from collections.abc import Iterator
from datetime import date, timedelta

from risk_assets.simulation.bank import Bank
from risk_assets.simulation.files import Definition, landing_files

DEFINITION = Definition(days_past_due=30, within_days=60)  # as in the target of data/bank/contract.yml
BANK = Bank(accounts=3200, start=date(2025, 9, 3), seed=3)
LABELLED = tuple(BANK.start + timedelta(weeks=week) for week in range(12))  # to 2025-11-19
LAST = date(2026, 1, 28)
UNLABELLED = tuple(LAST - timedelta(days=back) for back in range(6, -1, -1))


def demo_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every landing file.

    Twelve weekly snapshots have matured outcomes: those of the last one are known on 2026-01-18. The last seven days have
    daily snapshots, whose outcomes are not known yet.
    """
    return landing_files(BANK, {*LABELLED, *UNLABELLED}, LAST, DEFINITION)
