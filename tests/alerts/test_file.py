"""The file of messages: one line for each, also after a writer was killed."""

from pathlib import Path

import msgspec

from risk_assets.alerts.file import MessageFile
from risk_assets.alerts.messages import Message, message
from risk_assets.alerts.receivers import Accepted, Unavailable
from tests.alerts.conftest import DATE, report


def messages(*subjects: str) -> list[Message]:
    return [message(alert, DATE, "lake") for alert in report(*subjects).alerts]


def test_messages_are_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "new/alerts.jsonl"
    assert MessageFile(path).send(messages("a", "b")) == Accepted()
    assert MessageFile(path).send(messages("c")) == Accepted()
    found = [msgspec.json.decode(line, type=Message) for line in path.read_bytes().splitlines()]
    assert found == messages("a", "b", "c")


def test_an_incomplete_line_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"id": "cut o')
    assert MessageFile(path).send(messages("a")) == Accepted()
    first, second = path.read_bytes().splitlines()
    assert (first, msgspec.json.decode(second, type=Message)) == (b'{"id": "cut o', messages("a")[0])


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert isinstance(MessageFile(tmp_path / "file/alerts.jsonl").send(messages("a")), Unavailable)
    assert MessageFile(tmp_path).send(messages("a")) == Unavailable("Is a directory")
