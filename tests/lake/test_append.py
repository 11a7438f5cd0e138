"""Compare-and-append: lines are added at a known end, atomically, on disk and on Azure."""

import pytest

from risk_assets.lake.append import AppendFile, open_append
from risk_assets.lake.store import Store

PATH, HEADER = "logs/some.csv", b"a,b\n"


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%d,x\n" % number for number in range(first, last))


def write(file: AppendFile, content: bytes) -> None:
    assert file.replace(HEADER + content, file.end())


def test_lines_are_appended_at_the_end(store: Store) -> None:
    with open_append(store, PATH, HEADER) as file:
        assert (file.end().size, file.end().sound) == (0, False)
        write(file, b"")
        for number in range(5):
            assert file.append(lines(number, number + 1), file.end())
        assert store.get(PATH) == file.read()[0] == HEADER + lines(0, 5)


def test_an_append_at_an_old_end_is_refused_and_the_rest_is_read(store: Store) -> None:
    with open_append(store, PATH, HEADER) as file:
        write(file, lines(0, 3))
        end = file.end()
        assert file.append(lines(3, 5), end)
        assert not file.append(lines(5, 6), end)
        added, now = file.since(end)
        assert added is not None and added.endswith(lines(3, 5))
        assert file.append(lines(5, 6), now)
        assert store.get(PATH) == HEADER + lines(0, 6)


def test_a_file_written_again_has_another_end(store: Store) -> None:
    with open_append(store, PATH, HEADER) as file:
        write(file, lines(0, 9))
        end = file.end()
        write(file, lines(1, 9) + lines(0, 1))  # the same size
        assert not file.append(lines(9, 10), end)
        assert file.since(end)[0] in (None, store.get(PATH))
        assert not file.replace(HEADER, end)


def test_one_of_two_first_writers_wins(store: Store) -> None:
    with open_append(store, PATH, HEADER) as one, open_append(store, PATH, HEADER) as other:
        end = other.end()
        write(one, lines(0, 1))
        assert not other.replace(HEADER, end)
        assert store.get(PATH) == HEADER + lines(0, 1)


@pytest.mark.parametrize("content", [b"", b"c,d\n1,x\n", HEADER + b"1,x"], ids=["empty", "another header", "no line end"])
def test_a_file_of_another_program_is_not_sound(store: Store, content: bytes) -> None:
    store.put(PATH, content)
    with open_append(store, PATH, HEADER) as file:
        assert not file.end().sound
        assert file.read()[0] == content


def test_blocks_are_bounded_and_merged(store: Store) -> None:
    with open_append(store, PATH, HEADER, block_bytes=20, max_blocks=4) as file:
        write(file, b"")
        counts = []
        for number in range(40):
            assert file.append(lines(number, number + 1), file.end())
            counts.append(len(file.end().blocks))
        assert store.get(PATH) == HEADER + lines(0, 40)
    if store.folder is None:
        assert max(counts) == 4 and counts.count(1) > 3


def test_an_append_writes_only_the_last_block(store: Store) -> None:
    with open_append(store, PATH, HEADER, block_bytes=20) as file:
        write(file, lines(0, 30))
        before = file.end().blocks
        file.append(lines(30, 31), file.end())
        assert file.end().blocks[: len(before)] == before


def test_a_reader_at_any_moment_sees_whole_lines(store: Store) -> None:
    with open_append(store, PATH, HEADER, block_bytes=20) as file:
        write(file, b"")
        for number in range(10):
            file.append(lines(number, number + 1), file.end())
            assert store.get(PATH) == HEADER + lines(0, number + 1)
