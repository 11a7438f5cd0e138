"""Files without a header, without an id, and with trailing commas."""

import random
from collections.abc import Sequence

import pytest

from risk_assets.domain.contract.schema import ROW_ID, Contract
from risk_assets.errors import ContractError
from tests.domain.contract.drafts import IDS, MONTHS, ROWS, TARGET, drawn, infer_bytes, written

DRAW = random.Random(4)
RATIOS = [f"{DRAW.random():.3f}" for _ in range(ROWS)]
AMOUNTS = [f"${DRAW.randint(1, 9999):,}" for _ in range(ROWS)]
DATES = [f"20{row % 9 + 10}-0{row % 9 + 1}-1{row % 9}" for row in range(ROWS)]

WITHOUT_HEADER: dict[str, list[Sequence[str]]] = {
    "ids, ratios, labels": [IDS, RATIOS, TARGET],
    "row numbers": [[str(row) for row in range(7, 7 + ROWS)], MONTHS, TARGET],
    "percentages": [IDS, [f"{row % 90}%" for row in range(ROWS)], TARGET],
    "money": [IDS, AMOUNTS, TARGET],
    "dates": [IDS, DATES, MONTHS, TARGET],
    "categories": [IDS, drawn("own", "rent"), MONTHS, TARGET],
    "labels in words": [IDS, MONTHS, drawn("Good", "Bad", weights=[3, 1])],
    "repeated values": [IDS, MONTHS, MONTHS, TARGET],
    "an empty field": [IDS, ["", *MONTHS[1:]], RATIOS, TARGET],
    "decimal commas": [IDS, [ratio.replace(".", ",") for ratio in RATIOS], TARGET],
    "hexadecimal ids": [[f"{DRAW.randrange(16**8):08x}-{row}" for row in range(ROWS)], RATIOS, MONTHS, TARGET],
}


def without_header(columns: Sequence[Sequence[str]]) -> bytes:
    named = {f"c{position}": values for position, values in enumerate(columns)}
    return written(named, ";").partition(b"\n")[2]


@pytest.mark.parametrize("what", WITHOUT_HEADER)
@pytest.mark.parametrize("names", [("id", "outcome"), (None, "outcome")])
def test_a_file_without_a_header_is_rejected(what: str, names: tuple[str | None, str]) -> None:
    columns = WITHOUT_HEADER[what]
    with pytest.raises(ContractError, match="seems to have no header") as raised:
        infer_bytes(without_header(columns), *names)
    first_row = {values[0] for values in columns if len(values[0]) > 1}
    assert not any(value in str(raised.value) for value in first_row)


def test_a_row_of_unique_text_is_not_shown() -> None:
    content = without_header([[f"Name {row}" for row in range(ROWS)], [f"{letter} Street" for letter in IDS], RATIOS, TARGET])
    with pytest.raises(ContractError) as raised:
        infer_bytes(content, "id", "outcome")
    assert "Street" not in str(raised.value)
    assert RATIOS[0] not in str(raised.value)


SURNAMES = [DRAW.choice("abcdefgh") * 9 for _ in range(ROWS)]
WORDS = drawn("Good", "Bad", weights=[3, 1])


@pytest.mark.parametrize(
    ("columns", "has_id"),
    [
        ([IDS, SURNAMES, RATIOS, TARGET], True),
        ([IDS, SURNAMES, SURNAMES, SURNAMES, WORDS], True),
        ([["Zoe Zacharias", *SURNAMES[1:]], ["Quentin", *SURNAMES[1:]], ["Stray", *SURNAMES[1:]], TARGET], True),
        ([["Zoe Zacharias", *SURNAMES[1:]], RATIOS, TARGET], False),
        ([["Zoe Zacharias", *SURNAMES[1:]], RATIOS, WORDS], False),
    ],
)
def test_values_as_id_and_target_are_not_taken_for_a_header(columns: list[Sequence[str]], has_id: bool) -> None:
    first = [values[0] for values in columns]
    with pytest.raises(ContractError, match="seems to have no header") as raised:
        infer_bytes(without_header(columns), first[0] if has_id else ROW_ID, first[-1])
    assert not any(value in str(raised.value) for value in first if len(value) > 1)


@pytest.mark.parametrize("target", ["Good", "90"])
def test_name_of_a_target_can_be_a_word_of_its_labels(target: str) -> None:
    labels = WORDS if target == "Good" else TARGET
    content = written({"id": IDS, "months": MONTHS, "ratio": RATIOS, target: labels})
    assert Contract.parse(infer_bytes(content, "id", target), "contract.yml").target.column == target


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "2"),
        ("1", "2", "3"),
        ("id", "2015", "y"),
        ("id", "x1", "y"),
        ("id", "30-59", "y"),
        ("A", "B", "C"),
        ("", "months", "y"),
        ("A0", "months", "y"),
        ("id", "own", "rent"),
        ("key", "1", "target"),
    ],
)
def test_a_header_is_not_taken_for_a_row(names: tuple[str, str, str]) -> None:
    content = written(dict(zip(names, (IDS, MONTHS, TARGET), strict=True)))
    assert Contract.parse(infer_bytes(content, names[0], names[2]), "contract.yml").target.column == names[2]


def test_columns_are_not_listed_if_names_look_like_values() -> None:
    content = written({"id": IDS, "city": drawn("a", "b"), "17.25": MONTHS, "outcome": TARGET})
    with pytest.raises(ContractError, match="1 of 4 looks like a value") as raised:
        infer_bytes(content, "nr", "outcome")
    assert "17.25" not in str(raised.value)


def test_without_an_id_candidates_and_row_id_are_offered() -> None:
    content = written({"nr": IDS, "months": MONTHS, "key": [f"k{row}" for row in range(ROWS)], "outcome": TARGET})
    with pytest.raises(ContractError, match=r"different value in every row: nr, key\. .* --id, or --row-id"):
        infer_bytes(content, None, "outcome")
    content = written({"months": MONTHS, "outcome": TARGET})
    with pytest.raises(ContractError, match=r"no id column is given\. Pass the column"):
        infer_bytes(content, None, "outcome")


def test_row_id_names_accounts_by_row_number() -> None:
    text = infer_bytes(written({"months": MONTHS, "nr": IDS, "outcome": TARGET}), ROW_ID, "outcome")
    contract = Contract.parse(text, "contract.yml")
    assert (contract.id, contract.columns, contract.outcome_columns) == ("#row", ("months",), ("outcome",))
    assert 'id: "#row"  # the row number names the account' in text
    assert "# nr is left out: it looks like an id" in text


def test_an_unnamed_empty_last_column_is_excluded() -> None:
    content = written({"id": IDS, "months": MONTHS, "outcome": TARGET})
    with_comma = b"\n".join(line + b"," for line in content.splitlines())
    text = infer_bytes(with_comma, "id", "outcome")
    assert tuple(Contract.parse(text, "contract.yml").features) == ("months",)
    assert "# unnamed_4 is left out: all values are missing." in text
