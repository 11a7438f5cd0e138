"""The places of pages, and the last good answers."""

import re
from datetime import UTC, datetime
from html import escape

import pytest

from risk_assets.pages import served
from risk_serving.desk.frames import Filling, Frames, filled
from risk_serving.desk.last_answers import LastAnswer, LastAnswers
from risk_serving.desk.questions import Answer, DatePage
from risk_serving.settings import ServingSettings
from tests.serving.conftest import token_entry


def test_names_and_notices_are_escaped() -> None:
    page = f"{served.CALLER_PLACE} {served.NOTICE_PLACE}".encode()
    found = filled(page, Filling("<b>", "t"), "<i>").decode()
    assert found == '&lt;b&gt; <div class="notice" role="status"><div>&lt;i&gt;</div></div>'


def test_each_form_has_an_id_of_its_own() -> None:
    page = f"{served.FORM_ID_PLACE} {served.FORM_ID_PLACE}".encode()
    ids = filled(page, Filling()).split() + filled(page, Filling()).split()
    assert len(set(ids)) == 4
    assert all(re.fullmatch(rb"[0-9a-f]{24}-[12]", each) for each in ids)


PLACES = {name: text for name, text in vars(served).items() if name.endswith("_PLACE")}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_filled_in_is_not_searched_for_places(name: str) -> None:
    place, text = PLACES[name], escape(PLACES[name])
    frames = Frames.of(ServingSettings(serve_tokens=token_entry("ann", "t-1", "review")))
    assert filled(served.CALLER_PLACE.encode(), Filling(place, "secret")).decode() == text
    assert text in filled(served.NOTICE_PLACE.encode(), Filling("ann", "secret"), place).decode()
    message = frames.message_of(place, (place,), Filling("ann", "secret")).decode()
    assert f"<h1>{text}</h1>" in message and f"<p>{text}</p>" in message
    signed_out = frames.sign_in_of("secret", place, place, place).decode()
    assert f'name="next" value="{text}"' in signed_out and f'role="alert">{text}<' in signed_out


def test_no_place_is_left() -> None:
    content = "".join(PLACES.values()).encode()
    assert re.fullmatch(rb"[0-9a-f]{24}-1", filled(content, Filling()))


def test_a_message_is_escaped() -> None:
    page = Frames.of(ServingSettings()).message_of("A & B", ("<script>", "two"), Filling()).decode()
    assert "<h1>A &amp; B</h1>" in page
    assert "<p>&lt;script&gt;</p>\n<p>two</p>" in page


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "22:30"), ("Asia/Kolkata", "04:00")])
def test_the_age_of_an_answer_is_in_the_teams_time(zone: str, shown: str) -> None:
    answer = LastAnswer(Answer(200), datetime(2026, 1, 28, 22, 30, tzinfo=UTC))
    assert re.fullmatch(f"{shown}, [0-9]+ minutes ago", answer.age(ServingSettings(time_zone=zone).calendar))


def test_the_last_answers_are_limited_in_bytes() -> None:
    last, pages = LastAnswers(100), [DatePage(str(number)) for number in range(3)]
    last.keep(pages[0], Answer(200, b"x" * 40))
    last.keep(pages[1], Answer(200, b"x" * 40))
    assert last.find(pages[0]) is not None  # used last
    last.keep(pages[2], Answer(200, b"x" * 40))
    assert [last.find(each) is not None for each in pages] == [True, False, True]
    last.keep(pages[0], Answer(200, b"y" * 60))
    assert [last.find(each) is not None for each in pages] == [True, False, True]
    last.keep(pages[1], Answer(200, b"x" * 101))
    assert [last.find(each) is not None for each in pages] == [False, False, False]
