"""`risk contract infer` and `risk land`, and a team's own file from landing to predictions."""

import os
import signal
import time
from pathlib import Path

import pytest

from risk_assets.lake import landing
from risk_assets.lake.landing_sources import Source
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
    own = {**settings, "RISK_CONTRACT": "own.yml", "RISK_POLICY": "own-policy.yml"}
    landed = risk("land", "own.csv", "--from", "2026-02-01", "--days", "5", **own).text
    assert "accounts: 5 files landed, accounts_2026-02-01.csv to accounts_2026-02-05.csv" in landed
    assert "outcomes: 5 files landed" in landed
    trained = risk("train", "2026-02-03", **own).text
    assert "model_v001 is registered and not live; no model is live." in trained
    assert "Next: risk promote model_v001 --reason WHY" in trained
    assert "model_v001" in risk("promote", "model_v001", "--reason", "the first model", "--override", "--yes", **own).stdout
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


@pytest.mark.long
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
    assert not (folder / "own-policy.yml").exists()


def test_inferred_policy_never_overwrites_a_file(risk: Risk, folder: Path) -> None:
    foreign_file(folder / "own.csv", 300)
    (folder / "own-policy.yml").write_text("edited\n", encoding="utf-8")
    done = risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml", code=1)
    assert "own-policy.yml already exists" in done.stderr
    assert (folder / "own-policy.yml").read_text(encoding="utf-8") == "edited\n"
    assert not (folder / "own.yml").exists()


def test_file_with_target_lands_as_accounts_and_outcomes(risk: Risk, folder: Path) -> None:
    wide = folder / "wide.csv"
    rows = sample("accounts_2026-01-01.csv").read_text(encoding="utf-8").splitlines()
    wide.write_bytes(("\ufeff" + "\r\n".join([rows[0] + ",defaulted", *[f"{row},1" for row in rows[1:]]])).encode())
    landed = risk("land", wide, "--date", "2026-01-01").text
    assert "accounts: accounts_2026-01-01.csv landed in" in landed
    assert (folder / "data/landing/accounts_2026-01-01.csv").read_bytes() == wide.read_bytes()
    assert (folder / "data/landing/outcomes_2026-01-01.csv").read_bytes() == wide.read_bytes()
    risk("land", wide, "--date", "2026-01-01")  # the same bytes: the command is repeated
    wide.write_bytes(wide.read_bytes() + b"AC999999")
    refused = risk("land", wide, "--date", "2026-01-01", code=1)
    assert "other accounts for 2026-01-01 have already landed" in refused.text and "--replace" in refused.stderr
    risk("land", wide, "--date", "2026-01-01", "--replace")


def test_a_folder_of_shards_lands_and_is_replaced(risk: Risk, folder: Path) -> None:
    (folder / "shards").mkdir()
    for number in range(3):
        (folder / f"shards/part-{number}.csv").write_text(
            "\n".join([HEADER, *ROWS[number * 100 : number * 100 + 100], ""]), encoding="utf-8"
        )
    done = risk("land", "shards", "--date", "2026-01-01").text
    assert "accounts: 3 files landed, accounts_2026-01-01/part-0.csv to accounts_2026-01-01/part-2.csv in" in done
    assert "Next: " in done and "risk run 2026-01-01" in done and "replaced" not in done
    done = risk("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01", "--replace").text
    assert "3 files replaced, accounts_2026-01-01/part-0.csv to accounts_2026-01-01/part-2.csv in" in done
    assert landed(folder) == ["accounts_2026-01-01.csv"]
    assert "accounts_2026-01-01.csv replaced in" in risk("land", "shards", "--date", "2026-01-01", "--replace").text
    assert landed(folder) == []
    assert "a folder of shards lands for one date" in risk("land", "shards", "--from", "2026-01-01", code=2).text


def landed(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data/landing").iterdir() if path.is_file())


HEADER, *ROWS = sample("accounts_2026-01-01.csv").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("lines", "arguments", "says"),
    [
        ([HEADER], ("--date", "2026-01-01"), "has a header and no rows"),
        ([HEADER.replace("region", "area"), *ROWS], ("--date", "2026-01-01"), "has no column region"),
        ([f"{HEADER},region", *[f"{row},x" for row in ROWS]], ("--date", "2026-01-01"), "the column region appears twice"),
        ([f"{HEADER},defaulted,defaulted", *[f"{row},0,1" for row in ROWS]], ("--date", "2026-01-01"), "defaulted appears twice"),
        ([HEADER, *ROWS], ("--date", "2025-12-31"), "the first date is 2026-01-01 (RISK_START_DATE)"),
        ([HEADER, *ROWS, 'AC000301,"1'], ("--date", "2026-01-01"), "ends inside an open quote, in row 301"),
        (ROWS, ("--date", "2026-01-01"), "own.csv seems to have no header: its first line has none of the columns of the contract"),
        (["1,0", "2,1"], ("--date", "2026-01-01", "--outcomes"), "own.csv seems to have no header"),
        (
            [HEADER.upper(), *ROWS],
            ("--date", "2026-01-01"),
            "has account_id, annual_income, months_at_address, months_employed, "
            "months_on_book and 17 more in other upper or lower case than the contract",
        ),
        ([HEADER.replace("region", "Region"), *ROWS], ("--date", "2026-01-01"), "has region in other upper or lower case"),
        (["account_id,other", "1,0"], ("--date", "2026-01-01", "--outcomes"), "no column defaulted"),
        (["account_id,defaulted,defaulted", "1,0,1"], ("--date", "2026-01-01", "--outcomes"), "defaulted appears twice"),
        (["account_id,defaulted"], ("--date", "2026-01-01", "--outcomes"), "has a header and no rows"),
        (["account_id,defaulted", "1,0"], ("--from", "2025-12-31", "--days", "1", "--outcomes"), "RISK_START_DATE"),
    ],
)
def test_a_file_that_cannot_be_run_does_not_land(risk: Risk, folder: Path, lines: list[str], arguments: tuple[str, ...], says: str) -> None:
    (folder / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = risk("land", "own.csv", *arguments, code=1)
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert landed(folder) == []


def test_landing_warns_about_line_issues_and_future_dates(risk: Risk, folder: Path) -> None:
    lines = [HEADER + ",name", f'{ROWS[0]},O"Brian', f'{ROWS[1]}, "Smith, John"', ROWS[2], *[f"{row},x" for row in ROWS[3:]]]
    (folder / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = risk("land", "own.csv", "--date", "2999-01-01")
    warnings = " ".join(done.stderr.split())
    assert "2 of 300 lines have the issue 'line: ambiguous quotes', first in row 1. Such lines" in warnings
    assert "1 of 300 lines has the issue 'line: too few fields', in row 3. Such lines" in warnings
    assert "2999-01-01 cannot be run yet" in warnings
    assert "Next:" not in done.stdout
    assert landed(folder) == ["accounts_2999-01-01.csv"]


def test_landing_shards_warns_about_line_issues(risk: Risk, folder: Path) -> None:
    shards = folder / "shards"
    shards.mkdir()
    for number, rows in enumerate((ROWS[:3], [ROWS[3], ROWS[4] + ",x"], [ROWS[5] + ",x", "A"])):
        (shards / f"part-{number}.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    warnings = " ".join(risk("land", "shards", "--date", "2026-01-01").stderr.split())
    assert "2 of 7 lines have the issue 'line: too many fields', first in row 2 of part-1.csv. Such lines" in warnings
    assert "1 of 7 lines has the issue 'line: too few fields', in row 2 of part-2.csv. Such lines" in warnings


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_what_to_do(risk: Risk, folder: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals) -> None:
    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), how)
        time.sleep(60)

    (folder / "own.csv").write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(landing, "_put_file", interrupt)
    done = risk("land", "own.csv", "--date", "2026-01-01", code=1)
    assert "what it landed may be incomplete. Run the same command again." in done.text
    monkeypatch.setattr(Source, "read", interrupt)
    done = risk("land", "own.csv", "--date", "2026-01-01", code=1)
    assert done.stderr.strip() == "error: the command was interrupted (Ctrl-C, or SIGTERM of the system). Run it again."
    assert signal.getsignal(signal.SIGTERM) is before


def test_landing_warns_about_rows_inside_quotes(risk: Risk, folder: Path) -> None:
    first, *rest = [f"{row},a" for row in ROWS]
    lines = [HEADER + ",name", first.removesuffix("a") + '"a', *rest[:4], rest[4] + '"', *rest[5:]]
    (folder / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    warnings = " ".join(risk("land", "own.csv", "--date", "2026-01-01").stderr.split())
    assert "1 of 295 lines has the issue 'line: rows inside quotes'" in warnings
    assert "5 lines inside quotes look like rows and are lost" in warnings


def test_landing_counts_labels_that_the_contract_does_not_name(risk: Risk, folder: Path) -> None:
    header, *rows = sample("outcomes_2026-01-01.csv").read_text(encoding="utf-8").splitlines()
    lines = [header, *[row[:-1] + "SECRET" for row in rows[:7]], rows[7][:-1], *rows[8:]]
    (folder / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = risk("land", "own.csv", "--outcomes", "--date", "2026-01-01")
    assert "7 of 300 lines have a value of defaulted that is neither target.bad nor target.good of the contract" in done.text
    assert "SECRET" not in done.text


@pytest.mark.parametrize("outcomes", [True, False])
def test_text_that_is_not_utf_8_does_not_land(risk: Risk, folder: Path, outcomes: bool) -> None:
    head = "\n".join([HEADER + ",defaulted", *[f"{row},0" for row in ROWS * 400]]).encode()
    assert len(head) > 5_000_000
    (folder / "own.csv").write_bytes(head + b"\nM\xfcller" + b"," * 21 + b"0\n")
    done = risk("land", "own.csv", "--date", "2026-01-01", *["--outcomes"] * outcomes, code=1)
    assert f"own.csv is not UTF-8 text: its byte {len(head) + 3}, in row {len(ROWS) * 400 + 1}, cannot be decoded. Save it" in done.text
    assert landed(folder) == []


def test_landing_after_the_end_date_says_what_to_set(risk: Risk, folder: Path) -> None:
    ended = {"RISK_END_DATE": "2026-01-05"}
    says = "the last date is 2026-01-05 (RISK_END_DATE in the environment). Set RISK_END_DATE to 2026-01-07 or later, or unset it"
    assert says in risk("land", sample("accounts_2026-01-07.csv"), "--date", "2026-01-07", **ended).text
    assert says in risk("run", "2026-01-07", code=2, **ended).text
    assert landed(folder) == ["accounts_2026-01-07.csv"]
    (folder / ".env").write_text("RISK_END_DATE=2026-01-05\n", encoding="utf-8")
    assert "(RISK_END_DATE in .env). Set RISK_END_DATE to 2026-01-07 or later, or unset it" in risk("run", "2026-01-07", code=2).text


def test_a_date_before_the_start_does_not_land(risk: Risk, folder: Path) -> None:
    says = "2025-01-07 cannot be run: the first date is 2026-01-01 (RISK_START_DATE). Set RISK_START_DATE to 2025-01-07 or earlier"
    assert says in risk("land", sample("accounts_2026-01-07.csv"), "--date", "2025-01-07", code=1).text
    assert says in risk("run", "2025-01-07", code=2).text
    assert landed(folder) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("accounts_2026-01-01.csv", "accounts_2026-01-01.csv in data/landing is a folder. Rename it to accounts_2026-01-01"),
        ("accounts_2026-01-01", "the folder accounts_2026-01-01 has no file that ends with .csv"),
    ],
)
@pytest.mark.parametrize("file", [None, "part.csv"])
def test_running_a_folder_in_place_of_a_file_is_an_error(risk: Risk, folder: Path, name: str, says: str, file: str | None) -> None:
    (folder / "data/landing" / name).mkdir()
    if file:
        file = file if name.endswith(".csv") else "_SUCCESS"
        (folder / "data/landing" / name / file).write_text("")
    assert says in risk("run", "2026-01-01", code=1).text


def test_landing_does_not_warn_about_notes_of_several_lines(risk: Risk, folder: Path) -> None:
    lines = [HEADER + ",note", *[f'{row},"first line\nsecond, third line"' for row in ROWS]]
    (folder / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert risk("land", "own.csv", "--date", "2026-01-01").stderr == ""


def test_a_file_without_problems_lands_without_warnings(risk: Risk, folder: Path) -> None:
    assert risk("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01").stderr == ""


def test_a_folder_with_the_name_of_a_landed_file_is_reported(risk: Risk, folder: Path) -> None:
    (folder / "data/landing/accounts_2026-01-01.csv").mkdir()
    done = risk("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01", "--replace", code=1)
    assert "accounts_2026-01-01.csv in data/landing is a folder" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("land", "pipe", "--date", "2026-01-01"), ("contract", "infer", "pipe", "--target", "y")])
def test_pipe_is_not_read(risk: Risk, folder: Path, command: tuple[str, ...]) -> None:
    os.mkfifo(folder / "pipe")
    assert (
        "pipe is not a regular file but a pipe or a device. Copy its content to a file and pass that file." in risk(*command, code=1).text
    )


def test_pipe_in_the_landing_folder_is_not_read(risk: Risk, folder: Path) -> None:
    os.mkfifo(folder / "data/landing/accounts_2026-01-01.csv")
    done = risk("run", "2026-01-01", code=1)
    assert "a pipe or a device is where a file is expected (at data/landing, accounts_2026-01-01.csv): replace it with a file" in done.text


@pytest.mark.parametrize(
    "command", [("run", "2026-01-01"), ("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01", "--replace")]
)
def test_link_to_nothing_is_named(risk: Risk, folder: Path, command: tuple[str, ...]) -> None:
    link = folder / "data/landing/accounts_2026-01-01.csv"
    link.symlink_to("nowhere.csv")
    done = risk(*command, code=1)
    assert "accounts_2026-01-01.csv in data/landing is a link whose target does not exist. Remove the link, or restore" in done.text
    assert link.is_symlink()


def test_next_step_of_one_date_has_no_range(risk: Risk) -> None:
    landed = risk("land", sample("accounts_2026-01-01.csv"), "--date", "2026-01-01").stdout
    assert landed.endswith("Next: risk train 2026-01-01 if outcomes have landed, or risk run 2026-01-01\n")


def test_next_step_of_outcomes_stores_them(risk: Risk) -> None:
    file = sample("outcomes_2026-01-01.csv")
    assert risk("land", file, "--date", "2026-01-01", "--outcomes").stdout.endswith("Next: risk outcomes 2026-01-01\n")
    landed = risk("land", file, "--from", "2026-01-02", "--days", "2", "--outcomes").stdout
    assert landed.endswith("Next: risk outcomes 2026-01-02 --until 2026-01-03\n")


def test_a_comma_after_every_row_is_read_by_infer_and_land(risk: Risk, folder: Path) -> None:
    rows = [f"A{number},{number % 97},{number % 13},{int(number % 97 > 60)}," for number in range(400)]
    (folder / "own.csv").write_text("\n".join(["id,a,b,y", *rows]) + "\n", encoding="utf-8")
    risk("contract", "infer", "own.csv", "--id", "id", "--target", "y", "--out", "own.yml")
    assert risk("land", "own.csv", "--date", "2026-01-01", RISK_CONTRACT="own.yml").stderr == ""
    assert landed(folder) == ["accounts_2026-01-01.csv", "outcomes_2026-01-01.csv"]
