"""An account of a scored lake over HTTP: found by its id, shown, compared, and what was done about it."""

from collections.abc import Callable

import pytest

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.lake import layout
from risk_assets.lake.format import open_lake
from risk_assets.lake.store import Store
from tests.scored_lake import account, score_dates
from tests.serving.conftest import Service
from tests.serving.desk.conftest import form_fields, origin, write_report

BEFORE, DATE = "2026-01-27", "2026-01-28"
KEY = key_text(account_key("A1"))


@pytest.fixture
def scored(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A lake with two scored dates and the report of the second one."""
    store = open_lake(str(tmp_path_factory.mktemp("scored") / "lake"))
    score_dates(store, {BEFORE: [account("A1", 45.0), account("A2")], DATE: [account("A2"), account("A1", 22.0)]})
    write_report(store, DATE)
    return store


def test_an_account_is_found_shown_compared_and_recorded(serve: Callable[..., Service], scored: Store) -> None:
    desk = serve(scored)
    found = desk.client.get("/desk/find", params={"date": DATE, "account": " A1 "})
    address = found.headers["location"]
    assert (found.status_code, address) == (303, f"/desk/{DATE}/account/{KEY}")
    shown = desk.client.get(address)
    assert shown.status_code == 200
    assert "Compared with 27 Jan 2026" in shown.text
    assert "Nothing is recorded." in shown.text
    fields = form_fields(shown) | {"kind": "promise to pay", "promised_on": "2999-01-01", "note": ""}
    assert desk.client.post("/desk/dispositions", data=fields, headers=origin(desk)).status_code == 422
    recorded = desk.client.post("/desk/dispositions", data=fields | {"kind": "called", "promised_on": ""}, headers=origin(desk))
    assert (recorded.status_code, recorded.headers["location"].partition("#")[0]) == (303, address)
    assert "Nothing is recorded." not in desk.client.get(address).text
    assert desk.client.get("/desk/find", params={"date": DATE, "account": "A3"}).status_code == 404


def test_a_damaged_index_has_a_next_step(serve: Callable[..., Service], scored: Store) -> None:
    desk = serve(scored)
    scored.put(layout.account_index_part(DATE, 0), b"damaged")
    shown = desk.client.get(f"/desk/{DATE}/account/{KEY}")
    assert shown.status_code == 503
    assert f"risk run {DATE}" in shown.text
    assert desk.client.get(f"/desk/{DATE}").status_code == 200
