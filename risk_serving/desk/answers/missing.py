"""The answer about a date without report."""

from risk_assets.pages.messages import render_message
from risk_serving.desk.desk import NoReportError
from risk_serving.desk.questions import Answer


def no_report(error: NoReportError) -> Answer:
    """Return a page with status 404 that says how the report is made."""
    return Answer(404, render_message("No report", (str(error),)).encode())
