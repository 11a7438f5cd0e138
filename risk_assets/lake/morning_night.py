"""What the lake and the landing folder know of the night in which a date was due."""

from dataclasses import dataclass
from functools import cached_property

from risk_assets.clock import Calendar, instant_of
from risk_assets.domain.morning.facts import Day, Figures
from risk_assets.domain.morning.verdict import Monitored, Night, Scored
from risk_assets.errors import LakeError, LandingError, RiskError
from risk_assets.lake import landing, layout
from risk_assets.lake.manifests import Manifest, find_manifest, find_readable, require_manifest
from risk_assets.lake.morning_model import Live
from risk_assets.lake.morning_series import first_scored_at, last_incident, scoring_records
from risk_assets.lake.run_log import BLOCKED, FAILED, RunRecord
from risk_assets.lake.staleness import is_stored
from risk_assets.lake.store import Entry, Store


@dataclass(frozen=True)
class NightReader:
    """Reads what is known of a night.

    Attributes
    ----------
    store, landed
        The lake and the landing folder.
    now
        The instant at which the report is made (ISO 8601, UTC).
    """

    store: Store
    landed: Store
    calendar: Calendar
    date: str
    now: str

    @cached_property
    def records(self) -> tuple[RunRecord, ...]:
        """The records of the runs that scored the date or failed to, oldest first."""
        return scoring_records(self.store, self.date)

    @cached_property
    def damage(self) -> str | None:
        """Why the predictions cannot be read; None if they can, or there are none."""
        path = layout.predictions(self.date)
        try:
            if find_manifest(self.store, path) is not None:
                require_manifest(self.store, path)
        except LakeError as error:
            return error.problem
        return None

    @cached_property
    def predictions(self) -> Manifest | None:
        """The manifest of the predictions; None if they are missing, damaged, or of a run that was blocked or failed."""
        found = None if self.damage else find_readable(self.store, layout.predictions(self.date))
        own = self._record_of(found)
        return None if own and own.status in (BLOCKED, FAILED) else found

    @cached_property
    def raw(self) -> Manifest | None:
        """The manifest of the accounts in the lake; None if they are missing or damaged."""
        return find_readable(self.store, layout.accounts(self.date))

    @cached_property
    def parts(self) -> tuple[Entry, ...]:
        """The parts of the landed file; none if there is no file, or it is not one that can be stored."""
        try:
            found = landing.find(self.landed, landing.ACCOUNTS, self.date, ())
        except LandingError:
            return ()
        return found.entries

    @property
    def deadline(self) -> str:
        """The instant by which the file must have arrived, in the team's time zone."""
        return self.calendar.in_zone(self.calendar.late_from(self.date))

    @property
    def arrived_at(self) -> str | None:
        """The instant at which the landed file was last written, in the team's time zone; None if there is none."""
        return self.calendar.in_zone(instant_of(max(part.written for part in self.parts))) if self.parts else None

    @property
    def stored_at(self) -> str | None:
        """The instant at which the accounts were stored in the lake, in the team's time zone; None if they are not there."""
        return self.calendar.in_zone(self.raw.made_at) if self.raw else None

    @property
    def released(self) -> str | None:
        """The blocking checks that somebody released for the run that scored the date."""
        own = self._record_of(self.predictions)
        return own.released if own else None

    @property
    def last_error(self) -> str | None:
        """The message of the date's last run; None if it scored, there was none, or it left no message."""
        return self.records[-1].error if self.records else None

    def night(self, figures: Figures | None, day: Day, live: Live, shown: str | None, monitored: Monitored) -> Night:
        """Return the night for its verdict.

        Parameters
        ----------
        figures, day
            The key figures of the date, None if it was not scored; and its entry in the series.
        live
            What is live.
        shown
            The date whose list is shown.
        monitored
            What monitoring found.
        """
        last = self.records[-1] if self.records else None
        return Night(
            date=self.date,
            now=self.calendar.in_zone(self.now),
            deadline=self.deadline,
            expected=self.calendar.expects(self.date),
            arrived=bool(self.parts) or self.raw is not None,
            scored=self._scored(figures, day, live) if figures else None,
            incident=last_incident(self.records),
            is_damaged=self.damage is not None,
            error=self.damage or (_problem(last) if last and figures is None else None),
            shown=shown,
            details=self._details(last),
            monitored=monitored,
        )

    def _scored(self, figures: Figures, day: Day, live: Live) -> Scored:
        manifest = self.predictions
        assert manifest is not None
        own, version = self._record_of(manifest), manifest.made_from.model_version or "an unknown version"
        texts = (own.warnings, own.released) if own else ()
        return Scored(
            figures=figures,
            first_at=self.calendar.in_zone(first_scored_at(self.records, manifest)),
            at=self.calendar.in_zone(manifest.made_at),
            version=version,
            live_days=live.days if live.version == version else None,
            warnings=sum(text is not None for text in texts) + self._failed_since(manifest),
            stale=self._is_stale(manifest),
            new_version=day.new_version is not None,
            new_policy=day.new_policy,
        )

    def _is_stale(self, predictions: Manifest) -> bool:
        """Return whether other accounts have landed, or were stored, since the date was scored."""
        features = find_readable(self.store, layout.features(self.date))
        if features and self.raw:
            used = predictions.made_from.inputs.get(features.path), features.made_from.inputs.get(self.raw.path)
            if used != (features.identity, self.raw.identity):
                return True
        return bool(self.parts) and not is_stored(self.store, self.landed, self.parts, layout.accounts(self.date))

    def _details(self, last: RunRecord | None) -> tuple[str, ...]:
        own = self._record_of(self.predictions)
        named = {"released": own.released, "warning": own.warnings} if own else {}
        if last and last.error and (own is None or last.run_id != own.run_id):
            named[last.status] = last.error
        return tuple(f"{name}: {text}" for name, text in named.items() if text)

    def _failed_since(self, manifest: Manifest) -> bool:
        """Return whether the last run of the date failed after its predictions were made."""
        last = self.records[-1] if self.records else None
        return last is not None and last.status in (BLOCKED, FAILED) and last.timestamp > manifest.made_at

    def _record_of(self, manifest: Manifest | None) -> RunRecord | None:
        run_id = manifest.made_from.run_id if manifest else None
        return next((record for record in self.records if record.run_id == run_id), None)


def _problem(record: RunRecord) -> str | None:
    """Return why a run did not score: the problem of its error, or the first check that stopped it."""
    if record.error is None:
        return None
    return record.error.partition(": ")[0] if record.status == BLOCKED else RiskError(record.error).problem
