"""The served work list: what it says, where its links go, and that hostile texts stay texts."""

import html
import re
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.dispositions import KINDS, LONGEST_NOTE, Disposition
from risk_assets.domain.morning.selection import PAGE_SIZE, Selection, from_query
from risk_assets.pages import addresses
from risk_assets.pages.account import render_account
from risk_assets.pages.dispositions import render_conflict
from risk_assets.pages.served import FORM_ID_PLACE, FORM_TOKEN_PLACE, Served
from risk_assets.pages.work_list import page_numbers, render_work_list
from tests.pages import account_samples, samples, work_lists
from tests.pages.outline import Outline
from tests.pages.work_lists import ALL, FIRST, PAGES, RECORDED, SERVED, many, page

MOST_BYTES = 300_000


@pytest.fixture(params=PAGES)
def shown(request: pytest.FixtureRequest) -> str:
    """Each of the pages."""
    return PAGES[request.param]()


def selections(found: Outline, path: str) -> list[Selection]:
    """Return the selections to which the links of a page go."""
    links = [urlsplit(link or "") for link in found.values("href")]
    return [from_query(dict(parse_qsl(link.query))) for link in links if link.path == path]


def fields(found: Outline) -> list[dict[str, str | None]]:
    """Return the attributes of the fields of a page's forms."""
    return [attributes for tag, attributes in found.attributes if tag in ("input", "select")]


def test_the_numbers_of_flagged_and_listed_accounts_are_said() -> None:
    assert (
        "212 flagged, 162 flagged accounts are not listed. The list has the 50 riskiest accounts." in Outline(page(samples.ordinary())).text
    )
    report = samples.ordinary()
    whole = msgspec.structs.replace(report, work_list=msgspec.structs.replace(report.work_list, flagged=50))
    assert "50 flagged, all listed." in Outline(page(whole)).text


def test_news_are_shown_first_and_all_can_be_shown() -> None:
    found = Outline(page(samples.ordinary(), Selection()))
    new = len(samples.ordinary().work_list.new_and_worse)
    assert ("h2", f"{new} of 50 listed accounts: new and worse") in found.headings
    assert "Show all 50" in found.text
    assert any(each.shown == "all" for each in selections(found, "/desk/2026-01-28/list"))


def test_an_account_has_a_link_and_no_id_in_an_address() -> None:
    text = page(samples.ordinary())
    found = Outline(text)
    for item in samples.ordinary().work_list.items:
        assert addresses.account(samples.DATE, key_text(account_key(item.account))) in found.values("href")
    assert not any(FIRST in (value or "") for name in ("href", "action", "id", "value") for value in found.values(name))


def test_the_accounts_of_a_date_without_scores_are_those_of_the_shown_date() -> None:
    found = Outline(page(samples.not_scored()))
    assert "28 Jan 2026 has no scores: this is the list of 27 Jan 2026." in found.text
    assert addresses.account(samples.BEFORE, key_text(account_key(FIRST))) in found.values("href")


def test_what_can_be_chosen_has_counts() -> None:
    found = Outline(page(samples.ordinary(), Selection(category="worse")))
    assert re.search(r"new on the list \(\d+\) newly flagged \(\d+\) worse \(\d+\) Reason", found.text)
    assert "E (0)" not in found.text and re.search(r"Band any F \(\d+\)", found.text)
    options = [attributes for tag, attributes in found.attributes if tag == "option"]
    assert {"value": "worse", "selected": None} in options


def test_a_head_sorts_and_then_reverses() -> None:
    by_default, sorted_by, reversed_by = (
        Outline(page(samples.ordinary(), selection))
        for selection in (ALL, Selection(shown="all", sort="exposure", descending=True), Selection(shown="all", sort="exposure"))
    )
    assert by_default.values("aria-sort") == []
    assert (sorted_by.values("aria-sort"), reversed_by.values("aria-sort")) == (["descending"], ["ascending"])
    for found, descending in ((by_default, True), (sorted_by, False), (reversed_by, True)):
        heads = [each for each in selections(found, "/desk/2026-01-28/list") if each.sort == "exposure"]
        assert descending in {each.descending for each in heads}


def test_the_conditions_stay_on_all_links() -> None:
    selection = Selection(shown="all", reason=samples.REASONS[1], band="F", search="ac", sort="points", page=2)
    found = Outline(page(many(500), selection))
    kept = selections(found, "/desk/2026-01-28/list") + selections(found, "/desk/2026-01-28/list.csv")
    assert [each for each in kept if (each.reason, each.band, each.search) != (selection.reason, "F", "ac")] == [Selection()]
    assert selections(found, "/desk/2026-01-28/list.csv") == [msgspec.structs.replace(selection, page=1)]
    assert selections(found, "/desk/2026-01-27/list") == [msgspec.structs.replace(selection, page=1)]


def test_pages_are_linked() -> None:
    found = Outline(page(many(500), Selection(shown="all", page=5)))
    assert found.tags["tr"] == PAGE_SIZE + 1
    assert [tag for tag, attributes in found.attributes if attributes.get("aria-current") == "page"] == ["span", "span"]
    assert {each.page for each in selections(found, "/desk/2026-01-28/list")} == {1, 3, 4, 6, 7, 10}
    assert "Page 5 of 10." in found.text


@pytest.mark.parametrize(
    ("shown", "pages", "expected"),
    [
        (1, 1, (1,)),
        (1, 2, (1, 2)),
        (1, 9, (1, 2, 3, None, 9)),
        (5, 9, (1, None, 3, 4, 5, 6, 7, None, 9)),
        (9, 9, (1, None, 7, 8, 9)),
        (3, 5, (1, 2, 3, 4, 5)),
    ],
)
def test_pages_near_the_shown_one_have_a_link(shown: int, pages: int, expected: tuple[int | None, ...]) -> None:
    assert page_numbers(shown, pages) == expected


def test_the_latest_disposition_is_shown_and_the_earlier_ones_can_be() -> None:
    text = Outline(page(samples.ordinary())).text
    latest = "promise to pay by 3 Feb 2026: after pay day 11:40 on 29 Jan by bob Record what was done about"
    assert f"{latest} {FIRST}, 1 earlier called: no answer 09:12 on 29 Jan by ann" in text


def long_notes(entries: int, *accounts: str) -> tuple[Disposition, ...]:
    """Return dispositions of each account with notes of the greatest length."""
    numbered = [(account, number) for account in accounts for number in range(entries)]
    note = "x" * (LONGEST_NOTE - 4)
    return tuple(
        msgspec.structs.replace(RECORDED[0], id=f"{account}-{at}", account=account, note=f"{at:03d} {note}") for account, at in numbered
    )


def test_a_row_shows_the_newest_dispositions_and_leads_to_the_others() -> None:
    text = Outline(page(samples.ordinary(), ALL, long_notes(200, FIRST))).text
    assert "199 earlier" in text and "196 more on the page of the account" in text
    assert [f"{number:03d} x" in text for number in (199, 198, 197, 196, 195)] == [True, True, True, True, False]


def test_a_page_with_many_long_notes_weighs_less_than_300_kb() -> None:
    accounts = [item.account for item in many(500).work_list.items[:50]]
    assert len(page(many(500), ALL, long_notes(200, *accounts)).encode()) < MOST_BYTES


def test_other_pages_show_the_newest_20_dispositions() -> None:
    entries = long_notes(200, FIRST)
    shown = (
        render_conflict(FIRST, work_lists.FILLED, entries, 3, work_lists.BACK, SERVED),
        render_account(account_samples.scored(), SERVED, entries),
    )
    for text in shown:
        found = Outline(text)
        assert "180 earlier: risk dispositions" in found.text
        assert "180 x" in found.text and "179 x" not in found.text
        assert len(text.encode()) < MOST_BYTES
        assert {"name": "known", "type": "hidden", "value": "200"} in fields(found)


def test_a_form_knows_how_many_were_recorded() -> None:
    found = Outline(page(samples.ordinary()))
    forms = [attributes for attributes in fields(found) if attributes.get("name") == "known"]
    assert sorted(attributes["value"] or "" for attributes in forms) == ["0"] * 49 + ["2"]
    keys = {attributes["value"] for attributes in fields(found) if attributes.get("name") == "key"}
    assert keys == {key_text(account_key(item.account)) for item in samples.ordinary().work_list.items}


def test_a_form_has_the_places_of_the_caller_and_the_way_back() -> None:
    selection = Selection(shown="all", band="F", sort="points", page=2)
    found = Outline(page(many(120), selection))
    values = {attributes["name"]: attributes.get("value") for attributes in fields(found) if attributes.get("type") == "hidden"}
    assert values["form_token"] == FORM_TOKEN_PLACE
    assert values["form_id"] == f"{FORM_ID_PLACE}-{values['key']}"
    assert values["date"] == samples.DATE
    assert values["back"] == addresses.work_list(samples.DATE, {"shown": "all", "band": "F", "sort": "points", "page": "2"})
    assert addresses.is_of_accounts(values["back"] or "")


def test_forms_of_one_page_have_different_ids() -> None:
    ids = [attributes["value"] for attributes in fields(Outline(page(samples.ordinary()))) if attributes.get("name") == "form_id"]
    assert len(set(ids)) == len(ids) == 50


def test_an_id_that_is_listed_twice_has_one_name() -> None:
    report = samples.ordinary()
    twice = msgspec.structs.replace(report.work_list, items=(*report.work_list.items[:3], report.work_list.items[0]))
    names = Outline(page(msgspec.structs.replace(report, work_list=twice))).values("id")
    assert len(names) == len(set(names))


def test_a_search_without_result_leads_to_the_account_with_this_id() -> None:
    found = Outline(page(samples.ordinary(), Selection(search="AC9")))
    assert addresses.FIND in found.values("action")
    assert {"name": "account", "type": "hidden", "value": "AC9"} in fields(found)


def test_damaged_lines_are_reported() -> None:
    report = samples.ordinary()
    text = render_work_list(report, work_lists.select(report.work_list.items, ALL), ALL, {}, Served(), ("logs/x.csv has 1 line …",))
    assert "logs/x.csv has 1 line …" in Outline(text).text


def test_the_conflict_has_the_other_entry_and_the_own_form() -> None:
    found = Outline(work_lists.conflict())
    assert "promise to pay by 3 Feb 2026: after pay day 11:40 on 29 Jan by bob" in found.text
    assert "The account has 1 entry that your page did not show." in found.text
    assert ("h1", "Not recorded: something was recorded meanwhile") in found.headings
    values = {attributes["name"]: attributes.get("value") for attributes in fields(found)}
    assert (values["known"], values["promised_on"], values["back"]) == ("2", "2026-01-01", work_lists.BACK)
    assert values["note"] == "said yes\N{REPLACEMENT CHARACTER}"
    assert "Record in addition" in found.text


def test_each_field_to_change_is_marked_and_described() -> None:
    found = Outline(work_lists.to_change())
    marked = {attributes["name"]: attributes["aria-describedby"] for attributes in fields(found) if attributes.get("aria-invalid")}
    assert set(marked) == {"promised_on", "note"}
    assert set(marked.values()) <= set(found.values("id"))


def test_the_kinds_can_be_chosen() -> None:
    text = Outline(work_lists.to_change()).text
    assert " ".join(KINDS) in " ".join(text.split())


def test_no_page_has_a_script_or_an_address_of_another_place(shown: str) -> None:
    found = Outline(shown)
    assert not {"script", "img", "iframe", "object"} & set(found.tags)
    links = [link for name in ("href", "action") for link in found.values(name)]
    assert all(link and link.startswith(("/desk", "#content", "data:,")) for link in links)
    ids = found.values("id")
    assert len(ids) == len(set(ids))


def test_every_page_weighs_less_than_300_kb(shown: str) -> None:
    assert len(shown.encode()) < MOST_BYTES


def test_hostile_texts_are_escaped() -> None:
    text = PAGES["hostile"]()
    assert "<script>" not in text and "<img" not in text and "<b>&lt;b" not in text
    assert html.escape("<script>document.title='run'</script>", quote=False).replace("'", "&#39;") in text
    assert "\x00" not in text and "\ud800" not in text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/desk/2026-01-28/list", True),
        ("/desk/2026-01-28/list?shown=all&reason=a+b%3A&page=2", True),
        ("/desk/2026-01-28/account/0123456789abcdef", True),
        ("/desk/2026-01-28/account/0123456789abcdef?with=2026-01-27", True),
        ("", False),
        ("https://elsewhere/desk/2026-01-28/list", False),
        ("//elsewhere/desk/2026-01-28/list", False),
        ("/desk/2026-01-28/list?a=b#c", False),
        ("/desk/2026-01-28/list\n", False),
        ("/desk/2026-01-28/list?a=\r\nSet-Cookie: x", False),
        ("/desk/../admin", False),
        ("/desk/2026-01-28/account/../../list", False),
        ("/desk/sign-out", False),
        ("javascript:alert(1)", False),
        ("/desk/٢٠٢٦-01-28/list", False),
    ],
)
def test_only_addresses_of_lists_and_accounts_are_gone_back_to(address: str, expected: bool) -> None:
    assert addresses.is_of_accounts(address) is expected


def test_an_address_that_is_written_can_be_gone_back_to() -> None:
    query = {"reason": "a b/c?d=e&f#g\r\n<\N{HEBREW LETTER ALEF}~'\"", "search": "*"}
    assert addresses.is_of_accounts(addresses.work_list(samples.DATE, query))


def test_entries_of_others_stay_out_of_a_row() -> None:
    other = msgspec.structs.replace(RECORDED[0], account="not listed", note="of another account")
    report = samples.ordinary()
    assert "of another account" not in page(report, ALL, (*RECORDED, other))
    assert SERVED.previous == samples.BEFORE
