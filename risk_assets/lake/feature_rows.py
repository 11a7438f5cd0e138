"""Single rows of features, read from their group of rows without the rest of the table."""

from typing import TYPE_CHECKING

from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.store import Store

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Row = dict[str, float | str | None]


def read_row(store: Store, features: Manifest, position: int) -> Row:
    """Return a row of a features table by its position, from 0.

    The hash of the table is not verified, because that would read all of it; its size and the number of its rows are.

    Raises
    ------
    LakeError
        If the table is missing, is not the one of its manifest, or cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = features.path
    damaged = LakeError(f"{path} does not match its manifest. {layout.how_to_make(path)}")
    try:
        with store.reader(path) as file:
            if file.seek(0, 2) != features.bytes:
                raise damaged
            return _row(pq.ParquetFile(file, pre_buffer=True), features, position, damaged)
    except FileNotFoundError as error:
        raise LakeError(f"{path} is not in the lake at {store.url}. {layout.how_to_make(path)}") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LakeError(f"{path} cannot be read: it is damaged. {layout.how_to_make(path)}") from error


def _row(table: "pq.ParquetFile", features: Manifest, position: int, damaged: LakeError) -> Row:
    if table.metadata.num_rows != features.rows or position >= features.rows:
        raise damaged
    group, first = 0, 0
    while position >= first + (rows := table.metadata.row_group(group).num_rows):
        group, first = group + 1, first + rows
    (row,) = table.read_row_group(group, use_threads=False).slice(position - first, 1).to_pylist()
    return dict(row)
