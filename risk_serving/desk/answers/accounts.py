"""The page of an account, and its address by its id."""

from collections.abc import Callable, Sequence

from risk_assets.domain.contract.text import strip_cell
from risk_assets.domain.morning.account_facts import AccountsOfKey
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.account_history import Find
from risk_assets.lake.account_pages import find_account_id, read_accounts
from risk_assets.pages import addresses
from risk_assets.pages.account import render_account, render_no_account
from risk_serving.desk.answers.dates_around import served_around
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import AccountPage, Answer, FindAccount

EntriesOf = Callable[[str], Sequence[Disposition]]  # the dispositions of an account by its id


def find_account(desk: Desk, question: FindAccount, find: Find) -> Answer:
    """Return the address of the account with an id, or a page with status 404 if the date does not have it.

    Raises `LakeError` if the index of accounts of the date cannot be read.
    """
    account = strip_cell(question.account)
    key = account_key(account)
    if _is_scored(desk, question.date) and find(desk.store, question.date, key):
        return Answer(303, location=addresses.account(question.date, key_text(key)))
    return _no_account(desk, question.date, account)


def account_page(desk: Desk, question: AccountPage, find: Find, entries_of: EntriesOf) -> Answer:
    """Return the page of the accounts with a key, with status 404 if the date has none.

    Raises `LakeError` or `ModelError` if the index, the features or the model of the date cannot be read.
    """
    if not _is_scored(desk, question.date):
        return _no_account(desk, question.date)
    found = read_accounts(desk.store, question.date, int(question.key, 16), find, question.other, _report(desk, question.date))
    if not found.accounts:
        return _no_account(desk, question.date)
    served = served_around(desk.dates(), question.date)
    return Answer(200, render_account(found, served, _entries(found, entries_of)).encode())


def account_of(desk: Desk, date: str, key: str, find: Find) -> str | None:
    """Return the id of the account with a key on a date; None if the date does not have it, or its features are gone."""
    return find_account_id(desk.store, date, int(key, 16), find) if _is_scored(desk, date) else None


def _is_scored(desk: Desk, date: str) -> bool:
    return desk.store.size(layout.manifest(layout.predictions(date))) is not None


def _report(desk: Desk, date: str) -> MorningReport | None:
    """Return the report of a date; None if it cannot be read, so that the place on the review list is not known."""
    try:
        return desk.report(date)
    except LakeError:
        return None


def _entries(found: AccountsOfKey, entries_of: EntriesOf) -> list[Disposition]:
    """Return the dispositions of the accounts with a key; ids that are repeated count once."""
    ids = dict.fromkeys(facts.account for facts in found.accounts if facts.account is not None)
    return [entry for account in ids for entry in entries_of(account)]


def _no_account(desk: Desk, date: str, account: str | None = None) -> Answer:
    return Answer(404, render_no_account(date, served_around(desk.dates(), date), account).encode())
