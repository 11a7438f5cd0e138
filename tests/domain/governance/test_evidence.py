"""What a version's metrics show: holdouts with intervals, accuracies with base rates, what was tried."""

import msgspec

from risk_assets.domain.governance.artifacts import CrossValidated
from risk_assets.domain.governance.evidence import accuracy_text, auc_text, considered, considered_table, holdouts, holdouts_table
from tests.domain.governance.figures import metrics, performance

TRIED = {"logistic": CrossValidated(0.75, (0.7, 0.8)), "scorecard": CrossValidated(0.7625, (0.71, 0.81))}


def test_an_auc_is_shown_with_its_interval() -> None:
    assert auc_text(performance(0.8)) == "0.800 (0.500 to 0.900)"


def test_an_accuracy_is_shown_with_that_of_the_base_rate() -> None:
    assert accuracy_text(performance(0.8)) == "0.800 (0.800)"


def test_both_holdouts_of_both_models_are_shown() -> None:
    names = [name for name, *_ in holdouts(metrics(champion=0.7))]
    assert names == ["other accounts", "later dates", "model_v001 (live then), other accounts", "model_v001 (live then), later dates"]
    assert [name for name, *_ in holdouts(metrics())] == ["other accounts", "later dates"]


def test_a_single_date_has_no_figures_of_later_dates() -> None:
    alone = msgspec.structs.replace(metrics(champion=0.7), later_dates=None, champion_later_dates=None)
    assert [row[1] for row in holdouts(alone)] == ["100", "one date only", "100", "one date only"]
    assert "one date only" in holdouts_table(alone)
    assert auc_text(None) == "one date only"


def test_what_was_tried_is_compared_with_the_chosen_one() -> None:
    assert considered(TRIED, "logistic") == {
        "logistic": "0.7500 (0.7000 to 0.8000), chosen",
        "scorecard": "0.7625 (0.7100 to 0.8100), +0.0125 compared with logistic",
    }
    assert considered({"logistic": None}, "logistic") == {"logistic": "too few groups of a class for cross-validation"}
    assert "+0.0125 compared with logistic" in considered_table(TRIED, "logistic")
