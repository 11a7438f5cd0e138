"""Bad input: each error says what to do, is logged, and leaves no half-written table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from risk_assets.clock import DateError, utc_now
from risk_assets.defs.checks import bad_rate
from risk_assets.lake import layout, registry, replay
from risk_assets.lake.manifests import find_manifest
from risk_assets.settings import Settings
from tests.conftest import ROOT
from tests.defs.conftest import LABELLED, NEXT, Book

SECRET = b"SECRET-4711"


def _lines(book: Book) -> list[bytes]:
    return book.landing.get(f"accounts_{NEXT}.csv").splitlines(keepends=True)


def _missing(book: Book) -> None:
    book.landing.delete(f"accounts_{NEXT}.csv")


def _replaced(content: bytes) -> Callable[[Book], None]:
    return lambda book: book.land(f"accounts_{NEXT}.csv", content)


def _header_only(book: Book) -> None:
    book.land(f"accounts_{NEXT}.csv", _lines(book)[0])


def _without_column(book: Book) -> None:
    header, *rows = _lines(book)
    book.land(f"accounts_{NEXT}.csv", header.replace(b"utilisation", b"other") + b"".join(rows))


def _open_quote(book: Book) -> None:
    book.land(f"accounts_{NEXT}.csv", b"".join(_lines(book)) + b'"' + SECRET)


def _late_garbage(book: Book) -> None:
    header, *rows = _lines(book)
    book.land(f"accounts_{NEXT}.csv", header + b"".join(rows) * 3 + SECRET + b"\xff\n")


def _two_sets(book: Book) -> None:
    book.land(f"accounts_{NEXT}/part-0.csv", b"".join(_lines(book)))


def _differing_shards(book: Book) -> None:
    header, *rows = _lines(book)
    _missing(book)
    book.land(f"accounts_{NEXT}/a.csv", header + rows[0])
    book.land(f"accounts_{NEXT}/b.csv", b"account_id;other\n1;2\n")


def _mostly_unreadable(book: Book) -> None:
    header, *rows = _lines(book)
    book.land(f"accounts_{NEXT}.csv", header + b"".join(SECRET + b"\n" for _ in rows))


def _corrupt_scorecard(book: Book) -> None:
    path = f"registry/model_v001/{layout.SCORECARD}"
    book.lake.put(path, book.lake.get(path).replace(b'"intercept":', b'"intercept": '))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_missing, ["no accounts for 2026-01-07", "risk land FILE --date 2026-01-07"]),
        (_replaced(b""), ["is empty"]),
        (_header_only, ["has a header and no rows", "--replace"]),
        (_replaced(b"PK\x03\x04\x00\x00" + SECRET), ["not UTF-8 text", "Export it as CSV"]),
        (_replaced("account_id\n".encode("utf-16")), ["not UTF-8 text"]),
        (_without_column, ["required_columns"]),
        (_open_quote, ["ends inside an open quote"]),
        (_late_garbage, ["is not UTF-8 text", "in row", "Save it as UTF-8, land it again"]),
        (_two_sets, ["two sets of accounts", "Take away the one that is wrong"]),
        (_differing_shards, ["another separator", "b.csv"]),
        (_mostly_unreadable, ["issue_share"]),
        (_corrupt_scorecard, ["scorecard.json is not the file that was registered"]),
    ],
)
def test_a_bad_date_is_reported_logged_and_not_scored(book: Book, spoil: Callable[[Book], None], says: list[str]) -> None:
    spoil(book)
    result = book.score()
    error = result.error
    assert error is not None
    assert all(text in error for text in says), error
    assert result.status == ("blocked" if spoil in (_without_column, _mostly_unreadable) else "failed")
    (row,) = book.log()
    assert (row["date"], row["status"], row["job"], row["error"]) == (NEXT, result.status, "daily_scoring", error)
    assert not any("predictions" in path or "partial" in path for path in book.lake.list("curated/"))
    assert SECRET.decode() not in error


@pytest.mark.parametrize("above", [b"", SECRET + b" Bank;;;\n", SECRET + b" accounts, printed\n", SECRET + b"\n\n"])
@pytest.mark.parametrize(("job", "kind"), [("daily_scoring", "accounts"), ("outcomes", "outcomes")])
def test_a_file_without_a_header_is_not_stored(recorded_book: Book, above: bytes, job: str, kind: str) -> None:
    name = f"{kind}_{LABELLED[0]}.csv"
    header, first, *rows = recorded_book.landing.get(name).splitlines(keepends=True)
    stored = recorded_book.lake.get(f"raw/{name}")
    lines = [above, header, first] if above else [SECRET, first[first.index(b",") :]]
    recorded_book.land(name, b"".join([*lines, *rows]))
    error = recorded_book.runner.run(job, LABELLED[0]).error
    assert error is not None and name in error and "seems to have no header" in error
    assert SECRET.decode() not in error
    assert not recorded_book.history_contains(SECRET)
    assert recorded_book.lake.get(f"raw/{name}") == stored
    assert not any(SECRET in recorded_book.lake.get(path) for path in recorded_book.lake.list(""))


def test_run_history_names_only_columns_of_the_contract(recorded_book: Book) -> None:
    header, *rows = _lines(recorded_book)
    recorded_book.land(f"accounts_{NEXT}.csv", b"".join([header[:-1] + b"," + SECRET + b"\n", *(row[:-1] + b",x\n" for row in rows)]))
    assert recorded_book.score().error is None
    assert recorded_book.history_contains(b"utilisation")
    assert not recorded_book.history_contains(SECRET)


def test_run_history_contains_no_value_of_a_row(recorded_book: Book) -> None:
    for spoil in (_late_garbage, _mostly_unreadable):
        spoil(recorded_book)
        assert recorded_book.score().error is not None
    assert recorded_book.history_contains(NEXT.encode())
    assert not recorded_book.history_contains(SECRET)


def test_run_history_contains_no_value_of_an_outcome(recorded_book: Book) -> None:
    lines = recorded_book.landing.get(f"outcomes_{LABELLED[0]}.csv")
    recorded_book.land(f"outcomes_{LABELLED[0]}.csv", lines + b"x,0\n" * 20_000 + SECRET + b"\xff,1\n")
    for job, date in (("outcomes", LABELLED[0]), ("training", LABELLED[-1])):
        error = recorded_book.runner.run(job, date).error
        assert error is not None and "is not UTF-8 text: its byte" in error
        assert error in {row["error"] for row in recorded_book.log()}
    assert recorded_book.history_contains(LABELLED[0].encode())
    assert not recorded_book.history_contains(SECRET)


def test_a_date_runs_after_its_file_is_fixed(book: Book) -> None:
    whole = b"".join(_lines(book))
    _without_column(book)
    assert book.score().error is not None
    book.land(f"accounts_{NEXT}.csv", whole)
    assert book.score().error is None
    assert [row["status"] for row in book.log()] == ["blocked", "success"]


def test_extra_columns_and_column_order_do_not_matter(book: Book) -> None:
    assert book.score().error is None
    before = book.lake.get(layout.predictions(NEXT))
    rows = [line.rstrip(b"\n").split(b",") for line in _lines(book)]
    turned = [[*row[::-1], b"note" if number == 0 else b"x"] for number, row in enumerate(rows)]
    book.land(f"accounts_{NEXT}.csv", b"".join(b";".join(row) + b"\r\n" for row in turned))
    assert book.score().error is None
    assert book.lake.get(layout.predictions(NEXT)) == before


def test_ragged_lines_keep_their_rows_with_an_issue(book: Book) -> None:
    header, first, second, third, *rows = _lines(book)
    short, long = first.rsplit(b",", 3)[0] + b"\n", second.rstrip(b"\n") + b",1,2\n"
    book.land(f"accounts_{NEXT}.csv", b"".join([header, short, long, third, *rows]))
    assert book.score().error is None
    lines = book.lake.get(layout.predictions(NEXT)).decode().splitlines()
    assert "line: too few fields" in lines[1]
    assert lines[2].endswith("line: too many fields")
    assert lines[3].endswith(",")
    assert len(lines) == len(rows) + 4


def _with_column(lines: list[bytes], name: bytes, values: dict[int, bytes], default: bytes = b"Smith") -> bytes:
    """Return a file with one more column at its end; `values` are those of some rows, the others have the default."""
    header, *rows = (line.rstrip(b"\n") for line in lines)
    return b"\n".join([header + b"," + name, *(row + b"," + values.get(number, default) for number, row in enumerate(rows))]) + b"\n"


UNCERTAIN = {
    "a quote in two names": ({10: b'O"Brian', 40: b'O"Brian'}, b"Smith", [10, 40]),
    "a quote at the end of a field": ({3: b'42"'}, b"Smith", [3]),
    "a pair of quotes in a field": ({3: b'5"6"'}, b"Smith", []),
    "a blank before a quote": ({0: b' "Lee"'}, b"Smith", [0]),
    "a quoted comma after a blank": ({0: b' "Lee, Ann"', 299: b'  "Lee, Ann"'}, b"Smith", [0, 299]),
    "text after a closing quote": ({7: b'"Lee" jr'}, b'"Smith"', [7]),
    "a quote that is not doubled": ({7: b'"Lee "jr" Ann"'}, b"Smith", [7]),
    "a blank after a closing quote": ({7: b'"Lee" '}, b'"Smith, John"', [7]),
    "one stray quote among quoted names": ({200: b'O"Brian'}, b'"Smith, John"', [200]),
    "a lone carriage return": ({5: b"Lee\rAnn"}, b"Smith", [5]),
    "a NUL byte": ({5: b"Lee\0"}, b"Smith", [5]),
    "a comma": ({5: b"Lee, Ann"}, b"Smith", [5]),
    "an unnamed empty column": ({}, b"Smith,", []),
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_uncertain_lines_in_an_unused_column_are_marked(book: Book, name: str) -> None:
    values, default, marked = UNCERTAIN[name]
    assert book.score().error is None
    before = book.lake.get(layout.predictions(NEXT)).splitlines()
    book.land(f"accounts_{NEXT}.csv", _with_column(_lines(book), b"last_name", values, default))
    assert book.score().error is None
    after = book.lake.get(layout.predictions(NEXT)).splitlines()
    assert len(after) == len(before) == 301
    changed = [number - 1 for number, line in enumerate(after) if line != before[number]]
    assert changed == marked
    assert all(b"line: " in after[number + 1] for number in marked)


def test_a_quote_after_a_blank_in_every_row_blocks_the_date(book: Book) -> None:
    book.land(f"accounts_{NEXT}.csv", _with_column(_lines(book), b"customer", {}, b' "Smith, John"'))
    error = book.score().error
    assert error is not None and "issue_share" in error
    assert find_manifest(book.lake, layout.predictions(NEXT)) is None


def test_a_folder_with_the_name_of_a_file_is_reported(book: Book) -> None:
    content = b"".join(_lines(book))
    _missing(book)
    book.land(f"accounts_{NEXT}.csv/part-0.csv", content)
    error = book.score().error
    assert error is not None and "is a folder" in error and f"accounts_{NEXT}" in error


def test_shifted_outcome_lines_warn_and_do_not_train(book: Book) -> None:
    date = LABELLED[0]
    header, *rows = book.landing.get(f"outcomes_{date}.csv").splitlines()
    lines = [
        b"account_id,comment,defaulted",
        *(row.replace(b",", b",called, 1," if number < 18 else b",paid,") for number, row in enumerate(rows)),
    ]
    assert header == b"account_id,defaulted"
    book.land(f"outcomes_{date}.csv", b"\n".join(lines) + b"\n")
    assert book.runner.run("outcomes", date).error is None
    assert book.lake.get(layout.outcomes(date)) == b"\n".join(lines) + b"\n"
    result = bad_rate(book.lakehouse, date)
    assert (result.passed, result.metadata["line_issues"].value, result.metadata["known"].value) == (False, 18, len(rows) - 18)
    assert result.description is not None and "18 lines with issues" in result.description


def test_repeated_outcome_columns_are_rejected(book: Book) -> None:
    date = LABELLED[0]
    rows = book.landing.get(f"outcomes_{date}.csv").splitlines()[1:]
    book.land(f"outcomes_{date}.csv", b"account_id,defaulted,defaulted\n" + b"".join(row + b",1\n" for row in rows))
    error = book.runner.run("outcomes", date).error
    assert error is not None and f"the column defaulted appears twice in raw/outcomes_{date}.csv" in error


@pytest.mark.parametrize(
    ("header", "says"), [(b"account_id,defaulted,defaulted", "appears twice in"), (b"account_id,other,more", "no column defaulted in")]
)
def test_training_names_the_outcomes_that_it_cannot_read(book: Book, header: bytes, says: str) -> None:
    date = LABELLED[1]
    rows = book.landing.get(f"outcomes_{date}.csv").splitlines()[1:]
    book.land(f"outcomes_{date}.csv", header + b"\n" + b"".join(row + b",1\n" for row in rows))
    error = book.runner.run("training", LABELLED[-1]).error
    assert error is not None and f"{says} raw/outcomes_{date}.csv" in error


@pytest.mark.parametrize(
    ("date", "says"), [("2025-12-31", "Set RISK_START_DATE"), ("2999-01-01", "the day has not ended"), ("someday", "is not a date")]
)
def test_a_date_outside_the_partitions_is_an_error_without_a_row(book: Book, date: str, says: str) -> None:
    with pytest.raises(DateError, match=says):
        book.score(date)
    assert book.log() == []


def test_without_a_live_model_features_are_kept(empty_book: Book) -> None:
    empty_book.land_sample(f"accounts_{NEXT}.csv")
    error = empty_book.score().error
    assert error is not None and "no model is live yet" in error and "risk train" in error
    assert find_manifest(empty_book.lake, layout.features(NEXT)) is not None
    assert empty_book.log()[0]["error"] == error


def test_a_file_that_does_not_fit_the_champion_is_not_used(book: Book, tmp_path: Path) -> None:
    text = (ROOT / "data/contract.yml").read_text(encoding="utf-8")
    start, end = text.index("\n  bureau_score:"), text.index("\n  region:")
    changed = tmp_path / "contract.yml"
    changed.write_text(text[:start] + text[end:], encoding="utf-8")
    other = book.with_documents(contract=changed)
    assert other.score().error is None
    error = other.runner.govern(action="adopt_contract", reason="simpler")
    assert error is not None and "bureau_score (number)" in error and "risk train" in error


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ([b"account_id,defaulted\nAC000001,0\n"], "too few accounts or customers to train on"),
        ([], "has both features and outcomes"),
    ],
)
def test_too_few_rows_to_train_on_register_nothing(empty_book: Book, outcomes: list[bytes], says: str) -> None:
    empty_book.land_sample(f"accounts_{NEXT}.csv")
    assert empty_book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    for content in outcomes:
        empty_book.land(f"outcomes_{NEXT}.csv", content)
        assert empty_book.runner.run("outcomes", NEXT).error is None
    error = empty_book.runner.run("training", NEXT).error
    assert error is not None and says in error
    assert registry.versions(empty_book.lake) == ()
    assert (empty_book.log()[-1]["job"], empty_book.log()[-1]["status"]) == ("training", "failed")


def test_a_window_with_one_class_does_not_train(book: Book) -> None:
    for date in LABELLED:
        lines = book.landing.get(f"outcomes_{date}.csv").replace(b",1\n", b",0\n")
        book.land(f"outcomes_{date}.csv", lines)
        assert book.runner.run("outcomes", date).error is None
    error = book.runner.run("training", LABELLED[-1], training__model={"known_by": utc_now()[:10]}).error
    assert error is not None and "0 of them bad" in error


def test_outcomes_without_their_column_are_stored(book: Book) -> None:
    book.land(f"outcomes_{NEXT}.csv", b"account_id,other\nAC000001,0\n")
    error = book.runner.run("outcomes", NEXT).error
    assert error is None or "defaulted" in error
    assert find_manifest(book.lake, layout.outcomes(NEXT)) is not None


def _with(settings: Settings, **changed: object) -> Settings:
    return settings.model_copy(update=changed)


def test_no_break_spaces_around_levels_change_no_prediction(book: Book) -> None:
    assert book.score().error is None
    before = book.lake.get(layout.predictions(NEXT))
    header, *rows = _lines(book)
    regions = (b"south", b"west", b"central", b"east", b"north")
    for region in regions:
        rows = [row.replace(b"," + region + b",", b"," + region + "\xa0".encode() + b",") for row in rows]
    assert sum("\xa0".encode() in row for row in rows) > 200
    for content in (b"".join([header, *rows]), b"".join([header, rows[0].replace(b",", b", ", 1), *rows[1:]])):
        book.land(f"accounts_{NEXT}.csv", content)
        assert book.score().error is None
        assert book.lake.get(layout.predictions(NEXT)) == before


def test_ids_that_differ_in_whitespace_are_repeated(book: Book) -> None:
    header, first, second, *rows = _lines(book)
    account = first.split(b",", 1)[0]
    padded = account + "\u3000".encode() + b"," + second.split(b",", 1)[1]
    third = b"\t" + rows[0]
    book.land(f"accounts_{NEXT}.csv", b"".join([header, first, padded, third, *rows[1:]]))
    assert book.score().error is None
    lines = book.lake.get(layout.predictions(NEXT)).decode().splitlines()
    assert [line.split(",", 1)[0] for line in lines[1:4]] == [account.decode(), account.decode(), rows[0].split(b",", 1)[0].decode()]
    assert [line.endswith("account_id: repeated") for line in lines[1:5]] == [True, True, False, False]
    assert len(replay.explain_account(book.lake, NEXT, f" {account.decode()}\xa0")) == 2


def test_outcomes_with_padded_ids_train_on_all_rows(book: Book) -> None:
    rows = registry.read_trained(book.lake, LABELLED[-1]).metrics.n_train
    for date in LABELLED:
        header, *lines = book.landing.get(f"outcomes_{date}.csv").splitlines(keepends=True)
        book.land(f"outcomes_{date}.csv", header + b"".join(b" " + line.replace(b",", "\xa0,".encode(), 1) for line in lines))
        assert book.runner.run("outcomes", date).error is None
    assert book.runner.run("training", LABELLED[-1]).error is None
    assert registry.read_trained(book.lake, LABELLED[-1]).metrics.n_train == rows
