"""Corrupted rows, as a faulty export writes them."""

from collections.abc import Sequence

import numpy as np

from risk_assets.simulation.draws import Floats

# One of these fields is overwritten, or the id repeats that of the row above.
CORRUPT_FIELDS = (("annual_income", "#VALUE!"), ("utilisation", "-1.000"), ("credit_limit", ""), ("account_id", ""))
CORRUPT_EVERY_DAYS = 3
ROWS_PER_CORRUPT_ROW = 1000
MIN_ROWS = 10  # enough rows to corrupt each kind once


def corrupt_rows(uniforms: Floats, elapsed: int) -> list[list[int]]:
    """Return the rows to corrupt, by kind: one list for each of `CORRUPT_FIELDS`, then the rows with a repeated id.

    Every third day has corrupted rows, and each kind has one row and one more for every thousand rows.

    Parameters
    ----------
    uniforms : Floats
        A draw for every row, shape (rows,): the rows with the smallest draws are corrupted.
    elapsed : int
        The day, counted from 0.
    """
    count = 1 + len(uniforms) // ROWS_PER_CORRUPT_ROW if elapsed % CORRUPT_EVERY_DAYS == CORRUPT_EVERY_DAYS - 1 else 0
    # Odd rows only: a repeated id is copied from the row above, which must stay intact.
    order = np.argsort(uniforms[1::2], kind="stable") * 2 + 1
    return [order[kind * count : (kind + 1) * count].tolist() for kind in range(len(CORRUPT_FIELDS) + 1)]


def corrupt(columns: dict[str, list[str]], rows: Sequence[Sequence[int]]) -> None:
    """Overwrite fields of the rows of each kind, from `corrupt_rows`."""
    *kinds, repeated = rows
    for (column, text), positions in zip(CORRUPT_FIELDS, kinds, strict=True):
        for position in positions:
            columns[column][position] = text
    for position in repeated:
        columns["account_id"][position] = columns["account_id"][position - 1]


def rows_without_id(rows: Sequence[Sequence[int]]) -> set[int]:
    """Return the rows whose own id is not in the snapshot: it is missing, or overwritten by that of the row above."""
    *_, missing, repeated = rows
    return {*missing, *repeated}
