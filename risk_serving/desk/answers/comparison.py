"""The page of two dates next to each other."""

from risk_assets.domain.morning.date_comparison import compare_dates
from risk_assets.pages.comparison import render_comparison, render_no_comparison
from risk_serving.desk.answers.dates_around import served_around
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import Answer, ComparisonPage


def comparison_page(desk: Desk, question: ComparisonPage) -> Answer:
    """Return the page that compares two dates, or one with status 404 if a date has no report.

    Raises `LakeError` if a report cannot be read. Only the two reports are read.
    """
    dates = desk.dates()
    served = served_around(dates, question.date)
    missing = next((date for date in (question.date, question.other) if date not in dates), None)
    if missing is not None:
        return Answer(404, render_no_comparison(question.date, question.other, missing, served).encode())
    found = compare_dates(desk.report(question.date), desk.report(question.other))
    return Answer(200, render_comparison(found, served).encode())
