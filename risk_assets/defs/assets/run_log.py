"""The run log: a row for each nightly run."""

import time

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs import plots
from risk_assets.defs.assets.predictions import predictions
from risk_assets.defs.assets.raw import OWNERS
from risk_assets.defs.assets.review import review_list
from risk_assets.defs.failures import AD_HOC_JOB, log_failure
from risk_assets.defs.partitions import daily
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.run_log import RunRecord


@dg.asset(
    key=["logs", "batch_runs"],
    deps=[predictions, review_list],
    partitions_def=daily,
    io_manager_key="run_log",
    group_name="logs",
    kinds={"csv"},
    owners=OWNERS,
    code_version="1",
    hooks={log_failure},
)
def batch_runs(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[RunRecord]:
    """The run's row in `logs/batch_runs_log.csv`; a run that failed has one too, written where it failed."""
    date = context.partition_key
    scored, raw = lakehouse.manifest("curated/predictions", date), lakehouse.manifest("raw/accounts", date)
    facts = scored.facts_as(PredictionFacts)
    record = RunRecord(
        timestamp=utc_now("milliseconds"),
        date=date,
        job="materialize" if context.job_name.startswith(AD_HOC_JOB) else context.job_name,
        status="success",
        model_version=scored.made_from.model_version,
        rows_in=raw.rows,
        scored=facts.scored,
        with_issues=facts.with_issues,
        min_score=facts.min_score,
        mean_score=facts.mean_score,
        max_score=facts.max_score,
        predicted_bad=facts.predicted_bad,
        challenger=scored.made_from.challenger,
        challenger_scored=facts.challenger_scored,
        challenger_mean_score=facts.challenger_mean_score,
        seconds=_seconds(context),
        input=lakehouse.store.uri(raw.path),
        output=lakehouse.store.uri(scored.path),
        run_id=context.run.run_id,
    )
    shape = plots.distribution(list(facts.histogram.values()))
    return dg.Output(record, metadata={**scored.numbers, "seconds": record.seconds or 0.0, "scores": dg.MetadataValue.md(shape)})


def _seconds(context: dg.AssetExecutionContext) -> float | None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return round(time.time() - record.start_time, 3) if record and record.start_time else None
