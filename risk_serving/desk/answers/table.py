"""Which function answers a question."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from risk_assets.lake.account_index import find
from risk_serving.desk.answers import accounts, comparison, dates, dispositions, work_list
from risk_serving.desk.answers.missing import no_report
from risk_serving.desk.desk import Desk, NoReportError
from risk_serving.desk.questions import (
    AccountPage,
    AllDates,
    Answer,
    ComparisonPage,
    DatePage,
    FindAccount,
    NewDisposition,
    NewestDate,
    Question,
    WorkListFile,
    WorkListPage,
)

_ANSWERS: dict[type[Any], Callable[[Desk, Any], Answer]] = {
    NewestDate: dates.newest_date,
    AllDates: dates.all_dates,
    DatePage: dates.date_page,
    WorkListPage: lambda desk, question: work_list.work_list_page(desk, question, desk.log),
    WorkListFile: lambda desk, question: work_list.work_list_file(desk, question, desk.log),
    FindAccount: lambda desk, question: accounts.find_account(desk, question, find),
    AccountPage: lambda desk, question: accounts.account_page(desk, question, find, dispositions.entries_of(desk, desk.log)),
    ComparisonPage: comparison.comparison_page,
    NewDisposition: lambda desk, question: dispositions.new_disposition(desk, question, desk.log, _account_of(desk)),
}


def _account_of(desk: Desk) -> Callable[[str, str], str | None]:
    """Return a function that returns the id of the account with a key on a date."""
    return lambda date, key: accounts.account_of(desk, date, key, find)


def answer(desk: Desk, question: Question) -> Answer:
    """Return the answer to a question: status 404 if it is about a date without report.

    Raises `RiskError` if the lake cannot be read, is gone or has another format. The format is read before something is written, and after
    something was not found; before other answers it may be that of a moment ago.
    """
    if isinstance(question, NewDisposition):
        desk.require_lake_now()
    else:
        desk.require_lake()
    found = _answered(desk, question)
    if found.status == HTTPStatus.NOT_FOUND:
        desk.require_lake_now()
    return found


def _answered(desk: Desk, question: Question) -> Answer:
    try:
        return _ANSWERS[type(question)](desk, question)
    except NoReportError as error:
        return no_report(error)
