"""The series of a morning report: one entry for each of the last days, from reports that are stored and from manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import msgspec

from risk_assets.clock import Calendar, date_range, shift
from risk_assets.domain.morning.facts import SERIES_DAYS, Day, Incident, MorningReport
from risk_assets.domain.morning.verdict import is_late
from risk_assets.lake import layout, morning_files, run_log
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.run_log import BLOCKED, FAILED, LATE, SUCCESS, WARNING, RunRecord
from risk_assets.lake.store import Store

CHANGING_DAYS = 7  # newest days, whose runs can still be repeated: their records are read again
SCORING_JOBS = ("daily_scoring", "materialize", "landing")  # the jobs of records that say how a date was scored
_INCIDENTS: Mapping[str, Incident] = {FAILED: "failed", BLOCKED: "blocked", LATE: "no file"}


@dataclass(frozen=True)
class ScoredDays:
    """The manifests of the predictions of the last days by date, oldest first; dates without readable ones are left out."""

    manifests: Mapping[str, Manifest]

    def newest_before(self, date: str) -> str | None:
        """Return the newest scored date before a date, if it is one of the last days."""
        return max((found for found in self.manifests if found < date), default=None)

    def histograms(self, dates: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the histograms of the scores of those dates that were scored."""
        found = (self.manifests[date] for date in dates if date in self.manifests)
        return [tuple(manifest.facts_as(PredictionFacts).histogram.values()) for manifest in found]


def scored_days(store: Store, date: str) -> ScoredDays:
    """Return the manifests of the predictions of the last `SERIES_DAYS` days up to a date."""
    dates = date_range(shift(date, 1 - SERIES_DAYS), date)
    found = {day: manifest for day in dates if (manifest := find_readable(store, layout.predictions(day)))}
    return ScoredDays({day: manifest for day, manifest in found.items() if isinstance(manifest.facts, PredictionFacts)})


def series(store: Store, date: str, scored: ScoredDays, calendar: Calendar) -> tuple[Day, ...]:
    """Return the last days up to a date, oldest first, from the first one of which something is known.

    Figures that no manifest has, the exposure and the bands, are those of stored reports.
    """
    reader = _Days(store, date, calendar, morning_files.find_before(store, date))
    days = [reader.day(day, scored.manifests.get(day)) for day in date_range(shift(date, 1 - SERIES_DAYS), date)]
    first = next((at for at, day in enumerate(days) if day.predictions or day.incident), len(days) - 1)
    return tuple(_with_changes(days[first:]))


def scoring_records(store: Store, date: str) -> tuple[RunRecord, ...]:
    """Return the records of the runs that scored a date or failed to, oldest first."""
    return tuple(record for record in run_log.records(store, date) if record.job in SCORING_JOBS)


def first_scored_at(records: Sequence[RunRecord], manifest: Manifest) -> str:
    """Return the instant at which a date was first scored."""
    return min([manifest.made_at, *(record.timestamp for record in records if record.status in (SUCCESS, WARNING))])


def last_incident(records: Sequence[RunRecord]) -> Incident | None:
    """Return how the last run of a date went wrong; None if it did not, or there was none."""
    return _INCIDENTS.get(records[-1].status) if records else None


@dataclass(frozen=True)
class _Days:
    """Reads the days before a date, as little as possible: old ones are in the series of the newest earlier report."""

    store: Store
    date: str
    calendar: Calendar
    before: MorningReport | None

    @cached_property
    def known(self) -> dict[str, Day]:
        """The days of the newest earlier report."""
        return {day.date: day for day in self.before.series} if self.before else {}

    def day(self, date: str, manifest: Manifest | None) -> Day:
        """Return a day, by the manifest of its predictions; None if it was not scored."""
        known, identity = self.known.get(date), manifest.identity if manifest else None
        is_old = self.before is not None and date <= shift(self.date, -CHANGING_DAYS)
        if is_old and (identity is None if known is None else known.predictions == identity):
            return known or Day(date)
        records = scoring_records(self.store, date)
        return self._unscored(date, known, records) if manifest is None else self._scored(date, manifest, known, records)

    def _unscored(self, date: str, known: Day | None, records: Sequence[RunRecord]) -> Day:
        """Return a day without scores; what the date's own report found stays known."""
        own = known if known and not known.predictions else self._own(date)
        return Day(date, incident=last_incident(records) or (own.incident if own else None))

    def _scored(self, date: str, manifest: Manifest, known: Day | None, records: Sequence[RunRecord]) -> Day:
        found = scored_day(manifest, date)
        own = [record for record in records if record.run_id == manifest.made_from.run_id]
        late = is_late(self.calendar.in_zone(first_scored_at(records, manifest)), self.calendar.in_zone(self.calendar.late_from(date)))
        stored = known if known and known.bands and known.predictions == found.predictions else self._own(date)
        is_same = stored is not None and stored.predictions == found.predictions
        return msgspec.structs.replace(
            found,
            exposure=stored.exposure if stored and is_same else None,
            bands=stored.bands if stored and is_same else None,
            incident=last_incident(own) or ("late" if late else None),
        )

    def _own(self, date: str) -> Day | None:
        """Return the day as the date's own report has it."""
        own = morning_files.find(self.store, date) if date < self.date else None
        return own.series[-1] if own else None


def scored_day(manifest: Manifest, date: str) -> Day:
    """Return what the manifest of a date's predictions says."""
    facts = manifest.facts_as(PredictionFacts)
    return Day(
        date,
        predictions=manifest.identity,
        received=manifest.rows,
        scored=facts.scored,
        flagged=facts.predicted_bad,
        mean_probability=facts.mean_score,
        version=manifest.made_from.model_version,
        policy=manifest.made_from.policy,
    )


def _with_changes(days: Sequence[Day]) -> list[Day]:
    """Return the days with the versions and policies that are not those of the scored date before."""
    scored = [day for day in days if day.predictions]
    changed = {
        now.date: msgspec.structs.replace(
            now, new_version=now.version if now.version != before.version else None, new_policy=now.policy != before.policy
        )
        for before, now in pairwise(scored)
    }
    return [changed.get(day.date, day) for day in days]
