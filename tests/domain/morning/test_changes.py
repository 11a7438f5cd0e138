"""Changes between two scored dates: counts of all accounts, lists of the riskiest."""

from collections.abc import Sequence

import polars as pl

from risk_assets.domain.morning.changes import Comparison, ReviewedDate, compare, of_predictions
from risk_assets.domain.morning.facts import AccountList, Causes, ListedAccount

SCHEMA = {
    "account_id": pl.String,
    "probability": pl.Float64,
    "points": pl.Int64,
    "prediction": pl.Int8,
    "band": pl.String,
    "exposure": pl.Float64,
}
NO_ID = "n/a"
Row = tuple[str | None, float | None, int | None, int | None, str | None, float | None]


def scored(account: str, probability: float, points: int, exposure: float | None = 1.0) -> Row:
    return (account, probability, points, int(probability >= 0.25), "F" if probability >= 0.25 else "A", exposure)


def unscored(account: str | None, exposure: float | None = None) -> Row:
    return (account, None, None, None, None, exposure)


def date(day: str, rows: Sequence[Row], listed: Sequence[str] = ()) -> ReviewedDate:
    missing = pl.when(pl.col("account_id") == NO_ID).then(pl.lit("account_id: missing"))
    frame = pl.LazyFrame(rows, schema=SCHEMA, orient="row").with_columns(missing.alias("issues"))
    return of_predictions(day, frame, pl.Series(listed, dtype=pl.String))


def compared(now: Sequence[Row], before: Sequence[Row], most: int = 10) -> Comparison:
    return compare(date("2026-01-28", now), date("2026-01-27", before), most)


def ids(found: AccountList) -> list[str]:
    assert found.count >= len(found.accounts)
    return [account.account for account in found.accounts]


def test_flags_that_changed() -> None:
    before = [scored("up", 0.1, 600), scored("down", 0.5, 500), scored("stays", 0.6, 490), scored("calm", 0.1, 600)]
    now = [scored("up", 0.3, 595), scored("down", 0.2, 505), scored("stays", 0.6, 490), scored("calm", 0.1, 600)]
    changes = compared(now, before).changes
    assert changes is not None and changes.since == "2026-01-27"
    assert changes.newly_flagged == AccountList(1, (ListedAccount("up", 1.0, 0.3, 595, "F", 0.1, 600, "A"),))
    assert ids(changes.no_longer_flagged) == ["down"]
    assert changes.worse == AccountList(0)


def test_accounts_that_lost_ten_points() -> None:
    changes = compared([scored("ten", 0.2, 590), scored("nine", 0.2, 591)], [scored("ten", 0.1, 600), scored("nine", 0.1, 600)]).changes
    assert changes is not None
    assert ids(changes.worse) == ["ten"]


def test_accounts_that_came_and_went() -> None:
    before = [scored("gone", 0.9, 400), unscored("back"), unscored("never")]
    now = [scored("new", 0.3, 550), unscored("odd"), scored("back", 0.4, 540), unscored("never")]
    changes = compared(now, before).changes
    assert changes is not None
    assert ids(changes.new_accounts) == ["new", "odd"]
    assert ids(changes.gone) == ["gone"]
    assert changes.gone.accounts[0].probability is None and changes.gone.accounts[0].probability_before == 0.9
    assert ids(changes.returned) == ["back"]
    assert (changes.flagged_new, changes.flagged_returned) == (1, 1)
    assert changes.newly_flagged.count == 0  # it was not scored before


def test_accounts_that_came_on_the_list_and_left_it() -> None:
    rows = [scored("a", 0.5, 500), scored("b", 0.4, 510), scored("c", 0.3, 520)]
    changes = compare(date("2026-01-28", rows, ["a", "b"]), date("2026-01-27", rows, ["b", "c"]), 10).changes
    assert changes is not None
    assert (ids(changes.new_on_list), ids(changes.off_list)) == (["a"], ["c"])


def test_lists_are_bounded_and_counts_are_exact() -> None:
    now = [scored(f"A{row:04d}", 0.3 + row / 10_000, 500) for row in range(2000)]
    changes = compared(now, [], most=5).changes
    assert changes is not None
    assert changes.new_accounts.count == 2000 and changes.new_accounts.not_listed == 1995
    assert ids(changes.new_accounts) == ["A1999", "A1998", "A1997", "A1996", "A1995"]


def test_a_repeated_id_is_not_joined_with_itself() -> None:
    rows = [unscored("twice")] * 3000
    found = compared([*rows, scored("a", 0.1, 600)], rows)
    assert found.changes is not None
    assert ids(found.changes.new_accounts) == ["a"]


def test_rows_without_an_id_are_left_out() -> None:
    nameless = [unscored(""), unscored(None), unscored(NO_ID)]
    found = compared([unscored(""), scored("a", 0.1, 600)], nameless)
    assert found.changes is not None
    assert (found.changes.new_accounts.count, found.changes.gone.count) == (1, 0)


def test_the_first_date_has_bands_and_exposure_and_no_changes() -> None:
    now = [scored("a", 0.3, 500, exposure=10.5), scored("b", 0.1, 600, exposure=99.0), scored("c", 0.3, 500, None), unscored("d", 7.0)]
    found = compare(date("2026-01-28", now, ["a"]), None, 10)
    assert found.changes is None
    assert found.bands == {"F": 2, "A": 1}
    assert found.exposure == 10.5  # of flagged accounts whose exposure is known
    assert (found.flagged, found.newly_flagged, found.exposures) == (frozenset({"a"}), frozenset(), {"a": 10.5})


def test_without_an_exposure_it_is_not_known() -> None:
    assert compare(date("2026-01-28", [scored("a", 0.3, 500, None)]), None, 10).exposure is None


def test_what_the_work_list_needs_does_not_depend_on_the_length_of_lists() -> None:
    before = [scored(f"A{row}", 0.1, 600) for row in range(50)]
    now = [scored(f"A{row}", 0.3, 550, float(row)) for row in range(50)]  # all with the same probability
    listed = [f"A{row}" for row in range(40, 50)]
    found = compare(date("2026-01-28", now, listed), date("2026-01-27", before, listed), 2)
    assert found.newly_flagged == found.flagged == frozenset(listed)
    assert found.exposures == {account: float(account[1:]) for account in listed}


def test_causes_are_passed_on() -> None:
    causes = Causes(before=1, now=2, features=1, model=0, policy=0, joined=0, left=0)
    changes = compare(date("2026-01-28", []), date("2026-01-27", []), 10, causes).changes
    assert changes is not None and changes.causes == causes
