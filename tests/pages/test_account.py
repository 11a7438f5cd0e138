"""The page of an account: what it says in each state, and that hostile texts stay texts."""

import msgspec
import pytest

from risk_assets.domain.morning.account_facts import AccountsOfKey
from risk_assets.pages import addresses
from risk_assets.pages.account import render_account, render_no_account
from risk_assets.pages.formats import MINUS
from risk_assets.pages.served import Served
from tests.pages import account_samples as samples
from tests.pages.outline import Outline

MOST_BYTES = 60_000


def outline(found: AccountsOfKey, served: Served = samples.SERVED) -> Outline:
    return Outline(render_account(found, served))


def test_an_account_that_was_scored() -> None:
    found = outline(samples.scored())
    for text in (
        "Account AC003653",
        "worse newly flagged",
        "Predicted flagged by model_v002",
        "Points 415 since 27 Jan ±0",
        "Band F E on 27 Jan",
        "Exposure 3,304 balance",
        "Work list 1",
        "Payments were missed in the last 12 months",
        "415 points (band E) on 27 Jan by the model and the policy of 28 Jan, 415 now: ±0.",
        "Stored were 419 points, by model_v001.",
        "Features that changed; 1 other feature of the model did not",
        f"Days past due 25 26 {MINUS}6.4",
        "Bureau score missing 679 +0.3",
    ):
        assert text in found.text


def test_headings_are_nested() -> None:
    levels = [tag for tag, _ in outline(samples.two_rows()).headings]
    assert levels[:2] == ["h1", "h2"]
    assert [text.strip() for tag, text in outline(samples.scored()).headings if tag == "h2"] == ["Account AC003653", "Dispositions"]


def test_history_has_a_text_and_a_table() -> None:
    found = outline(samples.scored())
    assert "560 points on 1 Jan, 415 on 28 Jan, band F; between 415 and 560 on 26 dates." in found.text
    assert "19 Jan 2026" in found.text
    assert "10 Jan 2026 not in the file" in found.text
    assert "12 Jan 2026 not scored model_v001" in found.text


def test_waterfall_has_a_text_and_a_table() -> None:
    found = outline(samples.scored())
    assert (
        f"Average account 597 points; Days past due {MINUS}162; Months since missed {MINUS}20; Region {MINUS}9; Product +5;" in found.text
    )
    assert "4 other features ±0; this account 415 points." in found.text
    assert f"Days past due 26 {MINUS}162.0 number 1" in found.text
    assert "Product missing +4.9" in found.text


def test_the_reasons_for_not_scoring_are_named() -> None:
    issues = outline(samples.with_issues()).text
    assert "Not scored. Its row has 2 issues: annual_income: not a number region: missing" in issues
    assert "Days past due 25 26 not known" in issues
    excluded = outline(samples.not_eligible()).text
    assert "Not scored. The account is not in the population of the model: the account is closed." in excluded
    assert "The account was not scored on any of these dates." in excluded
    assert "The file of this date does not have the account." in excluded


def test_an_account_without_an_earlier_snapshot() -> None:
    found = outline(samples.safe()).text
    assert "There is no earlier date on which the account was scored." in found
    assert "Predicted not flagged" in found
    assert "Work list not listed" in found
    assert "Exposure missing balance" in found


def test_replaced_features_are_noted() -> None:
    found = outline(samples.replaced())
    assert "Account id not known" in found.text
    assert "Note: curated/accounts_2026-01-28_features.parquet is not the one that was scored" in found.text
    assert "Work list not known" in found.text


def test_two_accounts_with_one_key() -> None:
    found = outline(samples.two_rows())
    assert "2 rows of the file have this key." in found.text
    assert found.tags["article"] == 2
    assert [attributes["class"] for tag, attributes in found.attributes if tag == "form" and attributes["method"] == "get"] == [
        "compare screen"
    ]
    ids = found.values("id")
    assert len(ids) == len(set(ids))


def test_many_rows_with_one_key() -> None:
    found = outline(msgspec.structs.replace(samples.two_rows(), rows=1234))
    assert "1,234 rows of the file have this key." in found.text
    assert "The first 2 are shown." in found.text


def test_links_and_the_form() -> None:
    found = outline(samples.scored())
    for address in (
        addresses.work_list(samples.DATE),
        addresses.date_page(samples.DATE),
        addresses.account(samples.BEFORE, samples.KEY),
        addresses.account("2026-01-29", samples.KEY),
        addresses.account(samples.DATE, samples.KEY),
    ):
        assert address in found.values("href")
    (form,) = [attributes for tag, attributes in found.attributes if tag == "form" and attributes["method"] == "get"]
    assert form["action"] == addresses.account(samples.DATE, samples.KEY)
    (field,) = [attributes for tag, attributes in found.attributes if tag == "input" and attributes["name"] == "with"]
    assert (field["value"], field["min"], field["max"]) == (samples.BEFORE, "2025-12-01", "2026-01-29")
    alone = outline(samples.scored(), Served())
    assert addresses.account(samples.BEFORE, samples.KEY) in alone.values("href")  # of the history
    assert "previous date" not in alone.text


def test_hostile_texts_stay_texts() -> None:
    page = render_account(samples.hostile(), samples.SERVED)
    found = Outline(page)
    assert found.tags["script"] == found.tags["img"] == 0
    assert "\x00" not in page
    assert "\x1b" not in page
    assert samples.HOSTILE[4] in found.text


def test_the_weight_of_a_page() -> None:
    assert len(render_account(samples.scored(), samples.SERVED)) < MOST_BYTES


@pytest.mark.parametrize(("account", "said"), [(None, "no account with this key"), ("X<b>1", "no account with the id X<b>1")])
def test_a_date_without_the_account(account: str | None, said: str) -> None:
    found = Outline(render_no_account(samples.DATE, samples.SERVED, account))
    assert f"The file of 28 Jan 2026 has {said}." in found.text
    assert found.values("action") == [addresses.FIND]
    assert [attributes["name"] for tag, attributes in found.attributes if tag == "input"] == ["date", "account"]


def test_the_same_facts_give_the_same_page() -> None:
    again = msgspec.json.decode(msgspec.json.encode(samples.scored()), type=AccountsOfKey)
    assert render_account(again, samples.SERVED) == render_account(samples.scored(), samples.SERVED)
