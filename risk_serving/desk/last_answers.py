"""The last good answer to each question, for the time while the lake cannot be read."""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from risk_assets.clock import Calendar
from risk_assets.domain.wording import counted
from risk_assets.pages.formats import clock
from risk_serving.desk.questions import Answer, Question

MAX_BYTES = 32 * 1024 * 1024


class LastAnswer(NamedTuple):
    """An answer, and when it was given."""

    answer: Answer
    at: datetime

    def age(self, calendar: Calendar) -> str:
        """Return when the answer was given, in the team's time zone, and how long ago: "07:12, 43 minutes ago"."""
        minutes = int((datetime.now(UTC) - self.at).total_seconds() // 60)
        ago = f"{counted(minutes, 'minute')} ago" if minutes else "less than a minute ago"
        return f"{clock(calendar.in_zone(self.at.isoformat()))}, {ago}"


class LastAnswers:
    """Answers by question, `MAX_BYTES` at most: those that were used longest ago are forgotten."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._answers: OrderedDict[Question, LastAnswer] = OrderedDict()

    def keep(self, question: Question, answer: Answer) -> None:
        """Keep an answer instead of an earlier one."""
        self._forget(question)
        self._answers[question] = LastAnswer(answer, datetime.now(UTC))
        self._bytes += len(answer.content)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._answers)))

    def find(self, question: Question) -> LastAnswer | None:
        """Return the last answer to a question, or None."""
        found = self._answers.get(question)
        if found is not None:
            self._answers.move_to_end(question)
        return found

    def _forget(self, question: Question) -> None:
        found = self._answers.pop(question, None)
        if found is not None:
            self._bytes -= len(found.answer.content)
