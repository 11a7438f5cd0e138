"""The synthetic book: reproducible to the byte, with realistic behaviour."""

import csv
import io
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from risk_assets.domain.contract.schema import Contract, Feature
from risk_assets.simulation.book import Book, sample_files

DATA = Path(__file__).parents[2] / "data"
START = date(2026, 1, 1)
DAYS = [START + timedelta(days=elapsed) for elapsed in range(28)]
LABELLED = DAYS[:21]
CONTRACT = Contract.parse((DATA / "contract.yml").read_text(encoding="utf-8"), "data/contract.yml")

Row = dict[str, str]


def rows(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def landed(kind: str, day: date) -> list[Row]:
    return rows((DATA / "landing" / f"{kind}_{day}.csv").read_bytes())


def issue(text: str, feature: Feature) -> str | None:
    """Return the issue of one field, computed in plain Python."""
    if text in {*CONTRACT.missing, *feature.missing}:
        return "missing" if feature.required else None
    if feature.type == "category":
        return None
    try:
        value = float(text)
    except ValueError:
        return "unreadable"
    low, high = (bound if bound is not None else value for bound in (feature.min, feature.max))
    return None if low <= value <= high else "out of range"


def issues(accounts: list[Row]) -> list[tuple[int, str]]:
    """Return row number and issue of every invalid field and id."""
    seen = Counter(row["account_id"] for row in accounts)
    found = []
    for number, row in enumerate(accounts):
        problems = [issue(row[name], feature) for name, feature in CONTRACT.features.items()]
        problems.append("missing id" if not row["account_id"] else "repeated id" if seen[row["account_id"]] > 1 else None)
        found += [(number, problem) for problem in problems if problem]
    return found


def by_id(accounts: list[Row]) -> dict[str, Row]:
    """Return the rows with a unique id."""
    seen = Counter(row["account_id"] for row in accounts)
    return {row["account_id"]: row for row in accounts if row["account_id"] and seen[row["account_id"]] == 1}


def test_sample_files_are_reproduced_to_the_byte() -> None:
    generated = dict(sample_files())
    expected = {f"accounts_{day}.csv" for day in DAYS} | {f"outcomes_{day}.csv" for day in LABELLED}
    assert set(generated) == expected
    for name, content in generated.items():
        assert (DATA / "landing" / name).read_bytes() == content, name


def test_the_landing_folder_has_no_other_sample_files() -> None:
    there = {path.name for kind in ("accounts", "outcomes") for path in (DATA / "landing").glob(f"{kind}_*")}
    assert there == {name for name, _ in sample_files()}


def test_files_are_utf8_with_line_feeds() -> None:
    for _, content in sample_files():
        assert content.decode("utf-8").endswith("\n")
        assert b"\r" not in content
        assert b'"' not in content


def test_a_snapshot_has_the_contract_s_columns_and_all_accounts() -> None:
    for day in DAYS:
        accounts = landed("accounts", day)
        assert tuple(accounts[0]) == CONTRACT.columns
        assert len(accounts) == 300


def test_accounts_persist_from_day_to_day_and_change_slowly() -> None:
    for before, after in pairwise(by_id(landed("accounts", day)) for day in DAYS):
        shared = before.keys() & after.keys()
        assert len(shared) >= 297
        assert all(before[name]["employment_status"] == after[name]["employment_status"] for name in shared)
        used = [abs(float(before[name]["utilisation"]) - float(after[name]["utilisation"])) for name in shared]
        assert 0 < sorted(used)[len(used) // 2] < 0.05


def test_behaviour_changes_over_a_month() -> None:
    first, last = by_id(landed("accounts", DAYS[0])), by_id(landed("accounts", DAYS[-1]))
    moved = [first[name]["balance"] != last[name]["balance"] for name in first.keys() & last.keys()]
    assert sum(moved) > 0.9 * len(moved)


def test_every_third_day_has_each_kind_of_corrupted_row() -> None:
    for elapsed, day in enumerate(DAYS):
        kinds = Counter(kind for _, kind in issues(landed("accounts", day)))
        each = {"unreadable": 1, "out of range": 1, "missing": 1, "missing id": 1, "repeated id": 2}
        assert kinds == (each if elapsed % 3 == 2 else {}), day


def test_rows_with_issues_are_under_two_percent() -> None:
    corrupted = sum(len({number for number, _ in issues(landed("accounts", day))}) for day in DAYS)
    assert 0 < corrupted / (300 * len(DAYS)) < 0.02


def test_some_values_are_missing_as_code_or_empty_field() -> None:
    accounts = landed("accounts", DAYS[0])
    assert 5 < sum(row["months_employed"] == "-9" for row in accounts) < 50
    assert 2 < sum(row["annual_income"] == "" for row in accounts) < 40


def test_no_missed_payment_means_no_month_since_missed() -> None:
    for row in landed("accounts", DAYS[0]):
        assert not (row["months_since_missed"] == "" and int(row["missed_payments_12m"]) > 0)


def test_the_bad_rate_is_realistic() -> None:
    flags = [row["defaulted"] for day in LABELLED for row in landed("outcomes", day)]
    assert set(flags) == {"0", "1"}
    assert 0.10 <= flags.count("1") / len(flags) <= 0.14


def test_every_account_of_a_snapshot_has_one_outcome() -> None:
    for day in LABELLED:
        labelled = [row["account_id"] for row in landed("outcomes", day)]
        snapshot = {row["account_id"] for row in landed("accounts", day)} - {""}
        assert len(labelled) == len(set(labelled))
        assert set(labelled) == snapshot


def test_outcomes_rarely_change_from_day_to_day() -> None:
    for before, after in pairwise(by_id(landed("outcomes", day)) for day in LABELLED):
        changed = sum(before[name]["defaulted"] != after[name]["defaulted"] for name in before.keys() & after.keys())
        assert changed <= 0.03 * len(before)


@pytest.fixture(scope="module")
def large() -> tuple[list[Row], dict[str, Row]]:
    """The accounts of a large book on a day, and their outcomes by id."""
    book = Book(accounts=20_000, start=START, seed=11)
    return rows(book.snapshot(START)), by_id(rows(book.outcomes(START)))


@pytest.mark.parametrize("name", [name for name in CONTRACT.numbers if CONTRACT.features[name].risk])
def test_the_book_follows_the_contract_s_direction_of_risk(name: str, large: tuple[list[Row], dict[str, Row]]) -> None:
    accounts, outcomes = large
    values: dict[str, list[float]] = {"0": [], "1": []}
    for row in accounts:
        if row[name] not in {"", *CONTRACT.features[name].missing}:
            values[outcomes[row["account_id"]]["defaulted"]].append(float(row[name]))
    difference = sum(values["1"]) / len(values["1"]) - sum(values["0"]) / len(values["0"])
    assert (difference > 0) == (CONTRACT.features[name].risk == "up")


def test_a_day_does_not_depend_on_other_generated_days() -> None:
    forward, backward = Book(200, START, seed=3), Book(200, START, seed=3)
    onward = {day: (forward.snapshot(day), forward.outcomes(day)) for day in DAYS}
    assert {day: (backward.snapshot(day), backward.outcomes(day)) for day in reversed(DAYS)} == onward


def test_another_seed_gives_another_book() -> None:
    assert Book(50, START, seed=1).snapshot(START) != Book(50, START, seed=2).snapshot(START)


def test_a_larger_book_corrupts_more_rows() -> None:
    accounts = rows(Book(5_000, START).snapshot(DAYS[2]))
    kinds = Counter(kind for _, kind in issues(accounts))
    assert kinds == {"unreadable": 6, "out of range": 6, "missing": 6, "missing id": 6, "repeated id": 12}


def test_a_book_needs_at_least_10_accounts() -> None:
    assert len(issues(rows(Book(10, START).snapshot(DAYS[2])))) == 6
    with pytest.raises(ValueError, match="at least 10"):
        Book(9, START)


def test_a_day_before_the_start_is_an_error() -> None:
    book = Book(10, START)
    for make in (book.snapshot, book.outcomes):
        with pytest.raises(ValueError, match="starts on 2026-01-01"):
            make(START - timedelta(days=1))
