"""Contract: defaults, valid values, error messages and the digest."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError

FILE = "data/my-contract.yml"
TEXT = """\
id: customer
target: {column: defaulted, bad: 1, good: 0}
features:
  income: {type: number, min: 0, max: 100, missing: [-9], risk: down, reason: Income is low}
  region: {type: category, required: true, reason: Region}
"""


def parse(text: str) -> Contract:
    return Contract.parse(text, FILE)


def error_of(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse(text)
    message = str(raised.value)
    assert FILE in message
    return message


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_omitted_keys_have_defaults() -> None:
    contract = parse(TEXT)
    assert (contract.id, contract.target.column, contract.decimal) == ("customer", "defaulted", ".")
    assert {"", "NA", "null"} <= set(contract.missing)
    income, region = contract.features.values()
    assert (income.min, income.max, income.required, income.risk) == (0, 100, False, "down")
    assert (region.min, region.max, region.required, region.risk, region.missing) == (None, None, True, None, ())


def test_columns_are_the_id_and_the_features_in_order(contract: Contract) -> None:
    assert parse(TEXT).columns == ("customer", "income", "region")
    assert contract.columns == ("account_id", *contract.features)


def test_numbers_and_categories_are_all_features(contract: Contract) -> None:
    assert (parse(TEXT).numbers, parse(TEXT).categories) == (("income",), ("region",))
    assert [*contract.numbers, *contract.categories] == list(contract.features)


def test_tokens_can_be_yaml_numbers() -> None:
    contract = parse(changed("missing: [-9]", "missing: [-9, 99.5, 1000000, '007']"))
    assert contract.features["income"].missing == ("-9", "99.5", "1000000", "007")
    assert (contract.target.bad, contract.target.good) == ("1", "0")


@pytest.mark.parametrize(
    ("text", "key"),
    [(changed("bad: 1", "bad: yes"), "target.bad"), (changed("missing: [-9]", "missing: [no]"), "features.income.missing.0")],
)
def test_a_token_that_yaml_reads_as_boolean_needs_quotes(text: str, key: str) -> None:
    assert f"{key}: " in error_of(text)
    assert "quotes" in error_of(text)


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        (changed("type: number", "type: numeric"), "features.income.type", "'number' or 'category'"),
        (changed("risk: down", "risk: sideways"), "features.income.risk", "'up' or 'down'"),
        (changed("min: 0", "min: low"), "features.income.min", "number"),
        (changed("min: 0", "min: 101"), "features.income", "min must not be above max"),
        (changed("min: 0", "min: .nan"), "features.income", "finite"),
        (changed("max: 100", "max: .inf"), "features.income", "finite"),
        (changed("reason: Region", "reason: ''"), "features.region.reason", "must not be blank"),
        (changed("reason: Region", "reason: '  '"), "features.region.reason", "must not be blank"),
        (changed("reason: Region", 'reason: "Region\\nof birth"'), "features.region.reason", "one line without control characters"),
        (changed("reason: Region", 'reason: "Re\\u2028gion"'), "features.region.reason", "one line without control characters"),
        (changed("good: 0", 'good: 0, definition: "90 days\\e[31m"'), "target.definition", "one line without control characters"),
        (changed("good: 0", "good: 0, definition: ' '"), "target.definition", "must not be blank"),
        (changed("good: 0", "good: 0, known_at: ''"), "target.known_at", "must not be blank"),
        (changed("id: customer", "id: ' '"), "id", "must not be blank"),
        (TEXT + "group: ''\n", "group", "must not be blank"),
        (TEXT + "exposure: [income]\n", "exposure", "string"),
        (changed("type: category", "type: category, min: 0"), "features.region", "numbers only"),
        (changed("type: category", "type: category, max: 0"), "features.region", "numbers only"),
        (changed("type: category", "type: category, risk: up"), "features.region", "numbers only"),
        (changed("required: true", "required: perhaps"), "features.region.required", "boolean"),
        (changed("reason: Region", "reason: Region, reason_low: Low"), "features.region", "numbers only"),
        (changed("risk: down", "risk: down, reason_low: Low"), "features.income", "reason is the text for low values"),
        (changed("risk: down", "risk: up, reason_high: High"), "features.income", "reason is the text for high values"),
        (changed("risk: down", "risk: down, reason_missing: ' '"), "features.income.reason_missing", "must not be blank"),
        (changed("good: 0", "good: 1"), "target", "different"),
        (changed("id: customer", "id: [customer]"), "id", "string"),
        (TEXT + "decimal: ;\n", "decimal", "'.' or ','"),
        (TEXT + "missing: [[NA]]\n", "missing.0", "string"),
        (TEXT.partition("features:")[0] + "features: {}\n", "features", "at least 1"),
    ],
)
def test_an_invalid_value_names_file_key_and_allowed_values(text: str, key: str, allowed: str) -> None:
    (line,) = (line for line in error_of(text).splitlines() if line.startswith(f"  {key}: "))
    assert allowed in line


@pytest.mark.parametrize("number", ["missing: -9", "missing: NA"])
def test_missing_must_be_a_list(number: str) -> None:
    assert "features.income.missing: " in error_of(changed("missing: [-9]", number))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (changed("id: customer\n", ""), "id"),
        (changed("target: {column: defaulted, bad: 1, good: 0}\n", ""), "target"),
        (changed("column: defaulted, ", ""), "target.column"),
        (changed("bad: 1, ", ""), "target.bad"),
        (TEXT.partition("features:")[0], "features"),
        (changed("type: number, ", ""), "features.income.type"),
        (changed(", reason: Region", ""), "features.region.reason"),
    ],
)
def test_a_missing_key_is_named(text: str, key: str) -> None:
    assert f"  {key}: Field required" in error_of(text)


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        (TEXT + "decimals: ','\n", "decimals", "decimal"),
        (changed("good: 0", "godo: 0"), "target.godo", "good"),
        (changed("required: true", "requierd: true"), "features.region.requierd", "required"),
    ],
)
def test_an_unknown_key_lists_the_allowed_keys(text: str, key: str, allowed: str) -> None:
    (line,) = (line for line in error_of(text).splitlines() if line.startswith(f"  {key}: "))
    assert allowed in line.removeprefix(f"  {key}: ")


def test_all_errors_are_reported_at_once() -> None:
    message = error_of(changed("type: number", "type: numeric").replace("id: customer\n", "").replace("bad: 1, ", ""))
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == ["id", "target.bad", "features.income.type"]


@pytest.mark.parametrize(
    ("text", "line"), [(changed("reason: Region}", "reason: Region"), 6), (changed("id: customer", "id: a: b"), 1), ("id: x\n\t- y", 2)]
)
def test_a_syntax_error_names_its_line(text: str, line: int) -> None:
    assert f"line {line}" in error_of(text)
    assert "not valid YAML" in error_of(text)


@pytest.mark.parametrize("text", ["", "# nothing here\n", "[]", "just words", "3"])
def test_a_file_without_keys_is_an_error(text: str) -> None:
    assert "no keys" in error_of(text)


@pytest.mark.parametrize(
    "text",
    [
        TEXT + "id: account\n",
        changed("min: 0", "min: 0, min: 5"),
        TEXT + "  income: {type: number, reason: Another}\n",
    ],
)
def test_a_repeated_key_is_an_error(text: str) -> None:
    error_of(text)


def test_a_repeated_key_is_reported_with_its_line() -> None:
    message = error_of(TEXT + "  income: {type: number, reason: Another}\n")
    assert "income appears twice" in message
    assert "line 6" in message


def test_messages_use_yaml_terms_not_python_terms() -> None:
    message = error_of(changed("missing: [-9]", "missing: -9").replace("good: 0", "good: 1"))
    assert "  features.income.missing: Input should be a valid list\n" in message + "\n"
    assert "  target: bad and good must be different" in message


@pytest.mark.parametrize("name", ["account_id", "issues", "bad", "id"])
def test_a_reserved_name_cannot_be_a_feature(name: str) -> None:
    message = error_of(changed("income:", f"{name}:"))
    assert name in message
    assert "rename it at the source" in message


@pytest.mark.parametrize("name", ["customer", "defaulted"])
def test_id_and_target_cannot_be_features(name: str) -> None:
    message = error_of(changed("income:", f"{name}:"))
    assert name in message
    assert "cannot also be a feature" in message


def test_reserved_names_can_be_the_id_and_the_target() -> None:
    contract = parse(changed("id: customer", "id: account_id").replace("column: defaulted", "column: bad"))
    assert (contract.id, contract.target.column) == ("account_id", "bad")
    assert parse(changed("id: customer", "id: id")).id == "id"
    assert parse(changed("column: defaulted", "column: id")).target.column == "id"


def test_id_and_target_are_different_columns() -> None:
    assert "different columns" in error_of(changed("id: customer", "id: defaulted"))


@pytest.mark.parametrize(("bad", "good"), [("1", "1"), ("B", "B"), ("1", "'1.0'"), ("'01'", "1.0")])
def test_bad_and_good_differ_as_text_and_as_numbers(bad: str, good: str) -> None:
    assert "different" in error_of(changed("bad: 1, good: 0", f"bad: {bad}, good: {good}"))


def test_a_contract_is_immutable() -> None:
    contract = parse(TEXT)
    with pytest.raises(ValidationError, match="frozen"):
        contract.id = "other"
    with pytest.raises(ValidationError, match="frozen"):
        contract.features["income"].min = 5


def test_the_digest_is_a_sha256() -> None:
    assert len(bytes.fromhex(parse(TEXT).digest)) == 32


def test_the_digest_ignores_comments_layout_explicit_defaults() -> None:
    same = [
        "# who owns this\n" + TEXT.replace("\n", "  # why\n"),
        yaml.safe_dump(yaml.safe_load(TEXT), default_flow_style=True),
        changed("bad: 1", "bad: '1'"),
        changed("min: 0", "min: 0.0"),
        TEXT + "decimal: '.'\n",
        changed("type: category", "min: null, type: category"),
    ]
    assert {parse(text).digest for text in same} == {parse(TEXT).digest}


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_digest_depends_on_feature_order_not_key_order(random: Random) -> None:
    def shuffled(value: object) -> object:
        if not isinstance(value, dict):
            return value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    known = yaml.safe_load(TEXT)
    features = {name: shuffled(feature) for name, feature in known["features"].items()}
    rest: Any = shuffled({key: value for key, value in known.items() if key != "features"})
    assert parse(yaml.safe_dump({"features": features} | rest, sort_keys=False)).digest == parse(TEXT).digest
    turned = dict(reversed(known["features"].items()))
    assert parse(yaml.safe_dump(known | {"features": turned}, sort_keys=False)).digest != parse(TEXT).digest


@pytest.mark.parametrize(
    "text",
    [
        changed("id: customer", "id: client"),
        changed("bad: 1", "bad: 2"),
        changed(", good: 0", ""),
        changed("min: 0", "min: 1"),
        changed("max: 100, ", ""),
        changed("missing: [-9]", "missing: [-8]"),
        changed("risk: down", "risk: up"),
        changed("Income is low", "Income is small"),
        changed("required: true", "required: false"),
        changed("region:", "area:"),
        TEXT + "decimal: ','\n",
        TEXT + "missing: [NA]\n",
        TEXT + "  age: {type: number, reason: Age}\n",
    ],
)
def test_the_digest_changes_with_the_content(text: str) -> None:
    assert parse(text).digest != parse(TEXT).digest


def test_the_sample_contract_has_distinct_reason_texts(contract: Contract, sample: Callable[[str], bytes]) -> None:
    reasons = [feature.reason for feature in contract.features.values()]
    assert len(set(reasons)) == len(reasons)
    header = sample("accounts_2026-01-01.csv").split(b"\n", 1)[0].decode().split(",")
    assert set(contract.columns) == set(header)


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ("risk: up, reason: R", ("Debt ratio", "R", "Debt ratio: no value is known", "Debt ratio")),
        ("risk: down, reason: R, reason_missing: M", ("R", "Debt ratio", "M", "Debt ratio")),
        ("reason: R", ("R", "R", "Debt ratio: no value is known", "R")),
        ("reason: R, reason_low: L, reason_high: H, reason_missing: M", ("L", "H", "M", "R")),
    ],
)
def test_reason_texts_by_side(keys: str, texts: tuple[str, ...]) -> None:
    feature = Contract.parse(TEXT + f"  debt_ratio: {{type: number, {keys}}}\n", FILE).features["debt_ratio"]
    found = feature.reason_texts("debt_ratio")
    assert (found.low, found.high, found.missing, found.neutral) == texts


def test_no_text_of_the_sample_contract_joins_two_cases(contract: Contract) -> None:
    for name, feature in contract.inputs.items():
        texts = feature.reason_texts(name)
        assert "not known" not in texts.low + texts.high + texts.neutral
        assert texts.missing not in (texts.low, texts.high, texts.neutral)


def test_the_exposure_is_a_number_of_the_snapshot() -> None:
    contract = parse(TEXT + "exposure: income\n")
    assert contract.exposure == "income"
    assert parse(TEXT).digest != contract.digest
    assert "exposure" not in parse(TEXT).model_dump()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TEXT + "exposure: balance\n", "exposure: balance is not a feature"),
        (TEXT + "exposure: region\n", "exposure: region is not an amount"),
        (changed("type: number", 'type: number, format: "date(%Y-%m-%d)"') + "exposure: income\n", "exposure: income is not an amount"),
        (TEXT + "  wealth: {type: number, sensitive: true, reason: W}\nexposure: wealth\n", "exposure: wealth is sensitive"),
    ],
)
def test_a_column_that_cannot_be_the_exposure(text: str, problem: str) -> None:
    assert problem in error_of(text)


FORMATS = ["percent", "money", "date(%d.%m.%Y)", "date(%y%m%d)", "date(%b-%y)", "date(%d %B %Y)", "date(%Y-%m-%dT%H:%M:%SZ)", "date(%Y-%m)"]


@pytest.mark.parametrize("text", FORMATS)
def test_a_number_can_have_a_format(text: str) -> None:
    contract = parse(changed("type: number", f'type: number, format: "{text}"'))
    assert contract.features["income"].format == text
    assert contract.dates == (("income",) if text.startswith("date") else ())


@pytest.mark.parametrize(
    ("feature", "key", "allowed"),
    [
        ("format: percentage", "features.income.format", "percent, money or date(FORMAT)"),
        ("format: date()", "features.income.format", "percent, money or date(FORMAT)"),
        ("format: date(%d.%m)", "features.income.format", "one year"),
        ("format: date(%Y)", "features.income.format", "one month"),
        ("format: date(%Y-%m-%m)", "features.income.format", "one month"),
        ("format: date(%Y-%y-%m)", "features.income.format", "one year"),
        ("format: date(%Y-%m-%d %p)", "features.income.format", "use %Y or %y"),
        ("format: date(%Y-%m%)", "features.income.format", "use %Y or %y"),
        ("decimal: ';'", "features.income.decimal", "'.' or ','"),
        ("thousands: '_'", "features.income.thousands", "',', '.', ' ' or \"'\""),
        ("thousands: '.'", "the file", "income has the same mark for thousands and decimals"),
        ("thousands: ',', decimal: ','", "the file", "income has the same mark for thousands and decimals"),
        ("format: date(%Y-%m-%d), decimal: ','", "features.income", "do not apply to dates"),
    ],
)
def test_an_invalid_format_names_the_allowed_ones(feature: str, key: str, allowed: str) -> None:
    (line,) = (line for line in error_of(changed("type: number", f"type: number, {feature}")).splitlines() if line.startswith(f"  {key}: "))
    assert allowed in line.replace("\\'", "'")


@pytest.mark.parametrize("key", ["format: money", "decimal: ','", "thousands: ','"])
def test_formats_and_marks_apply_to_numbers_only(key: str) -> None:
    assert "apply to numbers only" in error_of(changed("type: category", f"type: category, {key}"))


def test_a_feature_s_marks_replace_the_contract_s() -> None:
    contract = parse(
        changed("type: number", "type: number, decimal: ',', thousands: ' '") + "  tax: {type: number, format: money, reason: Tax}\n"
    )
    income, tax = contract.notation("income"), contract.notation("tax")
    assert (income.decimal, income.thousands, tax.decimal, tax.thousands) == (",", " ", ".", ",")


def test_sensitive_features_are_not_inputs_of_models() -> None:
    contract = parse(changed("type: category", "type: category, sensitive: true"))
    assert (tuple(contract.inputs), contract.numbers, contract.categories, contract.all_categories) == (
        ("income",),
        ("income",),
        (),
        ("region",),
    )
    assert contract.columns == ("customer", "income", "region")


def test_a_contract_with_only_sensitive_features_is_rejected() -> None:
    text = changed("type: category", "type: category, sensitive: true").replace("type: number", "type: number, sensitive: true")
    assert "every feature is sensitive" in error_of(text)


def test_row_numbers_can_name_accounts() -> None:
    contract = parse(changed("id: customer", "id: '#row'"))
    assert (contract.has_row_ids, contract.columns, contract.outcome_columns) == (True, ("income", "region"), ("defaulted",))
    assert parse(TEXT).outcome_columns == ("customer", "defaulted")


def test_unset_new_keys_keep_the_digest() -> None:
    explicit = changed("type: number", "type: number, format: null, decimal: null, thousands: null, sensitive: false")
    assert parse(explicit).digest == parse(TEXT).digest
    assert b"sensitive" not in parse(TEXT).canonical
    changes = ["format: money", "decimal: ','", "thousands: ','", "sensitive: true"]
    assert len({parse(changed("type: number", f"type: number, {change}")).digest for change in changes} | {parse(TEXT).digest}) == 5


DERIVED = "target: {derived: {bad_when: {column: income, at_least: 90}, within_days: 365, when_gone: good}}"


def derived(old: str = "", new: str = "") -> str:
    assert old in DERIVED
    return TEXT.replace("target: {column: defaulted, bad: 1, good: 0}", DERIVED.replace(old, new, 1) if old else DERIVED)


def test_the_performance_window_of_both_kinds_of_target() -> None:
    assert parse(TEXT).target.performance_days == 0
    assert parse(changed("good: 0", "good: 0, matures_after_days: 90")).target.performance_days == 90
    assert parse(derived()).target.performance_days == 365


def test_unset_keys_of_the_target_do_not_change_the_digest() -> None:
    assert parse(changed("good: 0", "good: 0, matures_after_days: 0")).digest == parse(TEXT).digest
    assert not {"matures_after_days", "definition", "known_at", "derived"} & parse(TEXT).target.model_dump().keys()
    assert parse(changed("good: 0", "good: 0, matures_after_days: 1")).digest != parse(TEXT).digest


def test_known_at_is_a_column_of_the_outcomes() -> None:
    text = changed("good: 0", "good: 0, known_at: default_date")
    assert parse(text).outcome_columns == ("customer", "defaulted", "default_date")
    for taken in ("income", "defaulted", "customer"):
        assert "known_at" in error_of(text.replace("default_date", taken))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed("good: 0", "good: 0, matures_after_days: 1827"), "less than or equal to 1826"),
        (changed("good: 0", "good: 0, matures_after_days: -1"), "greater than or equal to 0"),
        (changed("good: 0", "good: 0, matures_after_days: true"), "target.matures_after_days: Input should be a valid integer"),
        (derived("within_days: 365", "within_days: 0"), "target.derived.within_days"),
        (derived("when_gone: good", "when_gone: maybe"), "target.derived.when_gone"),
        (derived("column: income", "column: region"), "region is not a feature with type: number"),
        (derived("column: income", "column: balance"), "balance is not a feature with type: number"),
        (derived("{derived", "{column: defaulted, known_at: x, derived"), "column, known_at and derived exclude each other"),
        (derived("{derived", "{matures_after_days: 30, derived"), "matures_after_days and derived exclude each other"),
        (derived("within_days", "within"), "the allowed keys are bad_when, within_days, when_gone"),
        (derived().replace("id: customer", 'id: "#row"'), "outcomes cannot be derived; set id to a column"),
    ],
)
def test_an_invalid_target_is_explained(text: str, says: str) -> None:
    assert says in error_of(text)


@pytest.mark.parametrize(
    "text", [derived("within_days", "within"), derived("at_least: 90", "at_least: true"), derived("when_gone: good", "when_gone: maybe")]
)
def test_a_rule_with_an_error_does_not_ask_for_a_file(text: str) -> None:
    message = error_of(text)
    assert "target.derived." in message and "target.column" not in message and "target.bad" not in message


def test_a_derived_target_has_no_file() -> None:
    with pytest.raises(ContractError, match=r"no file of outcomes is read.*risk outcomes DATE"):
        _ = parse(derived()).outcome_columns
