"""The scores of a request: as results, one for each record, or as columns."""

from collections.abc import Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple

from risk_assets.domain.contract.schema import SCORED
from risk_assets.domain.scorecard.many_rows import ManyScores
from risk_serving.scoring.answers import RecordResult, Result, ResultColumns, columns_of


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

    @property
    def results(self) -> list[RecordResult]:
        """The results."""
        return self._results

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._results)

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
        """Return the number of records."""
        return len(self.ids)

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
