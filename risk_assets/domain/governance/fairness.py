"""Figures of a version by group of each sensitive feature. They are shown and are not a gate."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from risk_assets.domain.markdown import markdown_table

Interval: TypeAlias = tuple[float, float]

MIN_CELL_SIZE = 10  # groups, steps, levels and categories with fewer are left out, so that no customer can be recognised
FAIRNESS_COLUMNS = ("feature", "group", "accounts", "predicted bad", "bad", "predicted / observed", "AUC", "impact ratio")


class GroupFigures(msgspec.Struct, frozen=True):
    """One group of a sensitive feature on other accounts: a level, a quarter of a number by its training rows, or "(missing)".

    All intervals have 95 % and count accounts or customers. `flagged` is the share that is predicted bad, `bad` the share that went bad.
    `calibration` is the mean probability divided by `bad`, None if nobody went bad. `roc_auc` is None if all have the same
    outcome. `impact_ratio` is the share that is not predicted bad, divided by that of the feature's largest group, None in that
    group and if one of the shares is 0.
    """

    group: str
    rows: int
    accounts: int
    flagged: float
    flagged_interval: Interval
    bad: float
    bad_interval: Interval
    predicted: float
    calibration: float | None
    calibration_interval: Interval | None
    roc_auc: float | None
    roc_auc_interval: Interval | None
    impact_ratio: float | None
    impact_ratio_interval: Interval | None


class Fairness(msgspec.Struct, frozen=True):
    """The groups of a sensitive feature with at least `MIN_CELL_SIZE` accounts, and the number of smaller ones."""

    feature: str
    groups: tuple[GroupFigures, ...]
    too_small: int


def fairness_table(found: Sequence[Fairness]) -> str:
    """Return the figures in Markdown, with intervals in brackets."""
    return markdown_table(FAIRNESS_COLUMNS, fairness_rows(found), numbers=len(FAIRNESS_COLUMNS) - 2)


def fairness_rows(found: Sequence[Fairness]) -> Iterator[tuple[str, ...]]:
    """Return a row of texts for each group, with the columns of `FAIRNESS_COLUMNS`."""
    for feature in found:
        for group in feature.groups:
            yield (
                feature.feature,
                group.group,
                str(group.accounts),
                _percent(group.flagged, group.flagged_interval),
                _percent(group.bad, group.bad_interval),
                _number(group.calibration, group.calibration_interval),
                _number(group.roc_auc, group.roc_auc_interval),
                _number(group.impact_ratio, group.impact_ratio_interval),
            )
        if feature.too_small:
            yield feature.feature, f"{feature.too_small} with fewer than {MIN_CELL_SIZE} accounts", *[""] * (len(FAIRNESS_COLUMNS) - 2)


def _percent(share: float, interval: Interval) -> str:
    return f"{share:.1%} ({interval[0]:.1%} to {interval[1]:.1%})"


def _number(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return ""
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
