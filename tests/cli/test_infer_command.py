"""`risk contract infer`: row numbers as ids, warnings, and errors that write nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from risk_assets.cli.main import app
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError, RiskError

ROWS = 400


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A file without an id, with a column that is filled for bad accounts only."""
    lines = ["months,recoveries,defaulted"]
    lines += [f"{row * 37 % 60},{row if row % 4 == 0 else ''},{int(row % 4 == 0)}" for row in range(ROWS)]
    path = tmp_path / "book.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_row_id_writes_a_contract_without_an_id_column(book: Path) -> None:
    out = book.with_name("own.yml")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted", "--out", str(out)])
    assert done.exit_code == 0
    contract = Contract.parse(out.read_text(encoding="utf-8"), "own.yml")
    assert (contract.id, contract.columns) == ("#row", ("months",))


def test_warnings_are_printed_apart_from_the_contract(book: Path) -> None:
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted"])
    assert "warning: recoveries: left out" in done.stderr
    assert "warning: target.matures_after_days: 0 means that outcomes are known on the day of the snapshot" in " ".join(done.stderr.split())
    assert "warning:" not in done.stdout
    assert Contract.parse(done.stdout, "own.yml").id == "#row"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "defaulted"], "--row-id"),
        (["--target", "outcome", "--row-id"], "has no column outcome"),
        (["--target", "months", "--row-id"], "it must have two"),
    ],
)
def test_an_error_writes_nothing(book: Path, options: list[str], message: str) -> None:
    out = book.with_name("own.yml")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--out", str(out), *options])
    assert isinstance(done.exception, ContractError)
    assert message in str(done.exception)
    assert not out.exists()


def test_a_file_with_a_header_only_is_an_error(book: Path) -> None:
    book.write_text("months,recoveries,defaulted\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted"])
    assert "book.csv has a header and no rows. Pass a file that has rows" in str(done.exception)


@pytest.mark.parametrize("rows", [400, 400_000])
def test_a_file_that_is_not_utf_8_is_an_error(book: Path, rows: int) -> None:
    lines = ["months,name,defaulted", *[f"{row * 37 % 60},Miller,{row % 2}" for row in range(rows)], "1,M\xfcller,0"]
    book.write_text("\n".join(lines) + "\n", encoding="latin-1")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted"])
    assert isinstance(done.exception, RiskError)
    assert "is not UTF-8 text: its byte" in str(done.exception)
    assert f"in row {rows + 1}, cannot be decoded. Save it as UTF-8, and run again." in str(done.exception)


def test_a_repeated_column_is_left_out_under_its_own_name(book: Path) -> None:
    lines = ["months,score,score,defaulted,score", *[f"{row * 37 % 60},{row},{row % 7},{int(row % 4 == 0)},1" for row in range(ROWS)]]
    book.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted"])
    assert "  # score is left out: the header has this name 3 times. Rename or remove the others at the source" in done.stdout
    assert "warning: score: left out, because the header has this name 3 times" in " ".join(done.stderr.split())
    assert "score#2" not in done.output
    assert Contract.parse(done.stdout, "own.yml").columns == ("months",)


@pytest.mark.parametrize(("header", "column"), [("id,defaulted,id", "id"), ("id,defaulted,defaulted", "defaulted")])
def test_a_repeated_id_or_target_is_an_error(book: Path, header: str, column: str) -> None:
    book.write_text("\n".join([header, *[f"{row},{row % 2},{row % 3}" for row in range(ROWS)]]) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--id", "id", "--target", "defaulted"])
    assert f"book.csv has the column {column} more than once. Pass a file that has it once." in str(done.exception)


def test_id_and_row_id_exclude_each_other(book: Path) -> None:
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--id", "months", "--row-id", "--target", "defaulted"])
    assert done.exit_code == 2


@pytest.mark.parametrize(("out", "says"), [("none/own.yml", "none does not exist. Create the folder"), (".", "already exists")])
def test_a_file_that_cannot_be_written_is_reported(book: Path, out: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(book.parent)
    done = CliRunner().invoke(app, ["contract", "infer", "book.csv", "--row-id", "--target", "defaulted", "--out", out])
    assert isinstance(done.exception, RiskError)
    assert says in str(done.exception)


def test_lines_that_are_left_out_are_reported(book: Path) -> None:
    header, *lines = book.read_text(encoding="utf-8").splitlines()
    book.write_text(
        "\n".join([header, *(f"{line},x" if row % 5 == 0 else line for row, line in enumerate(lines))]) + "\n", encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["contract", "infer", str(book), "--row-id", "--target", "defaulted"])
    assert "warning: 80 of 400 lines have the issue 'line: too many fields' and were left out" in " ".join(done.stderr.split())
    assert "warning:" not in done.stdout
