"""The dates and files of the prediction log of the service."""

from collections.abc import Iterator

from risk_assets.clock import is_date, utc_now
from risk_assets.lake import layout
from risk_assets.lake.store import Store


def dates(store: Store) -> Iterator[str]:
    """Yield the dates (UTC) that the log has, newest first."""
    root = layout.online_folder(layout.ONLINE_OUTPUTS, "").rstrip("/")
    for year in reversed(store.names(root)):
        for month in reversed(store.names(f"{root}/{year}")):
            found = (f"{year}-{month}-{day}" for day in reversed(store.names(f"{root}/{year}/{month}")))
            yield from filter(is_date, found)


def files(store: Store, date: str) -> tuple[str, ...]:
    """Return the files of outputs of a date (UTC), and the files of inputs whose outputs are missing."""
    outputs = store.list(layout.online_folder(layout.ONLINE_OUTPUTS, date))
    known = {layout.online_partner(path) for path in outputs}
    return (*outputs, *(path for path in store.list(layout.online_folder(layout.ONLINE_INPUTS, date)) if path not in known))


def count_files(store: Store, date: str) -> int:
    """Return the number of files of a date (UTC), of both collections."""
    return sum(len(store.list(layout.online_folder(collection, date))) for collection in (layout.ONLINE_OUTPUTS, layout.ONLINE_INPUTS))


def is_over(date: str) -> bool:
    """Return whether a date has ended in UTC, so that no further request is logged under it."""
    return utc_now()[:10] > date
