"""The data of a date in its morning report: arrival, rows, issues by column, and the features that moved."""

from risk_assets.clock import date_range, shift
from risk_assets.domain.contract.column_names import reason_text
from risk_assets.domain.monitoring.report import Drift, DriftReport
from risk_assets.domain.morning.facts import RANGE_DAYS, DataFacts, MovedFeature
from risk_assets.domain.morning.issues import column_issues
from risk_assets.domain.morning.ranges import normal_counts
from risk_assets.lake import drift_files, layout
from risk_assets.lake.facts import FeatureFacts
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.morning_night import NightReader
from risk_assets.lake.notes import Notes
from risk_assets.lake.store import Store

SHOWN_FEATURES = 10


def data_facts(store: Store, night: NightReader, shown: str | None, notes: Notes) -> DataFacts:
    """Return what is known of the data of a date; without a drift report of its own, the features that moved are the shown date's."""
    features, earlier = _checked(store, night), _earlier(store, night.date)
    facts = features.facts_as(FeatureFacts) if features else None
    rows = night.raw.rows if night.raw else features.rows if features else None
    drift = notes.attempt("features that moved", lambda: drift_files.read(store, shown).report) if shown else None
    return DataFacts(
        deadline=night.deadline,
        arrived_at=night.arrived_at,
        stored_at=night.stored_at,
        rows=rows,
        normal_rows=normal_counts([manifest.rows for manifest in earlier]),
        with_issues=facts.with_issues if facts else None,
        not_eligible=facts.not_eligible if facts else None,
        not_eligible_reasons=facts.excluded_counts if facts else {},
        issues=column_issues(facts.issue_counts, [found.facts_as(FeatureFacts).issue_counts for found in earlier]) if facts else (),
        moved=_moved(drift) if drift else (),
        moved_on=drift.date if drift else None,
        score_beyond=tuple(drift.score.exceeded) if drift else (),
        not_checked=None if facts else night.last_error,
    )


def _checked(store: Store, night: NightReader) -> Manifest | None:
    """Return the manifest of the date's features; None if there are none, or they were made from an earlier file."""
    found = _features(store, night.date)
    is_older = found and night.raw and found.made_from.inputs.get(night.raw.path) != night.raw.identity
    return None if is_older else found


def _earlier(store: Store, date: str) -> list[Manifest]:
    dates = date_range(shift(date, -RANGE_DAYS), shift(date, -1))
    return [found for day in dates if (found := _features(store, day))]


def _features(store: Store, date: str) -> Manifest | None:
    found = find_readable(store, layout.features(date))
    return found if found and isinstance(found.facts, FeatureFacts) else None


def _moved(report: DriftReport) -> tuple[MovedFeature, ...]:
    """Return the features with the largest shifts of the mean score, and all that are beyond a limit."""
    ranked = sorted(report.features, key=lambda drift: -abs(drift.points or 0.0))
    return tuple(_feature(drift) for at, drift in enumerate(ranked) if at < SHOWN_FEATURES or drift.exceeded)


def _feature(drift: Drift) -> MovedFeature:
    return MovedFeature(drift.name, reason_text(drift.name), drift.points, drift.psi.value, drift.psi.limit, tuple(drift.exceeded))
