"""The scores of a request: as results, one for each record, or as columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from risk_assets.domain.contract.schema import SCORED
from risk_assets.domain.scorecard.many_rows import ManyScores
from risk_assets.domain.scorecard.scoring import HISTOGRAM_BINS
from risk_serving.scoring.answers import NotEligible, RecordResult, Result, ResultColumns, WithIssues, columns_of

# The type of a result, and the labels of its metric: the version; of a scored record the arm and the lower bound of the
# probability's bin; of one that is not eligible the reason.
Kind: TypeAlias = tuple[Any, ...]

BINS = [f"{min(position, HISTOGRAM_BINS - 1) / HISTOGRAM_BINS:.2f}" for position in range(HISTOGRAM_BINS + 1)]  # a probability may be 1


class ModelNames(NamedTuple):
    """The names in a model's results: its arm, its version, its bands, and the texts of its reasons."""

    arm: str
    version: str
    bands: Sequence[str]
    texts: Sequence[str]


class Scored:
    """The scores of a request's records, in their order.

    Attributes
    ----------
    results
        A result for each record.
    shadow
        The probabilities of a challenger in shadow, None for records that are not scored; None if there is no such challenger.
    """

    def __init__(self, results: list[RecordResult], shadow: Sequence[float | None] | None = None) -> None:
        self._results, self.shadow = results, shadow

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self._results)

    @property
    def results(self) -> list[RecordResult]:
        """The results."""
        return self._results

    def counts(self) -> Mapping[Kind, int]:
        """Return how many results there are of each kind."""
        return Counter(map(_kind, self.results))

    def columns(self) -> ResultColumns:
        """Return the results as columns."""
        return columns_of(self.results)


class ManyScored(Scored):
    """The scores of records that one version has scored, by column; results are made when they are first used.

    `bands` and `texts` are the names that `scores` has the positions of; `arm` and `version` are those of the model.
    """

    def __init__(self, ids: Sequence[str | None], scores: ManyScores, model: ModelNames, shadow: Sequence[float] | None = None) -> None:
        self.ids, self.scores, self.shadow = ids, scores, shadow
        self.arm, self.version, self.bands, self.texts = model

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self.ids)

    def counts(self) -> Mapping[Kind, int]:
        """Return how many results there are of each kind."""
        found = np.bincount((self.scores.probability * HISTOGRAM_BINS).astype(np.int64), minlength=len(BINS)).tolist()
        kinds: Counter[Kind] = Counter()
        for position, records in enumerate(found):
            if records:
                kinds[Result, self.version, self.arm, BINS[position]] += records
        return kinds

    @cached_property
    def _lists(self) -> tuple[list[int], list[float], list[int], list[str], list[tuple[str, ...]]]:
        scores = self.scores
        reasons: list[tuple[str, ...]] = [()] * len(self.ids)
        text = self.texts.__getitem__
        for index, count, positions in zip(scores.flagged.tolist(), scores.counts.tolist(), scores.texts.tolist(), strict=True):
            reasons[index] = tuple(map(text, positions[:count]))
        bands = list(map(self.bands.__getitem__, scores.band.tolist()))
        return scores.prediction.astype(int).tolist(), scores.probability.tolist(), scores.points.tolist(), bands, reasons

    @cached_property
    def results(self) -> list[RecordResult]:
        """The results."""
        return list(map(Result, self.ids, *self._lists, repeat(self.arm), repeat(self.version)))

    def columns(self) -> ResultColumns:
        """Return the results as columns."""
        size = len(self.ids)
        status: Any = [SCORED] * size
        nothing: list[None] = [None] * size
        columns: list[Any] = [*self._lists, nothing, nothing, [self.arm] * size, [self.version] * size]
        return ResultColumns(status, list(self.ids), *columns)


def _kind(result: RecordResult) -> Kind:
    if isinstance(result, Result):
        return Result, result.model_version, result.arm, BINS[int(result.probability * HISTOGRAM_BINS)]
    if isinstance(result, NotEligible):
        return NotEligible, result.model_version, result.excluded
    return WithIssues, result.model_version
