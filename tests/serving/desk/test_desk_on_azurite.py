"""The desk on Azurite: pages, accounts and dispositions, and what is shown while storage refuses connections or does not answer."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.lake.dispositions import read_all
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.faults.proxy import Proxy, proxied
from tests.scored_lake import account, score_dates
from tests.serving.conftest import Service
from tests.serving.desk.conftest import form_fields, origin, write_report

DATE = "2026-01-28"
FAULTS: dict[str, Callable[[Proxy], None]] = {"down": Proxy.down, "stall": lambda proxy: proxy.stall(times=None)}


def heal(proxy: Proxy) -> None:
    proxy.clear()
    proxy.up()


@pytest.mark.parametrize("fault", FAULTS)
def test_pages_and_forms_while_storage_cannot_be_reached(serve: Callable[..., Service], azurite: Azurite, fault: str) -> None:
    begin = FAULTS[fault]
    address = f"az://lake/desk-{uuid4().hex}"
    lake = Settings(lake=address, AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string, _env_file=None).open_lake()
    score_dates(lake, {DATE: [account("A1"), account("A2", 22.0)]})
    write_report(lake, DATE)
    with proxied(azurite) as proxy:
        limits = {"RISK_SERVE_STALE_SECONDS": "4", "RISK_STORAGE_RETRY_SECONDS": "1"}
        desk = serve(address, AZURE_STORAGE_CONNECTION_STRING=proxy.connection_string, **limits)
        page = f"/desk/{DATE}/account/{key_text(account_key('A2'))}"
        report, shown = desk.client.get(f"/desk/{DATE}"), desk.client.get(page)
        assert (report.status_code, shown.status_code) == (200, 200)
        fields = form_fields(shown) | {"kind": "called", "promised_on": "", "note": "no answer"}
        begin(proxy)
        for known in (f"/desk/{DATE}", page):
            answer = desk.client.get(known)
            assert answer.status_code == 200
            assert "Until then this is the page of" in answer.text
        refused = desk.client.post("/desk/dispositions", data=fields, headers=origin(desk))
        assert refused.status_code == 503
        assert "send the form again: it is recorded once" in refused.text
        heal(proxy)
        desk.until(lambda: desk.client.post("/desk/dispositions", data=fields, headers=origin(desk)).status_code == 303)
        assert "Until then this is the page of" not in desk.client.get(f"/desk/{DATE}").text
        assert "no answer" in desk.client.get(page).text
    assert [(entry.account, entry.kind) for entry in read_all(lake).entries] == [("A2", "called")]
