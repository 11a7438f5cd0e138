"""Odd snapshots on disk and on Azurite: predictions, run log and check results are those of the plain file, or say what differs."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg
import pytest

from risk_assets.lake import layout
from tests.conftest import ROOT
from tests.defs.conftest import LABELLED, NEXT, Book

pytestmark = pytest.mark.long

BLANKS = ["\u00a0", "\u3000", "\t", " ", "\u2003", "\u202f", "\u2009", "\u1680", "\u205f", "\u2007", "\x0b", "\x85"]
CHECK = dg.DagsterEventType.ASSET_CHECK_EVALUATION


def cells(name: str = f"accounts_{NEXT}.csv") -> list[list[str]]:
    """Return the header and rows of a file of the sample book."""
    return [line.split(",") for line in (ROOT / "data/landing" / name).read_text(encoding="utf-8").splitlines()]


def land(book: Book, table: list[list[str]]) -> None:
    book.land(f"accounts_{NEXT}.csv", ("\n".join(",".join(row) for row in table) + "\n").encode())


def predictions(book: Book) -> list[list[str]]:
    assert book.score().error is None
    return [line.split(",") for line in book.lake.get(layout.predictions(NEXT)).decode().splitlines()[1:]]


def descriptions(book: Book) -> Iterator[str]:
    """Yield the descriptions of the checks of the last run, which are those in the UI."""
    run = book.runner.instance.get_run_records(limit=1)[0].dagster_run
    for entry in book.runner.instance.all_logs(run.run_id, of_type=CHECK):
        evaluation = entry.dagster_event.event_specific_data if entry.dagster_event else None
        if isinstance(evaluation, dg.AssetCheckEvaluation):
            yield evaluation.description or ""


@pytest.mark.parametrize("where", ["after", "around"])
def test_blanks_around_every_cell_change_nothing(stored_versions: Book, where: str) -> None:
    header, *rows = cells()
    land(stored_versions, [header, *rows])
    before = predictions(stored_versions)
    blanks = [(blank if where == "around" else "", blank) for blank in itertools.islice(itertools.cycle(BLANKS), len(rows))]
    land(stored_versions, [header, *[[f"{start}{cell}{end}" for cell in row] for row, (start, end) in zip(rows, blanks, strict=True)]])
    assert predictions(stored_versions) == before


def repeat(book: Book, *changes: Callable[[str], str]) -> tuple[list[list[str]], list[str]]:
    """Land the snapshot with more rows, whose ids are other spellings of the first ones; return the predictions and check results."""
    header, *rows = cells()
    extra = [[change(row[0]), *rows[20][1:]] for change, row in zip(changes, rows, strict=False)]
    land(book, [header, *rows, *extra])
    return predictions(book), list(descriptions(book))


def test_an_id_with_a_blank_is_the_same_id(stored_versions: Book) -> None:
    found, said = repeat(stored_versions, *[partial("{0}{1}{0}".format, blank) for blank in BLANKS])
    own, more = range(len(BLANKS)), range(300, 300 + len(BLANKS))
    assert len(found) == more.stop
    assert [number for number, row in enumerate(found) if "account_id: repeated" in row[-1]] == [*own, *more]
    assert f"{2 * len(BLANKS)} rows repeat an id, 0 have none" in said
    assert stored_versions.log()[-1]["status"] == "warning"
    assert f"{2 * len(BLANKS)} rows repeat an id" in stored_versions.log()[-1]["warnings"]


def test_another_id_is_not_the_same_id(stored_versions: Book) -> None:
    found, said = repeat(stored_versions, str.lower, lambda id: f"{id[:4]} {id[4:]}", lambda id: f"{id}0", lambda id: f"'{id}")
    assert len(found) == 304
    assert not any("repeated" in row[-1] for row in found)
    assert "0 rows repeat an id, 0 have none" in said


def test_outcomes_join_ids_with_blanks(stored_versions: Book) -> None:
    name = f"outcomes_{LABELLED[0]}.csv"
    header, *rows = cells(name)
    assert len(rows) > len(BLANKS)
    padded = "\n".join(",".join([f"{row[0]}{blank}", *row[1:]]) for row, blank in zip(rows, itertools.cycle(BLANKS), strict=False))
    stored_versions.land(name, f"{','.join(header)}\n{padded}\n".encode())
    assert stored_versions.runner.run("outcomes", LABELLED[0]).error is None
    assert "0 accounts with an outcome are not in the snapshot" in descriptions(stored_versions)
