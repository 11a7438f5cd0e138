"""A lake with morning reports of three dates, and the desk of a service on it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx
import msgspec
import pytest

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.lake import morning_files
from risk_assets.lake.format import open_lake
from risk_assets.lake.store import Store
from tests.pages import samples
from tests.serving.conftest import Service, serving, token_entry

DATES = ("2026-01-26", "2026-01-27", "2026-01-28")
TOKEN, OTHER, SCORE_ONLY = "review-1", "review-2", "score-1"
TOKENS = ",".join(
    (token_entry("ann", TOKEN, "review"), token_entry("bob", OTHER, "score", "review"), token_entry("shop", SCORE_ONLY, "score"))
)


def write_report(store: Store, date: str, make: Callable[[], MorningReport] = samples.ordinary) -> None:
    """Write a report of a date."""
    morning_files.write(store, msgspec.structs.replace(make(), date=date), {}, "run")


def reports(folder: Path, dates: tuple[str, ...] = DATES) -> Store:
    """Return a lake with a report of each date."""
    store = open_lake(str(folder))
    for date in dates:
        write_report(store, date)
    morning_files.update_verdicts(store, morning_files.read(store, dates[-1]).report, dates)
    return store


def has_places(text: str) -> bool:
    """Return whether a page has a place that was not filled in, of any service."""
    return re.search("place-[0-9a-f]{32}-", text) is not None


def form_token(page: httpx.Response) -> str:
    """Return the token of the forms of a page."""
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def form_fields(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the first form of a page that records something."""
    form = page.text.partition('action="/desk/dispositions"')[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', form)}


def origin(service: Service) -> dict[str, str]:
    """Return the header with which a browser sends a form of the service's own page."""
    return {"Origin": service.url}


def browser(service: Service) -> httpx.Client:
    """Return a client with cookies of its own."""
    return httpx.Client(base_url=service.url, timeout=30, trust_env=False)


@contextmanager
def sign_in(service: Service, token: str = TOKEN) -> Iterator[httpx.Client]:
    """Yield a client that has signed in."""
    with browser(service) as client:
        form = {"form_token": form_token(client.get("/desk/sign-in")), "token": token, "next": "/desk"}
        answer = client.post("/desk/sign-in", data=form, headers=origin(service))
        assert (answer.status_code, answer.headers.get("location")) == (303, "/desk"), answer.text
        yield client


@pytest.fixture(scope="session")
def desk_lake(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A lake with three reports, which tests share; they add dispositions."""
    return reports(tmp_path_factory.mktemp("desk") / "lake")


@pytest.fixture(scope="session")
def guarded(desk_lake: Store) -> Iterator[Service]:
    """A desk with tokens, which tests share."""
    with serving(desk_lake, RISK_SERVE_TOKENS=TOKENS, RISK_DAGSTER_URL="http://127.0.0.1:3000/") as running:
        yield running


@pytest.fixture(scope="session")
def open_desk(desk_lake: Store) -> Iterator[Service]:
    """A desk without access control, which tests share."""
    with serving(desk_lake) as running:
        yield running


@pytest.fixture(scope="session")
def ann(guarded: Service) -> Iterator[httpx.Client]:
    """A client that has signed in."""
    with sign_in(guarded) as client:
        yield client
