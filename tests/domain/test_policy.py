"""What must hold for a policy: bands that hold every probability, limits that make sense, errors that say what is allowed."""

import pytest
from pydantic import ValidationError

from risk_assets.domain.errors import ContractError
from risk_assets.domain.policy import Policy

FILE = "data/my-policy.yml"
TEXT = "threshold: 0.25\nbands: {A: 0.1, B: 0.5, C: 1}\n"


def parse(text: str) -> Policy:
    return Policy.parse(text, FILE)


def refusal(text: str) -> str:
    with pytest.raises(ContractError) as refused:
        parse(text)
    message = str(refused.value)
    assert FILE in message
    return message


def test_threshold_and_bands_are_enough() -> None:
    policy = parse(TEXT)
    assert (policy.threshold, policy.bands) == (0.25, {"A": 0.1, "B": 0.5, "C": 1})
    assert (policy.points.base, policy.points.odds, policy.points.pdo, policy.reasons) == (600, 50, 20, 4)
    assert (policy.training.holdout, policy.training.random_state, policy.promotion.mode) == (0.2, 42, "auto")


def test_the_sample_policy_writes_the_defaults_out(policy: Policy) -> None:
    short = parse("threshold: 0.25\nbands: {A: 0.03, B: 0.08, C: 0.15, D: 0.25, E: 0.45, F: 1}\n")
    assert policy.digest == short.digest


@pytest.mark.parametrize(
    ("bands", "key", "allowed"),
    [
        ("{A: 0.5, B: 0.1, C: 1}", "the file", "rise"),
        ("{A: 0.5, B: 0.5, C: 1}", "the file", "rise"),
        ("{A: 1, B: 1}", "the file", "rise"),
        ("{A: 0.5, B: 0.99}", "the file", "end at 1"),
        ("{A: 0.5, B: 1.2}", "bands.B", "less than or equal to 1"),
        ("{A: -0.1, B: 1}", "bands.A", "greater than or equal to 0"),
        ("{A: .nan, B: 1}", "bands.A", "1"),
        ("{A: low, B: 1}", "bands.A", "number"),
        ("{}", "bands", "at least 1"),
        ("[0.1, 1]", "bands", "dictionary"),
    ],
)
def test_bands_rise_and_end_at_1(bands: str, key: str, allowed: str) -> None:
    (line,) = refusal(f"threshold: 0.25\nbands: {bands}\n").splitlines()[1:]
    assert line.startswith(f"  {key}: ")
    assert "band" in line
    assert allowed in line


def test_one_band_for_all_is_enough() -> None:
    assert parse("threshold: 0.25\nbands: {all: 1}\n").bands == {"all": 1}


@pytest.mark.parametrize("text", ["bands: {A: 0.1, A: 0.2, B: 1}\nthreshold: 0.25\n", TEXT + "threshold: 0.5\n"])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    ("line", "key", "allowed"),
    [
        ("reasons: 11", "reasons", "less than or equal to 10"),
        ("reasons: -1", "reasons", "greater than or equal to 0"),
        ("reasons: 1.5", "reasons", "integer"),
        ("points: {odds: 0}", "points.odds", "greater than 0"),
        ("points: {pdo: -20}", "points.pdo", "greater than 0"),
        ("training: {estimator: forest}", "training.estimator", "'logistic'"),
        ("training: {window_days: 0}", "training.window_days", "greater than or equal to 1"),
        ("training: {holdout: 1}", "training.holdout", "less than 1"),
        ("training: {holdout: 0}", "training.holdout", "greater than 0"),
        ("training: {random_state: -1}", "training.random_state", "greater than or equal to 0"),
        ("training: {min_rows: 0}", "training.min_rows", "greater than or equal to 1"),
        ("training: {min_bad: 0}", "training.min_bad", "greater than or equal to 1"),
        ("training: {max_rows: 999}", "training.max_rows", "greater than or equal to 1000"),
        ("promotion: {mode: never}", "promotion.mode", "'auto' or 'manual'"),
        ("promotion: {min_roc_auc: 60}", "promotion.min_roc_auc", "less than or equal to 1"),
        ("promotion: {max_auc_loss: -0.1}", "promotion.max_auc_loss", "greater than or equal to 0"),
        ("checks: {max_issue_share: 10}", "checks.max_issue_share", "less than or equal to 1"),
        ("checks: {min_bad_rate: 0.6, max_bad_rate: 0.5}", "checks", "min_bad_rate must not be above max_bad_rate"),
        ("checks: {max_row_count_change: 0}", "checks.max_row_count_change", "greater than 0"),
    ],
)
def test_a_value_that_is_not_allowed_names_file_key_and_what_is(line: str, key: str, allowed: str) -> None:
    (told,) = refusal(f"{TEXT}{line}\n").splitlines()[1:]
    assert told.startswith(f"  {key}: ")
    assert allowed in told


@pytest.mark.parametrize(
    "line", ["reasons: true", "training: {min_rows: yes}", "training: {random_state: on}", "training: {max_rows: '5000'}"]
)
def test_a_whole_number_is_written_as_one(line: str) -> None:
    assert "valid integer" in refusal(f"{TEXT}{line}\n")


@pytest.mark.parametrize("threshold", ["0", "1", "-0.5", "25", "high", ".nan"])
def test_the_threshold_lies_between_0_and_1(threshold: str) -> None:
    assert "  threshold: " in refusal(TEXT.replace("0.25", threshold))


@pytest.mark.parametrize("points", ["{base: .inf}", "{base: .nan}", "{odds: .inf}", "{pdo: .inf}"])
def test_the_points_scale_is_finite(points: str) -> None:
    assert "points." in refusal(f"{TEXT}points: {points}\n")


def test_a_random_state_that_scikit_learn_can_t_take_is_refused() -> None:
    assert parse(f"{TEXT}training: {{random_state: {2**32 - 1}}}\n").training.random_state == 2**32 - 1
    assert "training.random_state" in refusal(f"{TEXT}training: {{random_state: {2**32}}}\n")


def test_missing_keys_are_named() -> None:
    assert "  threshold: Field required" in refusal("bands: {A: 1}\n")
    assert "  bands: Field required" in refusal("threshold: 0.25\n")


@pytest.mark.parametrize(
    ("line", "key", "allowed"),
    [("resaons: 3", "resaons", "reasons"), ("training: {seed: 1}", "training.seed", "random_state"), ("check: {}", "check", "checks")],
)
def test_an_unknown_key_is_named_with_the_keys_that_are_allowed(line: str, key: str, allowed: str) -> None:
    (told,) = refusal(f"{TEXT}{line}\n").splitlines()[1:]
    assert told.startswith(f"  {key}: ")
    assert allowed in told.removeprefix(f"  {key}: ")


@pytest.mark.parametrize(("text", "line"), [("threshold: 0.25\nbands: {A: 1\n", 3), ("threshold: 0.25: 1\n", 1)])
def test_a_syntax_error_names_its_line(text: str, line: int) -> None:
    assert f"line {line}" in refusal(text)


def test_the_digest_ignores_comments_and_order_of_keys_but_not_meaning() -> None:
    same = "# ours\nbands: {A: 0.10, B: 0.5, C: 1.0}  # agreed in May\nthreshold: 0.25\nreasons: 4\n"
    assert parse(same).digest == parse(TEXT).digest
    others = [TEXT.replace("0.25", "0.26"), TEXT.replace("A:", "AA:"), TEXT.replace("0.5", "0.4"), TEXT + "reasons: 3\n"]
    others.append(TEXT + "promotion: {mode: manual}\n")
    assert len({parse(text).digest for text in [TEXT, *others]}) == len(others) + 1


def test_a_policy_is_not_changed_after_it_was_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse(TEXT).threshold = 0.5
