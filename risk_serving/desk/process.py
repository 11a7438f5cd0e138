"""Asks the process of the desk: starts it, limits the time of each question, and starts it again after its end."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import msgspec

from risk_assets.pages import served
from risk_serving.desk.questions import Answer, NewDisposition, Question
from risk_serving.desk.replies import LENGTH_BYTES, Answered, Failed, Reply, Unreadable, decode_reply, encode, framed, length_of

CHILD = (sys.executable, "-m", "risk_serving.desk.child")
MAX_WAITING = 100  # different questions; those of the same text share an answer
PAUSE_SECONDS = 2.0  # after an end of the process, an answer that took too long, or a lake that could not be reached
SLOW_SECONDS = 1.0  # a message about the lake that took longer is about the storage, not about one file
END_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Unanswered(Exception):
    """A question has no answer at present.

    Attributes
    ----------
    text
        What is wrong, and the next step.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class QuestionFailed(Exception):
    """An unexpected error in the answer to one question: its type and the lines that raised it."""


class AnswerProcess:
    """The process that answers questions, one after another; it starts with the first one."""

    def __init__(self, seconds: float, command: Sequence[str] = CHILD) -> None:
        self._seconds, self._command = seconds, command
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._asked: dict[Question, asyncio.Task[Answer]] = {}
        self._waiting = 0
        self._paused_until, self._trouble = 0.0, ""

    async def ask(self, question: Question) -> Answer:
        """Return the answer to a question; readers who ask the same at the same time share it.

        Raises
        ------
        Unanswered
            If the lake cannot be read, the answer takes too long, the process has ended, or too many questions are waiting.
        QuestionFailed
            If the answer failed for an unexpected reason.
        """
        task = self._asked.get(question)
        if task is None:
            if self._waiting >= MAX_WAITING:
                raise Unanswered("Too many questions are waiting. Try again in a moment.")
            task = asyncio.create_task(self._answer(question))
            if not isinstance(question, NewDisposition):
                self._asked[question] = task
                task.add_done_callback(lambda _: self._asked.pop(question, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._end(self._process)

    async def _answer(self, question: Question) -> Answer:
        self._waiting += 1
        try:
            async with self._turn:
                reply = await self._exchange(question)
        finally:
            self._waiting -= 1
        match reply:
            case Answered(answer):
                return answer
            case Unreadable(text):
                raise Unanswered(text)
            case Failed(where):
                raise QuestionFailed(where)

    async def _exchange(self, question: Question) -> Reply:
        """Return the reply of the process; after trouble, raise `Unanswered` for a while at once, so that readers do not wait in turn."""
        if monotonic() < self._paused_until:
            raise Unanswered(self._trouble)
        began, was_running = monotonic(), self._is_running()
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._send(framed(encode(question)))
        except TimeoutError:
            raise await self._pause(f"The lake has not answered within {self._seconds:g} s. Try again in a moment.") from None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            logger.error("the process of the desk has ended in a %s: %s", type(question).__name__, type(error).__name__)  # noqa: TRY400 - the place is known
            raise await self._pause("The process of the desk has ended and is started again. Try again in a moment.") from None
        if isinstance(reply, Unreadable) and was_running and monotonic() - began > SLOW_SECONDS:  # the start takes a second by itself
            self._paused_until, self._trouble = monotonic() + PAUSE_SECONDS, reply.text
        return reply

    async def _send(self, message: bytes) -> Reply:
        process = self._process
        if process is None or not self._is_running():
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | {served.SALT_VARIABLE: served.SALT},
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(message)
        await process.stdin.drain()
        length = length_of(await process.stdout.readexactly(LENGTH_BYTES))
        reply: Reply = decode_reply(await process.stdout.readexactly(length))
        return reply

    def _is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _pause(self, trouble: str) -> Unanswered:
        """End the process, whose reply would be that to an earlier question, and return the error of the questions that wait."""
        await self.close()
        self._paused_until, self._trouble = monotonic() + PAUSE_SECONDS, trouble
        return Unanswered(trouble)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
