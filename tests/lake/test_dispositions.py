"""The log of dispositions: each is recorded once, nobody overlooks another's, and damage hides nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from risk_assets.clock import shift, utc_now
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.errors import LakeError
from risk_assets.lake import layout
from risk_assets.lake.append import AppendFile
from risk_assets.lake.dispositions import HEADER, DispositionLog, read_all
from risk_assets.lake.store import Store
from risk_assets.lake.verify import verify_all
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.conftest import ROOT

DATE = "2026-01-28"
PROCESSES, ENTRIES = 2, 25
WRONG = (
    "x,2026-01-28T10:00:00+00:00,soon,A1,called,,,ann",
    "x,28/01/2026,2026-01-28,A1,called,,,ann",
    "x,2026-01-28T10:00:00,2026-01-28,A1,called,,,ann",
    "x,2026-01-28T10:00:00+00:00,2026-01-28,A1,paid,,,ann",
    "x,2026-01-28T10:00:00+00:00,2026-01-28,A1,promise to pay,3 Feb,,ann",
)
WRITER = """
import sys
from risk_assets.clock import utc_now
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.lake.dispositions import DispositionLog
from risk_assets.settings import load_settings

process, entries = sys.argv[1], int(sys.argv[2])
log = DispositionLog(load_settings().open_lake())
sys.stdin.readline()
for number in range(entries):
    new = Disposition(f"{process}-{number}", utc_now(), "2026-01-28", "A1", "seen", None, "", process)
    known = 0
    while (done := log.record(new, known)).outcome == "conflict":
        known = len(done.entries)
"""


def entry(form: str, account: str = "A1", **more: Any) -> Disposition:
    usual = {"recorded_at": utc_now(), "date": DATE, "kind": "called", "promised_on": None, "note": "", "by": "ann"}
    return Disposition(id=form, account=account, **usual | more)


def path(entry: Disposition) -> str:
    return layout.dispositions(entry.recorded_at[:7])


def ids(log: DispositionLog, account: str = "A1") -> list[str]:
    return [each.id for each in log.read().by_account.get(account, ())]


def test_a_disposition_is_a_line(store: Store) -> None:
    new = entry("f1", kind="promise to pay", promised_on="2026-02-03", note='said "next week", after pay day')
    done = DispositionLog(store).record(new, known=0)
    assert (done.outcome, done.entries) == ("recorded", (new,))
    assert store.get(path(new)).decode().splitlines() == [
        "id,recorded_at,date,account,kind,promised_on,note,by",
        f'f1,{new.recorded_at},2026-01-28,A1,promise to pay,2026-02-03,"said ""next week"", after pay day",ann',
    ]
    assert read_all(store).entries == (new,)


@pytest.mark.parametrize(
    "account", ["00012", "a\nb\r\\n", "=1+1", '"', "\u202eabc", "א", " ,", "A" * 10_000, "\x00\x1f", "\u2028", "\\", "\\\\n"]
)
def test_any_id_is_read_as_it_was_written(store: Store, account: str) -> None:
    log, new = DispositionLog(store), entry("f1", account)
    log.record(new, known=0)
    log.record(entry("f2"), known=0)
    assert DispositionLog(store).read().by_account[account] == log.read().by_account[account] == (new,)
    assert read_all(store).damaged == ()


def test_a_form_that_is_sent_twice_is_recorded_once(store: Store) -> None:
    first = entry("f1")
    DispositionLog(store).record(first, known=0)
    again = msgspec.structs.replace(first, recorded_at=shift(first.recorded_at[:10], 0) + "T23:59:59+00:00")
    done = DispositionLog(store).record(again, known=0)
    assert (done.outcome, done.entries) == ("recorded", (first,))
    assert read_all(store).entries == (first,)


def test_a_form_that_is_sent_again_with_another_content_is_not_lost(store: Store) -> None:
    log = DispositionLog(store)
    log.record(entry("f1"), known=0)
    assert log.record(entry("f1", note="another"), known=1).outcome == "conflict"
    assert ids(log) == ["f1"]


def test_of_two_at_once_the_second_is_shown_the_first(store: Store) -> None:
    one, other = DispositionLog(store), DispositionLog(store)
    assert one.read().entries == other.read().entries == ()
    first, second = entry("f1"), entry("f2", by="bob")
    one.record(first, known=0)
    refused = other.record(second, known=0)
    assert (refused.outcome, refused.entries) == ("conflict", (first,))
    assert ids(one) == ["f1"]
    added = other.record(second, known=1)
    assert (added.outcome, added.entries) == ("recorded", (first, second))
    assert ids(one) == ids(other) == ["f1", "f2"]


def test_one_of_another_account_is_not_a_conflict(store: Store) -> None:
    one, other = DispositionLog(store), DispositionLog(store)
    other.read()
    one.record(entry("f1"), known=0)
    assert other.record(entry("f2", "A2"), known=0).outcome == "recorded"


@pytest.mark.parametrize("damage", [b"torn,2026", b'"open', b"\xff\xfe", b"a,b,c", *(line.encode() for line in WRONG)])
def test_a_damaged_line_does_not_hide_the_others(store: Store, damage: bytes) -> None:
    log, new = DispositionLog(store), entry("f1")
    log.record(new, known=0)
    store.put(path(new), store.get(path(new)) + damage)
    assert ids(log) == ["f1"]
    assert log.record(entry("f2"), known=1).outcome == "recorded"
    assert ids(log) == ids(DispositionLog(store)) == ["f1", "f2"]
    assert damage + b"\n" in store.get(path(new))
    found = log.read()
    assert found.damaged == read_all(store).damaged == DispositionLog(store).read().damaged
    assert found.damaged == (f"{path(new)} has 1 line that cannot be read: compare it with a backup.",)


def test_a_file_with_damaged_lines_is_logged_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    log, new = DispositionLog(store), entry("f1")
    log.record(new, known=0)
    assert caplog.messages == []
    store.put(path(new), store.get(path(new)) + b"secret-7,2026\n")
    log.read()
    store.put(path(new), store.get(path(new)) + b"secret-8,2026\n")
    assert log.read().damaged == (f"{path(new)} has 2 lines that cannot be read: compare it with a backup.",)
    assert caplog.messages == [f"{path(new)} has 1 line that cannot be read: compare it with a backup."]


def test_line_ends_of_a_spreadsheet_are_read(store: Store) -> None:
    new = entry("f1")
    DispositionLog(store).record(new, known=0)
    store.put(path(new), store.get(path(new)).replace(b"\n", b"\r\n"))
    assert read_all(store).entries == (new,)
    assert read_all(store).damaged == ()


def test_nothing_is_added_to_a_file_of_another_program(store: Store) -> None:
    new = entry("f1", account="secret-7")
    store.put(path(new), b"other;columns\n")
    with pytest.raises(LakeError, match="does not begin with the columns") as raised:
        DispositionLog(store).record(new, known=0)
    assert "secret-7" not in str(raised.value)
    assert store.get(path(new)) == b"other;columns\n"


def test_an_id_that_cannot_be_written_is_an_error_without_it(store: Store) -> None:
    with pytest.raises(LakeError, match="shorten the ids") as raised:
        DispositionLog(store).record(entry("f1", "A" * 200_000), known=0)
    assert "AAAA" not in str(raised.value)
    assert read_all(store).entries == ()


def test_only_what_was_appended_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = DispositionLog(store), DispositionLog(store)
    writer.record(entry("f1"), known=0)
    assert ids(reader) == ids(writer) == ["f1"]
    version, before = reader.version, reader.read()
    monkeypatch.setattr("risk_assets.lake.append._DiskFile.read", never)
    monkeypatch.setattr("risk_assets.lake.append._AzureFile.read", never)
    assert (reader.version, reader.read()) == (version, before)
    writer.record(entry("f2"), known=1)
    assert ids(reader) == ["f1", "f2"]
    assert reader.version > version


def test_months_before_the_last_90_days_are_exported_only(store: Store) -> None:
    old = entry("f0", recorded_at=f"{shift(utc_now()[:10], -200)}T10:00:00+00:00")
    recent = entry("f1", recorded_at=f"{shift(utc_now()[:10], -89)}T10:00:00+00:00")
    for each in (old, recent):
        store.put(path(each), HEADER + f"{each.id},{each.recorded_at},{DATE},A1,called,,,ann\n".encode())
    log = DispositionLog(store)
    log.record(entry("f2"), known=1)
    assert ids(log) == ["f1", "f2"]
    assert [each.id for each in read_all(store).entries] == ["f0", "f1", "f2"]
    assert [each.id for each in read_all(store, recent.recorded_at[:10]).entries] == ["f1", "f2"]


def test_of_two_lines_with_one_id_the_first_counts(store: Store) -> None:
    today = utc_now()[:10]
    early, late = (entry("f1", recorded_at=f"{date}T10:00:00+00:00") for date in (shift(today, -40), today))
    for each in (early, late):
        store.put(path(each), HEADER + f"{each.id},{each.recorded_at},{DATE},A1,called,,,ann\n".encode())
    assert DispositionLog(store).read().entries == read_all(store).entries == (early,)


def test_two_processes_at_once_lose_and_double_nothing(settings: Settings, azurite: Azurite) -> None:
    environment = {**os.environ, "RISK_LAKE": settings.lake, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, f"p{number}", str(ENTRIES)], cwd=ROOT, env=environment, stdin=subprocess.PIPE)
        for number in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait(120) for writer in writers] == [0] * PROCESSES
    store = settings.open_lake()
    found = [each.id for each in read_all(store).entries]
    assert sorted(found) == sorted(f"p{process}-{number}" for process in range(PROCESSES) for number in range(ENTRIES))
    assert read_all(store).damaged == ()


def test_verification_of_the_lake_does_not_mind_the_log(disk_settings: Settings) -> None:
    store = disk_settings.open_lake()
    DispositionLog(store).record(entry("f1"), known=0)
    assert [problem for each in verify_all(store) for problem in each.problems] == []


def test_nothing_else_reads_the_log() -> None:
    """The import contract keeps the module apart; no other module may find the files by their path either."""
    sources = [file for package in ("risk_assets", "risk_serving") for file in Path(ROOT, package).rglob("*.py")]
    naming = {
        str(file.relative_to(ROOT))
        for file in sources
        if re.search(r"layout\.dispositions|logs/dispositions|LOGS\}?/disp", file.read_text())
    }
    assert naming == {"risk_assets/lake/dispositions.py", "risk_assets/lake/layout.py"}


def never(self: AppendFile) -> tuple[bytes, Any]:
    raise AssertionError("the whole file was read")
