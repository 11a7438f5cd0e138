"""The page of two dates next to each other."""

import msgspec

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.date_comparison import compare_dates
from risk_assets.domain.morning.facts import MorningReport, WorkList
from risk_assets.pages import addresses
from risk_assets.pages.comparison import render_comparison, render_no_comparison
from risk_assets.pages.formats import MINUS, date_text, short_date
from risk_assets.pages.served import Served
from tests.pages import samples
from tests.pages.outline import Outline

SERVED = Served("2026-01-27", None, ("2025-12-01", "2026-01-28"))
MOST_BYTES = 300_000


def earlier() -> MorningReport:
    """The report of the week before, by another model and another policy, with other accounts on its list."""
    report = samples.unusual()
    days = tuple(msgspec.structs.replace(day, version="model_v001", policy="f" * 64) for day in report.series if day.date <= samples.WEEK)
    items = tuple(
        msgspec.structs.replace(item, points=item.points + 5, account=item.account if item.rank > 2 else f"OLD{item.rank}")
        for item in report.work_list.items
    )
    return msgspec.structs.replace(report, date=samples.WEEK, shown_date=samples.WEEK, series=days, work_list=WorkList(items, 268))


def hostile() -> MorningReport:
    """The hostile report; its ids can be stored, so they have no lone surrogates."""
    report = samples.hostile()
    items = tuple(msgspec.structs.replace(item, account=item.account.replace("\ud800", "")) for item in report.work_list.items)
    return msgspec.structs.replace(report, work_list=WorkList(items, 400))


def page(now: MorningReport, other: MorningReport) -> str:
    return render_comparison(compare_dates(now, other), SERVED)


def test_sections_and_figures() -> None:
    found = Outline(page(samples.ordinary(), earlier()))
    assert [text for tag, text in found.headings if tag == "h2"] == [
        "What happened",
        "Key figures",
        "Accounts on the work lists",
        "Bands",
        "Data",
    ]
    for text in (
        "Warning. 28 Jan: 3,140 of 3,200 accounts",
        "Model: model_v001 · policy: ffffffffffff",
        "Another model and another policy scored the other date",
        f"Accounts flagged 212 268 {MINUS}56",
        f"Mean probability 6.62% 7.29% {MINUS}0.67 pp",
        "2 listed on 28 Jan only",
        "2 listed on 21 Jan only",
        "48 on both lists, those that lost most points first",
        f"383 388 {MINUS}5 F F 3 3",
        "annual_income 0 56",
        f"utilisation {MINUS}1.1 {MINUS}4.1 beyond a limit",
    ):
        assert text in found.text


def test_links_lead_to_the_accounts_of_each_date() -> None:
    found = Outline(page(samples.ordinary(), earlier())).values("href")
    shared = key_text(account_key(samples.ordinary().work_list.items[5].account))
    assert addresses.account(samples.DATE, shared) in found
    assert addresses.account(samples.WEEK, key_text(account_key("OLD1"))) in found
    assert addresses.comparison(samples.WEEK, samples.DATE) in found


def test_a_date_that_shows_another_one() -> None:
    found = Outline(page(samples.ordinary(), msgspec.structs.replace(samples.not_scored(), date="2026-01-29")))
    assert "It has no scores of its own; its figures and its list are those of 27 Jan 2026." in found.text


def test_a_date_without_any_scores() -> None:
    found = Outline(page(samples.ordinary(), msgspec.structs.replace(samples.never_scored(), date="2026-01-29")))
    assert "No date had been scored." in found.text
    assert "Accounts flagged 212 not known not known" in found.text
    assert "0 listed on" in found.text
    assert "postcode 3 not known" in found.text


def test_the_same_date_twice() -> None:
    found = Outline(page(samples.ordinary(), samples.ordinary()))
    assert "Both dates are the same. Choose another one." in found.text
    assert len(found.values("id")) == len(set(found.values("id")))


def test_dates_of_two_years_have_their_years() -> None:
    other = msgspec.structs.replace(earlier(), date="2025-12-28", shown_date="2025-12-28")
    assert "listed on 28 Dec 2025 only" in Outline(page(samples.ordinary(), other)).text


def test_figures_and_lists_are_named_by_the_date_that_was_scored() -> None:
    other = msgspec.structs.replace(earlier(), date="2026-01-24")  # not scored: it shows an earlier date
    text = Outline(page(samples.ordinary(), other)).text
    assert other.shown_date is not None and other.shown_date < other.date
    assert f"listed on {short_date(other.shown_date)} only" in text
    assert "listed on 24 Jan only" not in text


def test_rows_that_were_not_checked_have_no_issues_to_count() -> None:
    data = msgspec.structs.replace(samples.ordinary().data, with_issues=None, issues=())
    unchecked = msgspec.structs.replace(earlier(), data=data)
    found = compare_dates(samples.ordinary(), unchecked)
    assert found.unchecked == (unchecked.date,)
    assert {pair.other for pair in found.issues} == {None}
    text = Outline(page(samples.ordinary(), unchecked)).text
    assert f"The rows of {date_text(unchecked.date)} were not checked." in text
    assert "No row of either date" not in text


def test_long_lists_are_cut() -> None:
    items = tuple(msgspec.structs.replace(samples.ordinary().work_list.items[0], rank=at, account=f"A{at}") for at in range(1, 5001))
    long = msgspec.structs.replace(samples.ordinary(), work_list=WorkList(items, 5000))
    both = page(long, long)
    alone = page(long, samples.empty_list())
    assert "5,000 on both lists, those that lost most points first; 100 are shown" in Outline(both).text
    assert "The 100 riskiest of 5,000, riskiest first" in Outline(alone).text
    assert max(len(both), len(alone)) < MOST_BYTES


def test_hostile_texts_stay_texts() -> None:
    found = Outline(page(hostile(), msgspec.structs.replace(hostile(), work_list=WorkList())))
    assert found.tags["script"] == found.tags["img"] == 0


def test_a_date_without_report_says_so() -> None:
    found = Outline(render_no_comparison(samples.DATE, "2024-02-29", "2024-02-29", SERVED))
    assert "No morning report of Thursday 29 February 2024" in found.text
    assert "risk report 2024-02-29" in found.text
    assert found.values("action") == [addresses.comparison(samples.DATE)]
