"""Numbers with words that agree with them."""

from risk_assets.domain.wording import counted, lost_rows


def test_words_agree_with_their_number() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(number, "row has", "rows have") for number in (0, 1, 2)] == ["0 rows have", "1 row has", "2 rows have"]
    assert lost_rows(1) == "1 line inside quotes looks like a row and is lost"
