"""The rule for the text of cells gives the same result for polars columns as for single texts."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.text import WHITESPACE, normalize_level, strip_cell
from risk_assets.domain.ingest.text import normalize_levels, strip_cells

# pairs that newer versions of Unicode compose
NEW_PAIRS = ["\U00016d67\U00016d67", "\U000105d2\u0307", "\U00011382\U000113c9", "\u0897\u0323"]
marks = st.sampled_from([*WHITESPACE, *"ab\xe9\u0301\u0323\u1112\u1161\u11ab\u200b\ufeff\u212b", *NEW_PAIRS])
texts = st.one_of(st.text(), st.lists(marks, max_size=5).map("".join))


@settings(deadline=None)
@given(st.lists(st.none() | texts, max_size=20))
def test_columns_give_the_same_result_as_single_texts(cells: list[str | None]) -> None:
    frame = pl.LazyFrame({"cell": cells}, schema={"cell": pl.String})
    found = frame.select(ids=strip_cells(pl.col("cell")), levels=normalize_levels(pl.col("cell"))).collect(engine="streaming")
    assert found["ids"].to_list() == [None if cell is None else strip_cell(cell) for cell in cells]
    assert found["levels"].to_list() == [None if cell is None else normalize_level(cell) for cell in cells]


def test_each_batch_of_a_long_column_is_normalised() -> None:
    rows = 250_000
    cells = pl.LazyFrame().select(cell=pl.when(pl.int_range(rows) % 99_991 == 7).then(pl.lit("e\u0301 ")).otherwise(pl.lit("e")))
    found = cells.select(normalize_levels(pl.col("cell"))).collect(engine="streaming").to_series()
    assert (found == "\xe9").arg_true().to_list() == [7, 99_998, 199_989]
    assert found.n_unique() == 2
