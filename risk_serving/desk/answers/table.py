"""Which function answers a question."""

from collections.abc import Callable
from typing import Any

from risk_serving.desk.answers import dates
from risk_serving.desk.answers.missing import no_report
from risk_serving.desk.desk import Desk, NoReportError
from risk_serving.desk.questions import AllDates, Answer, DatePage, NewestDate, Question

_ANSWERS: dict[type[Any], Callable[[Desk, Any], Answer]] = {
    NewestDate: dates.newest_date,
    AllDates: dates.all_dates,
    DatePage: dates.date_page,
}


def answer(desk: Desk, question: Question) -> Answer:
    """Return the answer to a question: status 404 if it is about a date without report; raises `RiskError` if the lake cannot be read."""
    try:
        return _ANSWERS[type(question)](desk, question)
    except NoReportError as error:
        return no_report(error)
