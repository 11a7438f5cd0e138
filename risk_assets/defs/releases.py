"""Blocking checks that a person releases for one run, by run tags: who, which and why end up in the manifest and the run log."""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from risk_assets.defs.checks import BLOCKING
from risk_assets.errors import RiskError
from risk_assets.lake.manifests import Release

UNUSED = "the check passed: nothing was released"
CHECKS_TAG, BY_TAG, REASON_TAG = "risk/release", "risk/release_by", "risk/release_reason"


def release_tags(checks: Sequence[str], by: str, reason: str | None) -> dict[str, str]:
    """Return the run tags that release blocking checks.

    Raises
    ------
    RiskError
        If a check is unknown or does not block, or the reason is missing.
    """
    if not checks:
        return {}
    unknown = [check for check in checks if check not in BLOCKING]
    if unknown:
        raise RiskError(f"{', '.join(unknown)} is not a blocking check. Release one of {', '.join(sorted(BLOCKING))}.")
    if not reason or not reason.strip():
        raise RiskError("a release requires a reason. Give one with --reason: it is stored in the run log and the manifest.")
    return {CHECKS_TAG: ",".join(dict.fromkeys(checks)), BY_TAG: by, REASON_TAG: reason}


def releases(tags: Mapping[str, str]) -> tuple[Release, ...]:
    """Return the releases of a run from its tags."""
    checks = [check.strip() for check in tags.get(CHECKS_TAG, "").split(",") if check.strip()]
    return tuple(Release(check, tags.get(BY_TAG, "unknown"), tags.get(REASON_TAG, "no reason given")) for check in checks)


def releases_in_effect(tags: Mapping[str, str], passed: Collection[str]) -> tuple[Release, ...]:
    """Return the releases of a run whose checks did not pass; a check that is not evaluated yet may still fail."""
    return tuple(release for release in releases(tags) if release.check not in passed)


def unused_releases(tags: Mapping[str, str], passed: Collection[str]) -> tuple[str, ...]:
    """Return a note for each release of a run that released nothing."""
    return tuple(f"{release.check}: {UNUSED}" for release in releases(tags) if release.check in passed)


def releases_text(tags: Mapping[str, str], passed: Collection[str]) -> str | None:
    """Return the releases of a run for the run log, with a note if the check passed; None if there are none."""
    notes = {True: f" ({UNUSED})", False: ""}
    texts = (f"{release.check} by {release.by}: {release.reason}{notes[release.check in passed]}" for release in releases(tags))
    return "; ".join(texts) or None


def released(result: dg.AssetCheckResult, name: str, tags: Mapping[str, str]) -> dg.AssetCheckResult:
    """Return a check's result, as a warning if the check failed and was released; with a note if there was nothing to release."""
    release = next((release for release in releases(tags) if release.check == name), None)
    if release is None:
        return result
    if result.passed:
        return result._replace(description=f"{result.description}. {UNUSED[0].upper()}{UNUSED[1:]}.")
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**(result.metadata or {}), "released_by": release.by, "release_reason": release.reason},
        description=f"{result.description} Released by {release.by}: {release.reason}",
    )
