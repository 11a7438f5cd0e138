"""Policy: defaults, valid values, error messages and the digest."""

import pytest
from pydantic import ValidationError

from risk_assets.domain.contract.policy import Cuts, Policy
from risk_assets.errors import ContractError
from tests.conftest import ROOT

FILE = "data/my-policy.yml"
TEXT = "threshold: 0.25\nbands: {A: 0.1, B: 0.5, C: 1}\n"


def parse(text: str) -> Policy:
    return Policy.parse(text, FILE)


def error_of(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse(text)
    message = str(raised.value)
    assert FILE in message
    return message


def test_only_threshold_and_bands_are_required() -> None:
    policy = parse(TEXT)
    assert (policy.threshold, policy.bands) == (0.25, {"A": 0.1, "B": 0.5, "C": 1})
    assert (policy.points.base, policy.points.odds, policy.points.pdo, policy.reasons) == (600, 50, 20, 4)
    assert (policy.reasons_against, policy.review.size, policy.review.look_back_days, policy.review.hold_out) == ("mean", 50, 28, 0)
    assert (policy.training.estimator, policy.training.simpler_within, policy.training.recalibrate_above) == ("logistic", 0.005, 0.02)
    boosting = policy.training.scorecard
    assert (boosting.rounds, boosting.learning_rate, boosting.max_leaves) == (200, 0.1, 8)
    assert (boosting.max_bins, boosting.min_rows, boosting.shrinkage) == (32, 50, 1.0)
    assert (policy.promotion.max_calibration_ratio, policy.promotion.max_band_calibration_ratio, policy.promotion.impact_days) == (
        1.3,
        1.75,
        7,
    )
    assert (policy.promotion.second_name, "directions" in policy.promotion.override, len(policy.promotion.override)) == ("never", False, 8)
    assert (policy.training.holdout, policy.training.random_state, policy.promotion.mode) == (0.2, 42, "auto")
    assert (policy.training.spacing_days, policy.training.other_accounts) == (28, 0.2)


@pytest.fixture
def shipped() -> Policy:
    """The policy in `data/`."""
    return parse((ROOT / "data/policy.yml").read_text(encoding="utf-8"))


def test_the_sample_policy_equals_the_defaults(shipped: Policy) -> None:
    short = parse("threshold: 0.25\nbands: {A: 0.03, B: 0.08, C: 0.15, D: 0.25, E: 0.45, F: 1}\n")
    assert shipped.digest == short.digest


@pytest.mark.parametrize(
    ("bands", "key", "allowed"),
    [
        ("{A: 0.5, B: 0.1, C: 1}", "bands", "increase"),
        ("{A: 0.5, B: 0.5, C: 1}", "bands", "increase"),
        ("{A: 1, B: 1}", "bands", "increase"),
        ("{A: 0.5, B: 0.99}", "bands", "end at 1"),
        ("{A: 0.5, B: null}", "bands", "end at 1"),
        ("{A: null, B: 1}", "bands", "only the last band"),
        ("{A: 0.5, B: 1.2}", "bands", "from 0 to 1"),
        ("{A: -0.1, B: 1}", "bands", "from 0 to 1"),
        ("{A: .nan, B: 1}", "bands.A", "finite"),
        ("{A: low, B: 1}", "bands.A", "number"),
        ("{}", "bands", "at least 1"),
        ("[0.1, 1]", "bands", "dictionary"),
    ],
)
def test_band_bounds_increase_and_end_at_1(bands: str, key: str, allowed: str) -> None:
    (line,) = error_of(f"threshold: 0.25\nbands: {bands}\n").splitlines()[1:]
    assert line.startswith(f"  {key}: ")
    assert "band" in line
    assert allowed in line


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("threshold: 0.25\nbands: {A: 620, B: null}\n", "threshold", "whole number of points"),
        ("bands: {A: 620, B: null}\n", "threshold", "whole number of points"),
        ("threshold: 540\n", "bands", "last band must have no bound"),
        ("threshold: 540\nbands: {A: 620, B: 600}\n", "bands", "last band must have no bound"),
        ("threshold: 540\nbands: {A: 620.5, B: null}\n", "bands", "whole numbers"),
        ("threshold: 540\nbands: {A: 620, B: 620, C: null}\n", "bands", "decrease"),
    ],
)
def test_cuts_by_points_are_whole_points_that_decrease(text: str, key: str, allowed: str) -> None:
    (line,) = error_of(f"cut_by: points\n{text}").splitlines()[1:]
    assert line.startswith(f"  {key}: ")
    assert allowed in line


def test_cuts_rise_with_risk() -> None:
    assert parse(TEXT).cuts == Cuts(False, 0.25, (0.1, 0.5))
    assert parse("cut_by: points\nthreshold: 540\nbands: {A: 620, B: 540, C: null}\n").cuts == Cuts(True, -540, (-620, -540))


def test_a_single_band_is_valid() -> None:
    assert parse("threshold: 0.25\nbands: {all: 1}\n").bands == {"all": 1}


@pytest.mark.parametrize("text", ["bands: {A: 0.1, A: 0.2, B: 1}\nthreshold: 0.25\n", TEXT + "threshold: 0.5\n"])
def test_a_repeated_key_is_an_error(text: str) -> None:
    error_of(text)


@pytest.mark.parametrize(
    ("line", "key", "allowed"),
    [
        ("reasons: 11", "reasons", "less than or equal to 10"),
        ("reasons: -1", "reasons", "greater than or equal to 0"),
        ("reasons: 1.5", "reasons", "integer"),
        ("points: {odds: 0}", "points.odds", "greater than 0"),
        ("points: {pdo: -20}", "points.pdo", "greater than 0"),
        ("reasons_against: median", "reasons_against", "'mean' or 'best'"),
        ("review: {size: 0}", "review.size", "greater than or equal to 1"),
        ("review: {hold_out: 1}", "review.hold_out", "less than 1"),
        ("review: {hold_out: -0.1}", "review.hold_out", "greater than or equal to 0"),
        ("review: {look_back_days: 0}", "review.look_back_days", "greater than or equal to 1"),
        ("training: {estimator: forest}", "training.estimator", "'logistic', 'scorecard' or 'both'"),
        ("training: {simpler_within: -0.001}", "training.simpler_within", "greater than or equal to 0"),
        ("training: {simpler_within: .nan}", "training.simpler_within", "equal to"),
        ("training: {recalibrate_above: 2}", "training.recalibrate_above", "less than or equal to 1"),
        ("training: {recalibrate_above: -0.1}", "training.recalibrate_above", "greater than or equal to 0"),
        ("training: {scorecard: {rounds: 0}}", "training.scorecard.rounds", "greater than or equal to 1"),
        ("training: {scorecard: {rounds: 5001}}", "training.scorecard.rounds", "less than or equal to 5000"),
        ("training: {scorecard: {learning_rate: 0}}", "training.scorecard.learning_rate", "greater than 0"),
        ("training: {scorecard: {learning_rate: 1.5}}", "training.scorecard.learning_rate", "less than or equal to 1"),
        ("training: {scorecard: {learning_rate: .nan}}", "training.scorecard.learning_rate", "than"),
        ("training: {scorecard: {max_leaves: 1}}", "training.scorecard.max_leaves", "greater than or equal to 2"),
        ("training: {scorecard: {max_leaves: 65}}", "training.scorecard.max_leaves", "less than or equal to 64"),
        ("training: {scorecard: {max_bins: 1}}", "training.scorecard.max_bins", "greater than or equal to 2"),
        ("training: {scorecard: {max_bins: 256}}", "training.scorecard.max_bins", "less than or equal to 255"),
        ("training: {scorecard: {min_rows: 0}}", "training.scorecard.min_rows", "greater than or equal to 1"),
        ("training: {scorecard: {shrinkage: -1}}", "training.scorecard.shrinkage", "greater than or equal to 0"),
        ("training: {scorecard: {shrinkage: .inf}}", "training.scorecard.shrinkage", "finite"),
        ("training: {window_days: 0}", "training.window_days", "greater than or equal to 1"),
        ("training: {holdout: 1}", "training.holdout", "less than 1"),
        ("training: {holdout: 0}", "training.holdout", "greater than 0"),
        ("training: {random_state: -1}", "training.random_state", "greater than or equal to 0"),
        ("training: {min_rows: 0}", "training.min_rows", "greater than or equal to 1"),
        ("training: {spacing_days: 0}", "training.spacing_days", "greater than or equal to 1"),
        ("training: {other_accounts: 0.04}", "training.other_accounts", "greater than or equal to 0.05"),
        ("training: {other_accounts: 0.51}", "training.other_accounts", "less than or equal to 0.5"),
        ("training: {spacing_days: 1827}", "training.spacing_days", "less than or equal to 1826"),
        ("review: {look_back_days: 1827}", "review.look_back_days", "less than or equal to 1826"),
        ("promotion: {impact_days: 1827}", "promotion.impact_days", "less than or equal to 1826"),
        ("checks: {row_count_days: 1827}", "checks.row_count_days", "less than or equal to 1826"),
        ("training: {min_bad: 0}", "training.min_bad", "greater than or equal to 1"),
        ("training: {max_rows: 999}", "training.max_rows", "greater than or equal to 1000"),
        ("promotion: {mode: never}", "promotion.mode", "'auto' or 'manual'"),
        ("promotion: {min_roc_auc: 60}", "promotion.min_roc_auc", "less than or equal to 1"),
        ("promotion: {max_auc_loss: -0.1}", "promotion.max_auc_loss", "greater than or equal to 0"),
        ("promotion: {max_calibration_ratio: 1}", "promotion.max_calibration_ratio", "greater than 1"),
        ("promotion: {max_band_calibration_ratio: .inf}", "promotion.max_band_calibration_ratio", "finite"),
        ("promotion: {override: [auc_floor]}", "promotion.override.0", "'discrimination'"),
        ("promotion: {second_name: sometimes}", "promotion.second_name", "'never', 'override' or 'always'"),
        ("promotion: {impact_days: 0}", "promotion.impact_days", "greater than or equal to 1"),
        ("checks: {max_issue_share: 10}", "checks.max_issue_share", "less than or equal to 1"),
        ("checks: {min_bad_rate: 0.6, max_bad_rate: 0.5}", "checks", "min_bad_rate must not be above max_bad_rate"),
        ("checks: {max_row_count_change: 0}", "checks.max_row_count_change", "greater than 0"),
        ("monitoring: {retraining: {exceeded: 0}}", "monitoring.retraining.exceeded", "greater than or equal to 1"),
        ("monitoring: {retraining: {exceeded: 6}}", "monitoring.retraining", "exceeded must not be above of_dates"),
        ("monitoring: {retraining: {of_dates: 29}}", "monitoring.retraining.of_dates", "less than or equal to 28"),
        ("monitoring: {retraining: {cool_down_days: 0}}", "monitoring.retraining.cool_down_days", "greater than or equal to 1"),
    ],
)
def test_an_invalid_value_names_file_key_and_allowed_values(line: str, key: str, allowed: str) -> None:
    (message,) = error_of(f"{TEXT}{line}\n").splitlines()[1:]
    assert message.startswith(f"  {key}: ")
    assert allowed in message


@pytest.mark.parametrize(
    "line",
    [
        "reasons: true",
        "training: {min_rows: yes}",
        "training: {random_state: on}",
        "training: {max_rows: '5000'}",
        "training: {scorecard: {rounds: 10.5}}",
        "training: {scorecard: {max_bins: '32'}}",
        "training: {scorecard: {min_rows: true}}",
        "review: {size: '50'}",
        "promotion: {impact_days: 7.5}",
    ],
)
def test_counts_must_be_integers(line: str) -> None:
    assert "valid integer" in error_of(f"{TEXT}{line}\n")


@pytest.mark.parametrize("threshold", ["0", "1", "-0.5", "25", "high", ".nan"])
def test_the_threshold_is_between_0_and_1(threshold: str) -> None:
    assert "  threshold: " in error_of(TEXT.replace("0.25", threshold))


@pytest.mark.parametrize("estimator", ["logistic", "scorecard", "both"])
def test_with_estimator_changes_only_the_estimator(estimator: str) -> None:
    policy = parse(TEXT + "training: {estimator: both, min_rows: 123, scorecard: {rounds: 9}}\nreasons: 3\n")
    other = policy.with_estimator(estimator)
    assert other.training.estimator == estimator
    assert other == parse(TEXT + f"training: {{estimator: {estimator}, min_rows: 123, scorecard: {{rounds: 9}}}}\nreasons: 3\n")
    assert policy.training.estimator == "both"
    assert policy.with_estimator(None) == policy


def test_an_unknown_estimator_lists_the_known_ones() -> None:
    with pytest.raises(ContractError, match="logistic, scorecard, both"):
        parse(TEXT).with_estimator("forest")


@pytest.mark.parametrize("points", ["{base: .inf}", "{base: .nan}", "{odds: .inf}", "{pdo: .inf}"])
def test_the_points_scale_is_finite(points: str) -> None:
    assert "points." in error_of(f"{TEXT}points: {points}\n")


def test_random_state_is_within_the_range_of_scikit_learn() -> None:
    assert parse(f"{TEXT}training: {{random_state: {2**32 - 1}}}\n").training.random_state == 2**32 - 1
    assert "training.random_state" in error_of(f"{TEXT}training: {{random_state: {2**32}}}\n")


def test_missing_keys_have_their_defaults(shipped: Policy) -> None:
    assert parse("bands: {A: 1}\n").threshold == shipped.threshold
    assert parse("threshold: 0.5\n").bands == shipped.bands


@pytest.mark.parametrize(
    ("line", "key", "allowed"),
    [
        ("resaons: 3", "resaons", "reasons_against"),
        ("training: {seed: 1}", "training.seed", "random_state"),
        (
            "training: {scorecard: {trees: 9}}",
            "training.scorecard.trees",
            "rounds, learning_rate, max_leaves, max_bins, min_rows, shrinkage",
        ),
        ("review: {length: 9}", "review.length", "size, look_back_days, hold_out"),
        ("promotion: {days: 9}", "promotion.days", "impact_days"),
        ("check: {}", "check", "checks"),
    ],
)
def test_an_unknown_key_lists_the_allowed_keys(line: str, key: str, allowed: str) -> None:
    (message,) = error_of(f"{TEXT}{line}\n").splitlines()[1:]
    assert message.startswith(f"  {key}: ")
    assert allowed in message.removeprefix(f"  {key}: ")


@pytest.mark.parametrize(("text", "line"), [("threshold: 0.25\nbands: {A: 1\n", 3), ("threshold: 0.25: 1\n", 1)])
def test_a_syntax_error_names_its_line(text: str, line: int) -> None:
    assert f"line {line}" in error_of(text)


def test_the_digest_depends_on_content_only() -> None:
    same = "# ours\nbands: {A: 0.10, B: 0.5, C: 1.0}  # agreed in May\nthreshold: 0.25\nreasons: 4\n"
    assert parse(same).digest == parse(TEXT).digest
    others = [TEXT.replace("0.25", "0.26"), TEXT.replace("A:", "AA:"), TEXT.replace("0.5", "0.4"), TEXT + "reasons: 3\n"]
    others.append(TEXT + "promotion: {mode: manual}\n")
    others += [TEXT + "training: {scorecard: {rounds: 100}}\n", TEXT + "reasons_against: best\n", TEXT + "review: {size: 10}\n"]
    assert len({parse(text).digest for text in [TEXT, *others]}) == len(others) + 1


def test_the_sample_policy_sets_every_key(shipped: Policy) -> None:
    training, parts = shipped.training, (shipped, shipped.points, shipped.review, shipped.promotion, shipped.checks, shipped.monitoring)
    for part in (*parts, training, training.scorecard, shipped.monitoring.retraining):
        assert part.model_fields_set == type(part).model_fields.keys()


def test_a_policy_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse(TEXT).threshold = 0.5
