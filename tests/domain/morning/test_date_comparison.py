"""Two morning reports next to each other."""

import msgspec

from risk_assets.domain.morning.account_key import account_key, key_text
from risk_assets.domain.morning.date_comparison import compare_dates
from risk_assets.domain.morning.facts import ColumnIssues, MorningReport, MovedFeature, WorkList
from tests.pages import samples

NOW = samples.ordinary()


def with_items(*changes: tuple[int, int]) -> MorningReport:
    """Return the report with some of its items, each with a change of its points."""
    items = tuple(msgspec.structs.replace(NOW.work_list.items[at], points=NOW.work_list.items[at].points + by) for at, by in changes)
    return msgspec.structs.replace(NOW, work_list=WorkList(items, 99))


def test_figures_have_differences() -> None:
    found = compare_dates(samples.unusual(), NOW)
    figures = {each.name: each for each in found.figures}
    assert (figures["flagged"].now, figures["flagged"].other, figures["flagged"].difference) == (268, 212, 56)
    swapped = {each.name: each for each in compare_dates(NOW, samples.unusual()).figures}
    assert swapped["flagged"].difference == -56


def test_accounts_of_one_list_and_of_both() -> None:
    found = compare_dates(with_items((0, 0), (1, -3), (2, -9)), with_items((1, 0), (2, 0), (3, 0)))
    names = [item.account for item in NOW.work_list.items]
    assert [pair.account for pair in found.only_now] == [names[0]]
    assert [pair.account for pair in found.only_other] == [names[3]]
    assert [(pair.account, pair.points_change) for pair in found.both] == [(names[2], -9), (names[1], -3)]
    assert found.only_now[0].key == key_text(account_key(names[0]))
    assert (found.now.listed, found.now.flagged) == (3, 99)


def test_model_and_policy_of_the_shown_dates() -> None:
    first = msgspec.structs.replace(NOW, shown_date=NOW.series[0].date)
    found = compare_dates(NOW, first)
    assert (found.now.version, found.other.version) == ("model_v002", "model_v001")
    assert (found.same_model, found.same_policy) == (False, True)
    unknown = compare_dates(NOW, samples.never_scored())
    assert (unknown.same_model, unknown.other.version, unknown.figures[0].other) == (None, None, None)


def test_bands_and_moved_features_of_either_date() -> None:
    days = (*NOW.series[:-1], msgspec.structs.replace(NOW.series[-1], bands={"A": 5, "Z": 7}))
    moved = (MovedFeature("utilisation", "utilisation", 0.5, 0.1, 0.2), MovedFeature("new", "new one", -9.0, 0.1, 0.2))
    other = msgspec.structs.replace(NOW, series=days, data=msgspec.structs.replace(NOW.data, moved=moved))
    found = compare_dates(NOW, other)
    assert [(band.name, band.other) for band in found.bands] == [("A", 5), *((name, None) for name in "BCDEF"), ("Z", 7)]
    assert (found.moved[0].label, found.moved[0].now) == ("new one", None)
    by_label = {each.label: each for each in found.moved}
    assert by_label["utilisation"].other == moved[0]


def test_issues_of_a_date_without_them_are_zero() -> None:
    data = msgspec.structs.replace(NOW.data, issues=(ColumnIssues("postcode", 40, {"missing": 40}),))
    found = compare_dates(msgspec.structs.replace(NOW, data=data), NOW)
    assert [(each.column, each.now, each.other) for each in found.issues] == [("postcode", 40, 3), ("months_employed", 0, 1)]
    no_file = compare_dates(NOW, samples.never_scored())
    assert [(each.now, each.other) for each in no_file.issues] == [(3, None), (1, None)]
    assert (found.unchecked, no_file.unchecked) == ((), (samples.never_scored().date,))
