"""Which question an address asks, and what a form records."""

import pytest

from risk_serving.desk.questions import (
    AccountPage,
    AllDates,
    ComparisonPage,
    DatePage,
    FindAccount,
    NewDisposition,
    NewestDate,
    Question,
    WorkListFile,
    WorkListPage,
)
from risk_serving.desk.routes import NoPage, Unclear, address_to_return_to, disposition_of, question_of, safe_address

DATE, KEY = "2026-01-28", "00ff00ff00ff00ff"
FORM = {
    "form_id": "f-1",
    "date": DATE,
    "key": KEY,
    "kind": "called",
    "note": "n",
    "promised_on": "",
    "known": "2",
    "by": "eve",
    "back": "/desk",
}


@pytest.mark.parametrize(
    ("path", "query", "question"),
    [
        ("/desk", "", NewestDate()),
        ("/desk/", "utm_source=x", NewestDate()),
        ("/desk", f"date={DATE}", f"/desk/{DATE}"),
        ("/desk/dates", "", AllDates()),
        (f"/desk/{DATE}", "", DatePage(DATE)),
        (f"/desk/{DATE}/account/{KEY}", "", AccountPage(DATE, KEY)),
        (f"/desk/{DATE}/account/{KEY}", "with=2026-01-27", AccountPage(DATE, KEY, "2026-01-27")),
        (f"/desk/{DATE}/account/{KEY}", "with=yesterday", AccountPage(DATE, KEY)),
        (f"/desk/{DATE}/compare", "with=2026-01-27&with=2026-01-26", ComparisonPage(DATE, "2026-01-27")),
        ("/desk/find", f"date={DATE}&account=%C3%A9+1", FindAccount(DATE, "é 1")),
    ],
)
def test_question_of_an_address(path: str, query: str, question: Question | str) -> None:
    assert question_of(path, query) == question


def test_work_lists_have_a_page_and_a_file() -> None:
    assert isinstance(question_of(f"/desk/{DATE}/list", "sort=nothing&page=x"), WorkListPage)
    assert isinstance(question_of(f"/desk/{DATE}/list.csv", ""), WorkListFile)


@pytest.mark.parametrize(
    "path", ["/desk/x", "/desk/20260128", "/desk/2026-02-30", f"/desk/{DATE}/lists", f"/desk/{DATE}/account", f"/desk/{DATE}/account/FF"]
)
def test_other_addresses_have_no_page(path: str) -> None:
    with pytest.raises(NoPage):
        question_of(path, "")


@pytest.mark.parametrize(
    ("path", "query"),
    [("/desk", "date=x"), ("/desk/find", f"date={DATE}"), ("/desk/find", "account=1"), (f"/desk/{DATE}/compare", ""), ("/desk", "a&" * 51)],
)
def test_an_address_that_lacks_something_is_unclear(path: str, query: str) -> None:
    with pytest.raises(Unclear):
        question_of(path, query)


def test_a_form_records_what_the_caller_did() -> None:
    expected = NewDisposition(id="f-1", date=DATE, key=KEY, kind="called", note="n", promised_on=None, by="ann", known=2, back="/desk")
    assert disposition_of(FORM, by="ann") == expected


@pytest.mark.parametrize(
    "change", [{"form_id": ""}, {"date": "28.1."}, {"key": "x"}, {"known": ""}, {"known": "-1"}, {"known": "1" * 10}, {"known": "²"}]
)
def test_a_form_that_is_not_complete_is_unclear(change: dict[str, str]) -> None:
    with pytest.raises(Unclear, match="not complete"):
        disposition_of({**FORM, **change}, by="ann")


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (f"/desk/{DATE}/list", "search=A", f"/desk/{DATE}/list?search=A"),
        ("/desk/dates", "", "/desk/dates"),
        ("/desk/find", f"date={DATE}&account=A1", f"/desk/{DATE}"),
        ("/desk//find/", f"account=A1&date={DATE}", f"/desk/{DATE}"),
        ("/desk/find", "account=A1&date=A1", "/desk"),
        ("/desk/find", f"date={DATE}&account=A1{'&a' * 50}", "/desk"),
    ],
)
def test_after_the_sign_in_one_returns_without_an_id(path: str, query: str, expected: str) -> None:
    assert address_to_return_to(path, query) == expected


@pytest.mark.parametrize(
    "address",
    [
        "/desk",
        "/desk/dates",
        f"/desk/{DATE}/list.csv?search=..%2F",
        f"/desk/{DATE}/account/{KEY}",
        "/desk/2026-01-28/list?search=A+1&page=2",
        "/desk?date=2026-01-28",
    ],
)
def test_addresses_of_the_desk_are_safe(address: str) -> None:
    assert safe_address(address) == address


@pytest.mark.parametrize("address", ["", "/", "//evil", "/desk\\x", "/desk@evil", "/deskx", "https://desk/desk", "/desk/\n", "/desk/é"])
def test_other_addresses_lead_to_the_newest_report(address: str) -> None:
    assert safe_address(address) == "/desk"


@pytest.mark.parametrize(
    "address",
    [
        "/desk/..",
        "/desk/../x",
        "/desk/.",
        "/desk/a/../../x",
        "/desk/%2e%2e/x",
        "/desk/.%2E/x",
        "/desk/..%2fx",
        "/desk/%252e./x",
        "/desk//x",
    ],
)
def test_addresses_that_lead_out_of_the_desk_are_not_followed(address: str) -> None:
    assert safe_address(address) == "/desk"
