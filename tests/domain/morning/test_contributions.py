"""The points of one account by feature: they agree with the scoring of tables."""

import math
from typing import Any

import numpy as np
import pytest

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.morning.account_facts import BandArea
from risk_assets.domain.morning.contributions import band_areas, band_of, deciding, differences, issues_of, score_row
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import score

CARD = Scorecard(
    "scorecard",
    -1.0,
    (
        Term("missed_payments", Steps((0.0, 1.0), (-0.5, 0.25, 1.0), 0.5), 0.1, -0.5, "Missed payments"),
        Term("utilisation", Line(2.0, 0.5, 0.75), 0.0, -1.0, "Utilisation"),
        Term("region", Levels(("north", "south"), (-0.2, 0.9), 0.3, 0.4), 0.2, -0.2, "Missed payments", required=True),
    ),
)
ROW: dict[str, float | str | None] = {"missed_payments": 2.0, "utilisation": 0.9, "region": "south"}


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"threshold": 0.5, "bands": {"A": 0.125, "B": 0.5, "C": 1}, "reasons": 2} | more)


@pytest.mark.parametrize("row", [ROW, dict.fromkeys(ROW), {"missed_payments": 0.0, "utilisation": 0.1, "region": "west"}])
def test_the_score_is_that_of_tables(row: dict[str, float | str | None]) -> None:
    codes = {"south": 1.0, "west": 2.0, None: math.nan}
    x = [math.nan if value is None else value for value in (row["missed_payments"], row["utilisation"])]
    expected = score(CARD, policy(), np.array([[*x, codes[row["region"]]]], dtype=np.float64))
    found = score_row(CARD, policy(), row)
    assert (found.probability, found.points, found.flagged) == (expected.probability[0], expected.points[0], expected.prediction[0])
    assert found.band == "ABC"[expected.band[0]]


def test_contributions_add_up_to_the_points() -> None:
    found = score_row(CARD, policy(), ROW)
    made = found.contributions
    assert made.base + sum(each.points for each in made.features) == pytest.approx(made.total)
    assert round(made.total) == found.points
    first = made.features[0]
    assert (first.feature, first.label, first.value) == ("missed_payments", "Missed payments", 2.0)


def test_reasons_are_numbered_also_if_two_have_one_text() -> None:
    found = score_row(CARD, policy(), ROW)
    assert found.reasons == ("Missed payments", "Utilisation")
    assert [each.reason for each in found.contributions.features] == [1, 2, None]
    both = score_row(CARD, policy(), ROW | {"utilisation": 0.5})
    assert [each.reason for each in both.contributions.features] == [1, None, 2]


def test_an_account_that_is_not_flagged_has_no_reasons() -> None:
    found = score_row(CARD, policy(), {"missed_payments": 0.0, "utilisation": 0.6, "region": "north"})
    assert not found.flagged
    assert [each.reason for each in found.contributions.features] == [None] * 3


def test_differences_add_up_and_are_sorted_by_points() -> None:
    before: dict[str, float | str | None] = ROW | {"utilisation": 0.4, "region": "west"}
    found = differences(CARD, policy(), ROW, before, comparable=True)
    assert [each.feature for each in found] == ["utilisation", "region", "missed_payments"]
    change = score_row(CARD, policy(), ROW).contributions.total - score_row(CARD, policy(), before).contributions.total
    assert sum(each.points or 0.0 for each in found) == pytest.approx(change)
    assert (found[0].before, found[0].now, found[2].is_change) == (0.4, 0.9, False)


@pytest.mark.parametrize(("missing", "comparable"), [("region", True), ("", False)])
def test_rows_that_cannot_be_scored_have_values_without_points(missing: str, comparable: bool) -> None:
    before = {name: value for name, value in ROW.items() if name != missing} | {"utilisation": 0.4}
    found = differences(CARD, policy(), ROW, before, comparable=comparable)
    assert [each.points for each in found] == [None] * len(before)
    assert missing not in [each.feature for each in found]
    assert found[0].feature == "utilisation"


def test_issues_of_a_row_with_those_of_required_features() -> None:
    arms = Arms(VersionedScorecard("model_v001", CARD))
    own = {"excluded": None, "issues": None}
    assert issues_of(ROW | own, arms) == ()
    assert issues_of(ROW | own | {"region": None}, arms) == ("region: missing",)
    joined = {"excluded": None, "issues": "utilisation: not a number; region: missing", "region": None}
    assert issues_of(ROW | joined, arms) == ("utilisation: not a number", "region: missing")
    assert issues_of(ROW | {"excluded": "closed", "issues": None, "region": None}, arms) == ()


def test_the_deciding_model_is_drawn_by_group() -> None:
    champion, challenger = VersionedScorecard("model_v001", CARD), VersionedScorecard("model_v002", CARD)
    arms = Arms(champion, challenger, 0.5, "salt")
    groups = [f"C{at}" for at in range(20)]
    drawn = [deciding(arms, group).version == "model_v002" for group in groups]
    assert drawn == arms.challenged(groups)
    assert set(drawn) == {True, False}
    assert deciding(Arms(champion, challenger), "C1") is champion
    assert deciding(arms, None) is champion


def test_band_areas_in_points() -> None:
    by_probability = policy(bands={"A": 1 / 51, "B": 0.5, "C": 1})
    assert band_areas(by_probability) == (BandArea("A", 600.0, None), BandArea("B", 487.0, 600.0), BandArea("C", None, 487.0))
    by_points = policy(cut_by="points", threshold=500, bands={"A": 600, "B": 500, "C": None})
    assert band_areas(by_points) == (BandArea("A", 600.0, None), BandArea("B", 500.0, 600.0), BandArea("C", None, 500.0))


def test_bands_of_probabilities_and_of_points() -> None:
    assert [band_of(policy(), each, 0) for each in (0.1, 0.125, 0.5)] == ["A", "B", "C"]
    by_points = policy(cut_by="points", threshold=500, bands={"A": 600, "B": 500, "C": None})
    assert [band_of(by_points, 0.9, each) for each in (601, 600, 500)] == ["A", "B", "C"]
