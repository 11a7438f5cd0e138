"""The driver's part of the checks of predictions: executors compare, and it adds up what they have found."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import islice

from risk_assets.domain.batch.review_list import MAX_CANDIDATES
from risk_assets.domain.contract.policy import Review
from risk_assets.domain.contract.schema import Contract
from risk_assets.engine.jobs import CheckedPiece, CheckJob
from risk_assets.engine.spark import Cluster
from risk_assets.engine.tables import complete, lake_address
from risk_assets.engine.tasks import packages
from risk_assets.lake.facts import PredictionFacts, RawFacts
from risk_assets.lake.manifests import Manifest
from risk_assets.lake.prediction_checks import Riskiest
from risk_assets.lake.store import Store


@dataclass
class ClusterPredictionChecks:
    """Predictions that executors compare: once, for all checks.

    `sizes` are the bytes of the pieces of the predictions, and `size` is that of the review list.
    """

    cluster: Cluster
    job: CheckJob
    sizes: Sequence[int]
    size: int

    def out_of_place(self) -> int:
        """Return the number of rows of which raw file and predictions have different ids."""
        return sum(piece.out_of_place for piece in self._pieces)

    def riskiest(self) -> Riskiest:
        """Return what the review list must have."""
        highest = merge(*(piece.candidates for piece in self._pieces), reverse=True)
        return Riskiest(tuple(islice(highest, self.size)), sum(piece.held_out for piece in self._pieces))

    @cached_property
    def _pieces(self) -> list[CheckedPiece]:
        return complete(self.cluster.checks(self.job, self.sizes), CheckedPiece, len(self.sizes), self.job.lake)


def check_job(store: Store, raw: Manifest, predictions: Manifest, contract: Contract, review: Review) -> CheckJob | None:
    """Return the job for executors; None if raw file and predictions are not in the same pieces, or the review list is too long."""
    pieces, predicted = raw.facts_as(RawFacts).pieces, predictions.facts_as(PredictionFacts).pieces
    if pieces is None or [piece.rows for piece in pieces] != [rows for _, rows in predicted] or review.size > MAX_CANDIDATES:
        return None
    return CheckJob(
        lake=lake_address(store),
        packages=packages(),
        raw=raw.path,
        raw_seal=raw.seal,
        predictions=predictions.path,
        seal=predictions.seal,
        contract=contract.canonical.decode(),
        review=review.model_dump_json(),
    )
