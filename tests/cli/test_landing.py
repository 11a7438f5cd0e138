"""`risk contract infer` and `risk land`, and a team's own file from landing to predictions."""

from pathlib import Path

from tests.azurite.server import Azurite
from tests.cli.conftest import Risk, run_here, run_process, sample


def foreign_file(path: Path, rows: int) -> None:
    """Write a file with BOM, `;`, CRLF, quoted ids with leading zeros, odd names, a code for missing, Good/Bad."""
    lines = ['"";"client id";"net.income";"home-type";"months late";"outcome"']
    for number in range(rows):
        late = 99 if number % 50 == 0 else number * 7 % 5
        bad = "Bad" if (number * 7 % 5) >= 3 and number % 3 else "Good"
        home = ("owned", "rented", "with family")[number % 3]
        lines.append(f'"{number}";"{number:06d}";{1000 + number * 13 % 900};{home};{late};{bad}')
    path.write_bytes(b"\xef\xbb\xbf" + ("\r\n".join(lines) + "\r\n").encode())


def bring_own_data(risk: Risk, folder: Path, **settings: str) -> None:
    """Run the README's commands for own data."""
    foreign_file(folder / "own.csv", 3000)
    risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml", **settings)
    own = {**settings, "RISK_CONTRACT": "own.yml"}
    landed = risk("land", "own.csv", "--from", "2026-02-01", "--days", "5", **own).text
    assert "accounts: 5 files landed, accounts_2026-02-01.csv to accounts_2026-02-05.csv" in landed
    assert "outcomes: 5 files landed" in landed
    assert "model_v001 (live)" in risk("train", "2026-02-03", **own).stdout
    done = risk("run", "2026-02-04", "--until", "2026-02-05", **own)
    assert done.stdout.count("600") >= 4


def test_own_file_is_scored_on_disk(folder: Path) -> None:
    def risk(*arguments: str, **settings: str) -> object:
        return run_here(folder, *arguments, **settings)

    bring_own_data(risk, folder, RISK_LAKE="file://" + str(folder / "own lake"), RISK_LANDING=str(folder / "own landing"))
    contract = (folder / "own.yml").read_text(encoding="utf-8")
    assert "Bad" in contract and "months late" in contract
    lines = (folder / "own lake/curated/accounts_2026-02-05_predictions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("002400,")
    assert len(lines) == 601


def test_own_file_is_scored_on_azurite(folder: Path, azurite: Azurite) -> None:
    azurite.create_container("own")

    def risk(*arguments: str, **settings: str) -> object:
        return run_process(folder, *arguments, **settings)

    bring_own_data(
        risk, folder,
        RISK_LAKE="az://own/book", RISK_LANDING="az://own/landing", AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string,
    )  # fmt: skip
    assert not (folder / "lakehouse").exists()


def test_contract_goes_to_standard_output(risk: Risk, folder: Path) -> None:
    foreign_file(folder / "own.csv", 300)
    shown = risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome").stdout
    risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml")
    assert shown == (folder / "own.yml").read_text(encoding="utf-8")


def test_inferred_contract_never_overwrites_a_file(risk: Risk, folder: Path) -> None:
    foreign_file(folder / "own.csv", 300)
    (folder / "own.yml").write_text("edited\n", encoding="utf-8")
    done = risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml", code=1)
    assert "own.yml already exists" in done.stderr
    assert (folder / "own.yml").read_text(encoding="utf-8") == "edited\n"


def test_file_with_target_lands_as_accounts_and_outcomes(risk: Risk, folder: Path) -> None:
    wide = folder / "wide.csv"
    rows = sample("accounts_2026-01-01.csv").read_text(encoding="utf-8").splitlines()
    wide.write_bytes(("\ufeff" + "\r\n".join([rows[0] + ",defaulted", *[f"{row},1" for row in rows[1:]]])).encode())
    landed = risk("land", wide, "--date", "2026-01-01").text
    assert "accounts: accounts_2026-01-01.csv landed in" in landed
    assert (folder / "data/landing/accounts_2026-01-01.csv").read_bytes() == wide.read_bytes()
    assert (folder / "data/landing/outcomes_2026-01-01.csv").read_bytes() == wide.read_bytes()
    refused = risk("land", wide, "--date", "2026-01-01", code=1)
    assert "--replace" in refused.stderr
    risk("land", wide, "--date", "2026-01-01", "--replace")
