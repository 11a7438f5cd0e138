"""The facts of the page of an account: single rows of a few files, found by the index of accounts; without a table library."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, Contract
from risk_assets.domain.morning.account_facts import MOST_ACCOUNTS, AccountFacts, AccountsOfKey, PastScore, SnapshotComparison, Status
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.contributions import ScoredRow, band_areas, deciding, differences, issues_of, score_row
from risk_assets.domain.morning.facts import MorningReport, WorkItem
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.errors import LakeError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.account_history import AccountHistory, Find, Indexed, Owner
from risk_assets.lake.feature_rows import Row, read_row
from risk_assets.lake.manifests import Manifest, find_readable, require_manifest
from risk_assets.lake.scored_dates import ScoredDate, read_scored_date, scored_features
from risk_assets.lake.store import Store

TOLERANCE = 1e-12  # between a stored probability and the one of a single row


def read_accounts(
    store: Store, date: str, key: int, find: Find, other: str | None = None, report: MorningReport | None = None
) -> AccountsOfKey:
    """Return the facts of the accounts of a date whose ids have a key; without accounts if the date has none.

    Parameters
    ----------
    other
        The date of the snapshot to compare with; None for the last earlier one in which an account was scored.
    report
        The morning report of the date, for the place on the review list; None if there is none.

    Raises
    ------
    LakeError, ModelError
        If the date was not scored, or its index, policy, versions or features cannot be read.
    """
    scored = read_scored_date(store, date)
    rows = find(store, date, key)
    history = AccountHistory(store, date, key, find, shared=len(rows) > 1)
    facts = [_Account(scored, row, history, report).facts(other) for row in rows[:MOST_ACCOUNTS]]
    return AccountsOfKey(date, key_text(key), len(rows), tuple(facts))


def find_account_id(store: Store, date: str, key: int, find: Find) -> str | None:
    """Return the id of the first account of a date with a key; None if there is none, or the features that were scored are gone.

    Raises `LakeError` if the date was not scored, or its index or features cannot be read.
    """
    predictions = require_manifest(store, layout.predictions(date))
    features, rows = scored_features(store, date, predictions), find(store, date, key)
    return _text(_row(store, date, features, rows[0], key)[ACCOUNT_ID]) if features and rows else None


def _row(store: Store, date: str, features: Manifest, found: Indexed, key: int) -> Row:
    """Return the row of features that the index has found; raises `LakeError` if its id has another key."""
    row = read_row(store, features, found.row)
    account = row[ACCOUNT_ID]
    if not isinstance(account, str) or account_key(account) != key:
        raise LakeError(f"the index of accounts of {date} does not match {features.path}. {layout.how_to_make(features.path)}")
    return row


@dataclass(frozen=True)
class _Account:
    """Reads the facts of one row of a date."""

    scored: ScoredDate
    found: Indexed
    history: AccountHistory
    report: MorningReport | None

    def facts(self, other: str | None) -> AccountFacts:
        """Return the facts, compared with another date."""
        past, now = self.history.scores(self.owner), self.stored
        exposure = self._exposure_name
        return AccountFacts(
            date=self.scored.date,
            account=self.owner.account,
            status=self._status,
            version=self._model.version,
            bands=band_areas(self.scored.policy),
            history=(*past, now),
            probability=now.probability,
            points=now.points,
            band=now.band,
            flagged=now.flagged,
            exposure=_number(self.row.get(exposure)) if self.row and exposure else None,
            exposure_name=exposure,
            issues=issues_of(self.row, self.scored.arms) if self.row else (),
            excluded=_text(self.row[EXCLUDED]) if self.row else None,
            reasons=self.computed.reasons if self.computed else (),
            item=self._item,
            list_known=self._listed is not None,
            contributions=self.computed.contributions if self.computed else None,
            comparison=self._comparison(other, past),
            notes=self._notes,
        )

    @cached_property
    def row(self) -> Row | None:
        """The features; None if those that were scored are gone."""
        features = self.scored.features
        return _row(self.history.store, self.scored.date, features, self.found, self.history.key) if features else None

    @cached_property
    def owner(self) -> Owner:
        """The id and the group."""
        return Owner(_text(self.row[ACCOUNT_ID]), self.row[GROUP]) if self.row else Owner(None, None)

    @cached_property
    def stored(self) -> PastScore:
        """The score as it was stored."""
        return self.history.score(self.scored.date, self.scored.predictions, self.found, self.owner)

    @cached_property
    def computed(self) -> ScoredRow | None:
        """The score of the features; None if the account was not scored, or its features are gone."""
        if self.row is None or self.found.probability is None:
            return None
        return score_row(self._model.scorecard, self.scored.policy, self.row)

    @cached_property
    def _model(self) -> VersionedScorecard:
        return deciding(self.scored.arms, self.owner.group)

    @property
    def _status(self) -> Status:
        if self.found.probability is not None:
            return "scored"
        if self.row is None:
            return "not scored"
        return "not eligible" if self.row[EXCLUDED] is not None else "issue"

    @cached_property
    def _exposure_name(self) -> str | None:
        digest = self.scored.features.made_from.contract if self.scored.features else None
        contract = document_archive.find(self.history.store, Contract, digest) if digest else None
        return contract.exposure if contract else None

    @cached_property
    def _listed(self) -> Sequence[WorkItem] | None:
        """The review list; None if it is not known, or is of other predictions."""
        report, identity = self.report, self.scored.predictions.identity
        if report is None or report.shown_date != self.scored.date:
            return None
        of_date = any(day.date == self.scored.date and day.predictions == identity for day in report.series)
        return report.work_list.items if of_date else None

    @property
    def _item(self) -> WorkItem | None:
        return next((item for item in self._listed or () if item.account == self.owner.account), None)

    @property
    def _notes(self) -> tuple[str, ...]:
        found = []
        if self.row is None:
            features = layout.features(self.scored.date)
            found.append(
                f"{features} is not the one that was scored: it was made again or is gone, so values and contributions are not known."
            )
        if self.computed and not self._agrees(self.computed):
            found.append(
                "The stored score is not the one of the stored features by the model and the policy that scored the date. "
                f"Check them: risk verify, risk replay {self.scored.date}."
            )
        if self.history.unknown:
            are, have = ("is", "it has") if self.history.unknown == 1 else ("are", "they have")
            found.append(f"{self.history.unknown} of the earlier dates {are} not shown: {have} no usable index of accounts.")
        if self._listed is None:
            found.append("The place on the review list is not known: the morning report of the date is missing or older than its scores.")
        return tuple(found)

    def _agrees(self, computed: ScoredRow) -> bool:
        assert self.found.probability is not None
        return computed.points == self.found.points and abs(computed.probability - self.found.probability) <= TOLERANCE

    def _comparison(self, other: str | None, past: Sequence[PastScore]) -> SnapshotComparison | None:
        date = other or next((score.date for score in reversed(past) if score.points is not None), None)
        if date == self.scored.date:
            return SnapshotComparison(date, present=True, note="Both dates are the same. Choose another one.")
        return None if date is None else self._compared(date)

    def _compared(self, date: str) -> SnapshotComparison:
        """Return the comparison with the account's snapshot of another date."""
        store, history = self.history.store, self.history
        predictions = find_readable(store, layout.predictions(date))
        if predictions is None:
            return SnapshotComparison(date, present=False, note="This date was not scored.")
        rows = history.rows[date] if date in history.rows else history.rows_of(date)
        if rows is None:
            return SnapshotComparison(
                date, present=False, note=f"This date has no usable index of accounts. Run it again: risk run {date}."
            )
        own = history.own(date, predictions, rows, self.owner)
        stored = history.score(date, predictions, own, self.owner)
        if own is None:
            return SnapshotComparison(date, present=False, stored=stored, note="The file of this date does not have the account.")
        features = scored_features(store, date, predictions)
        if features is None or self.row is None:
            return SnapshotComparison(date, True, stored, note="The features of one of the dates are not those that were scored.")
        before = read_row(store, features, own.row)
        if before[ACCOUNT_ID] != self.owner.account:
            return SnapshotComparison(date, present=False, note="The file of this date does not have the account.")
        return self._of_rows(date, stored, self.row, before)

    def _of_rows(self, date: str, stored: PastScore, now: Row, before: Row) -> SnapshotComparison:
        card, policy = self._model.scorecard, self.scored.policy
        missing = [name for name in card.features if name not in before]
        can_score = not missing and stored.points is not None
        earlier = score_row(card, policy, before) if can_score else None
        features = differences(card, policy, now, before, comparable=can_score and self.computed is not None)
        note = f"The features of this date lack {', '.join(missing)}." if missing else None
        return SnapshotComparison(
            date, True, stored, earlier.points if earlier else None, earlier.band if earlier else None, features, note
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
