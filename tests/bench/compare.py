"""Do the product and the pandas script say the same? The largest difference between their probabilities, row for row."""

import sys

import polars as pl


def main(first: str, second: str) -> None:
    """Write the rows, those whose ids differ, and the largest difference of probability."""
    left, right = (
        pl.scan_csv(path).select(pl.col("account_id", "probability").name.prefix(f"{side}_"))
        for side, path in zip("ab", (first, second), strict=True)
    )
    both = pl.concat([left, right], how="horizontal")
    moved = (pl.col("a_account_id").ne_missing(pl.col("b_account_id"))).sum().alias("moved")
    difference = (pl.col("a_probability") - pl.col("b_probability")).abs().max().alias("difference")
    rows, odd, most = both.select(pl.len(), moved, difference).collect(engine="streaming").row(0)
    sys.stdout.write(f"{rows:,} rows, {odd:,} with another id, largest difference of probability {most:.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
