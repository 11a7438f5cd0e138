"""Days of a simulated bank through the functions of the domain: trained, scored, and monitored without a lake and Dagster."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
import yaml

from risk_assets.clock import shift
from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, GROUP, OUTCOME, RAGGED, Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.population import can_be_scored
from risk_assets.domain.ingest.validation import repeated_ids, validate
from risk_assets.domain.monitoring.alert_causes import drift_causes, flagged_cause, performance_causes
from risk_assets.domain.monitoring.alerts import AlertReport, Cause, Gap, evaluate
from risk_assets.domain.monitoring.drift import Reference, count
from risk_assets.domain.monitoring.drift import measure as measure_drift
from risk_assets.domain.monitoring.flagged_range import USUAL_DATES, flagged_figure
from risk_assets.domain.monitoring.performance import TREATMENT, Scored
from risk_assets.domain.monitoring.performance import measure as measure_performance
from risk_assets.domain.monitoring.performance_report import PerformanceReport
from risk_assets.domain.monitoring.report import DriftReport
from risk_assets.domain.monitoring.tally import count_independent
from risk_assets.domain.scorecard.scorecard import VersionedScorecard
from risk_assets.domain.training.dataset import labelled
from risk_assets.domain.training.train import TrainedModel, train
from risk_assets.rehearsal.book import FIRST, short_contract, short_policy
from risk_assets.simulation.scenarios import Scenario
from risk_assets.simulation.scripted_bank import ScriptedBank
from tests.conftest import ROOT

CONTRACT = Contract.model_validate(short_contract(yaml.safe_load((ROOT / "data/bank/contract.yml").read_text(encoding="utf-8"))))
POLICY = Policy.model_validate(short_policy(yaml.safe_load((ROOT / "data/bank/policy.yml").read_text(encoding="utf-8"))))

VERSION = "model_v001"


@dataclass(frozen=True)
class Reports:
    """The reports of a morning, of the newest snapshot and of the one that matured, and the number of flagged accounts."""

    day: int
    date: str
    drift: DriftReport
    performance: PerformanceReport | None
    flagged: int


def alerts(scenario: Scenario, accounts: int, seed: int) -> Iterator[tuple[int, AlertReport]]:
    """Yield the day and the alerts of each morning of a scenario without late files; the first version scores all days."""
    earlier, flagged = None, list[int]()
    for each in reports(scenario, accounts, seed):
        figure = flagged_figure(each.flagged, flagged[-USUAL_DATES:], POLICY.monitoring)
        flagged.append(each.flagged)
        causes: list[Cause] = [*drift_causes(each.drift)]
        if figure and figure.beyond:
            causes.append(flagged_cause(each.date, figure, None))
        if each.performance:
            causes += performance_causes(each.performance, each.date, VERSION)
        earlier = evaluate(each.date, earlier, causes, () if each.performance else (Gap(("performance:",), "nothing has matured"),))
        yield each.day, earlier


def read_csv(content: bytes) -> pl.LazyFrame:
    return pl.read_csv(io.BytesIO(content), infer_schema=False, empty_string_is_null=False).lazy()


def features_of(content: bytes) -> pl.LazyFrame:
    raw = read_csv(content).with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED))
    return validate(raw, CONTRACT, repeated_ids(raw, CONTRACT)).collect().lazy()


def outcomes_of(content: bytes) -> pl.LazyFrame:
    return read_csv(content).select(pl.col("account_id").alias(ACCOUNT_ID), pl.col("defaulted").cast(pl.Int8).alias(OUTCOME))


def reports(scenario: Scenario, accounts: int, seed: int) -> Iterator[Reports]:
    """Yield the reports of each morning of a scenario without late files; the first version scores all days."""
    features: dict[str, pl.LazyFrame] = {}
    outcomes: dict[str, pl.LazyFrame] = {}
    scored: dict[str, pl.DataFrame] = {}
    model: TrainedModel | None = None
    for morning in ScriptedBank(scenario, accounts, seed, FIRST).mornings(scenario.days):
        for file in morning.files:
            if file.kind == "accounts":
                features[file.date] = features_of(file.content)
            else:
                outcomes[file.date] = outcomes_of(file.content)
        if morning.day < 0:
            continue
        if model is None:
            frame = labelled(features, outcomes, CONTRACT, POLICY.training)
            model = train(frame, (FIRST - timedelta(days=1)).isoformat(), CONTRACT, POLICY, None)
        scored[morning.date] = predicted(features[morning.date], model)
        matured = shift(morning.date, -28)
        done = performance_of(matured, scored.pop(matured), features.pop(matured), outcomes[matured], model) if matured in scored else None
        drift = drift_of(morning.date, features[morning.date], scored[morning.date], model)
        yield Reports(morning.day, morning.date, drift, done, scored[morning.date]["prediction"].sum())


def predicted(features: pl.LazyFrame, model: TrainedModel) -> pl.DataFrame:
    return predictions(features, Arms(VersionedScorecard(VERSION, model.scorecard)), POLICY).collect()


def drift_of(date: str, features: pl.LazyFrame, scored: pl.DataFrame, model: TrainedModel) -> DriftReport:
    rows = features.filter(can_be_scored())
    reference = Reference(VERSION, model.scorecard, model.profile, model.profile.independent)
    probability = scored.lazy().filter(pl.col("probability").is_not_null()).select("probability")
    return measure_drift(count(date, rows, probability, reference, count_independent(rows)), reference, POLICY.monitoring, POLICY.points)


def performance_of(
    date: str, scored: pl.DataFrame, features: pl.LazyFrame, outcomes: pl.LazyFrame, model: TrainedModel
) -> PerformanceReport:
    rows = scored.lazy().filter(pl.col("probability").is_not_null()).select(ACCOUNT_ID, "probability", "band")
    known = rows.join(features.select(ACCOUNT_ID, GROUP), on=ACCOUNT_ID).join(outcomes, on=ACCOUNT_ID, how="left")
    treatment = pl.lit(None, dtype=pl.String).alias(TREATMENT)
    table = known.with_columns(pl.col(GROUP).cast(pl.Categorical).to_physical(), treatment).collect()
    models = measure_performance([Scored(VERSION, "champion", table, tuple(POLICY.bands), (), model.metrics)], POLICY.monitoring, True)
    matured = shift(date, 28)
    return PerformanceReport(
        date=date,
        matures_on=matured,
        as_of=matured,
        matured=True,
        scored=len(table),
        labelled=table[OUTCOME].count(),
        more_known_on=None,
        models=models,
    )
