"""Seals of records."""

import msgspec

from risk_assets.lake.seals import has_seal, has_seal_as_written, sealed


class Record(msgspec.Struct, frozen=True):
    share: float
    parts: tuple[float, ...] = ()
    seal: str | None = None


def read_back(record: Record) -> Record:
    return msgspec.json.decode(msgspec.json.encode(record), type=Record)


def test_a_record_has_its_seal_when_it_is_read_back() -> None:
    assert has_seal(read_back(sealed(Record(0.1, (2.5, 3.0)))))


def test_whole_numbers_in_fields_of_floats_are_sealed_as_floats() -> None:
    assert has_seal(read_back(sealed(Record(1, (2, 3)))))


def test_a_changed_value_is_found() -> None:
    assert not has_seal(msgspec.structs.replace(sealed(Record(0.1)), share=0.2))


def test_a_record_of_an_earlier_release_has_no_seal() -> None:
    assert has_seal(Record(0.1))


class Earlier(msgspec.Struct, frozen=True):
    """The record as an earlier release had it."""

    share: float
    seal: str | None = None


def test_a_field_that_was_added_since_does_not_break_a_seal() -> None:
    written = msgspec.json.encode(sealed(Earlier(1)))
    assert not has_seal(msgspec.json.decode(written, type=Record))
    assert has_seal_as_written(written)
    assert has_seal_as_written(msgspec.json.format(written, indent=1))


def test_a_changed_value_is_found_in_what_was_written() -> None:
    written = msgspec.json.encode(sealed(Record(0.1, (2.5, 3.0))))
    assert has_seal_as_written(written)
    assert not has_seal_as_written(written.replace(b"2.5", b"2.25"))
    assert not has_seal_as_written(written.replace(b'"share"', b'"more":1,"share"'))
    assert has_seal_as_written(msgspec.json.encode(Record(0.1)))
