"""The run log: a row for each nightly run."""

import time

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs.failures import failed_checks, job_name, passed_checks
from risk_assets.defs.histogram import histogram
from risk_assets.defs.releases import releases_text
from risk_assets.defs.resources import Lakehouse
from risk_assets.lake.facts import PredictionFacts
from risk_assets.lake.run_log import SUCCESS, WARNING, RunRecord


def batch_runs(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[RunRecord]:
    """The run's row in `logs/batch_runs_log.csv`. A run that fails gets its row from the command or sensor that sees it fail."""
    date = context.partition_key
    scored, raw = lakehouse.manifest("curated/predictions", date), lakehouse.manifest("raw/accounts", date)
    facts = scored.facts_as(PredictionFacts)
    warnings = "; ".join(str(check) for check in failed_checks(context.instance, context.run.run_id))
    record = RunRecord(
        timestamp=utc_now("milliseconds"),
        date=date,
        job=job_name(context.job_name),
        status=WARNING if warnings else SUCCESS,
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
        warnings=warnings or None,
        released=releases_text(context.run.tags, passed_checks(context.instance, context.run.run_id)),
    )
    plot = histogram(list(facts.histogram.values()))
    return dg.Output(
        record,
        metadata={
            **scored.numbers,
            "status": record.status,
            "warnings": record.warnings or "none",
            "seconds": record.seconds or 0.0,
            "scores": dg.MetadataValue.md(plot),
        },
    )


def _seconds(context: dg.AssetExecutionContext) -> float | None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return round(time.time() - record.start_time, 3) if record and record.start_time else None
