"""Whether the lake is up to date: with the files that landed, and with the contract."""

from collections.abc import Iterable, Sequence

from risk_assets.errors import LandingError
from risk_assets.lake import landing, layout, verification
from risk_assets.lake.landed_parts import LandedFile
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.parallel import in_threads
from risk_assets.lake.store import Entry, Store


def landed_versions(landed: LandedFile) -> dict[str, str]:
    """Return the version of each part of a landed file: it changes whenever the part is written."""
    return {entry.path: entry.version for entry in landed.entries}


def is_stored(lake: Store, landing: Store, parts: Sequence[Entry], path: str) -> bool:
    """Return whether landed parts are those in the lake, by the lake's manifest.

    Versions are compared first, then sizes; landed bytes are read only if both leave it open.
    """
    manifest = find_readable(lake, path)
    if manifest is None or len(manifest.parts) != len(parts):
        return False
    if {entry.path: entry.version for entry in parts} == manifest.made_from.inputs:
        return True
    if [entry.size for entry in parts] != list(manifest.parts.values()):
        return False
    return in_threads(lambda entry: landing.content(entry.path).sha256, parts) == list(manifest.sha256.values())


def changed_dates(lake: Store, landed: Store, kind: str, expected: tuple[str, ...], dates: Iterable[str]) -> tuple[str, ...]:
    """Return those dates whose landed `accounts` or `outcomes` are not the ones in the lake, or were changed there."""
    return tuple(date for date in dates if _changed(lake, landed, kind, expected, date))


def outdated_features(lake: Store, contract_values: str, dates: Iterable[str]) -> tuple[str, ...]:
    """Return those dates whose features are missing, older than their raw file, or made under another contract."""
    return tuple(date for date in dates if not _features_current(lake, contract_values, date))


def has_landed_again(lake: Store, landed: Store, kind: str, expected: tuple[str, ...], date: str) -> bool:
    """Return whether other `accounts` or `outcomes` have landed for a date than those that were stored in the lake."""
    return bool(_differs(lake, landed, kind, expected, date))


def _changed(lake: Store, landed: Store, kind: str, expected: tuple[str, ...], date: str) -> bool:
    differs = _differs(lake, landed, kind, expected, date)
    if differs is not False:
        return bool(differs)
    manifest = find_readable(lake, layout.PATHS[f"raw/{kind}"](date))
    return manifest is None or bool(verification.problems(lake, manifest))


def _differs(lake: Store, landed: Store, kind: str, expected: tuple[str, ...], date: str) -> bool | None:
    """Return whether what has landed for a date is not what was stored in the lake; None if nothing usable has landed."""
    try:
        found = landing.find(landed, kind, date, expected)
    except LandingError:
        return None
    return not is_stored(lake, landed, found.entries, layout.PATHS[f"raw/{kind}"](date))


def _features_current(lake: Store, contract_values: str, date: str) -> bool:
    raw, features = find_readable(lake, layout.accounts(date)), find_readable(lake, layout.features(date))
    if raw is None or features is None:
        return False
    from_raw = features.made_from.inputs.get(raw.path) == raw.identity
    return from_raw and features.made_from.contract_values == contract_values
