"""The pages of dates over HTTP, on a desk without access control."""

import httpx
import pytest

from tests.serving.conftest import Service
from tests.serving.desk.conftest import DATES, has_places

HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "content-type": "text/html; charset=utf-8",
}


def test_the_newest_date_is_shown_first(open_desk: Service) -> None:
    answer = open_desk.client.get("/desk")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/{DATES[-1]}")


def test_a_date_has_its_report_and_links(open_desk: Service) -> None:
    answer = open_desk.client.get(f"/desk/{DATES[1]}")
    assert answer.status_code == 200
    assert HEADERS.items() <= dict(answer.headers).items()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    for link in (f"/desk/{DATES[0]}", f"/desk/{DATES[2]}", "/desk/dates", f"/desk/{DATES[1]}/list"):
        assert f'href="{link}"' in answer.text
    assert f'href="/desk/{DATES[2]}/account/' in answer.text  # of the date whose accounts are shown
    assert "<script" not in answer.text


def test_no_place_is_left_in_a_page(open_desk: Service) -> None:
    text = open_desk.client.get(f"/desk/{DATES[1]}").text
    assert not has_places(text)
    assert "local</bdi>" in text
    assert "Sign out" not in text


def test_all_dates_are_listed(open_desk: Service) -> None:
    text = open_desk.client.get("/desk/dates").text
    assert [f'href="/desk/{date}"' in text for date in DATES] == [True] * 3
    assert "212 flagged" in text


def test_a_date_can_be_chosen(open_desk: Service) -> None:
    answer = open_desk.client.get("/desk", params={"date": DATES[0]})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/{DATES[0]}")


def test_a_date_without_report_says_how_it_is_made(open_desk: Service) -> None:
    answer = open_desk.client.get("/desk/2020-02-29")
    assert answer.status_code == 404
    assert "risk report 2020-02-29" in answer.text


@pytest.mark.parametrize("path", ["/desk/2026-02-30", "/desk/x", "/desk/2026-01-28/x", "/desk/2026-01-28/account/xyz"])
def test_other_addresses_have_no_page(open_desk: Service, path: str) -> None:
    answer = open_desk.client.get(path)
    assert (answer.status_code, "no page with this address" in answer.text) == (404, True)


@pytest.mark.parametrize(
    "address", ["/desk?date=yesterday", "/desk/2026-01-28/compare", "/desk/find?date=2026-01-28&account=%20", "/desk?" + "a=1&" * 60]
)
def test_an_address_that_lacks_something_says_what(open_desk: Service, address: str) -> None:
    answer = open_desk.client.get(address)
    assert answer.status_code == 422
    assert "<h1>Something is missing</h1>" in answer.text


def test_other_methods_are_not_possible(open_desk: Service) -> None:
    answer = open_desk.client.delete("/desk/2026-01-28")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_head_has_no_body(open_desk: Service) -> None:
    answer = open_desk.client.head(f"/desk/{DATES[0]}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_log_has_neither_address_nor_query(open_desk: Service) -> None:
    open_desk.client.get("/desk/find", params={"date": "2026-01-28x", "account": "AC000777"})
    open_desk.until(lambda: '"status":422' in open_desk.output)
    assert "AC000777" not in open_desk.output + open_desk.errors
    assert '"route":"/desk"' in open_desk.output


def test_another_host_name_is_refused(open_desk: Service) -> None:
    answer = open_desk.client.get("/desk", headers={"Host": "desk.example"})
    assert answer.status_code == 403


def test_a_page_is_the_same_for_all_readers(open_desk: Service) -> None:
    with httpx.Client(base_url=open_desk.url, trust_env=False) as first, httpx.Client(base_url=open_desk.url, trust_env=False) as second:
        assert first.get(f"/desk/{DATES[0]}").text == second.get(f"/desk/{DATES[0]}").text
