"""The morning report as plain text."""

from risk_assets.domain.morning.facts import MorningReport
from risk_assets.pages.morning_text import render_text
from tests.pages import samples


def test_lines_have_at_most_72_characters(report: MorningReport) -> None:
    text = render_text(report)
    assert max(map(len, text.splitlines())) <= 72
    assert text.endswith("\n")


def test_no_account_is_named(report: MorningReport) -> None:
    text = render_text(report)
    assert not [item.account for item in report.work_list.items if len(item.account) < 20 and item.account in text and "AC" in item.account]


def test_the_text_of_an_ordinary_date() -> None:
    expected = """\
MORNING REPORT, Wednesday 28 January 2026
=========================================

ON TIME

28 Jan: 3,196 of 3,200 accounts scored at 02:01 by model_v002 (live for
22 days). 212 flagged (1 fewer than on 27 Jan, 3 fewer than on 21 Jan).
Nothing unusual.

KEY FIGURES
-----------
                                 since 27 Jan  since 21 Jan
Accounts received         3,200            ±0            -1
    usually 3,196 to 3,204
Accounts scored           3,196            ±0            -3
    usually 3,190 to 3,202
Accounts flagged            212            -1            -3
    usually 199 to 224
Flagged exposure        239,560        -1,150        -3,440
    usually 224,900 to 253,100
Mean probability          6.62%      +0.02 pp      -0.09 pp
    usually 6.41% to 6.89%
Expected bads               212          +0.6          -3.1
    usually 205 to 220

CHANGES SINCE 27 JAN
--------------------
           5  new on the list
           7  newly flagged
           8  no longer flagged
          11  worse by 10 points or more
           3  in the file, not on 27 Jan
           3  in the file on 27 Jan, not any more
           5  no longer on the list
           0  scored again: their data returned

Flagged: 213 before, 212 now. By cause: -1 by the accounts' own data, +1
that were not in the file of 27 Jan, -1 no longer scored.

Work list: 212 flagged, 162 flagged accounts are not listed. 22 of 50
listed accounts are new or worse.
"""
    assert render_text(samples.ordinary()).replace("\N{MINUS SIGN}", "-") == expected


def test_without_a_drift_report_the_text_says_how_to_split_by_cause() -> None:
    text = " ".join(render_text(samples.without_drift()).split())
    assert "The split by cause needs the drift report of 28 Jan 2026. Make it: risk monitor 2026-01-28." in text
    assert "By cause:" not in text


def test_unusual_figures_are_marked_in_words() -> None:
    text = render_text(samples.unusual())
    assert "WARNING, UNUSUAL" in text
    assert "    ABOVE its usual range: usually 199 to 224" in text
    assert "- issue_share: 60 rows with issues" in text


def test_a_date_without_scores_names_the_date_that_is_shown() -> None:
    assert "those of Tuesday 27 January 2026, the newest date" in " ".join(render_text(samples.not_scored()).split())
    assert "No date up to this one has been scored." in render_text(samples.never_scored())


def test_texts_cannot_start_a_line_or_change_its_direction() -> None:
    text = render_text(samples.hostile())
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert "\x00" not in text
