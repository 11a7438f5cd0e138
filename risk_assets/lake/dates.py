"""Which dates of an asset are in the lake."""

from risk_assets.clock import is_date, shift
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.store import Store

ANY_DATE = "YYYY-MM-DD"
DAYS_LOOKED_UP = 4  # a long weekend


def committed_dates(store: Store, key: str) -> tuple[str, ...]:
    """Return the dates of an asset in the lake, oldest first; costs one listing."""
    folder, _, name = layout.commit(key, ANY_DATE).rpartition("/")
    before, _, after = name.partition(ANY_DATE)
    found = (other.removeprefix(before).removesuffix(after) for other in store.names(folder) if other.startswith(before))
    return tuple(date for date in sorted(found) if is_date(date))


def newest_before(store: Store, key: str, date: str) -> str | None:
    """Return the newest date of an asset in the lake before a date, or None; the days just before it are looked up without a listing."""
    for back in range(1, DAYS_LOOKED_UP + 1):
        if store.size(layout.commit(key, shift(date, -back))) is not None:
            return shift(date, -back)
    return max((found for found in committed_dates(store, key) if found < date), default=None)


def newest_date(store: Store, key: str) -> str:
    """Return the newest date of an asset in the lake; raises `LakeError` if there is none."""
    dates = committed_dates(store, key)
    if not dates:
        raise LakeError(
            f"{key} is not in the lake at {store.url} for any date. Run a date first: risk run DATE, or materialize a partition in the UI."
        )
    return dates[-1]
