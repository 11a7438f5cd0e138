"""A process of the desk for tests: what it does depends on the date of the question."""

import os
import sys
import time

from risk_serving.desk.questions import Answer, DatePage
from risk_serving.desk.replies import LENGTH_BYTES, Answered, Failed, Unreadable, decode_question, encode, framed, length_of


def main() -> None:
    answered = 0
    while head := sys.stdin.buffer.read(LENGTH_BYTES):
        question = decode_question(sys.stdin.buffer.read(length_of(head)))
        assert isinstance(question, DatePage)
        answered += 1
        reply = b"\xff" if question.date == "garbage" else encode(_reply(question.date, answered))
        sys.stdout.buffer.write(framed(reply))
        sys.stdout.buffer.flush()


def _reply(date: str, answered: int) -> Answered | Unreadable | Failed:
    match date:
        case "crash":
            os._exit(3)
        case "slow":
            time.sleep(30)
        case "unreadable":
            return Unreadable("The lake is away. Bring it back.")
        case "fault":
            return Failed("ValueError at line 1")
        case "wait":
            time.sleep(0.2)
    return Answered(Answer(200, f"{os.getpid()} {answered} {date}".encode() + b"x" * 500_000))


if __name__ == "__main__":
    main()
