"""The changes and the work list of a morning report, from the predictions, features and review lists of two dates."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from risk_assets.domain.batch.review_list import NO_CHANGE
from risk_assets.domain.contract.policy import Review
from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract
from risk_assets.domain.morning.changes import Comparison, ReviewedDate, compare
from risk_assets.domain.morning.facts import Causes, FeatureChange, WorkList
from risk_assets.domain.morning.work_list import Context, feature_changes, read_listed, work_items
from risk_assets.errors import LakeError
from risk_assets.lake import drift_files, layout, morning_files, snapshots
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.manifests import Manifest, find_readable, require_manifest
from risk_assets.lake.morning_series import ScoredDays
from risk_assets.lake.notes import Notes
from risk_assets.lake.replay import Scoring, read_scoring
from risk_assets.lake.reviewed_dates import reviewed_date
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table, translate_polars_errors

MAX_DAYS_LISTED = 28  # earlier review lists that are read if no report says how long their accounts have been listed
_VERSION, _SINCE = "model_version", "last_snapshot"


@dataclass(frozen=True)
class ListReader:
    """Reads the changes and the work list of a scored date.

    Attributes
    ----------
    predictions
        The manifest of the date's predictions.
    before
        The previous scored date; None if there is none.
    scored
        The last scored dates.
    contract
        The contract in force, which names the exposure; None if it cannot be read.
    notes
        Takes what cannot be read.
    """

    store: Store
    date: str
    predictions: Manifest
    before: str | None
    scored: ScoredDays
    contract: Contract | None
    notes: Notes

    @cached_property
    def scoring(self) -> Scoring | None:
        """How the date was scored; None if a version or the policy cannot be read."""
        return self.notes.attempt("how the date was scored", lambda: read_scoring(self.store, self.date))

    @cached_property
    def listed(self) -> pl.DataFrame | None:
        """The review list of the date; None if it cannot be read, or was made from other predictions."""
        return self.notes.attempt("work list", self._own_review)

    @cached_property
    def comparison(self) -> Comparison | None:
        """What changed since the previous scored date; None if the predictions cannot be read."""
        before = self.notes.attempt(f"changes since {self.before}", self._before)
        return self.notes.attempt("changes", lambda: self._compare(before))

    @cached_property
    def exposure(self) -> str | None:
        """The column of the exposure; None if the contract names none, or the features that were scored do not have it."""
        name = self.contract.exposure if self.contract else None
        features = find_readable(self.store, layout.features(self.date))
        if name is None or features is None or name not in features.columns:
            return None
        return name if self.predictions.made_from.inputs.get(features.path) == features.identity else None

    @cached_property
    def work_list(self) -> WorkList:
        """The work list; without items if the review list cannot be read."""
        flagged, found = self.predictions.facts_as(PredictionFacts).predicted_bad, self.comparison
        if self.listed is None or found is None:
            return WorkList((), flagged)
        context = Context(
            days_listed=self._days_listed() if self.before else None,
            flagged=found.flagged,
            newly_flagged=found.newly_flagged,
            exposures=found.exposures,
            changes=self.notes.attempt("changed features", self._changed_features) or {},
        )
        return WorkList(work_items(self.listed, context), flagged)

    @property
    def bands(self) -> dict[str, int] | None:
        """The scored accounts by band, from the safest to the riskiest; None if they are not known."""
        if self.comparison is None or self.scoring is None:
            return None
        return {band: self.comparison.bands.get(band, 0) for band in self.scoring.policy.bands}

    def _own_review(self) -> pl.DataFrame:
        path = layout.review(self.date)
        manifest = require_manifest(self.store, path)
        if manifest.made_from.inputs.get(self.predictions.path) != self.predictions.identity:
            raise LakeError(f"{path} was made from other predictions. {layout.how_to_make(path)}")
        return _review(self.store, self.date)

    def _compare(self, before: ReviewedDate | None) -> Comparison:
        size = self.scoring.policy.review.size if self.scoring else Review().size
        listed = self.listed[ACCOUNT_ID] if self.listed is not None else pl.Series([], dtype=pl.String)
        with translate_polars_errors(f"the changes of {self.date}"):
            now = reviewed_date(self.store, self.date, listed, self.exposure)
            return compare(now, before, size, _causes(self.store, self.date, self.before))

    def _before(self) -> ReviewedDate | None:
        """Return the previous scored date; None if there is none."""
        if self.before is None:
            return None
        with translate_polars_errors(f"the changes since {self.before}"):
            return reviewed_date(self.store, self.before, _review(self.store, self.before)[ACCOUNT_ID])

    def _days_listed(self) -> dict[str, int]:
        """Return for how many consecutive scored dates before this one the accounts were listed, those that were.

        A stored report of an earlier date says it of its accounts. Until one is found, review lists are read.
        """
        assert self.listed is not None
        remaining, days, date = set(self.listed[ACCOUNT_ID]), dict[str, int](), self.before
        for back in range(1, MAX_DAYS_LISTED + 1):
            if date is None or not remaining:
                break
            report = morning_files.find(self.store, date)
            if report and report.shown_date == date:
                counted = {item.account: item.days_listed for item in report.work_list.items if item.account in remaining}
                return days | {account: back - 1 + listed for account, listed in counted.items()}
            try:
                remaining &= set(_review(self.store, date)[ACCOUNT_ID])
            except LakeError:  # of the date before, `comparison` has noted it; for how long accounts were listed is then a lower bound
                break
            days |= dict.fromkeys(remaining, back)
            date = self.scored.newest_before(date)
        return days

    def _changed_features(self) -> dict[str, tuple[FeatureChange, ...]]:
        """Return the features of listed accounts that changed since their last snapshots."""
        if self.listed is None or self.scoring is None:
            return {}
        cards = {model.version: model.scorecard for model in self.scoring.arms.models}
        changed = self.listed.filter(pl.col(_SINCE).is_not_null(), pl.col("changes") != NO_CHANGE)
        found: dict[str, tuple[FeatureChange, ...]] = {}
        with translate_polars_errors(f"the changed features of {self.date}"):
            now = snapshots.of_accounts(read_table(self.store, layout.features(self.date)), changed[ACCOUNT_ID])
            for (since, version), rows in changed.group_by(_SINCE, _VERSION, maintain_order=True):
                before = snapshots.of_accounts(read_table(self.store, layout.features(str(since))), rows[ACCOUNT_ID])
                found |= feature_changes(cards[str(version)], now, before, self.scoring.policy.points)
        return found


def _review(store: Store, date: str) -> pl.DataFrame:
    with translate_polars_errors(layout.review(date)):
        return read_listed(read_table(store, layout.review(date)).collect())


def _causes(store: Store, date: str, before: str | None) -> Causes | None:
    """Return why the number of flagged accounts changed since the previous scored date, if the date's drift report says it."""
    try:
        found = drift_files.read(store, date).report.flagged
    except LakeError:  # the data section has the note
        return None
    if found is None or found.since != before:
        return None
    return Causes(found.before, found.now, found.features, found.model, found.policy, found.joined, found.left)
