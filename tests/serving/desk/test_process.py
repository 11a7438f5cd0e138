"""The process of the desk: it answers questions, starts again after its end, and ends with its parent."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from risk_assets.lake.store import Store
from risk_serving.desk import process as module
from risk_serving.desk.process import AnswerProcess, QuestionFailed, Unanswered
from risk_serving.desk.questions import Answer, DatePage
from tests.process_tree import children, is_running
from tests.serving.conftest import Service
from tests.serving.desk.conftest import DATES

CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))


@asynccontextmanager
async def process(seconds: float = 20.0) -> AsyncIterator[AnswerProcess]:
    running = AnswerProcess(seconds, CHILD)
    yield running
    await running.close()


def words(answer: Answer) -> list[str]:
    """Return the process id, the number of the answer and the date."""
    return answer.content.decode().rstrip("x").split()


async def trouble(running: AnswerProcess, date: str) -> str:
    with pytest.raises(Unanswered) as caught:
        await running.ask(DatePage(date))
    return caught.value.text


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """After trouble, the next question is asked at once."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)


def test_one_process_answers_all_questions() -> None:
    async def ask() -> list[list[str]]:
        async with process() as running:
            return [words(await running.ask(DatePage(date))) for date in ("a", "b", "a")]

    found = asyncio.run(ask())
    assert [each[1:] for each in found] == [["1", "a"], ["2", "b"], ["3", "a"]]
    assert len({each[0] for each in found}) == 1


def test_readers_who_ask_the_same_share_an_answer() -> None:
    async def ask() -> list[Answer]:
        async with process() as running:
            return await asyncio.gather(*(running.ask(DatePage(date)) for date in ("wait", "wait", "b", "wait")))

    found = [words(each)[1:] for each in asyncio.run(ask())]
    assert found == [["1", "wait"], ["1", "wait"], ["2", "b"], ["1", "wait"]]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("date", ["crash", "garbage"])
def test_after_its_end_another_process_answers(date: str) -> None:
    async def ask() -> tuple[str, list[str], list[str]]:
        async with process() as running:
            first = words(await running.ask(DatePage("a")))
            return await trouble(running, date), first, words(await running.ask(DatePage("a")))

    text, first, second = asyncio.run(ask())
    assert "is started again" in text
    assert first[0] != second[0]
    assert second[1:] == ["1", "a"]


@pytest.mark.usefixtures("no_pause")
def test_a_question_that_takes_too_long_ends_the_process() -> None:
    async def ask() -> tuple[str, list[str]]:
        async with process(seconds=2.0) as running:
            return await trouble(running, "slow"), words(await running.ask(DatePage("a")))

    text, after = asyncio.run(ask())
    assert "has not answered within 2 s" in text
    assert after[1:] == ["1", "a"]


def test_after_trouble_questions_do_not_wait_in_turn() -> None:
    async def ask() -> list[str]:
        async with process() as running:
            return [await trouble(running, "crash"), await trouble(running, "a")]

    first, second = asyncio.run(ask())
    assert first == second


def test_a_lake_that_cannot_be_read_is_reported() -> None:
    async def ask() -> tuple[str, list[str]]:
        async with process() as running:
            return await trouble(running, "unreadable"), words(await running.ask(DatePage("a")))

    text, after = asyncio.run(ask())
    assert text == "The lake is away. Bring it back."
    assert after[1:] == ["2", "a"]


def test_while_storage_is_slow_to_fail_questions_do_not_wait_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.0)

    async def ask() -> list[str]:
        async with process() as running:
            await running.ask(DatePage("a"))
            return [await trouble(running, "unreadable"), await trouble(running, "a")]

    assert asyncio.run(ask()) == ["The lake is away. Bring it back."] * 2


def test_a_slow_start_is_not_slow_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.0)

    async def ask() -> list[str]:
        async with process() as running:
            await trouble(running, "unreadable")
            return words(await running.ask(DatePage("a")))

    assert asyncio.run(ask())[1:] == ["2", "a"]


def test_an_unexpected_error_does_not_stop_others() -> None:
    async def ask() -> list[str]:
        async with process() as running:
            with pytest.raises(QuestionFailed, match="ValueError at line 1"):
                await running.ask(DatePage("fault"))
            return words(await running.ask(DatePage("a")))

    assert asyncio.run(ask())[1:] == ["2", "a"]


def test_too_many_questions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)

    async def ask() -> str:
        async with process() as running:
            asked = [asyncio.create_task(running.ask(DatePage(date))) for date in ("wait", "b")]
            await asyncio.sleep(0.05)
            text = await trouble(running, "c")
            await asyncio.gather(*asked)
            return text

    assert "Too many questions" in asyncio.run(ask())


def test_it_ends_when_its_parent_is_killed(serve: Callable[..., Service], desk_lake: Store) -> None:
    service = serve(desk_lake)
    assert service.client.get(f"/desk/{DATES[0]}").status_code == 200
    child = only_child(service)
    service.process.send_signal(signal.SIGKILL)
    service.until(lambda: not is_running(child))


def test_it_is_started_again_after_a_kill(serve: Callable[..., Service], desk_lake: Store) -> None:
    service = serve(desk_lake)
    assert service.client.get(f"/desk/{DATES[0]}").status_code == 200
    first = only_child(service)
    os.kill(first, signal.SIGKILL)
    service.until(lambda: not is_running(first))

    def is_asked_again() -> bool:
        """Ask; if the service notices the end only then, it shows the last page, and asks a new process after a pause."""
        assert service.client.get(f"/desk/{DATES[0]}").status_code == 200
        return bool(children(service.process.pid))

    service.until(is_asked_again, seconds=20)
    assert only_child(service) != first
    assert service.stop() == 0


def only_child(service: Service) -> int:
    """Return the id of the service's only child process that has not ended."""
    (child,) = children(service.process.pid)
    return child
