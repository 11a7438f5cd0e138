"""What the pages of the desk are asked for. A question can be sent to another process, and is the key under which its answer is kept."""

from typing import TypeAlias

import msgspec

from risk_assets.domain.morning.selection import Selection


class NewestDate(msgspec.Struct, frozen=True, tag=True):
    """The newest date with a report."""


class AllDates(msgspec.Struct, frozen=True, tag=True):
    """The list of all dates."""


class DatePage(msgspec.Struct, frozen=True, tag=True):
    """The morning report of a date."""

    date: str


class WorkListPage(msgspec.Struct, frozen=True, tag=True):
    """The work list of a date: a selection of it, on pages."""

    date: str
    selection: Selection


class WorkListFile(msgspec.Struct, frozen=True, tag=True):
    """The selected accounts of a date's work list as CSV."""

    date: str
    selection: Selection


class FindAccount(msgspec.Struct, frozen=True, tag=True):
    """The address of the account with an id on a date."""

    date: str
    account: str


class AccountPage(msgspec.Struct, frozen=True, tag=True):
    """An account on a date, by the key of its id; compared with another date if one is given."""

    date: str
    key: str
    other: str | None = None


class ComparisonPage(msgspec.Struct, frozen=True, tag=True):
    """Two dates next to each other."""

    date: str
    other: str


class NewDisposition(msgspec.Struct, frozen=True, tag=True):
    """What somebody did about an account, to be recorded.

    Attributes
    ----------
    id
        Made with the form, so that a form that is sent twice is recorded once.
    known
        The number of dispositions of the account when the form was made.
    back
        The address of the page with the form, as the form has it.
    """

    id: str
    date: str
    key: str
    kind: str
    note: str
    promised_on: str | None
    by: str
    known: int
    back: str = ""


Question: TypeAlias = (
    NewestDate | AllDates | DatePage | WorkListPage | WorkListFile | FindAccount | AccountPage | ComparisonPage | NewDisposition
)


class Answer(msgspec.Struct, frozen=True):
    """The answer to a question.

    Attributes
    ----------
    status
        The HTTP status: 200, 303 with `location`, 404, 409, or 422.
    content
        The body. Pages contain the placeholders of `risk_assets.pages.served`, which are filled in for each caller.
    location
        The address of a redirection.
    file_name
        The name of a download; None for a page.
    """

    status: int
    content: bytes = b""
    media_type: str = "text/html; charset=utf-8"
    location: str | None = None
    file_name: str | None = None
