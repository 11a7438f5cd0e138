"""Signing in at Entra ID, against an issuer on this machine."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from risk_assets.lake.store import Store
from tests.serving.auth.issuer import AUDIENCE, TENANT, Issuer, Keys, serve_issuer
from tests.serving.conftest import Service, serving
from tests.serving.desk.conftest import DATES, browser, form_token, origin


@pytest.fixture(scope="module")
def issuer(keys: Keys) -> Iterator[Issuer]:
    """An issuer that the tests of this module share."""
    with serve_issuer(keys[0]) as running:
        yield running


@pytest.fixture(scope="module")
def desk(desk_lake: Store, issuer: Issuer) -> Iterator[Service]:
    """A desk at whose address people come back from the issuer: the tests follow the redirection by hand."""
    variables = {
        "RISK_SERVE_ENTRA_TENANT": TENANT,
        "RISK_SERVE_ENTRA_AUDIENCE": AUDIENCE,
        "RISK_SERVE_ENTRA_JWKS": issuer.url,
        "RISK_SERVE_ENTRA_SIGN_IN": issuer.sign_in_url,
        "RISK_SERVE_ENTRA_CLIENT_SECRET": issuer.secret,
        "RISK_SERVE_DESK_URL": "http://localhost:1/desk",
    }
    with serving(desk_lake, **variables) as running:
        yield running


@pytest.fixture
def person(issuer: Issuer) -> Iterator[dict[str, Any]]:
    """The claims of the person, for one test."""
    yield issuer.person
    issuer.person.clear()


def agree(client: httpx.Client, following: str = "/desk") -> str:
    """Begin to sign in, agree at the issuer, and return the address to come back to, without the host."""
    begun = client.get("/desk/sign-in/entra", params={"next": following})
    assert begun.status_code == 303
    back = httpx.get(begun.headers["location"], trust_env=False).headers["location"]
    assert back.startswith("http://localhost:1/desk/sign-in/callback?")
    return back.removeprefix("http://localhost:1")


def test_a_person_signs_in_and_out(desk: Service) -> None:
    with browser(desk) as client:
        page = client.get("/desk/sign-in", params={"next": f"/desk/{DATES[0]}"})
        assert f'href="/desk/sign-in/entra?next=%2Fdesk%2F{DATES[0]}"' in page.text
        assert 'type="password"' not in page.text
        answer = client.get(agree(client, f"/desk/{DATES[0]}"))
        assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/{DATES[0]}")
        dates = client.get("/desk/dates")
        assert "<bdi>ann@bank.example</bdi>" in dates.text
        client.post("/desk/sign-out", data={"form_token": form_token(dates)}, headers=origin(desk))
        assert client.get("/desk/dates").status_code == 303
    desk.until(lambda: '"caller":"ann@bank.example"' in desk.output)
    assert "code=" not in desk.output + desk.errors


def test_what_is_asked_of_the_issuer(desk: Service, issuer: Issuer) -> None:
    with browser(desk) as client:
        begun = client.get("/desk/sign-in/entra")
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert begun.headers["location"].startswith(f"{issuer.sign_in_url}/authorize?")
        assert asked["redirect_uri"] == ["http://localhost:1/desk/sign-in/callback"]
        assert asked["client_id"] == [AUDIENCE]
        assert {"Path=/desk/sign-in", "Max-Age=600", "HttpOnly", "SameSite=Lax"} <= set(begun.headers["set-cookie"].split("; "))


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"roles": ["score"]}, "does not have the app role review"),
        ({"roles": None}, "does not have the app role review"),
        ({"nonce": "other"}, "not of this sign-in"),
        ({"nonce": None}, "not of this sign-in"),
        ({"aud": "api://other"}, "another audience"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"preferred_username": None}, "not of this sign-in"),
    ],
)
def test_a_person_without_role_or_valid_token_is_refused(desk: Service, person: dict[str, Any], claims: dict[str, Any], text: str) -> None:
    person.update(claims)
    with browser(desk) as client:
        answer = client.get(agree(client))
        assert (answer.status_code, text in answer.text) == (403, True)
        assert client.get("/desk/dates").status_code == 303


def test_a_token_of_another_key_is_refused(desk: Service, issuer: Issuer, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "signing_key", keys[2])
    with browser(desk) as client:
        assert client.get(agree(client)).status_code == 403


@pytest.mark.parametrize("change", ["state", "code", "cookie", "twice"])
def test_another_flow_is_not_finished(desk: Service, change: str) -> None:
    with browser(desk) as client:
        back = agree(client)
        if change == "cookie":
            client.cookies.clear()
        elif change == "twice":
            client.get(back)
            client.cookies.clear()
        else:
            back = back.replace(f"{change}=", f"{change}=x")
        answer = client.get(back)
        assert answer.status_code == 403
        assert client.get("/desk/dates").status_code == 303


def test_a_refusal_of_the_person_is_not_an_error(desk: Service) -> None:
    with browser(desk) as client:
        agree(client)
        answer = client.get("/desk/sign-in/callback", params={"error": "access_denied", "error_description": "<script>"})
        assert (answer.status_code, "was not finished" in answer.text, "<script" in answer.text) == (403, True, False)


def test_an_issuer_that_does_not_answer_is_reported(desk_lake: Store, issuer: Issuer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        variables = {
            "RISK_SERVE_ENTRA_TENANT": TENANT,
            "RISK_SERVE_ENTRA_AUDIENCE": AUDIENCE,
            "RISK_SERVE_ENTRA_SIGN_IN": address,
            "RISK_SERVE_ENTRA_CLIENT_SECRET": issuer.secret,
            "RISK_SERVE_DESK_URL": "http://localhost:1/desk",
        }
        with serving(desk_lake, **variables) as desk, browser(desk) as client:
            state = parse_qs(urlsplit(client.get("/desk/sign-in/entra").headers["location"]).query)["state"][0]
            answer = client.get("/desk/sign-in/callback", params={"code": "c", "state": state})
            assert (answer.status_code, "Entra ID does not answer" in answer.text) == (403, True)
