"""Where a date is stored and its tables are computed: in this process with polars, or by executors of Spark."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import polars as pl

from risk_assets.domain.contract.policy import Policy, Review, Training
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.outcome_history import known_by
from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts, PredictionFacts, RawFacts
from risk_assets.lake.feature_tables import feature_table, features_provenance, require_usable
from risk_assets.lake.landed_parts import LandedFile, OwnParts, PartWork
from risk_assets.lake.manifests import Manifest, Provenance, require_manifest
from risk_assets.lake.prediction_checks import OwnPredictionChecks, PredictionChecks
from risk_assets.lake.prediction_tables import PredictionTable
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Writable, read_table
from risk_assets.settings import LOCAL_ENGINE, Settings

if TYPE_CHECKING:
    from risk_assets.domain.training.dataset import TrainingRows
    from risk_assets.engine.checks import ClusterPredictionChecks
    from risk_assets.engine.spark import Spark


@dataclass(frozen=True)
class Window:
    """What the training for a date reads: the features and outcomes of its window, by date, as known by another date."""

    date: str
    features: Mapping[str, pl.LazyFrame]
    outcomes: Mapping[str, pl.LazyFrame]
    known_by: str
    contract: Contract
    policy: Training


class Engine(Protocol):
    """Where landed files are stored and tables are computed. They are computed when they are written."""

    @property
    def name(self) -> str:
        """The engine as it is shown."""

    def parts(self, store: Store, landed: LandedFile) -> PartWork:
        """Return who measures the parts of a landed file and copies them to the lake."""

    def features(self, store: Store, contract: Contract, date: str, run_id: str) -> Writable:
        """Return the table of a date's features under a contract; raises as `feature_table`."""

    def predictions(self, store: Store, features: Manifest, arms: Arms, policy: Policy, made_from: Provenance) -> Writable:
        """Return the table of predictions from a table of features, which writes the index of its accounts too."""

    def prediction_checks(self, store: Store, contract: Contract, review: Review, date: str) -> PredictionChecks:
        """Return who compares the predictions of a date for the checks."""

    def training_rows(self, store: Store, window: Window) -> "AbstractContextManager[TrainingRows]":
        """Yield the rows of a window that can train; raises `ModelError` if no date has features and outcomes."""

    def close(self) -> None:
        """End what the engine has started; it can be used again."""


class LocalEngine:
    """This process, with polars."""

    name = LOCAL_ENGINE

    def parts(self, store: Store, landed: LandedFile) -> PartWork:
        """Return this process."""
        return OwnParts(store, landed)

    def features(self, store: Store, contract: Contract, date: str, run_id: str) -> Writable:
        """Return the table of a date's features under a contract; raises as `feature_table`."""
        return feature_table(store, contract, date, run_id)

    def predictions(self, store: Store, features: Manifest, arms: Arms, policy: Policy, made_from: Provenance) -> Writable:
        """Return the table of predictions from a table of features, which writes the index of its accounts too."""
        return PredictionTable(layout.date_of(features.path) or "", read_table(store, features.path), arms, policy, made_from)

    def prediction_checks(self, store: Store, contract: Contract, review: Review, date: str) -> PredictionChecks:
        """Return this process."""
        return OwnPredictionChecks(store, contract, review, date)

    def training_rows(self, store: Store, window: Window) -> "AbstractContextManager[TrainingRows]":
        """Yield the rows of a window that can train, as this process reads them."""
        from risk_assets.domain.training.dataset import OwnRows  # scikit-learn and pandas are imported by training only

        outcomes = {date: known_by(rows, window.known_by) for date, rows in window.outcomes.items()}
        return nullcontext(OwnRows(window.features, outcomes, window.contract, window.policy))

    def close(self) -> None:
        """Do nothing: this engine starts nothing."""


class ClusterEngine:
    """Executors of Spark. What cannot be divided is done by this process.

    These are landed files that are one file or small, features of raw files of an earlier release, or of shards with very many lines that
    are too long, predictions of features that are one file, checks of predictions in other pieces than the raw file, or of long review
    lists, and samples of windows in which all features are files.
    """

    def __init__(self, cluster: "Spark") -> None:
        self._cluster = cluster
        self._local = LocalEngine()
        self._checks: ClusterPredictionChecks | None = None

    @property
    def name(self) -> str:
        """The address of Spark without its parameters."""
        return self._cluster.name

    def parts(self, store: Store, landed: LandedFile) -> PartWork:
        """Return executors for shards that are large together, otherwise this process."""
        from risk_assets.engine.parts import ClusterParts, can_be_divided

        return ClusterParts(self._cluster, store, landed) if can_be_divided(landed) else self._local.parts(store, landed)

    def features(self, store: Store, contract: Contract, date: str, run_id: str) -> Writable:
        """Return the table of a date's features under a contract; raises as `feature_table`."""
        from risk_assets.engine.tables import ClusterFeatures

        raw = require_manifest(store, layout.accounts(date))
        facts = raw.facts_as(RawFacts)
        if facts.pieces is None or (facts.ragged is None and facts.long_lines and len(raw.parts) > 1):
            return self._local.features(store, contract, date, run_id)
        require_usable(raw, contract)
        return ClusterFeatures(self._cluster, contract, date, raw, features_provenance(raw, contract, run_id))

    def predictions(self, store: Store, features: Manifest, arms: Arms, policy: Policy, made_from: Provenance) -> Writable:
        """Return the table of predictions from a table of features, which writes the index of its accounts too."""
        from risk_assets.engine.tables import ClusterPredictions

        if not features.facts_as(FeatureFacts).part_rows:
            return self._local.predictions(store, features, arms, policy, made_from)
        return ClusterPredictions(self._cluster, features, arms, policy, made_from)

    def prediction_checks(self, store: Store, contract: Contract, review: Review, date: str) -> PredictionChecks:
        """Return executors, which compare once for all checks of a run, if raw file and predictions are in the same pieces."""
        from risk_assets.engine.checks import ClusterPredictionChecks, check_job

        raw, predictions = (require_manifest(store, path) for path in (layout.accounts(date), layout.predictions(date)))
        job = check_job(store, raw, predictions, contract, review)
        if job is None:
            return self._local.prediction_checks(store, contract, review, date)
        if self._checks is None or self._checks.job != job:
            sizes = [size for size, _ in predictions.facts_as(PredictionFacts).pieces]
            self._checks = ClusterPredictionChecks(self._cluster, job, sizes, review.size)
        return self._checks

    def training_rows(self, store: Store, window: Window) -> "AbstractContextManager[TrainingRows]":
        """Yield the rows of a window that can train, as executors read them if features of a date are in parts."""
        from risk_assets.domain.training.dataset import labelled_dates  # scikit-learn and pandas are imported by training only
        from risk_assets.engine.samples import cluster_rows

        dates = labelled_dates(window.features.keys(), window.outcomes.keys(), window.policy)
        features = {date: require_manifest(store, layout.features(date)) for date in dates}
        if not any(manifest.facts_as(FeatureFacts).part_rows for manifest in features.values()):
            return self._local.training_rows(store, window)
        return cluster_rows(self._cluster, store, window, features)

    def close(self) -> None:
        """Stop the session of Spark."""
        self._cluster.close()


def open_engine(settings: Settings) -> Engine:
    """Return the engine of the settings. Spark is imported and started when it is first used."""
    if settings.engine == LOCAL_ENGINE:
        return LocalEngine()
    from risk_assets.engine.spark import Spark

    log = settings.dagster_home.absolute() / "spark.log"
    return ClusterEngine(Spark(settings.engine, settings.engine_name, log, settings.executor_wait_seconds))
