"""Answers about accounts and about two dates, from a small lake."""

from dataclasses import dataclass, field

import msgspec
import pytest

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.account_index import find
from risk_assets.lake.store import Store
from risk_assets.pages import addresses
from risk_assets.settings import Settings
from risk_serving.desk.answers.accounts import account_of, account_page, find_account
from risk_serving.desk.answers.comparison import comparison_page
from risk_serving.desk.questions import AccountPage, Answer, ComparisonPage, FindAccount
from tests.pages import samples
from tests.scored_lake import account, score_dates

BEFORE, DATE = "2026-01-27", "2026-01-28"
KEY = key_text(account_key("A <1>"))


@dataclass
class SmallDesk:
    """A desk with reports that a test made; it counts how often one is read."""

    store: Store
    reports: dict[str, MorningReport] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def dates(self) -> tuple[str, ...]:
        return tuple(self.reports)

    def report(self, date: str) -> MorningReport:
        self.read.append(date)
        if date not in self.reports:
            raise LakeError(f"no report of {date}")
        return self.reports[date]


@pytest.fixture
def desk(disk_settings: Settings) -> SmallDesk:
    store = disk_settings.connect_lake()
    rows = [account("A <1>", 24.0), account("A2")]
    score_dates(store, {BEFORE: [account("A <1>", 60.0)], DATE: rows})
    before = msgspec.structs.replace(samples.ordinary(), date=BEFORE, shown_date=BEFORE)
    return SmallDesk(store, {"2026-01-20": before, BEFORE: before, DATE: samples.unusual()})


def page(desk: SmallDesk, date: str = DATE, key: str = KEY, other: str | None = None) -> Answer:
    return account_page(desk, AccountPage(date, key, other), find, entries_of)


def entries_of(account: str) -> list[Disposition]:
    return [Disposition("form-1", "2026-01-28T09:00:00+01:00", DATE, account, "called", None, "no answer", "ann")]


@pytest.mark.parametrize("typed", ["A <1>", "  A <1>\t"])
def test_an_id_leads_to_the_account(desk: SmallDesk, typed: str) -> None:
    found = find_account(desk, FindAccount(DATE, typed), find)
    assert (found.status, found.location) == (303, addresses.account(DATE, KEY))


@pytest.mark.parametrize(("date", "typed"), [(BEFORE, "A2"), (DATE, "a <1>"), ("2025-01-01", "A2"), (DATE, ""), (DATE, "<b>")])
def test_an_id_that_the_date_does_not_have(desk: SmallDesk, date: str, typed: str) -> None:
    found = find_account(desk, FindAccount(date, typed), find)
    assert (found.status, found.location) == (404, None)
    assert b"No such account" in found.content
    assert b"<b></bdi>" not in found.content


def test_the_page_of_an_account(desk: SmallDesk) -> None:
    found = page(desk)
    text = found.content.decode()
    assert found.status == 200
    assert "A &lt;1&gt;" in text
    assert "called" in text and "no answer" in text
    assert "Compared with 27 Jan 2026" in text
    assert addresses.account(BEFORE, KEY) in text
    assert 'min="2026-01-20" max="2026-01-28"' in text


def test_the_page_of_an_account_compared_with_a_date(desk: SmallDesk) -> None:
    assert b"Compared with 20 Jan 2026" in page(desk, other="2026-01-20").content


def test_the_page_without_a_report(desk: SmallDesk) -> None:
    del desk.reports[DATE]
    found = page(desk)
    assert found.status == 200
    assert b"The place on the review list is not known" in found.content


@pytest.mark.parametrize(("date", "key"), [(BEFORE, key_text(account_key("A2"))), ("2025-01-01", KEY)])
def test_a_key_that_the_date_does_not_have(desk: SmallDesk, date: str, key: str) -> None:
    found = page(desk, date, key)
    assert found.status == 404
    assert b"no account with this key" in found.content


def test_a_lake_that_cannot_be_read_is_an_error(desk: SmallDesk) -> None:
    desk.store.delete(layout.features(DATE))
    with pytest.raises(LakeError):
        page(desk)


def test_the_id_of_a_key(desk: SmallDesk) -> None:
    assert account_of(desk, DATE, KEY, find) == "A <1>"
    assert account_of(desk, BEFORE, key_text(account_key("A2")), find) is None
    assert account_of(desk, "2025-01-01", KEY, find) is None


@pytest.mark.parametrize(("date", "other"), [(DATE, BEFORE), (BEFORE, DATE), (DATE, DATE)])
def test_two_dates_read_two_reports(desk: SmallDesk, date: str, other: str) -> None:
    found = comparison_page(desk, ComparisonPage(date, other))
    assert found.status == 200
    assert desk.read == [date, other]


@pytest.mark.parametrize(("date", "other"), [(DATE, "2024-02-29"), ("2024-02-29", DATE)])
def test_a_date_without_report_is_named(desk: SmallDesk, date: str, other: str) -> None:
    found = comparison_page(desk, ComparisonPage(date, other))
    assert (found.status, desk.read) == (404, [])
    assert b"No morning report of Thursday 29 February 2024" in found.content
