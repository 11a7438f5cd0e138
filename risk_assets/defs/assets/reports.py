"""Reports: what people read in the morning."""

from typing import Any

import dagster as dg

from risk_assets.clock import utc_now
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake.morning_facts import CollectedReport, Sources, morning_report
from risk_assets.lake.notes import Notes


def morning(context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> dg.Output[CollectedReport]:
    """What happened in the night: verdict, key figures, changes, work list, data, model and decisions; also if nothing was scored.

    A date without usable scores shows the list of the newest earlier one, and says so. What cannot be read is left out, with a note.
    """
    notes = Notes()
    documents = notes.attempt("contract and policy", lambda: lakehouse.documents)
    sources = Sources(lakehouse.store, lakehouse.landing, lakehouse.settings.calendar, documents.contract if documents else None)
    found = morning_report(sources, context.partition_key, utc_now(), notes)
    return dg.Output(found, metadata=shown(_figures(found.report)))


def _figures(report: MorningReport) -> dict[str, Any]:
    """Return the verdict and the figures of the date; those of an earlier date that is shown instead are left out."""
    figures: dict[str, Any] = {
        "verdict": report.verdict.sentence,
        "state": report.verdict.state,
        "severity": report.verdict.severity,
        "shown_date": report.shown_date or "none",
    }
    if report.figures and report.shown_date == report.date:
        known = {figure.name.replace(" ", "_"): figure.value for figure in report.figures.shown if figure.value is not None}
        figures |= known | {"unusual": sum(figure.unusual for figure in report.figures.shown)}
    if report.notes:
        figures["notes"] = "; ".join(report.notes)
    return figures
