"""Monitoring: a scored date compared with the training rows of the version that scored it."""

from typing import Any

import dagster as dg

from risk_assets.defs import shift_plot
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.monitoring.report import DriftReport

SHOWN_FEATURES = 10


def drift(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[DriftReport]:
    """How far the score and each feature are from the training rows of the version that scored the date.

    Index (PSI), missing values, unseen levels and numbers out of range, in the bins of the training; the points by which each
    feature shifted the mean score; and why the number of accounts that are predicted bad changed.
    """
    from risk_assets.lake.drift_measurement import drift as measure  # scipy is imported by monitoring only

    found = measure(lakehouse.store, context.partition_key, lakehouse.contract, lakehouse.policy)
    return dg.Output(found, metadata=shown(_figures(found)))


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
    return figures
