"""Single rows of features, read from their group of rows without the rest of the table."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.store import Store

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Row = dict[str, float | str | None]


def read_row(store: Store, features: Manifest, position: int) -> Row:
    """Return a row of a features table by its position, from 0. Of a table in parts, only the part with the row is read.

    The hash is not verified, because that would read all of it; the size of the part and the number of its rows are.

    Raises
    ------
    LakeError
        If the table is missing, is not the one of its manifest, or cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = _part_of(features, position)
    try:
        with store.reader(part.path) as file:
            if file.seek(0, 2) != features.parts[part.path]:
                raise _damaged(part.path)
            return _row(pq.ParquetFile(file, pre_buffer=True), part, position - part.first_row)
    except FileNotFoundError as error:
        raise LakeError(f"{part.path} is not in the lake at {store.url}. {layout.how_to_make(part.path)}") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LakeError(f"{part.path} cannot be read: it is damaged. {layout.how_to_make(part.path)}") from error


@dataclass(frozen=True)
class _Part:
    """A part of a table: its path, the number of its first row in the table, and its rows."""

    path: str
    first_row: int
    rows: int


def _part_of(features: Manifest, position: int) -> _Part:
    """Return the part with a row."""
    facts = features.facts
    rows = (isinstance(facts, FeatureFacts) and facts.part_rows) or (features.rows,)
    if not 0 <= position < features.rows or len(rows) != len(features.parts) or sum(rows) != features.rows:
        raise _damaged(features.path)
    ends = list(accumulate(rows))
    number = bisect_right(ends, position)
    return _Part(list(features.parts)[number], ends[number] - rows[number], rows[number])


def _row(table: "pq.ParquetFile", part: _Part, position: int) -> Row:
    if table.metadata.num_rows != part.rows:
        raise _damaged(part.path)
    group, first = 0, 0
    while position >= first + (rows := table.metadata.row_group(group).num_rows):
        group, first = group + 1, first + rows
    (row,) = table.read_row_group(group, use_threads=False).slice(position - first, 1).to_pylist()
    return dict(row)


def _damaged(path: str) -> LakeError:
    return LakeError(f"{path} does not match its manifest. {layout.how_to_make(path)}")
