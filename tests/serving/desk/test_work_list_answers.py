"""The answers about work lists and dispositions, from a lake and reports of a test."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from risk_assets.clock import shift, utc_now
from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.domain.morning.selection import Selection
from risk_assets.errors import LakeError
from risk_assets.lake.dispositions import DispositionLog, read_all
from risk_assets.lake.store import Store
from risk_assets.pages import addresses
from risk_assets.settings import Settings
from risk_serving.desk.answers.dispositions import entries_of, new_disposition
from risk_serving.desk.answers.work_list import work_list_file, work_list_page
from risk_serving.desk.questions import Answer, NewDisposition, Question, WorkListFile, WorkListPage
from tests.pages import samples
from tests.pages.outline import Outline

DATE = samples.DATE
ALL = Selection(shown="all")
ACCOUNT = samples.ordinary().work_list.items[0].account
KEY = key_text(account_key(ACCOUNT))
LIST = addresses.work_list(DATE, {"shown": "all", "page": "1"})


@dataclass
class Kept:
    """Answers by question, as long as the versions are the same."""

    made: list[Question] = field(default_factory=list)
    values: dict[Question, tuple[object, Answer]] = field(default_factory=dict)

    def get(self, key: Question, version: object, make: Callable[[], Answer]) -> Answer:
        if key not in self.values or self.values[key][0] != version:
            self.made.append(key)
            self.values[key] = (version, make())
        return self.values[key][1]


@dataclass
class Desk:
    """A desk with one report."""

    settings: Settings
    shown: MorningReport = field(default_factory=samples.ordinary)
    answers: Kept = field(default_factory=Kept)

    def dates(self) -> tuple[str, ...]:
        return (samples.BEFORE, DATE)

    def version(self, date: str) -> str:
        return self.report(date).made_at

    def report(self, date: str) -> MorningReport:
        if date != DATE:
            raise LakeError(f"There is no morning report of {date}. Make it: risk report {date}.")
        return self.shown


@pytest.fixture
def store(disk_settings: Settings) -> Store:
    return disk_settings.open_lake()


@pytest.fixture
def desk(disk_settings: Settings) -> Desk:
    return Desk(disk_settings)


@pytest.fixture
def log(store: Store) -> DispositionLog:
    return DispositionLog(store)


def form(number: int = 1, **changes: object) -> NewDisposition:
    usual = NewDisposition(f"form-{number:04d}", DATE, KEY, "called", "no answer", None, "ann", 0, LIST)
    return msgspec.structs.replace(usual, **changes)


def nobody(date: str, key: str) -> str | None:
    return None


def text(answer: Answer) -> str:
    return Outline(answer.content.decode()).text


def test_a_recorded_disposition_is_shown_on_the_page_one_returns_to(desk: Desk, log: DispositionLog) -> None:
    page = WorkListPage(DATE, ALL)
    assert "no answer" not in text(work_list_page(desk, page, log))
    done = new_disposition(desk, form(), log, nobody)
    assert (done.status, done.location) == (303, f"{LIST}#account-{KEY}")
    shown = work_list_page(desk, page, log)
    assert shown.status == 200
    assert "called: no answer" in text(shown)
    assert f'id="account-{KEY}"'.encode() in shown.content


def test_a_page_is_made_once_while_nothing_changes(desk: Desk, log: DispositionLog, store: Store) -> None:
    page = WorkListPage(DATE, ALL)
    assert work_list_page(desk, page, log) is work_list_page(desk, page, log)
    new_disposition(desk, form(), DispositionLog(store), nobody)
    assert "no answer" in text(work_list_page(desk, page, log))
    assert desk.answers.made == [page, page]


def test_the_file_has_all_pages_and_what_was_done(desk: Desk, log: DispositionLog) -> None:
    new_disposition(desk, form(kind="promise to pay", promised_on=shift(utc_now()[:10], 3), note="=1"), log, nobody)
    answer = work_list_file(desk, WorkListFile(DATE, Selection(shown="all", page=3, sort="points", descending=True)), log)
    assert (answer.status, answer.media_type, answer.file_name) == (200, "text/csv; charset=utf-8", "work_list_2026-01-28.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [int(row["rank"]) for row in rows] == list(range(50, 0, -1))
    assert (rows[-1]["account_id"], rows[-1]["done"], rows[-1]["note"], rows[-1]["done_by"]) == (ACCOUNT, "promise to pay", "'=1", "ann")


def test_the_first_date_lists_all_accounts(desk: Desk, log: DispositionLog) -> None:
    desk.shown = samples.first_date()
    assert "50 of 50 listed accounts" in text(work_list_page(desk, WorkListPage(DATE, Selection()), log))
    content = work_list_file(desk, WorkListFile(DATE, Selection()), log).content
    assert len(content.splitlines()) == 51


def test_the_second_of_two_gets_the_first_ones_entry_and_can_add(desk: Desk, log: DispositionLog, store: Store) -> None:
    other = DispositionLog(store)
    assert new_disposition(desk, form(1), log, nobody).status == 303
    refused = new_disposition(desk, form(2, by="bob", note="left a message"), other, nobody)
    assert refused.status == 409
    assert "called: no answer" in text(refused) and 'value="left a message"' in refused.content.decode()
    assert [each.by for each in read_all(store).entries] == ["ann"]
    added = new_disposition(desk, form(3, by="bob", note="left a message", known=1), other, nobody)
    assert added.status == 303
    assert [each.by for each in read_all(store).entries] == ["ann", "bob"]


def test_a_form_that_is_sent_twice_is_recorded_once(desk: Desk, log: DispositionLog, store: Store) -> None:
    assert [new_disposition(desk, form(), log, nobody).status for _ in range(2)] == [303, 303]
    assert len(read_all(store).entries) == 1


def test_a_note_that_shows_nothing_is_not_recorded(desk: Desk, log: DispositionLog, store: Store) -> None:
    assert "Write the note." in text(new_disposition(desk, form(kind="note", note="\u200b\ufeff"), log, nobody))
    assert new_disposition(desk, form(note="\u200b \u2060"), log, nobody).status == 303
    assert [each.note for each in read_all(store).entries] == [""]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "paid"}, "Choose one of seen"),
        ({"kind": "promise to pay"}, "Enter the date by which"),
        ({"kind": "promise to pay", "promised_on": "2020-01-01"}, "from today on"),
        ({"note": "x" * 501}, "Shorten the note"),
        ({"note": "<script>\x00"}, "Remove line breaks"),
    ],
)
def test_a_form_to_change_is_shown_again(desk: Desk, log: DispositionLog, store: Store, changes: dict[str, object], said: str) -> None:
    answer = new_disposition(desk, form(**changes), log, nobody)
    assert answer.status == 422
    assert said in text(answer)
    assert b"<script>" not in answer.content
    assert read_all(store).entries == ()


def test_an_account_that_is_not_listed_is_looked_up(desk: Desk, log: DispositionLog, store: Store) -> None:
    other = key_text(account_key("elsewhere"))
    asked: list[tuple[str, str]] = []

    def account_of(date: str, key: str) -> str:
        asked.append((date, key))
        return "elsewhere"

    assert new_disposition(desk, form(key=other), log, account_of).status == 303
    assert new_disposition(desk, form(2, key=other, date="2026-01-05", known=1), log, account_of).status == 303
    assert asked == [(DATE, other), ("2026-01-05", other)]
    assert {each.account for each in read_all(store).entries} == {"elsewhere"}


def test_an_account_of_a_list_of_changes_is_known(desk: Desk, log: DispositionLog, store: Store) -> None:
    changes = samples.ordinary().changes
    assert changes is not None
    gone = changes.gone.accounts[0].account
    assert new_disposition(desk, form(key=key_text(account_key(gone))), log, nobody).status == 303
    assert [each.account for each in read_all(store).entries] == [gone]


@pytest.mark.parametrize("changes", [{"key": "0" * 16}, {"id": ""}, {"id": "a b c d e f"}, {"id": "x" * 10_000}])
def test_a_form_of_no_account_records_nothing(desk: Desk, log: DispositionLog, store: Store, changes: dict[str, object]) -> None:
    assert new_disposition(desk, form(**changes), log, nobody).status == 404
    assert read_all(store).entries == ()


@pytest.mark.parametrize("back", ["", "https://elsewhere/", "//elsewhere", "/desk/sign-out", "/desk/2026-01-28/list\r\nX: y"])
def test_one_returns_to_the_list_if_the_address_is_not_ours(desk: Desk, log: DispositionLog, back: str) -> None:
    assert new_disposition(desk, form(back=back), log, nobody).location == f"/desk/2026-01-28/list#account-{KEY}"


def test_the_entries_of_an_account_have_the_teams_time(desk: Desk, log: DispositionLog) -> None:
    desk.settings = desk.settings.model_copy(update={"time_zone": "Europe/Vienna"})
    new_disposition(desk, form(), log, nobody)
    (entry,) = entries_of(desk, log)(ACCOUNT)
    assert entry.recorded_at.endswith(("+01:00", "+02:00"))
    assert entries_of(desk, log)("another") == ()


def test_questions_can_be_sent_to_another_process() -> None:
    for question in (form(), WorkListPage(DATE, Selection(shown="all", reason="a", page=2)), WorkListFile(DATE, ALL)):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(question), type=Question) == question
