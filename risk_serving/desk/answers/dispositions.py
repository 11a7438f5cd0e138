"""Records what somebody did about an account."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import Disposition, Kind, in_zone, problems, written
from risk_assets.domain.morning.facts import AccountList, MorningReport
from risk_assets.errors import LakeError
from risk_assets.lake.dispositions import DispositionLog
from risk_assets.pages import addresses
from risk_assets.pages.dispositions import Filled, render_conflict, render_not_recorded, render_problems
from risk_serving.desk.answers.dates_around import served_around
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import Answer, NewDisposition

AccountOf = Callable[[str, str], str | None]  # the id of the account with a key on a date, if it was scored

_FORM_ID = re.compile("[A-Za-z0-9_-]{8,200}")


def new_disposition(desk: Desk, question: NewDisposition, log: DispositionLog, account_of: AccountOf) -> Answer:
    """Record a disposition once, and return to the page of the form.

    The status is 404 if the date does not have the account, 422 if the form has to be changed, and 409 if the account has dispositions that
    the form did not know: then nothing is recorded, and the page has the form filled in. Raises `LakeError` if it cannot be recorded.
    """
    back = question.back if addresses.is_of_accounts(question.back) else addresses.work_list(question.date)
    served = served_around(desk.dates(), question.date)
    account = _account(desk, question, account_of)
    if account is None or not _FORM_ID.fullmatch(question.id):
        return Answer(404, render_not_recorded(question.date, back, served).encode())
    filled = Filled(question.date, question.key, question.kind, question.promised_on, question.note)
    now, calendar = utc_now(), desk.settings.calendar
    found = problems(question.kind, question.promised_on, question.note, calendar.day(now))
    if found:
        entries = in_zone(log.read().by_account.get(account, ()), calendar)
        return Answer(422, render_problems(account, filled, entries, found, back, served).encode())
    recorded = log.record(_disposition(question, account, now), question.known)
    if recorded.outcome == "conflict":
        entries = in_zone(recorded.entries, calendar)
        return Answer(409, render_conflict(account, filled, entries, question.known, back, served).encode())
    return Answer(303, location=f"{back}#{addresses.row(question.key)}")


def entries_of(desk: Desk, log: DispositionLog) -> Callable[[str], Sequence[Disposition]]:
    """Return a function that returns the dispositions of an account by its id, the newest one last, in the team's time zone."""
    recorded = log.read()
    return lambda account: in_zone(recorded.by_account.get(account, ()), desk.settings.calendar)


def _disposition(question: NewDisposition, account: str, now: str) -> Disposition:
    return Disposition(
        id=question.id,
        recorded_at=now,
        date=question.date,
        account=account,
        kind=cast(Kind, question.kind),
        promised_on=question.promised_on,
        note=written(question.note),
        by=question.by,
    )


def _account(desk: Desk, question: NewDisposition, account_of: AccountOf) -> str | None:
    """Return the id of the account with the key of a form: of those that the date's report names, or else of all."""
    try:
        named = _named(desk.report(question.date))
    except LakeError:  # the page of an account needs no report
        named = iter(())
    found = next((account for account in named if key_text(account_key(account)) == question.key), None)
    return found if found is not None else account_of(question.date, question.key)


def _named(report: MorningReport) -> Iterator[str]:
    yield from (item.account for item in report.work_list.items)
    lists = msgspec.structs.astuple(report.changes) if report.changes else ()
    yield from (listed.account for each in lists if isinstance(each, AccountList) for listed in each.accounts)
