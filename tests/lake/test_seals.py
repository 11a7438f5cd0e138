"""Seals of records."""

import msgspec

from risk_assets.lake.seals import has_seal, sealed


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
