"""The process that answers the questions of the desk: it reads the lake and renders pages, so that scoring never waits for either.

`python -m risk_serving.desk.child` is started by `process`. It reads questions from stdin and writes replies to stdout, one after another,
until stdin ends: also when its parent was killed.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import BinaryIO

from risk_assets.errors import RiskError
from risk_assets.settings import load_settings
from risk_serving.desk.answers.table import answer
from risk_serving.desk.desk import Desk
from risk_serving.desk.questions import Question
from risk_serving.desk.replies import LENGTH_BYTES, Answered, Failed, Reply, Unreadable, decode_question, encode, framed, length_of
from risk_serving.settings import ServingSettings

NICENESS = 5  # scoring comes first where processors are few

logger = logging.getLogger(__name__)


def main() -> None:
    """Answer questions until stdin ends; with settings that are not valid, print the error and exit with 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent ends this one
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    replies = _own_stdout()
    questions: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_questions, args=(sys.stdin.buffer, questions), name="questions", daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        desk = Desk.of(load_settings(ServingSettings))
    except RiskError as error:
        sys.exit(f"error: the desk cannot start: {error}")
    while True:
        replies.write(framed(encode(reply_to(desk, decode_question(questions.get())))))
        replies.flush()


def reply_to(desk: Desk, question: Question) -> Reply:
    """Return the reply to a question; never raises, so that one that fails does not stop others."""
    try:
        return Answered(answer(desk, question))
    except RiskError as error:
        return Unreadable(str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader gets a page that says so
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        return Failed(f"{type(error).__name__} at {where}")


def _own_stdout() -> BinaryIO:
    """Return stdout for replies alone: what anything else prints goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def _read_questions(source: BinaryIO, questions: SimpleQueue[bytes]) -> None:
    """Pass questions on until there are no more, and then end the process, also in the middle of an answer."""
    while (head := source.read(LENGTH_BYTES)) and len(head) == LENGTH_BYTES:
        questions.put(source.read(length_of(head)))
    os._exit(0)


if __name__ == "__main__":
    main()
