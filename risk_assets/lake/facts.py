"""The facts in a manifest: a struct for each kind of table.

The facts of a table that polars writes are expressions, computed in the pass that writes it. Each is named as its field; an
expression named `group.key` is one entry of the mapping `group`, and a list of (value, count) is a complete mapping.
"""

from collections.abc import Iterable, Mapping
from math import fsum
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from risk_assets.domain.ingest.csv_counts import FilePiece
from risk_assets.domain.monitoring.counts import Tallies, joined_tallies


class RaggedRows(msgspec.Struct, frozen=True):
    """The rows with each issue of a line, numbered from 0 over all parts of a raw file; the names are those of `LINE_ISSUES`."""

    short: tuple[int, ...] = ()
    long: tuple[int, ...] = ()
    ambiguous: tuple[int, ...] = ()
    control: tuple[int, ...] = ()
    enclosed: tuple[int, ...] = ()


class RawFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="raw", forbid_unknown_fields=True):
    """A raw file: its source, how it is written, and its lines that cannot be read with certainty.

    Attributes
    ----------
    quoting
        How to read quotes: as RFC 4180 ("standard"), as data ("none"), or "mixed". None in a manifest of an earlier release.
    short_lines, long_lines, ambiguous_lines, control_lines
        The number of lines with too few or too many fields, with ambiguous quotes, and with a stray control character.
    enclosed_lines, enclosed_rows
        The number of records with lines inside quotes that look like rows, and of those lines.
    ragged
        The positions of these lines; None if there are too many to store.
    pieces
        All parts in pieces of whole records, in order, which can be read and verified one by one. None in a manifest of an earlier
        release.
    """

    source: str
    separator: str
    eol: str
    quoting: Literal["standard", "none", "mixed"] | None = None
    short_lines: int
    long_lines: int
    ambiguous_lines: int = 0
    control_lines: int = 0
    enclosed_lines: int = 0
    enclosed_rows: int = 0
    ragged: RaggedRows | None
    pieces: tuple[FilePiece, ...] | None = None


class FeatureFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="features", forbid_unknown_fields=True):
    """A features table.

    Attributes
    ----------
    with_issues, issue_counts
        The rows with issues: their number, and the rows of each combination of issues.
    not_eligible, excluded_counts
        The rows that a population rule excludes: their number, and the rows by reason.
    missing
        Missing values in eligible rows, by feature.
    part_rows
        The rows of each part; none if the table is a single file.
    """

    with_issues: int
    issue_counts: dict[str, int]
    not_eligible: int
    excluded_counts: dict[str, int]
    missing: dict[str, int]
    part_rows: tuple[int, ...] = ()


class OutcomeFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="outcomes", forbid_unknown_fields=True):
    """A table of outcomes.

    Attributes
    ----------
    labelled, bad
        Accounts with a label in the first revision, and those of them that went bad.
    restated
        Labels that later revisions changed, added or withdrew.
    revisions
        The number of revisions.
    known_on
        The date from which all outcomes are known; None if there are none.
    missing_known_at, unreadable_known_at
        Lines of the newest file without a date in the target's column `known_at`, and with one that cannot be read.
    posted_shards
        The number of revisions that were sent to `POST /outcomes`.
    """

    labelled: int
    bad: int
    restated: int
    revisions: int
    known_on: str | None
    missing_known_at: int
    unreadable_known_at: int
    posted_shards: int = 0


class AccountStateFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="account_states", forbid_unknown_fields=True):
    """A table of states: accounts in the date's snapshot, bad ones, those that became bad on the date; and the dates carried so far."""

    seen: int
    bad: int
    became_bad: int
    dates: int


class Candidates(msgspec.Struct, frozen=True):
    """Where the candidates of a review list are in the CSV of predictions.

    Attributes
    ----------
    size, hold_out
        The settings of the policy by which they were chosen.
    ranges
        The start and the length in bytes of each piece that has some, in order. Each is whole segments of the file.
    """

    size: int
    hold_out: float
    ranges: tuple[tuple[int, int], ...]


class PredictionFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="predictions", forbid_unknown_fields=True):
    """A predictions table: counts, and the distribution of the probability; None where no row was scored.

    Attributes
    ----------
    tallies
        What drift compares, counted in the bins of the champion's profile; None if one process made the predictions, or if drift cannot
        compare the features with that profile.
    candidates
        The candidates of the review list. None in a manifest of an earlier release.
    pieces
        The size in bytes and the rows of each piece of the CSV, in order; each is whole segments of the file. Empty in a manifest of
        an earlier release.
    """

    scored: int
    with_issues: int
    not_eligible: int
    predicted_bad: int
    min_score: float | None
    mean_score: float | None
    max_score: float | None
    challenger_scored: int
    challenger_mean_score: float | None
    histogram: dict[str, int]
    tallies: Tallies | None = None
    candidates: Candidates | None = None
    pieces: tuple[tuple[int, int], ...] = ()


class PieceFacts(msgspec.Struct, frozen=True):
    """A piece of the CSV of predictions: its size in bytes, the number of its rows, their facts, and their `candidates`."""

    bytes: int
    rows: int
    facts: PredictionFacts
    candidates: tuple[float, ...]


class AccountIndexFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="account_index", forbid_unknown_fields=True):
    """An index of accounts: the rows that were scored."""

    scored: int


class ReviewFacts(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="review_list", forbid_unknown_fields=True):
    """A review list: new accounts, and the range of the probability; None if the list is empty."""

    new_accounts: int
    min_score: float | None
    max_score: float | None


Facts: TypeAlias = RawFacts | FeatureFacts | OutcomeFacts | AccountStateFacts | PredictionFacts | AccountIndexFacts | ReviewFacts
F = TypeVar("F", bound=Facts)


def facts_from_row(row: Mapping[str, Any], kind: type[F]) -> F:
    """Return the facts of a table from the values of its expressions, by name."""
    facts: dict[str, Any] = {}
    for name, value in row.items():
        group, _, key = name.partition(".")
        if key:
            facts.setdefault(group, {})[key] = value
        else:
            facts[name] = _counts(value) if isinstance(value, list) else value
    return msgspec.convert(facts, type=kind)


def joined_features(pieces: Iterable[FeatureFacts]) -> FeatureFacts:
    """Return the facts of a features table from those of its pieces; counts are sorted, the highest first."""
    found = list(pieces)
    return FeatureFacts(
        with_issues=sum(facts.with_issues for facts in found),
        issue_counts=_most_frequent_first(_added(facts.issue_counts for facts in found)),
        not_eligible=sum(facts.not_eligible for facts in found),
        excluded_counts=_most_frequent_first(_added(facts.excluded_counts for facts in found)),
        missing=_added(facts.missing for facts in found),
    )


def joined_predictions(pieces: Iterable[PredictionFacts]) -> PredictionFacts:
    """Return the facts of a predictions table from those of its pieces."""
    found = list(pieces)
    scores = [(facts.scored, facts.mean_score) for facts in found]
    # a challenger in shadow scores all rows that are scored
    challenged = [(facts.challenger_scored or facts.scored, facts.challenger_mean_score) for facts in found]
    return PredictionFacts(
        scored=sum(facts.scored for facts in found),
        with_issues=sum(facts.with_issues for facts in found),
        not_eligible=sum(facts.not_eligible for facts in found),
        predicted_bad=sum(facts.predicted_bad for facts in found),
        min_score=min((facts.min_score for facts in found if facts.min_score is not None), default=None),
        mean_score=_mean(scores),
        max_score=max((facts.max_score for facts in found if facts.max_score is not None), default=None),
        challenger_scored=sum(facts.challenger_scored for facts in found),
        challenger_mean_score=_mean(challenged),
        histogram=_added(facts.histogram for facts in found),
        tallies=joined_tallies(facts.tallies for facts in found),
    )


def _mean(pieces: Iterable[tuple[int, float | None]]) -> float | None:
    """Return the mean of all rows from the rows and the mean of each piece."""
    known = [(rows, mean) for rows, mean in pieces if mean is not None]
    return fsum(rows * mean for rows, mean in known) / sum(rows for rows, _ in known) if known else None


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for piece in counts:
        for name, rows in piece.items():
            added[name] = added.get(name, 0) + rows
    return added


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _counts(pairs: list[dict[str, Any]]) -> dict[str, int]:
    return {str(value): int(count) for value, count in (pair.values() for pair in pairs)}
