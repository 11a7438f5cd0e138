"""Monitoring: a scored date compared with the training of its version and with the outcomes of its accounts, and the alerts of a date."""

from typing import Any

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs import calibration_plot, shift_plot
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.monitoring.alerts import HEADER, OPENED, RESOLVED, AlertReport, rows, summary
from risk_assets.domain.monitoring.performance_report import ModelPerformance, PerformanceReport, Verdict
from risk_assets.domain.monitoring.report import DriftReport, OnlineShift
from risk_assets.lake import alert_files
from risk_assets.lake.alert_evidence import Evidence, collect

SHOWN_FEATURES = 10


def drift(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[DriftReport]:
    """How far the score and each feature are from the training rows of the version that scored the date.

    Index (PSI), missing values, unseen levels and numbers out of range, in the bins of the training; the points by which each
    feature shifted the mean score; and why the number of accounts that are predicted bad changed. Next to it, the same figures of a sample
    of the requests to the service on the date (UTC), and whether the batch gives the same answers to them.
    """
    from risk_assets.lake.drift_measurement import drift as measure  # scipy is imported by monitoring only

    found = measure(lakehouse.store, context.partition_key, lakehouse.contract, lakehouse.policy)
    return dg.Output(found, metadata=shown(_figures(found)))


def performance(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[PerformanceReport]:
    """How well the models that scored the date predicted the outcomes of its accounts; before these mature, their own estimates.

    AUC, Gini, KS, Brier score, and expected and observed bads overall, by band and by category, of the champion and of a challenger or a
    shadow, next to the holdouts at training; and how accounts moved between bands in a month.
    """
    from risk_assets.lake.performance_measurement import performance as measure  # scipy is imported by monitoring only

    today = lakehouse.settings.calendar.day(utc_now())
    found = measure(lakehouse.store, context.partition_key, lakehouse.contract, lakehouse.policy, today)
    return dg.Output(found, metadata=shown(_performance_figures(found)))


def alerts(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[tuple[AlertReport, Evidence]]:
    """The alerts as of a date: what exceeded which limit, failed or is late, by how much, since when, and what to do.

    From the drift of the date, the performance of the newest matured date, the run log, and what is live. A cause opens one alert, which is
    repeated until a date is evaluated without it. What could not be evaluated, as drift on a date that was not scored, stays open.
    """
    settings, date = lakehouse.settings, context.partition_key
    evidence = collect(lakehouse.store, date, lakehouse.contract, lakehouse.policy, settings.calendar)
    report = evidence.evaluate(alert_files.find(lakehouse.store, date))
    return dg.Output((report, evidence), metadata=_alert_figures(report))


def _alert_figures(report: AlertReport) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "open": len(report.open),
        "opened": report.count(OPENED),
        "resolved": report.count(RESOLVED),
        "summary": summary(report),
        "alerts": dg.MetadataValue.md(markdown_table(HEADER, rows(report))),
    }
    if report.gaps:
        figures["not_evaluated"] = "; ".join(gap.why for gap in report.gaps)
    return figures


def _performance_figures(found: PerformanceReport) -> dict[str, Any]:
    from risk_assets.domain.monitoring.performance_evidence import (
        migration_table,
        parts_table,
        performance_table,
        summary,
        verdict_text,
        vintage_table,
    )

    figures: dict[str, Any] = {
        "matured": int(found.matured),
        "scored": found.scored,
        "labelled": found.labelled,
        "beyond_limits": len(found.exceeded),
        "summary": summary(found),
        "models": dg.MetadataValue.md(performance_table(found)),
    }
    for model in found.models:
        figures |= {f"{model.role}_{name}": figure for name, figure in _model_figures(model).items()}
    champion = found.models[0]
    if champion.overall:
        parts = (champion.overall, *champion.bands.shown)
        figures["parts"] = dg.MetadataValue.md(parts_table(found.models))
        figures["plot"] = dg.MetadataValue.md(calibration_plot.calibration(parts))
    if found.migration:
        figures["migration"] = dg.MetadataValue.md(migration_table(found.migration))
    if found.vintage:
        figures["vintage"] = dg.MetadataValue.md(vintage_table(found.vintage))
    if found.verdict:
        figures |= {"verdict": verdict_text(found.verdict), **_verdict_figures(found.verdict)}
    if found.notes:
        figures["notes"] = "; ".join(found.notes)
    return figures


def _verdict_figures(found: Verdict) -> dict[str, float]:
    """Return the gain of a challenger with its interval, which are plotted over dates."""
    low, high = found.interval
    return {} if found.gain is None else {"gain_in_auc": found.gain, "gain_in_auc_low": low, "gain_in_auc_high": high}


def _model_figures(model: ModelPerformance) -> dict[str, Any]:
    """Return the figures of a model that are plotted over dates; those that are not known yet are left out."""
    overall, ranking = model.overall, model.ranking
    found = {
        "version": model.version,
        "estimated_bad": model.estimate.expected,
        "estimated_auc": model.estimate.roc_auc,
        "expected_bad": overall and overall.expected,
        "observed_bad": overall and overall.observed,
        "calibration_ratio": overall and overall.ratio,
        "auc": ranking and ranking.roc_auc,
        "gini": ranking and ranking.gini,
        "ks": ranking and ranking.ks,
        "brier": model.brier,
        **{f"{part.name.replace(' ', '_')}_ratio": part.ratio for part in model.flagged.shown},
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _figures(found: DriftReport) -> dict[str, Any]:
    from risk_assets.domain.monitoring.evidence import drift_table, flagged_text, summary

    figures: dict[str, Any] = {
        "version": found.version,
        "rows": found.rows,
        "independent_rows": found.independent,
        "beyond_limits": len(found.exceeded),
        "score_psi": found.score.psi.value,
        "score_psi_limit": found.score.psi.limit,
        "largest_psi": max(each.psi.value for each in (found.score, *found.features)),
        "points": found.score.points or 0.0,
        "summary": summary(found),
        "shifts": dg.MetadataValue.md(drift_table(found, SHOWN_FEATURES)),
        "plot": dg.MetadataValue.md(shift_plot.shifts(found.features[:SHOWN_FEATURES])),
    }
    change = found.flagged
    if change:
        parts = {name: getattr(change, name) for name in ("features", "model", "policy", "joined", "left")}
        figures |= {"flagged": change.now, "flagged_change": flagged_text(change)}
        figures |= {f"flagged_by_{name}": number for name, number in parts.items()}
    if found.notes:
        figures["notes"] = "; ".join(found.notes)
    return figures | (_online_figures(found, found.online) if found.online else {})


def _online_figures(found: DriftReport, online: OnlineShift) -> dict[str, Any]:
    """Return the figures of requests; those of the score are left out if the version scored none."""
    from risk_assets.domain.monitoring.evidence import online_summary, online_table, parity_text

    figures: dict[str, Any] = {
        "online_rows": online.rows,
        "online_beyond_limits": len(online.exceeded),
        "online_summary": online_summary(found),
        "parity": parity_text(online.parity),
        "parity_records": online.parity.records,
        "parity_differing": online.parity.differing,
        "parity_problems": online.parity.problems,
    }
    if online.score:
        figures |= {
            "online_independent_rows": online.independent,
            "online_score_psi": online.score.psi.value,
            "online_score_psi_limit": online.score.psi.limit,
            "online_points": online.score.points or 0.0,
            "online_shifts": dg.MetadataValue.md(online_table(found, SHOWN_FEATURES)),
        }
    return figures
