"""Signing in and out over HTTP: sessions, their cookies and forms."""

import re
from collections.abc import Callable

import httpx
import pytest

from risk_assets.lake.store import Store
from tests.serving.conftest import Service, token_entry
from tests.serving.desk.conftest import DATES, OTHER, SCORE_ONLY, TOKEN, browser, form_token, has_places, origin, sign_in


def test_without_a_session_the_page_to_sign_in_is_shown(guarded: Service) -> None:
    answer = guarded.client.get("/desk/2026-01-28/list", params={"search": "A 1", "page": "2"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/desk/sign-in?next=%2Fdesk%2F2026-01-28%2Flist%3Fsearch%3DA%2B1%26page%3D2"
    page = guarded.client.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'value="/desk/2026-01-28/list?search=A+1&amp;page=2"' in page.text
    assert "Entra" not in page.text


def test_the_way_to_the_sign_in_has_no_id(guarded: Service) -> None:
    answer = guarded.client.get("/desk/find", params={"date": DATES[0], "account": "A1"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/sign-in?next=%2Fdesk%2F{DATES[0]}")


def test_a_caller_with_a_token_sees_the_report(guarded: Service, ann: httpx.Client) -> None:
    text = ann.get(f"/desk/{DATES[-1]}").text
    assert "<bdi>ann</bdi>" in text
    assert "Sign out" in text
    assert 'href="http://127.0.0.1:3000/runs/5d2c8a52-6d3f-4e3e-9f43-9b1f4d7f0a11"' in text
    guarded.until(lambda: re.search(r'"route":"/desk","status":200[^\n]*"caller":"ann"', guarded.output) is not None)


def test_the_cookie_is_only_for_the_desk(guarded: Service) -> None:
    with browser(guarded) as client:
        page = client.get("/desk/sign-in")
        form = {"form_token": form_token(page), "token": OTHER, "next": f"/desk/{DATES[0]}"}
        answer = client.post("/desk/sign-in", data=form, headers=origin(guarded))
        assert answer.headers["location"] == f"/desk/{DATES[0]}"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("risk-desk=")
        assert {"Path=/desk", "Max-Age=28800", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "bob" in client.get(f"/desk/{DATES[0]}").text


@pytest.mark.parametrize("token", ["", "wrong", SCORE_ONLY, "é", "x" * 20_000, TOKEN.upper()])
def test_each_wrong_token_gets_the_same_message(guarded: Service, token: str) -> None:
    with browser(guarded) as client:
        answer = client.post(
            "/desk/sign-in", data={"form_token": form_token(client.get("/desk/sign-in")), "token": token}, headers=origin(guarded)
        )
        assert answer.status_code == 403
        assert "This token does not open the desk." in answer.text
        assert token in {"", "wrong"} or token not in answer.text
        assert client.get("/desk").headers["location"] == "/desk/sign-in"


@pytest.mark.parametrize(
    "following", ["https://evil.example/desk", "//evil.example", "/deskx", "/predict", "javascript:alert(1)", "/desk/\\x", "/desk\n/x"]
)
def test_a_foreign_address_is_not_followed(guarded: Service, following: str) -> None:
    with browser(guarded) as client:
        page = client.get("/desk/sign-in", params={"next": following})
        answer = client.post(
            "/desk/sign-in", data={"form_token": form_token(page), "token": TOKEN, "next": following}, headers=origin(guarded)
        )
        assert answer.headers["location"] == "/desk"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_a_form_of_another_site_is_refused(guarded: Service, ann: httpx.Client, headers: dict[str, str]) -> None:
    token = form_token(ann.get("/desk/dates"))
    assert ann.post("/desk/sign-out", data={"form_token": token}, headers=headers).status_code == 403
    assert ann.post("/desk/dispositions", data={"form_token": token}, headers=headers).status_code == 403
    assert ann.get("/desk/dates").status_code == 200
    with browser(guarded) as client:
        form = {"form_token": form_token(client.get("/desk/sign-in")), "token": TOKEN}
        assert client.post("/desk/sign-in", data=form, headers=headers).status_code == 403


def test_a_form_with_the_token_of_another_session_is_refused(guarded: Service, ann: httpx.Client) -> None:
    with sign_in(guarded, OTHER) as bob:
        stolen = form_token(bob.get("/desk/dates"))
        assert stolen != form_token(ann.get("/desk/dates"))
        for token in (stolen, "", "é"):
            assert ann.post("/desk/sign-out", data={"form_token": token}, headers=origin(guarded)).status_code == 403
        assert ann.get("/desk/dates").status_code == 200


def test_each_page_that_is_sent_is_filled_in(guarded: Service, ann: httpx.Client) -> None:
    refused = ann.post("/desk/sign-out", data={"form_token": "wrong"}, headers=origin(guarded))
    assert (refused.status_code, "<bdi>ann</bdi>" in refused.text) == (403, True)
    pages = [refused, ann.get("/desk/nothing"), ann.get("/desk/find"), ann.delete("/desk"), ann.get("/desk/2020-01-01")]
    with browser(guarded) as client:
        pages += [client.get("/desk/sign-in"), client.post("/desk/dispositions"), client.post("/desk/sign-out", data={"form_token": "x"})]
    assert [has_places(each.text) for each in pages] == [False] * len(pages)


def test_sec_fetch_site_takes_the_place_of_the_origin(guarded: Service) -> None:
    with sign_in(guarded) as client:
        form = {"form_token": form_token(client.get("/desk/dates"))}
        answer = client.post("/desk/sign-out", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/desk/sign-in")


def test_after_signing_out_the_desk_is_closed(guarded: Service) -> None:
    with sign_in(guarded) as client:
        page = client.get("/desk/dates")
        answer = client.post("/desk/sign-out", data={"form_token": form_token(page)}, headers=origin(guarded))
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert client.get("/desk/dates").status_code == 303


def test_a_form_without_a_session_records_nothing(guarded: Service) -> None:
    answer = guarded.client.post("/desk/dispositions", data={"form_token": "x"}, headers=origin(guarded))
    assert (answer.status_code, "Nothing was recorded" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("body", "kind", "status"), [(b"{}", "application/json", 415), (b"a=" + b"x" * 40_000, "application/x-www-form-urlencoded", 413)]
)
def test_what_is_not_a_small_form_is_refused(ann: httpx.Client, body: bytes, kind: str, status: int) -> None:
    assert ann.post("/desk/dispositions", content=body, headers={"Content-Type": kind}).status_code == status


def test_the_caller_of_a_form_is_that_of_the_session(guarded: Service, ann: httpx.Client) -> None:
    form = {"form_token": form_token(ann.get("/desk/dates")), "by": "bob"}
    incomplete = ann.post("/desk/dispositions", data=form, headers=origin(guarded))
    assert (incomplete.status_code, "not complete" in incomplete.text) == (422, True)


def test_a_bearer_token_reads_pages_and_sends_no_forms(guarded: Service) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.get("/desk/dates", headers=bearer).status_code == 200
    assert guarded.client.get("/desk/dates", headers={"Authorization": f"Bearer {SCORE_ONLY}"}).status_code == 403
    assert guarded.client.get("/desk/dates", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guarded.client.post("/desk/dispositions", data={"form_token": ""}, headers=bearer | origin(guarded)).status_code == 403


def test_attempts_are_limited(serve: Callable[..., Service], desk_lake: Store) -> None:
    service = serve(desk_lake, RISK_SERVE_TOKENS=token_entry("ann", TOKEN, "review"))
    with browser(service) as client:
        form = {"form_token": form_token(client.get("/desk/sign-in")), "token": "wrong"}
        for foreign in ({"Origin": "https://evil.example"}, origin(service)):
            sent = [client.post("/desk/sign-in", data={"token": TOKEN}, headers=foreign).status_code for _ in range(31)]
            assert sent == [403] * 31
        answers = [client.post("/desk/sign-in", data=form, headers=origin(service)) for _ in range(33)]
    assert [answer.status_code for answer in answers[:30]] == [403] * 30
    assert answers[-1].status_code == 429
    seconds = int(answers[-1].headers["retry-after"])
    assert f"Try again in {seconds} second" in answers[-1].text


def test_workers_share_the_key(serve: Callable[..., Service], desk_lake: Store) -> None:
    service = serve(desk_lake, "--workers", "2", RISK_SERVE_TOKENS=token_entry("ann", TOKEN, "review"))
    with sign_in(service) as client:
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    statuses = set()
    for _ in range(30):
        with browser(service) as other:
            statuses.add(other.get("/desk/sign-in", headers=header).status_code)
    assert statuses == {303}


def test_without_access_control_nobody_signs_in(open_desk: Service) -> None:
    assert open_desk.client.get("/desk/sign-in").headers["location"] == "/desk"
    with browser(open_desk) as client:
        assert client.get(f"/desk/{DATES[0]}").status_code == 200
        assert client.cookies.get("risk-desk", path="/desk")
        refused = client.post("/desk/dispositions", data={"form_token": "x"}, headers=origin(open_desk))
        assert (refused.status_code, "too old" in refused.text) == (403, True)
