"""The work list over HTTP and in a browser: filter, sort, search, download, record, and two people at once."""

import csv
import io
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote_plus

from playwright.sync_api import Page

from risk_assets.lake.dispositions import read_all
from risk_assets.lake.store import Store
from risk_assets.pages import served
from tests.serving.conftest import Service
from tests.serving.desk.conftest import DATES, OTHER, TOKENS, form_fields, has_places, origin, reports, sign_in

LIST = f"/desk/{DATES[-1]}/list"


def test_a_selection_is_shown_and_downloaded(open_desk: Service) -> None:
    shown = open_desk.client.get(LIST, params={"shown": "all", "category": "", "sort": "points", "order": "desc", "odd": "1"})
    assert shown.status_code == 200
    assert "50 of 50 listed accounts" in shown.text
    assert not has_places(shown.text)
    file = open_desk.client.get(f"{LIST}.csv", params={"shown": "all", "search": "AC0"})
    assert file.headers["content-disposition"] == f'attachment; filename="work_list_{DATES[-1]}.csv"'
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"), newline="")))
    assert rows and all("AC0" in row["account_id"] for row in rows)
    assert open_desk.client.get(LIST, params={"search": "A" * 10_000}).status_code == 422


def test_the_text_of_a_place_stays_text(serve: Callable[..., Service], tmp_path: Path) -> None:
    own = serve(reports(tmp_path / "lake"), RISK_SERVE_TOKENS=TOKENS)
    with sign_in(own) as ann:
        for text in (text for name, text in vars(served).items() if name.endswith("_PLACE")):  # of this process; the service has others
            sought = ann.get(LIST, params={"shown": "all", "search": text}).text
            assert f'value="{escape(text)}"' in sought and f"search={quote_plus(text)}" in sought
            fields = form_fields(ann.get(LIST)) | {"kind": "note", "note": text, "promised_on": ""}
            again = fields | {"form_id": f"{fields['form_id']}-2", "note": f"{text} again"}
            assert ann.post("/desk/dispositions", data=fields, headers=origin(own)).status_code == 303
            conflict = ann.post("/desk/dispositions", data=again, headers=origin(own))
            assert (conflict.status_code, f'value="{escape(text)} again"' in conflict.text) == (409, True)
            assert f"<bdi>{escape(text)}</bdi>" in conflict.text and f"<bdi>{escape(text)}</bdi>" in ann.get(LIST).text


def test_what_is_recorded_in_a_browser_is_shown_there(open_desk: Service, desk_lake: Store, page: Page) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(f"{open_desk.url}{LIST}")
    page.locator("[name=category]").select_option("worse")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="Points").click()
    address = page.url
    assert "category=worse" in address and "sort=points" in address
    row = page.locator("tbody tr").nth(2)
    row.locator("summary").last.click()
    row.locator("[name=kind]").select_option("called")
    row.locator("[name=note]").fill("<b>no answer</b>")
    row.get_by_role("button", name="Record").click()
    assert page.url.startswith(f"{address.partition('?')[0]}?") and "#account-" in page.url and "category=worse" in page.url
    assert page.locator("tr:target .done").inner_text().startswith("called: <b>no answer</b>")
    assert [entry.by for entry in read_all(desk_lake).entries if entry.kind == "called"] == ["local"]
    assert messages == []


def test_of_two_at_once_the_second_can_add(guarded: Service, desk_lake: Store) -> None:
    with sign_in(guarded) as ann, sign_in(guarded, OTHER) as bob:
        forms = []
        for client in (ann, bob):
            forms.append(form_fields(client.get(LIST)) | {"kind": "seen", "note": "", "promised_on": ""})
        done = ann.post("/desk/dispositions", data=forms[0], headers=origin(guarded))
        assert (done.status_code, done.headers["location"]) == (303, f"{LIST}#account-{forms[0]['key']}")
        assert ann.post("/desk/dispositions", data=forms[0], headers=origin(guarded)).status_code == 303
        refused = bob.post("/desk/dispositions", data=forms[1], headers=origin(guarded))
        assert refused.status_code == 409
        assert "that your page did not show" in refused.text and "by <bdi>ann</bdi>" in refused.text
        again = form_fields(refused) | {"kind": "seen", "note": "", "promised_on": ""}
        assert bob.post("/desk/dispositions", data=again, headers=origin(guarded)).status_code == 303
        by = [entry.by for entry in read_all(desk_lake).entries if entry.kind == "seen"]
        assert by == ["ann", "bob"]
