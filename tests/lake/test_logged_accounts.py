"""Finds requests in the prediction log, on disk and on Azurite."""

import msgspec
import pytest

from risk_assets.lake.logged_accounts import LoggedAccounts, find_accounts
from risk_assets.lake.store import Store
from risk_serving.observability.event_lines import Entry
from risk_serving.observability.prediction_log import BufferedLog
from risk_serving.scoring.answers import Answer, RecordResult, Result
from tests.serving.observability.test_prediction_log import BINDING

DAY = 86400
FIRST = 1_767_225_600.0  # 2026-01-01, 00:00 UTC
IDS = {name: name * 32 for name in "abcd"}


def log(store: Store) -> None:
    """Write requests of three days: `a` and `b` on the first, `c` on the second, `d` on the third."""
    store.put("format.json", b"{}")  # the log is written to a lake that exists
    written = BufferedLog(store, "test", 1.0, 1_000_000, 0.01)
    written.start()
    for name, day, accounts in (("a", 0, ["A1"]), ("b", 0, ["B1", None, "B3"]), ("c", 1, ['C"1']), ("d", 2, ["D1"])):
        results: list[RecordResult] = [Result(account, 0, 0.1, 600, "A", (), "champion", "model_v001") for account in accounts]
        answer = msgspec.json.encode(Answer("model_v001", results))
        written.offer(Entry(IDS[name], FIRST + day * DAY, b"[{}]", answer, len(results), BINDING, None))
    written.close(10)


def test_requests_are_found_by_id(store: Store) -> None:
    log(store)
    found, complete = find_accounts(store, list(IDS.values()), None, lambda: False)
    assert complete and found == {
        IDS["a"]: LoggedAccounts("2026-01-01", ("A1",)),
        IDS["b"]: LoggedAccounts("2026-01-01", ("B1", None, "B3")),
        IDS["c"]: LoggedAccounts("2026-01-02", ('C"1',)),
        IDS["d"]: LoggedAccounts("2026-01-03", ("D1",)),
    }
    assert find_accounts(store, [IDS["a"]], ["2026-01-02", "2025-12-31"], lambda: False) == ({}, True)
    assert find_accounts(store, ["a", "correlationid", ""], None, lambda: False) == ({}, True)


def test_a_search_ends_in_time(store: Store) -> None:
    log(store)
    looks = iter([False, True])
    found, complete = find_accounts(store, [IDS["d"], IDS["a"]], None, lambda: next(looks))
    assert (set(found), complete) == ({IDS["d"]}, False)
    assert find_accounts(store, [IDS["a"]], None, lambda: True) == ({}, False)


@pytest.mark.parametrize("content", [b"", b'{"correlationid":"%s","data":[{"id":1}]}\n', b'{"correlationid":"%s","data":[', b"\xff\n"])
def test_a_line_that_cannot_be_read_is_left_out(store: Store, content: bytes) -> None:
    path = "logs/online/model_outputs/2026/01/01/00/x-000000.jsonl"
    store.put(path, content.replace(b"%s", IDS["a"].encode()) if content else content)
    assert find_accounts(store, [IDS["a"]], None, lambda: False) == ({}, True)
