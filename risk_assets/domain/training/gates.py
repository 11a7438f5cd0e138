"""The gates of a version: `measure` judges the figures. `measurement` computes what they need from rows.

All figures that need outcomes are measured on other accounts, which no version has trained on; those of segments on both holdouts.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from risk_assets.domain.contract.policy import GateName, Promotion
from risk_assets.domain.governance.artifacts import FAILED, PASSED, Gate
from risk_assets.domain.governance.verdicts import LEVEL, MAX_TIMES, REPEATED_LEVEL, Criterion, gate, impossible
from risk_assets.domain.scorecard.arrays import Floats, Integers
from risk_assets.domain.training.intervals import Estimate, Interval, auc, auc_gain, auc_interval, gain_interval
from risk_assets.domain.training.rates import Rows, brier_skill, calibration, design_effect, merged_bands, needed_bads
from risk_assets.domain.training.stability import Shares, stability

GROWTH = 1.02  # of the numbers of bads that are tried
SEGMENT_BADS = 100  # groups; levels with fewer are not measured
UNKNOWN = 1e6  # a bound that no figure exceeds, and JSON can hold
NEED_ROWS = ("discrimination", "calibration", "calibration_by_band", "brier_skill")
OTHER_ACCOUNTS = "; on other accounts"
Levels = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Held:
    """The labelled rows that measure a version.

    Attributes
    ----------
    others
        The rows of other accounts, with the version's probabilities.
    band, bands
        The position of each of these rows in the policy's bands, and their names, from the safest to the riskiest.
    rivals
        The probabilities of these rows by each version that was live; None if it is damaged or needs a feature that they lack.
    both
        The rows of both holdouts.
    levels
        The level of each category in each row of both holdouts, not a text if it is missing.
    """

    others: Rows
    band: Integers
    bands: Sequence[str]
    rivals: Mapping[str, Floats | None]
    both: Rows
    levels: Mapping[str, Levels]


@dataclass(frozen=True)
class Evidence:
    """What the gates of a version are measured on.

    Attributes
    ----------
    held
        The labelled rows, or why they are not available.
    live
        The live version, None if nothing is live.
    champions
        All versions that have been live and are compared.
    against
        The features whose effect contradicts the direction that the contract declares.
    snapshot
        The date of the newest snapshot, None if there is none.
    shares
        The shares of the score and of each feature, in training and in the newest snapshot; None if the snapshot lacks it.
    """

    held: Held | str
    live: str | None
    champions: Sequence[str]
    against: Sequence[str]
    snapshot: str | None
    shares: Mapping[str, Shares | None]


def measure(evidence: Evidence, policy: Promotion) -> tuple[Gate, ...]:
    """Return all gates that apply, in the order of the policy's names, evaluated together.

    The comparisons apply if a version is live, or was live besides the live one.
    """
    criteria, others = _criteria(evidence, policy)
    together = max(sum(map(len, criteria.values())), 1)
    notes = {"stability": f"; training rows compared with {evidence.snapshot}", "segments": "; on both holdouts"}
    evaluated = {name: gate(name, found, together, notes.get(name, OTHER_ACCOUNTS)) for name, found in criteria.items()}
    found = {**evaluated, **{other.name: other for other in (*others, _directions(evidence.against))}}
    return tuple(found[name] for name in get_args(GateName) if name in found)


def _criteria(evidence: Evidence, policy: Promotion) -> tuple[dict[str, Sequence[Criterion]], list[Gate]]:
    """Return the criteria of each gate that has figures, and the gates that have none."""
    found: dict[str, Sequence[Criterion]] = {}
    others: list[Gate] = []
    for part in (_stability(evidence, policy), *_of_rows(evidence, policy)):
        if isinstance(part, Gate):
            others.append(part)
        else:
            found[part[0]] = part[1]
    return found, others


_Named = tuple[str, Sequence[Criterion]]


def _of_rows(evidence: Evidence, policy: Promotion) -> Iterator[_Named | Gate]:
    """Yield the gates that need labelled rows."""
    held, names = evidence.held, [*NEED_ROWS, *_comparisons(evidence), "segments"]
    if isinstance(held, str):
        yield from (impossible(name, held) for name in names)
        return
    rows, average, effect = held.others, float(held.others.bad.mean()), design_effect(held.others)
    yield "discrimination", [_discrimination(rows, policy)]
    yield "calibration", [calibration("all rows", rows, policy.max_calibration_ratio, 0.0, effect)]
    yield _by_band(held, average, effect, policy.max_band_calibration_ratio)
    yield "brier_skill", [_skill(rows, policy)]
    for name, against in _comparisons(evidence).items():
        yield _comparison(name, held, against, policy)
    yield _segments(held, policy.max_band_calibration_ratio)


def _comparisons(evidence: Evidence) -> dict[str, Sequence[str]]:
    """Return each comparison that applies, with the versions of which the best one is compared."""
    live = {"not_worse_than_live": (evidence.live,)} if evidence.live else {}
    earlier = set(evidence.champions) - {evidence.live}
    return {**live, "not_worse_than_best": tuple(evidence.champions)} if earlier else dict(live)


def _discrimination(rows: Rows, policy: Promotion) -> Criterion:
    found = auc(rows.bad, rows.probability, rows.groups)
    return _at_least(policy.min_roc_auc, f"AUC {found.value:.4f}", found, auc_interval, rows.bads)


def _skill(rows: Rows, policy: Promotion) -> Criterion:
    found = brier_skill(rows)
    return _at_least(policy.min_brier_skill, f"Brier skill {found.value:.4f}", found, _normal, rows.bads)


def _at_least(
    low: float, subject: str, found: Estimate, interval: Callable[[Estimate, float], Interval], bads: int, level: float = LEVEL
) -> Criterion:
    """Return whether an estimate is at least a limit."""
    return Criterion(subject, found.value, low, math.inf, lambda tail, times: interval(found.times(times), tail), bads, level)


def _normal(found: Estimate, tail: float) -> Interval:
    if found.smaller < 2:
        return -UNKNOWN, 1.0
    return found.value - found.width(tail), found.value + found.width(tail)


def _by_band(held: Held, average: float, effect: float, ratio: float) -> _Named | Gate:
    rows, needed = held.others, needed_bads(ratio)
    expected = rows.probability / effect
    parts = merged_bands(expected, held.band, held.bands, needed)
    if len(parts) < 2:
        found = f"other accounts have {expected.sum():.0f} in all bands, with rows of one account or customer counted once"
        why = f"each of two bands needs {math.ceil(needed)} expected bad accounts or customers; {found}"
        return impossible("calibration_by_band", why, _bads_for_two_bands(held, expected, needed))
    return "calibration_by_band", [
        calibration(f"band {name}", rows.only(part), ratio, average, effect) for name, part in parts.items() if part.any()
    ]


def _bads_for_two_bands(held: Held, expected: Floats, needed: float) -> int | None:
    """Return how many more bad groups, distributed as those at hand, give two bands; None if too many, as if all rows are in one."""
    bads, times = max(held.others.bads, 1), 1.0
    while times < MAX_TIMES and len(merged_bands(expected * times, held.band, held.bands, needed)) < 2:
        times *= GROWTH
    return math.ceil(bads * (times - 1)) if times < MAX_TIMES else None


def _comparison(name: str, held: Held, versions: Sequence[str], policy: Promotion) -> _Named | Gate:
    lacking = [version for version in versions if held.rivals[version] is None]
    if lacking:
        causes = "the contract lacks a feature that it needs or reads it in another way, or its files are damaged"
        why = f"{', '.join(lacking)} cannot be compared: {causes}"
        return impossible(name, why)
    rows = held.others
    figures = {version: auc(rows.bad, rival, rows.groups).value for version in versions if (rival := held.rivals[version]) is not None}
    best = max(figures, key=lambda version: figures[version])
    rival = held.rivals[best]
    assert rival is not None
    found = auc_gain(rows.bad, rows.probability, rival, rows.groups)
    subject = f"AUC {figures[best] + found.value:.4f}, that of {best} {figures[best]:.4f} on the same rows: gain {found.value:+.4f}"
    level = REPEATED_LEVEL if name == "not_worse_than_best" else LEVEL
    return name, [_at_least(-policy.max_auc_loss, subject, found, gain_interval, rows.bads, level)]


def _directions(against: Sequence[str]) -> Gate:
    named = f": {', '.join(against)}" if against else ""
    evidence = f"{len(against)} features have an effect against the direction that the contract declares{named}"
    return Gate("directions", FAILED if against else PASSED, value=float(len(against)), limit=0.0, evidence=evidence)


def _stability(evidence: Evidence, policy: Promotion) -> _Named | Gate:
    lacking = [name for name, shares in evidence.shares.items() if shares is None]
    if evidence.snapshot is None or lacking:
        why = f"the newest snapshot, {evidence.snapshot}, lacks {', '.join(lacking)}" if lacking else "no snapshot has features"
        return impossible("stability", why)
    return "stability", [stability(name, shares, policy.max_psi) for name, shares in evidence.shares.items() if shares]


def _segments(held: Held, ratio: float) -> _Named | Gate:
    rows = held.both
    found = []
    for feature, levels in held.levels.items():
        for level in sorted({level for level in levels[rows.bad == 1] if isinstance(level, str)}):
            part = rows.only(levels == level)
            if part.bads >= SEGMENT_BADS:
                found.append(calibration(f"{feature} {level}", part, ratio, 0.0, design_effect(part)))
    if not found:
        why = f"no level of a category has {SEGMENT_BADS} bad accounts or customers: none is measured"
        return Gate("segments", PASSED, evidence=why)
    return "segments", found
