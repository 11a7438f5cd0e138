"""What the answers of the desk are made from: the lake, the settings, and what was read before and has not changed since."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout, morning_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.dispositions import DispositionLog
from risk_assets.lake.format import require_format
from risk_assets.lake.store import Store
from risk_serving.desk.questions import Answer, Question
from risk_serving.settings import ServingSettings

KEPT_SECONDS = 2.0  # the format of the lake and a listing of the dates are kept for this time
RETRY_SECONDS = 3.0  # people wait for the answer
REPORTS_KEPT = 64
ANSWERS_KEPT = 256

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class NoReportError(LakeError):
    """A date has no morning report."""

    def __init__(self, date: str) -> None:
        super().__init__(f"There is no morning report of {date}. Make it: risk report {date}.")


class Kept(Generic[K, V]):
    """Values that were made from something, for each key the latest; the one that was used longest ago is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, tuple[object, V]] = OrderedDict()

    def get(self, key: K, version: object, make: Callable[[], V]) -> V:
        """Return the value of a key, which is made again if it was made from another version."""
        found = self._values.get(key)
        value = found[1] if found is not None and found[0] == version else make()
        self._values[key] = (version, value)
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


@dataclass
class Desk:
    """The lake as the pages read it.

    Attributes
    ----------
    log
        What was done about accounts.
    answers
        Pages by question, with the versions of what they were made from.
    """

    store: Store
    settings: ServingSettings
    log: DispositionLog
    answers: Kept[Question, Answer] = field(default_factory=lambda: Kept(ANSWERS_KEPT))
    _reports: Kept[str, MorningReport] = field(default_factory=lambda: Kept(REPORTS_KEPT))
    _dates: tuple[str, ...] = ()
    _dates_until: float = 0.0
    _lake_until: float = 0.0

    @staticmethod
    def of(settings: ServingSettings) -> "Desk":
        """Return the desk of the settings; sends no request. Raises `RiskError` if the address of the lake is not valid."""
        hasty = settings.model_copy(update={"storage_retry_seconds": min(settings.storage_retry_seconds, RETRY_SECONDS)})
        store = hasty.connect_lake()
        return Desk(store, settings, DispositionLog(store))

    def dates(self) -> tuple[str, ...]:
        """Return the dates with a report, oldest first, as they were at most `KEPT_SECONDS` ago; raises `LakeError`."""
        if monotonic() >= self._dates_until:
            self._dates = committed_dates(self.store, layout.MORNING)
            if not self._dates:
                self.require_lake_now()
            self._dates_until = monotonic() + KEPT_SECONDS
        return self._dates

    def version(self, date: str) -> str:
        """Return the version of a date's report; raises `NoReportError`, or another `LakeError` if the lake cannot be read."""
        entry = self.store.entry(layout.morning(date))
        if entry is None:
            self.require_lake_now()
            raise NoReportError(date)
        return entry.version

    def report(self, date: str) -> MorningReport:
        """Return the report of a date, verified by its seal; raises `NoReportError`, or another `LakeError` if it cannot be read."""
        return self._reports.get(date, self.version(date), lambda: morning_files.read(self.store, date).report)

    def require_lake(self) -> None:
        """Raise `LakeError` if the lake was gone or had another format at most `KEPT_SECONDS` ago."""
        if monotonic() >= self._lake_until:
            self.require_lake_now()
            self._lake_until = monotonic() + KEPT_SECONDS

    def require_lake_now(self) -> None:
        """Raise `LakeError` if the lake is gone or has another format."""
        if require_format(self.store) is None:
            raise LakeError(
                f"There is no lake at {self.store.url}. Check RISK_LAKE, make a first report (risk report DATE), or restore a backup."
            )
