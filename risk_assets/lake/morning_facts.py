"""Collects the facts of a morning report. What cannot be read is left out, with a note: the report of a failed night is still a report."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec

from risk_assets.clock import Calendar, shift
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.morning.facts import (
    RANGE_DAYS,
    DataFacts,
    Day,
    Decisions,
    Figures,
    ModelFacts,
    MorningReport,
    Scores,
    Verdict,
    WorkList,
)
from risk_assets.domain.morning.figures import figures, score_distribution
from risk_assets.domain.morning.verdict import Monitored, verdict
from risk_assets.lake import binding_log, layout, morning_files
from risk_assets.lake.dates import newest_before
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Manifest, find_readable
from risk_assets.lake.morning_data import data_facts
from risk_assets.lake.morning_list import ListReader
from risk_assets.lake.morning_model import Live, decisions, model_facts
from risk_assets.lake.morning_night import NightReader
from risk_assets.lake.morning_series import ScoredDays, scored_day, scored_days, series
from risk_assets.lake.notes import Notes
from risk_assets.lake.store import Store

SCORE_LABEL = "the model's score"


@dataclass(frozen=True)
class Sources:
    """What a morning report is made from: the lake, the landing folder, the contract in force, None if it cannot be read."""

    store: Store
    landing: Store
    calendar: Calendar
    contract: Contract | None


@dataclass(frozen=True)
class CollectedReport:
    """A report, and the identities of the tables that it was made from, by path."""

    report: MorningReport
    inputs: dict[str, str]


def morning_report(sources: Sources, date: str, now: str, notes: Notes) -> CollectedReport:
    """Return the morning report of a date.

    Parameters
    ----------
    now
        The instant at which it is made (ISO 8601, UTC).
    notes
        What is known to be missing already; takes what else cannot be read.
    """
    reader = _Reader(sources, date, now, notes)
    return CollectedReport(reader.report(), dict(reader.inputs()))


@dataclass(frozen=True)
class _Reader:
    """Reads the facts of a report, each when it is first used."""

    sources: Sources
    date: str
    now: str
    notes: Notes

    def report(self) -> MorningReport:
        """Return the report."""
        calendar, shown, lists = self.sources.calendar, self.shown, self.lists
        data = data_facts(self.store, self.night, shown, self.notes)
        decided = decisions(self.store, self.live, self.date, self.night.released)
        figures = self.figures if shown == self.date else None
        found = verdict(self.night.night(figures, self.days[-1], self.live, shown, _monitored(self.date, data, decided)))
        model = self._model()
        return MorningReport(
            date=self.date,
            made_at=calendar.in_zone(self.now),
            time_zone=calendar.zone.key,
            shown_date=shown,
            run_id=self.predictions.made_from.run_id if self.predictions else None,
            verdict=found,
            figures=self.figures,
            changes=lists.comparison.changes if lists and lists.comparison else None,
            work_list=lists.work_list if lists else WorkList(),
            data=data,
            model=model,
            decisions=decided,
            series=_with_incident(self.days, found),
            scores=self._scores(),
            notes=tuple(dict.fromkeys(self.notes.texts)),
        )

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Yield the tables and reports from which the report was made, with their identities or hashes."""
        yield from morning_files.made_of(self.store, self.date).items()
        paths = [layout.accounts(self.date), layout.features(self.date)]
        for date in filter(None, (self.shown, self.before)):
            paths += [layout.predictions(date), layout.review(date), layout.features(date)]
        for path in dict.fromkeys(paths):
            manifest = find_readable(self.store, path)
            if manifest:
                yield path, manifest.identity

    @property
    def store(self) -> Store:
        return self.sources.store

    @cached_property
    def night(self) -> NightReader:
        return NightReader(self.store, self.sources.landing, self.sources.calendar, self.date, self.now)

    @cached_property
    def live(self) -> Live:
        history = self.notes.attempt("decisions", lambda: binding_log.read(self.store))
        return Live(history or (), self.now, self.sources.calendar)

    @cached_property
    def scored(self) -> ScoredDays:
        return scored_days(self.store, self.date)

    @cached_property
    def shown(self) -> str | None:
        """The date whose figures are shown: the date itself if it was scored, else the newest earlier one."""
        return self.date if self.night.predictions else self._scored_before(self.date)

    @cached_property
    def before(self) -> str | None:
        """The scored date before the shown one."""
        return self._scored_before(self.shown) if self.shown else None

    @cached_property
    def predictions(self) -> Manifest | None:
        """The manifest of the shown date's predictions."""
        return find_readable(self.store, layout.predictions(self.shown)) if self.shown else None

    @cached_property
    def lists(self) -> ListReader | None:
        if self.shown is None or self.predictions is None:
            return None
        return ListReader(self.store, self.shown, self.predictions, self.before, self.scored, self.sources.contract, self.notes)

    @cached_property
    def days(self) -> tuple[Day, ...]:
        """The series, in which the shown date has its exposure and its bands."""
        days, lists = series(self.store, self.date, self.scored, self.sources.calendar), self.lists
        if lists is None or lists.comparison is None:
            return days
        found = {"exposure": lists.comparison.exposure, "bands": lists.bands}
        return tuple(msgspec.structs.replace(day, **found) if day.date == self.shown else day for day in days)

    @cached_property
    def figures(self) -> Figures | None:
        if self.shown is None or self.predictions is None:
            return None
        shown = next((day for day in self.days if day.date == self.shown), scored_day(self.predictions, self.shown))
        earlier = [day for day in self.days if day.date < shown.date]
        return figures(shown, earlier, self.lists.exposure if self.lists else None)

    def _scored_before(self, date: str) -> str | None:
        return self.scored.newest_before(date) or newest_before(self.store, PREDICTIONS, date)

    def _model(self) -> ModelFacts:
        version = self.predictions.made_from.model_version if self.predictions else None
        contract = self.sources.contract
        if contract is None:
            return ModelFacts(version=self.live.version, scored_by=version)
        return model_facts(self.store, self.live, self.shown, version, contract)

    def _scores(self) -> Scores | None:
        """Return the distribution of the shown date's scores."""
        if self.shown is None or self.predictions is None:
            return None
        dates = [shift(self.shown, -back) for back in range(RANGE_DAYS, 0, -1)]
        histogram = tuple(self.predictions.facts_as(PredictionFacts).histogram.values())
        return score_distribution(histogram, self.scored.histograms(dates))


def _monitored(date: str, data: DataFacts, decided: Decisions) -> Monitored:
    """Return what monitoring found: the drift of the date itself, and the alerts that are open."""
    features = [each.label for each in data.moved if each.beyond]
    drifted = ([SCORE_LABEL] if data.score_beyond else []) + features
    return Monitored(tuple(drifted) if data.moved_on == date else None, len(decided.alerts), decided.alerts_on)


def _with_incident(days: tuple[Day, ...], found: Verdict) -> tuple[Day, ...]:
    """Return the series in which the date of the report has the incident of its verdict, which the run log may not know."""
    state = found.state
    if state not in ("failed", "blocked", "no file"):
        return days
    return (*days[:-1], msgspec.structs.replace(days[-1], incident=state))
