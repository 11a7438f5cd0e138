"""Blocking checks that a person releases for one run, by run tags: who, which and why end up in the manifest and the run log."""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from risk_assets.defs.checks import BLOCKING
from risk_assets.errors import RiskError
from risk_assets.lake.manifests import Release

UNUSED = "the check passed: nothing was released"
CHECKS_TAG, BY_TAG, REASON_TAG = "risk/release", "risk/release_by", "risk/release_reason"
NOT_RELEASABLE = "required_columns"
RELEASABLE = BLOCKING - {NOT_RELEASABLE}


def release_tags(checks: Sequence[str], by: str, reason: str | None) -> dict[str, str]:
    """Return the run tags that release blocking checks.

    Raises
    ------
    RiskError
        If a check is unknown, does not block or cannot be released, or the person or the reason is missing.
    """
    if not checks:
        return {}
    tags = {CHECKS_TAG: ",".join(dict.fromkeys(checks)), BY_TAG: by, REASON_TAG: reason or ""}
    releases(tags)
    return tags


def releases(tags: Mapping[str, str]) -> tuple[Release, ...]:
    """Return the releases of a run from its tags; raises `RiskError` as of `release_tags`."""
    if CHECKS_TAG not in tags:
        return ()
    checks = [check.strip() for check in tags[CHECKS_TAG].split(",") if check.strip()]
    by, reason = tags.get(BY_TAG, "").strip(), tags.get(REASON_TAG, "").strip()
    if NOT_RELEASABLE in checks:
        raise RiskError(
            f"{NOT_RELEASABLE} cannot be released: no feature is computed from a column that is not there. "
            "Land the complete file, or remove the column from the contract."
        )
    unknown = [check for check in checks if check not in RELEASABLE]
    if unknown or not checks:
        raise RiskError(f"{', '.join(unknown) or 'an empty name'} is not a blocking check. Release one of {', '.join(sorted(RELEASABLE))}.")
    if not by:
        raise RiskError(f"a release requires the person who releases. Give the name with --by, in the UI with the run tag {BY_TAG}.")
    if not reason:
        raise RiskError(
            f"a release requires a reason. Give one with --reason, in the UI with the run tag {REASON_TAG}: "
            "it is stored in the run log and the manifest."
        )
    return tuple(Release(check, by, reason) for check in checks)


def releases_in_effect(tags: Mapping[str, str], passed: Collection[str]) -> tuple[Release, ...]:
    """Return the releases of a run whose checks did not pass; a check that is not evaluated yet may still fail."""
    return tuple(release for release in releases(tags) if release.check not in passed)


def unused_releases(tags: Mapping[str, str], passed: Collection[str]) -> tuple[str, ...]:
    """Return a note for each release of a run that released nothing."""
    return tuple(f"{release.check}: {UNUSED}" for release in _valid_releases(tags) if release.check in passed)


def releases_text(tags: Mapping[str, str], passed: Collection[str]) -> str | None:
    """Return the releases of a run for the run log, with a note if the check passed; None if there are none or they are not valid."""
    notes = {True: f" ({UNUSED})", False: ""}
    texts = (f"{release.check} by {release.by}: {release.reason}{notes[release.check in passed]}" for release in _valid_releases(tags))
    return "; ".join(texts) or None


def released(result: dg.AssetCheckResult, name: str, tags: Mapping[str, str]) -> dg.AssetCheckResult:
    """Return a check's result, as a warning if the check failed and was released; with a note if there was nothing to release.

    Raises `RiskError` if the release is not valid, as of `release_tags`.
    """
    release = next((release for release in releases(tags) if release.check == name), None)
    if release is None:
        return result
    if result.passed:
        return result._replace(description=f"{result.description}. {UNUSED[0].upper()}{UNUSED[1:]}.")
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**(result.metadata or {}), "released_by": release.by, "release_reason": release.reason},
        description=f"{_sentence(result.description)} Released by {release.by}: {release.reason}",
    )


def _valid_releases(tags: Mapping[str, str]) -> tuple[Release, ...]:
    """Return the releases of a run; none if they are not valid, which is the run's error."""
    try:
        return releases(tags)
    except RiskError:
        return ()


def _sentence(text: str | None) -> str:
    return f"{(text or 'failed').rstrip('.')}."
