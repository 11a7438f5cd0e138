"""The run log: a row for each nightly run."""

import time

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs.failures import job_name
from risk_assets.defs.histogram import histogram
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.run_log import RunRecord


def batch_runs(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[RunRecord]:
    """The run's row in `logs/batch_runs_log.csv`. A run that fails gets its row from the command or sensor that sees it fail."""
    date = context.partition_key
    scored, raw = lakehouse.manifest("curated/predictions", date), lakehouse.manifest("raw/accounts", date)
    facts = scored.facts_as(PredictionFacts)
    record = RunRecord(
        timestamp=utc_now("milliseconds"),
        date=date,
        job=job_name(context.job_name),
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
    plot = histogram(list(facts.histogram.values()))
    return dg.Output(record, metadata={**scored.numbers, "seconds": record.seconds or 0.0, "scores": dg.MetadataValue.md(plot)})


def _seconds(context: dg.AssetExecutionContext) -> float | None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return round(time.time() - record.start_time, 3) if record and record.start_time else None
