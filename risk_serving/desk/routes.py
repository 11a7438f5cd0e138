"""The question that an address asks. Values that are not known have no effect; a date or a key that is not one has no page."""

import re
from collections.abc import Mapping

from risk_assets.clock import is_date
from risk_assets.domain.morning.account_key import KEY_DIGITS
from risk_assets.domain.morning.selection import from_query
from risk_assets.errors import RiskError
from risk_assets.pages import addresses
from risk_serving.desk.forms import fields_of
from risk_serving.desk.questions import (
    AccountPage,
    AllDates,
    ComparisonPage,
    DatePage,
    FindAccount,
    NewDisposition,
    NewestDate,
    Question,
    WorkListFile,
    WorkListPage,
)

MAX_DIGITS = 9
_KEY = re.compile(f"[0-9a-f]{{{KEY_DIGITS}}}")
_PARTS = "(?:/[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)*)*/?"  # of a path: not "..", which leads out of the desk, and nothing that is encoded
_SAFE = re.compile(rf"{addresses.ROOT}{_PARTS}(?:[?][A-Za-z0-9._~%&=+/?:@!$'()*,;-]*)?")


class NoPage(Exception):
    """An address has no page."""


class Unclear(Exception):
    """An address lacks something that its page needs; the message says what."""


def question_of(path: str, query: str) -> Question | str:
    """Return the question of an address, or the address to go to instead; raises `NoPage`, or `Unclear`."""
    try:
        fields = fields_of(query)
    except ValueError:
        raise Unclear("The address has too many fields.") from None
    try:
        return _question_of(path, fields)
    except RiskError as error:
        raise Unclear(str(error)) from None


def disposition_of(fields: Mapping[str, str], by: str) -> NewDisposition:
    """Return what a form records, by the caller; raises `Unclear` if a field is missing or not valid."""
    date, key, known = fields.get("date", ""), fields.get("key", ""), fields.get("known", "")
    if not (fields.get("form_id") and is_date(date) and _KEY.fullmatch(key) and _is_count(known)):
        raise Unclear("The form is not complete. Open the account's page again, and send the form from there.")
    promised = fields.get("promised_on", "")
    return NewDisposition(
        id=fields["form_id"],
        date=date,
        key=key,
        kind=fields.get("kind", ""),
        note=fields.get("note", ""),
        promised_on=promised or None,
        by=by,
        known=int(known),
        back=fields.get("back", ""),
    )


def safe_address(address: str) -> str:
    """Return an address if it is one of the desk, or else that of the newest report."""
    return address if _SAFE.fullmatch(address) else addresses.ROOT


def address_to_return_to(path: str, query: str) -> str:
    """Return the address to which a caller returns after the sign-in: without the id of a search for an account, its date."""
    if _parts(path) != ["find"]:
        return f"{path}?{query}" if query else path
    try:
        date = fields_of(query).get("date", "")
    except ValueError:
        return addresses.ROOT
    return addresses.date_page(date) if is_date(date) else addresses.ROOT


def _parts(path: str) -> list[str]:
    """Return the parts of a path below that of the desk."""
    return path.removeprefix(addresses.ROOT).strip("/").split("/")


def _question_of(path: str, fields: Mapping[str, str]) -> Question | str:
    match _parts(path):
        case [""]:
            return _newest(fields)
        case ["dates"]:
            return AllDates()
        case ["find"]:
            return _find(fields)
        case [date, *rest] if is_date(date):
            return _of_date(date, rest, fields)
        case _:
            raise NoPage


def _newest(fields: Mapping[str, str]) -> Question | str:
    """Return the newest date, or the address of the date that was chosen."""
    date = fields.get("date")
    if date is None:
        return NewestDate()
    if not is_date(date):
        raise Unclear("The date is not one. Give it as YYYY-MM-DD.")
    return addresses.date_page(date)


def _find(fields: Mapping[str, str]) -> Question:
    date, account = fields.get("date", ""), fields.get("account", "").strip()
    if not account or not is_date(date):
        raise Unclear("Give the date and the id of an account.")
    return FindAccount(date, account)


def _of_date(date: str, rest: list[str], fields: Mapping[str, str]) -> Question:
    other = fields.get("with", "")
    match rest:
        case []:
            return DatePage(date)
        case ["list"]:
            return WorkListPage(date, from_query(fields))
        case ["list.csv"]:
            return WorkListFile(date, from_query(fields))
        case ["account", key] if _KEY.fullmatch(key):
            return AccountPage(date, key, other if is_date(other) else None)
        case ["compare"]:
            if not is_date(other):
                raise Unclear("Give the date to compare with, as YYYY-MM-DD.")
            return ComparisonPage(date, other)
        case _:
            raise NoPage


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
