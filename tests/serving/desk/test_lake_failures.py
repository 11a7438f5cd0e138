"""What the desk shows while the lake, or a part of it, cannot be read."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from risk_assets.clock import utc_now
from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import layout
from risk_assets.lake.dispositions import HEADER, read_all
from risk_assets.lake.store import Store
from tests.pages import samples
from tests.serving.conftest import Service, serving
from tests.serving.desk.conftest import DATES, form_fields, origin, reports, write_report

KEY = "0" * 16
LISTED = 5  # seconds after which a change of the dates is seen


@pytest.fixture(scope="module")
def own_lake(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A lake that the tests of this module change and restore."""
    return reports(tmp_path_factory.mktemp("failures") / "lake")


@pytest.fixture(scope="module")
def desk(own_lake: Store) -> Iterator[Service]:
    with serving(own_lake) as running:
        yield running


def test_the_last_page_is_shown_with_its_age(desk: Service, own_lake: Store) -> None:
    address = f"/desk/{DATES[0]}"
    good = desk.client.get(address)
    assert 'role="status"' not in good.text
    with away(own_lake):
        answer = desk.client.get(address)
        assert answer.status_code == 200
        assert "There is no lake at" in answer.text
        assert "Until then this is the page of" in answer.text
        assert re.search("this is the page of [0-9]{2}:[0-9]{2}, less than a minute ago", answer.text)
        assert "212 flagged" in answer.text
        never_shown = desk.client.get(f"/desk/{DATES[1]}")
        assert (never_shown.status_code, never_shown.headers["retry-after"]) == (503, "5")
        assert "There is no lake at" in never_shown.text
    assert 'role="status"' not in desk.client.get(address).text


def test_a_lake_of_another_format_is_neither_read_nor_written(desk: Service, own_lake: Store) -> None:
    addresses = [f"/desk/{DATES[1]}{rest}" for rest in ("", "/list", "/list.csv", f"/account/{KEY}", f"/compare?with={DATES[0]}")]
    others = ["/desk", "/desk/dates", f"/desk/find?date={DATES[1]}&account=1"]
    fields = form_fields(desk.client.get(f"/desk/{DATES[1]}/list?shown=all")) | {"kind": "called", "promised_on": "", "note": ""}
    known = own_lake.get(layout.FORMAT)
    own_lake.put(layout.FORMAT, b'{"format": 99}')
    try:
        refused = desk.client.post("/desk/dispositions", data=fields, headers=origin(desk))
        assert (refused.status_code, "has format 99" in refused.text) == (503, True)
        assert read_all(own_lake).entries == ()
        desk.until(lambda: "has format 99" in desk.client.get(addresses[0]).text, LISTED)
        for address in addresses + others:
            answer = desk.client.get(address)
            assert answer.is_redirect or "a later release wrote it" in answer.text
            assert answer.is_redirect or answer.status_code == 503 or "Until then this is the page of" in answer.text
    finally:
        own_lake.put(layout.FORMAT, known)
    assert desk.client.post("/desk/dispositions", data=fields, headers=origin(desk)).status_code == 303


def test_what_is_sent_to_a_lake_that_is_gone_is_not_of_a_wrong_account(desk: Service, own_lake: Store) -> None:
    fields = form_fields(desk.client.get(f"/desk/{DATES[2]}/list?shown=all")) | {"kind": "called", "promised_on": "", "note": ""}
    with away(own_lake):
        refused = desk.client.post("/desk/dispositions", data=fields, headers=origin(desk))
        assert (refused.status_code, "There is no lake at" in refused.text) == (503, True)
        account = desk.client.get(f"/desk/{DATES[2]}/account/{KEY}")
        assert (account.status_code, "There is no lake at" in account.text) == (503, True)


def test_a_corrupt_report_is_reported(desk: Service, own_lake: Store) -> None:
    date = "2026-01-20"
    write_report(own_lake, date)
    content = own_lake.get(layout.morning(date))
    own_lake.put(layout.morning(date), content.replace(b"model_v002", b"model_v003"))
    answer = desk.client.get(f"/desk/{date}")
    assert answer.status_code == 503
    assert f"reports/morning_{date}.json was changed since it was written" in answer.text
    assert f"risk report {date}" in answer.text
    own_lake.put(layout.morning(date), content[:100])
    assert "cannot be read" in desk.client.get(f"/desk/{date}").text
    own_lake.put(layout.morning(date), content)
    assert desk.client.get(f"/desk/{date}").status_code == 200
    own_lake.delete(layout.morning(date))
    desk.until(lambda: desk.client.get(f"/desk/{date}").status_code == 404)


def test_a_damaged_disposition_is_in_the_log(desk: Service, own_lake: Store) -> None:
    path = layout.dispositions(utc_now()[:7])
    before = own_lake.find(path)
    own_lake.put(path, (before or HEADER) + b"secret-7,2026\n")
    assert "has 1 line that cannot be read" in desk.client.get(f"/desk/{DATES[2]}/list").text
    desk.until(lambda: f"{path} has 1 line that cannot be read" in desk.errors)
    assert "secret-7" not in desk.errors
    own_lake.put(path, before or HEADER)


def test_a_report_that_is_made_again_is_shown(desk: Service, own_lake: Store) -> None:
    address = f"/desk/{DATES[2]}"
    assert "Nothing unusual." in desk.client.get(address).text
    write_report(own_lake, DATES[2], samples.unusual)
    assert "Nothing unusual." not in desk.client.get(address).text


def test_a_new_date_is_listed(desk: Service, own_lake: Store) -> None:
    desk.client.get("/desk/dates")
    write_report(own_lake, "2026-02-01")
    assert desk.client.get("/desk/2026-02-01").status_code == 200
    desk.until(lambda: "/desk/2026-02-01" in desk.client.get("/desk/dates").text, LISTED)
    assert desk.client.get("/desk").headers["location"] == "/desk/2026-02-01"


def test_an_empty_lake_says_what_to_do(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve(tmp_path / "none")
    for path in ("/desk", f"/desk/{DATES[0]}", "/desk/dates"):
        answer = service.client.get(path)
        assert answer.status_code == 503
        assert "risk report DATE" in answer.text


def test_a_bank_cannot_put_markup_into_a_page(desk: Service, own_lake: Store) -> None:
    write_report(own_lake, "2026-01-10", with_script)
    text = desk.client.get("/desk/2026-01-10").text
    assert "<script" not in text
    assert "&lt;script" in text


def with_script() -> MorningReport:
    """A report whose sentence is markup."""
    found = samples.ordinary()
    verdict = msgspec.structs.replace(found.verdict, sentence="<script>alert(1)</script>")
    return msgspec.structs.replace(found, verdict=verdict)


class away:
    """Moves a lake away for a block."""

    def __init__(self, store: Store) -> None:
        assert store.folder is not None
        self._folder, self._hidden = store.folder, store.folder.with_name("away")

    def __enter__(self) -> None:
        self._folder.rename(self._hidden)

    def __exit__(self, *_: object) -> None:
        self._hidden.rename(self._folder)
