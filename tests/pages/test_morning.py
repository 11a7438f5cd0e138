"""The page of a morning report: its sections, what they say, and that hostile texts stay texts."""

import re

import msgspec
import pytest
from msgspec.structs import replace

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.facts import (
    ChallengerVerdict,
    DataFacts,
    Decision,
    Figure,
    MorningReport,
    OnlineParity,
    OpenAlert,
    Range,
    Verdict,
)
from risk_assets.pages import addresses
from risk_assets.pages.morning import IndexEntry, Links, render, render_index
from tests.pages import samples
from tests.pages.conftest import LINKS, SERVED
from tests.pages.outline import Outline

MOST_BYTES = 300_000


def outline(report: MorningReport, links: Links | None = None) -> Outline:
    return Outline(render(report, links))


def test_sections_come_in_the_order_of_reading() -> None:
    found = outline(samples.ordinary())
    assert [text.strip() for tag, text in found.headings if tag == "h2"] == [
        "Verdict",
        "Key figures",
        "Changes since 27 Jan",
        "Work list: new and worse",
        "Data of 28 Jan 2026",
        "Model",
        "Decisions",
        "Plots",
    ]


def test_each_section_has_its_heading_as_name(report: MorningReport) -> None:
    found = outline(report)
    named = [attributes["aria-labelledby"] for tag, attributes in found.attributes if tag == "section"]
    ids = found.values("id")
    assert named
    assert all(name in ids for name in named)
    assert len(ids) == len(set(ids))


def test_every_sample_weighs_less_than_300_kb(report: MorningReport) -> None:
    assert len(render(report).encode()) < MOST_BYTES


def test_the_page_has_no_script_and_no_address_of_another_place(report: MorningReport) -> None:
    found = outline(report, Links("index.html", "a.html", "b.html"))
    assert not {"script", "img", "iframe", "object", "form"} & set(found.tags)
    assert set(found.values("href")) <= {"#content", "data:,", "index.html", "a.html", "b.html", "#model", "#data"}
    assert not found.values("src")
    assert not [name for _, attributes in found.attributes for name in attributes if name.startswith("on")]
    assert "url(" not in found.page.partition("</style>")[0]
    assert "default-src 'none'" in " ".join(found.values("content"))


def test_links_that_do_not_exist_are_left_out() -> None:
    assert "nav" not in outline(samples.ordinary()).tags
    only_index = outline(samples.ordinary(), Links("index.html"))
    assert "all dates" in only_index.text
    assert "previous date" not in only_index.text


def test_the_verdict_is_in_words_and_in_colour() -> None:
    on_time, failed = outline(samples.ordinary()), outline(samples.not_scored("failed"))
    assert "On time. 28 Jan: 3,196 of 3,200 accounts scored at 02:01" in on_time.text
    assert "verdict is-good" in on_time.values("class")
    assert "Failed. NOT SCORED: the run of 28 Jan failed" in failed.text
    assert "verdict is-bad" in failed.values("class")


def test_all_states_and_messages_of_the_night_are_shown() -> None:
    found = outline(samples.unusual())
    assert "verdict is-warn" in found.values("class")
    assert "Also: unusual, drift." in found.text
    assert "issue_share: 60 rows with issues" in found.text


def test_a_date_without_scores_names_the_date_that_is_shown() -> None:
    found = outline(samples.not_scored())
    assert "below are those of Tuesday 27 January 2026" in found.text
    headings = [text for _, text in found.headings]
    assert "Key figures of 27 Jan 2026" in headings
    assert "Work list of 27 Jan 2026: new and worse" in headings
    assert "not arrived; the deadline is 06:00 on 29 Jan" in found.text


def test_without_any_scored_date_the_page_says_so() -> None:
    found = outline(samples.never_scored())
    assert "No date up to this one has been scored" in found.text
    assert "No model is live." in found.text
    assert "There is nothing to draw yet." in found.text
    assert "Key figures" not in found.text


def test_figures_have_their_usual_range_and_changes() -> None:
    text = outline(samples.ordinary()).text
    assert "Accounts flagged 212 usually 199 to 224 since 27 Jan \N{MINUS SIGN}1 since 21 Jan \N{MINUS SIGN}3" in text
    assert "Mean probability 6.62% usually 6.41% to 6.89% since 27 Jan +0.02 pp" in text
    assert "its usual range" not in text


def test_an_unusual_figure_is_marked_in_words_and_colour() -> None:
    found = outline(samples.unusual())
    assert "Accounts flagged 268 above its usual range: usually 199 to 224" in found.text
    assert found.values("class").count("is-odd") == 5


def test_the_footer_says_from_how_many_dates_the_ranges_come() -> None:
    report = samples.ordinary()
    assert report.figures
    assert "Usual ranges come from 27 scored dates in the 28 days before." in outline(report).text
    whole = replace(report.figures, shown=(Figure("flagged", 10, normal=Range(4, 52, 28)),))
    assert "Usual ranges come from the 28 days before." in outline(replace(report, figures=whole)).text
    assert "Usual ranges are known from 6 scored dates in 28 days on." in outline(samples.first_date()).text


def test_a_figure_below_its_range_says_below() -> None:
    report = samples.ordinary()
    assert report.figures
    low = msgspec.structs.replace(report.figures, shown=(Figure("flagged", 10, normal=Range(40, 52, 20)),))
    assert "below its usual range: usually 40 to 52" in outline(msgspec.structs.replace(report, figures=low)).text


def test_a_figure_that_is_not_known_is_left_out() -> None:
    report = samples.ordinary()
    assert report.figures
    shown = tuple(Figure(each.name, None if each.name == "flagged exposure" else each.value) for each in report.figures.shown)
    figures = msgspec.structs.replace(report.figures, shown=shown, exposure=None)
    text = outline(msgspec.structs.replace(report, figures=figures)).text
    assert "Flagged exposure" not in text
    assert "Exposure" not in text


def test_each_count_of_changes_opens_its_list() -> None:
    found = outline(samples.ordinary())
    assert "11 worse by 10 points or more" in found.text
    assert "0 scored again: their data returned" in found.text
    assert found.tags["details"] == 11  # seven lists, the other listed accounts, and tables of three plots, but not of an empty list
    assert "AC011003 1,840 41.0% was 22.0% 438 was 459 F was E" in found.text


def test_changes_are_split_by_cause() -> None:
    assert "213 on 27 Jan, 212 now (\N{MINUS SIGN}1)" in outline(samples.ordinary()).text
    assert "none by another model or policy" in outline(samples.ordinary()).text
    assert "\N{MINUS SIGN}5 by another policy" in outline(samples.policy_changed()).text


def test_without_a_drift_report_the_page_says_how_to_split_by_cause() -> None:
    report = samples.without_drift()
    text = outline(report).text
    assert "The split by cause needs the drift report of 28 Jan 2026. Make it: risk monitor 2026-01-28." in text
    assert "By cause:" not in text
    measured = replace(report, data=replace(report.data, moved_on=samples.DATE))
    assert "does not have the split by cause. It says why: risk monitor 2026-01-28." in outline(measured).text


def test_accounts_of_one_file_only_are_said_to_be_so() -> None:
    text = outline(samples.ordinary()).text
    assert "3 in the file, not on 27 Jan" in text
    assert "3 in the file on 27 Jan, not any more" in text
    assert "+1 accounts that were not in the file of 27 Jan" in text


def test_the_first_date_shows_its_whole_list() -> None:
    found = outline(samples.first_date())
    assert "There is no earlier scored date to compare with." in found.text
    assert "usual range not known yet" in found.text
    assert "without news" not in found.text
    assert found.text.count("New account: no earlier snapshot.") == 50


def test_the_work_list_says_what_changed_before_it_says_why() -> None:
    text = outline(samples.ordinary()).text
    assert "212 flagged, 162 flagged accounts are not listed. The list has the 50 riskiest accounts." in text
    expected = (
        "worse missed payments 1, was 0: \N{MINUS SIGN}12 points; utilisation 0.97, was 0.81: \N{MINUS SIGN}6 points "
        "Balance is close to the limit · Time at the present address is short · first day on the list"
    )
    assert expected in text
    assert "22 of 50 listed accounts are new or worse" in text
    assert "28 more listed accounts, without news" in text


def test_a_list_that_is_complete_says_so() -> None:
    report = samples.ordinary()
    work = msgspec.structs.replace(report.work_list, flagged=50)
    assert "50 flagged, all listed." in outline(msgspec.structs.replace(report, work_list=work)).text


def test_an_empty_list() -> None:
    text = outline(samples.empty_list()).text
    assert "No account is listed." in text
    assert "0 newly flagged" in text


def test_late_files_and_moved_features_are_marked() -> None:
    late, unusual = outline(samples.late()).text, outline(samples.unusual()).text
    assert "09:02 on 29 Jan, after the deadline of 06:00 on 29 Jan" in late
    assert "01:42 on 29 Jan, before the deadline" in unusual
    assert "annual_income 56, more than usual 2 missing 3, not a number 53" in unusual
    assert "utilisation \N{MINUS SIGN}4.1 0.310 0.250 yes: PSI, points beyond the limit" in unusual


def test_a_backfilled_date_is_not_said_to_be_late() -> None:
    report = samples.late()
    later = msgspec.structs.replace(report.data, arrived_at="2026-03-02T10:00+01:00")
    said = samples.verdict("backfilled", "good", "28 Jan: 3,196 of 3,200 accounts scored on 2 Mar 2026 at 10:05.")
    text = outline(msgspec.structs.replace(report, data=later, verdict=said)).text
    assert "after the deadline of" not in text
    assert "10:00 on 2 Mar; the deadline was 06:00 on 29 Jan" in text


def test_a_score_beyond_its_drift_limit_is_marked() -> None:
    report = samples.unusual()
    text = outline(replace(report, data=replace(report.data, score_beyond=("PSI",)))).text
    assert "score is beyond its drift limit: PSI." in text
    assert "score is beyond" not in outline(report).text


def test_rows_that_were_not_checked_are_not_said_to_be_right() -> None:
    report = samples.ordinary()
    clean = DataFacts(deadline=report.data.deadline, arrived_at=report.data.arrived_at, rows=3200, with_issues=0)
    for data, said in (
        (clean, "No row has an issue."),
        (replace(clean, with_issues=None), "The rows were not checked."),
        (replace(clean, rows=0), "The file has no rows."),
        (replace(clean, rows=None, with_issues=None), "The rows were not checked."),
        (replace(clean, with_issues=None, not_checked="contract_schema"), "The rows were not checked. contract_schema."),
    ):
        text = outline(replace(report, data=data)).text
        assert said in text
        assert ("No row has an issue." in text) is (data is clean)


def test_points_that_changed_without_a_listed_feature() -> None:
    report = samples.ordinary()
    item = next(item for item in report.work_list.items if item.last_snapshot)
    quiet = msgspec.structs.replace(item, changes=(), points_before=item.points)
    for account, said in (
        (quiet, "No feature changed much since 27 Jan."),
        (
            msgspec.structs.replace(quiet, points_before=item.points + 2),
            "No single feature is known to have changed the points by 1 or more since 27 Jan.",
        ),
    ):
        work = msgspec.structs.replace(report.work_list, items=(account,))
        text = outline(msgspec.structs.replace(report, work_list=work)).text
        assert said in text


def test_the_model_is_compared_with_outcomes_or_says_when() -> None:
    text = outline(samples.ordinary()).text
    assert "model_v002 has been live since 6 Jan 2026 (22 days). Challenger: model_v003, shadow." in text
    assert "372 of 3,188 went bad, 361 were expected, which is within the limits" in text
    assert "0.79 (0.77 to 0.81), above its limit of 0.76; at training 0.80 (out of time), 0.79 (other accounts)" in text
    assert "the first ones mature on 27 Jul 2026" in outline(samples.first_date()).text


def test_without_outcomes_the_model_is_shown_by_its_training_and_its_own_estimate() -> None:
    report = samples.first_date()
    text = outline(report).text
    assert "on data that did not train it was 0.79 (0.75 to 0.83) on other accounts and 0.80 (0.77 to 0.83) on later" in text
    assert "model_v001 expects 212 bad accounts (184 to 239) among the 3,196 that it scored on 28 Jan 2026, and an AUC of 0.81." in text
    model = msgspec.structs.replace(report.model, expected=None)
    assert "risk monitor 2026-01-28 does it" in outline(msgspec.structs.replace(report, model=model)).text
    assert "By its own probabilities" not in outline(samples.ordinary()).text
    due = msgspec.structs.replace(report.model, outcomes_on="2026-01-20")
    assert "the first ones matured on 20 Jan 2026 and are not measured yet" in outline(msgspec.structs.replace(report, model=due)).text


def test_figures_of_a_training_date_are_not_shown_as_those_of_new_accounts() -> None:
    report = samples.trained_on()
    text = outline(report).text
    assert "372 of 3,188 went bad, 361 were expected, not compared with limits." in text
    assert "Rows of this date trained or tested it: this is not its performance on new dates." in text
    assert "2025-10-31 was used to train model_v002: its figures have no limits." in text
    assert "31 Oct 2025 was used to train model_v002, so the bands are not compared with limits" in text
    assert "When model_v002 was trained, its ranking" in text
    assert "used to train" not in outline(samples.ordinary()).text


def test_a_version_that_is_not_live_any_more_is_not_called_champion() -> None:
    report = samples.ordinary()
    assert "model_v002 (champion), accounts of" in outline(report).text
    text = outline(replace(report, model=replace(report.model, version="model_v003"))).text
    assert "model_v002 (champion then), accounts of" in text
    assert "No outcomes are known yet of a date that model_v003 scored and that did not train it." in text
    shadow = replace(report.model.measured[0], role="shadow", version="model_v001")
    promoted = replace(report.model, version="model_v001", measured=(shadow,))
    assert "model_v001 (shadow then), accounts of" in outline(replace(report, model=promoted)).text


def test_a_model_beyond_its_limits_is_marked() -> None:
    report = samples.ordinary()
    measured = report.model.measured[0]
    worst = msgspec.structs.replace(measured.bands[-1], observed=170, beyond=True)
    overall = msgspec.structs.replace(measured.overall, beyond=True)
    beyond = msgspec.structs.replace(measured, bands=(*measured.bands[:-1], worst), overall=overall, auc=0.7)
    text = outline(msgspec.structs.replace(report, model=msgspec.structs.replace(report.model, measured=(beyond,)))).text
    assert "361 were expected, which is outside the limits" in text
    assert "below its limit of 0.76" in text
    assert "no: more than expected, beyond the limit" in text


def test_decisions_and_what_waits_for_one() -> None:
    text = outline(samples.policy_changed()).text
    assert "model_v004, trained for 25 Jan 2026, waits for a promotion: gates not passed: calibration_by_band." in text
    assert "It would flag 240 accounts instead of 213 (41 newly, 14 no longer), on 2 dates up to 27 Jan 2026." in text
    assert "28 Jan 2026: policy adopted by ann: “Cut-off raised by the committee” Changed: policy." in text
    assert "missing_share by bob: the bureau was down" in text
    assert "Nothing waits for a decision." in outline(samples.ordinary()).text


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("promote", "model_v002 promoted by ann"),
        ("rollback", "rolled back to model_v002 by ann"),
        ("challenge", "challenger model_v003 started against model_v002 by ann"),
        ("end_challenge", "challenge ended, model_v002 stays live, by ann"),
        ("adopt_contract", "contract adopted by ann"),
    ],
)
def test_each_action_has_its_words(action: str, shown: str) -> None:
    report = samples.ordinary()
    decided = Decision("2026-01-28T10:00+01:00", action, "model_v002", "ann", "why", challenger="model_v003")
    decisions = msgspec.structs.replace(report.decisions, decided=(decided,))
    assert shown in outline(msgspec.structs.replace(report, decisions=decisions)).text


def test_plots_have_text_alternatives() -> None:
    found = outline(samples.ordinary())
    images = [attributes for tag, attributes in found.attributes if tag == "svg" and attributes.get("role") == "img"]
    ids = found.values("id")
    assert len(images) == 5
    assert all(name in ids for image in images for name in (image["aria-labelledby"] or "").split())
    assert "1 21 Dec: the run failed" in found.text
    assert "2 7 Jan: model_v002 live" in found.text
    assert "On 28 Jan: A 3" in found.text
    assert "Marked: 21 Dec: the run failed; 7 Jan: model_v002 live; 19 Jan: scored after the deadline." in found.text


def test_hostile_texts_stay_texts() -> None:
    found = outline(samples.hostile())
    assert "<script>document.title='run'</script>" in found.text
    assert not {"script", "img", "i"} & set(found.tags)
    assert found.tags["style"] == 1
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", found.page)


def test_long_ids_are_shortened_and_can_be_opened() -> None:
    found = outline(samples.hostile())
    full, short = "A" * 10_000, "A" * 29 + "…" + "A" * 10
    assert f"<summary><bdi>{short}</bdi></summary>" in found.page
    assert f'aria-label="Full text">{full}</bdi></details>' in found.page


def test_customer_texts_are_isolated_from_the_direction_around_them() -> None:
    page = render(samples.hostile())
    reversed_text = "\N{RIGHT-TO-LEFT OVERRIDE}txet desrever"
    isolated = re.findall(rf"<bdi[^>]*>[^<]*{reversed_text}", page)
    in_drawings = re.findall(rf"<(?:text|desc)[^>]*>[^<]*{reversed_text[:5]}", page)
    assert isolated
    assert page.count(reversed_text) <= len(isolated) + len(in_drawings) + 3


def test_the_index_lists_the_newest_date_first() -> None:
    said = Verdict("failed", ("failed",), "bad", "NOT SCORED: <b>")
    page = render_index([IndexEntry("2026-01-27", "a.html", said), IndexEntry("2026-01-28", "b.html")])
    found = Outline(page)
    assert found.values("href")[-2:] == ["b.html", "a.html"]
    assert "Tuesday 27 January 2026 Failed NOT SCORED: <b>" in found.text


def test_an_empty_index() -> None:
    assert "There is no report yet." in Outline(render_index([])).text


def test_open_alerts_come_before_versions_that_wait() -> None:
    report = samples.ordinary()
    alerts = (
        OpenAlert("drift", "<b>age</b>", "2026-01-28", "PSI of age 0.4", "Look at it: risk monitor 2026-01-28.", is_new=True),
        OpenAlert("drift", "tenure", "2026-01-27", "tenure, compared with the training of v1: PSI 0.3", "Look.", is_new=False),
        OpenAlert("run", "daily_scoring", "2026-01-25", "the disk is full.", "Run it: risk run 2026-01-25.", is_new=False),
    )
    decisions = msgspec.structs.replace(report.decisions, alerts=alerts, alerts_on="2026-01-28")
    text = outline(msgspec.structs.replace(report, decisions=decisions)).text
    assert "tenure (drift), since 27 Jan 2026: compared with the training of v1: PSI 0.3. Look." in text
    assert "3 open alerts as of 28 Jan 2026: New: <b>age</b> (drift): PSI of age 0.4. Look at it: risk monitor 2026-01-28." in text
    assert "daily_scoring (run), since 25 Jan 2026: the disk is full. Run it: risk run 2026-01-25." in text
    none = msgspec.structs.replace(report.decisions, alerts=(), alerts_on="2026-01-28")
    assert "There is no open alert as of 28 Jan 2026." in outline(msgspec.structs.replace(report, decisions=none)).text


def test_the_verdict_on_a_challenger_and_the_parity_of_the_service() -> None:
    report = samples.ordinary()
    found = ChallengerVerdict(
        "model_v001", "model_v002", "shadow", "undecided", 12, "2025-11-01", "2025-11-12", 0.01, (-0.02, 0.04), "2026-03-12"
    )
    parity = OnlineParity("2026-01-28", records=100, differing=1, problems=2)
    model = msgspec.structs.replace(report.model, verdict=found, parity=parity)
    text = outline(msgspec.structs.replace(report, model=model)).text
    assert "model_v002 (shadow) compared with model_v001 on 12 dates from 1 Nov 2025 to 12 Nov 2025: undecided, AUC +0.010" in text
    assert "A decision is expected on 12 Mar 2026." in text
    assert "1 answer differs, 2 lines cannot be compared." in text
    agreed = msgspec.structs.replace(report.model, parity=OnlineParity("2026-01-28", 100, 0, 0))
    assert "all answers agree." in outline(msgspec.structs.replace(report, model=agreed)).text


def test_a_stored_page_has_no_address_of_the_desk() -> None:
    page = render(samples.ordinary(), LINKS)
    assert "/desk" not in page
    assert "form-action 'none'" in page
    assert "no-referrer" in page


def test_a_served_page_links_to_the_desk() -> None:
    report = samples.ordinary()
    page = render(report, LINKS, SERVED)
    first = report.work_list.items[0].account
    assert page.count(f'href="{addresses.account(samples.DATE, key_text(account_key(first)))}"') >= 1
    assert f'href="{addresses.work_list(samples.DATE)}"' in page
    assert f'action="{addresses.comparison(samples.DATE)}"' in page
    assert f'href="{SERVED.run_url}"' in page
    assert "Content-Security-Policy" not in page  # its header has it, with the forms that the page has


def test_accounts_that_are_gone_link_to_the_date_that_had_them() -> None:
    report = samples.ordinary()
    assert report.changes is not None
    gone = report.changes.gone.accounts[0].account
    assert f'href="{addresses.account(report.changes.since, key_text(account_key(gone)))}"' in render(report, LINKS, SERVED)
