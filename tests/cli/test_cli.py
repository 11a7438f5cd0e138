"""The `risk` command as a person uses it: a process of its own, in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.azurite.server import Azurite
from tests.conftest import ROOT

RISK = Path(sys.executable).with_name("risk")
COMMANDS = (
    "demo", "contract", "contract infer", "land", "run", "outcomes", "train", "log", "models", "models show", "impact", "promote",
    "rollback", "challenge", "live", "history", "replay", "explain", "ui", "serve", "token", "azure", "azure export",
)  # fmt: skip

START_SECONDS = 60
STOP_SECONDS = 20

Risk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the contract, the policy and an empty landing folder."""
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("landing"))
    (tmp_path / "data/landing").mkdir()
    return tmp_path


@pytest.fixture
def risk(folder: Path) -> Risk:
    """Run the command in the folder."""

    def run(*arguments: str | Path, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [RISK, *arguments], cwd=folder, env=without_settings() | settings, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RISK_", "AZURE_", "DAGSTER_"))}


def sample(name: str) -> Path:
    return ROOT / "data/landing" / name


def land_labelled(risk: Risk, days: int) -> None:
    for day in range(1, days + 1):
        risk("land", sample(f"accounts_2026-01-0{day}.csv"), "--date", f"2026-01-0{day}")
        risk("land", sample(f"outcomes_2026-01-0{day}.csv"), "--date", f"2026-01-0{day}", "--outcomes")


def test_every_command_tells_what_it_does(risk: Risk) -> None:
    for command in COMMANDS:
        assert "Usage: risk" in risk(*command.split(), "--help").stdout


def test_from_landed_files_to_a_live_model_predictions_and_the_log(risk: Risk, folder: Path) -> None:
    land_labelled(risk, 3)
    risk("land", sample("accounts_2026-01-04.csv"), "--date", "2026-01-04")
    trained = risk("train", "2026-01-03")
    assert "model_v001 (live)" in trained.stdout

    scored = risk("run", "2026-01-04")
    assert "2026-01-04" in scored.stdout and "300" in scored.stdout
    assert (folder / "lakehouse/curated/accounts_2026-01-04_predictions.csv").exists()
    assert "model_v001" in risk("models").stdout
    live = risk("live").stdout
    assert "the newest version that passed the gates" in live and "accuracy, AUC" in live
    assert "daily_scoring" in risk("log").stdout
    assert "outcomes: 1 of 1 dates are in the lake." in risk("outcomes", "2026-01-03").stdout


def test_a_week_with_two_models_is_played_as_the_readme_says(risk: Risk, folder: Path) -> None:
    land_labelled(risk, 5)
    for day in (6, 7):
        risk("land", sample(f"accounts_2026-01-0{day}.csv"), "--date", f"2026-01-0{day}")
    risk("train", "2026-01-04")
    assert "model_v001 (live)" in risk("train", "2026-01-05", "--estimator", "scorecard", "--register-only").stdout
    table = risk("models", "show", "model_v002").stdout
    assert "days_past_due" in table and "(missing)" in table and "bad rate" in table
    assert "model_v002 (shadow)" in risk("challenge", "model_v002", "--shadow", "--reason", "a second look").stdout
    assert "model_v002 (challenger)" in risk("models").stdout
    risk("run", "2026-01-06", "--until", "2026-01-07")
    impact = risk("impact", "model_v002").stdout
    assert "newly flagged" in impact and "employment_status" in impact

    asked = risk("promote", "model_v002", "--reason", "better", code=1)
    assert "newly flagged" in asked.stdout and "--yes" in asked.stderr
    assert "model_v002" in risk("promote", "model_v002", "--yes", "--reason", "better on the holdout", "--by", "ann").stdout
    assert "model_v001" in risk("rollback", "--reason", "too many flagged").stdout
    risk("promote", "model_v002", "--yes", "--reason", "the flags were right")
    history = risk("history").stdout
    assert all(text in history for text in ("ann", "too many flagged", "the flags were right", "challenge", "rollback"))
    assert "The chain is whole" in risk("history", "--verify").stdout

    assert risk("replay", "2026-01-06", "--until", "2026-01-07").stdout.count("every row") == 2
    account = (folder / "lakehouse/curated/accounts_2026-01-07_review.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    explained = risk("explain", "2026-01-07", account.strip('"')).stdout
    assert "worked out again" in explained and "utilisation" in explained

    path = folder / "lakehouse/curated/accounts_2026-01-06_predictions.csv"
    path.write_bytes(path.read_bytes().replace(b"AC000003", b"AC000009", 1))
    broken = risk("replay", "2026-01-06", code=1).stdout
    assert "account_id (1 rows), first in row 3" in broken and "was changed since it was written" in broken
    binding = folder / "lakehouse/registry/bindings/000002.json"
    binding.write_bytes(binding.read_bytes().replace(b"a second look", b"a first look!"))
    assert "000002.json was changed" in risk("history", "--verify", code=1).stderr.replace("\n", " ")


def test_a_range_goes_on_after_a_failed_date_lists_it_and_exits_with_1(risk: Risk, folder: Path) -> None:
    land_labelled(risk, 3)
    risk("train", "2026-01-03")
    risk("land", sample("accounts_2026-01-05.csv"), "--date", "2026-01-05")
    done = risk("run", "2026-01-03", "--until", "2026-01-05", code=1)
    assert "2026-01-04 failed: no accounts for 2026-01-04" in done.stderr.replace("\n", " ")
    predicted = sorted(path.name for path in (folder / "lakehouse/curated").glob("*predictions.csv"))
    assert predicted == ["accounts_2026-01-03_predictions.csv", "accounts_2026-01-05_predictions.csv"]
    log = (folder / "lakehouse/logs/batch_runs_log.csv").read_text(encoding="utf-8")
    assert log.count(",success,") == 2
    assert log.count(",failure,") == 1


def test_a_date_of_which_nothing_came_shows_no_empty_table(risk: Risk) -> None:
    assert "Snapshots" not in risk("run", "2026-01-01", code=1).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "2026-01-01"), 1, "no accounts for 2026-01-01"),
        (("run", "2025-01-01"), 1, "RISK_START_DATE"),
        (("run", "2026-01-05", "--until", "2026-01-01"), 2, "is before"),
        (("run", "2026-01-05", "--until", "soon"), 2, "is not a date"),
        (("train", "2025-01-01"), 2, "RISK_START_DATE"),
        (("train", "2026-01-01"), 1, "has both features and outcomes"),
        (("live",), 1, "no model is live yet"),
        (("live", "--at", "2020-01-01"), 1, "no version was live"),
        (("demo",), 1, "nothing to show"),
        (("land", "nowhere.csv", "--date", "2026-01-01"), 2, "does not exist"),
        (("land", "data/policy.yml"), 2, "either --date"),
        (("train", "2026-01-01", "--estimator", "forest"), 2, "is not one of"),
        (("models", "show", "model_v001"), 1, "not in the lake"),
        (("impact", "latest"), 1, "is no version"),
        (("promote", "model_v001"), 2, "--reason"),
        (("promote", "model_v001", "--reason", "x", "--yes"), 1, "not in the lake"),
        (("rollback", "--reason", "x"), 1, "no earlier version"),
        (("challenge", "model_v001", "--reason", "x"), 2, "either --share or --shadow"),
        (("challenge", "model_v001", "--share", "2", "--shadow", "--reason", "x"), 2, "either --share or --shadow"),
        (("challenge", "model_v001", "--share", "0.1", "--end", "--reason", "x"), 2, "--end alone"),
        (("challenge", "--shadow", "--end", "--reason", "x"), 2, "--end alone"),
        (("challenge", "--end", "--reason", "x"), 1, "nothing to end"),
        (("replay", "2026-01-01"), 1, "is not in the lake"),
        (("explain", "2026-01-01", "AC000001"), 1, "is not in the lake"),
        (("serve", "--host", "0.0.0.0"), 1, "no access control is set"),
        (("token", "batch", "--role", "admin"), 2, "--role is one of score, operate"),
        (("contract", "infer", "data/policy.yml", "--id", "ID", "--target", "T"), 1, "ID"),
    ],
)
def test_wrong_use_is_told_with_what_to_do(risk: Risk, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = risk(*arguments, code=code)
    assert says in " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"RISK_CONTRACT": "missing.yml"}, "missing.yml can't be read"),
        ({"RISK_LAKE": "ftp://somewhere"}, "is no address of a lake"),
        ({"RISK_LAKE": "az://lake/book"}, "no account is set"),
        ({"RISK_START_DATE": "someday"}, "RISK_START_DATE"),
    ],
)
def test_wrong_settings_are_told_with_what_to_do(risk: Risk, settings: dict[str, str], says: str) -> None:
    done = risk("run", "2026-01-01", code=1, **settings)
    assert says in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_a_storage_account_that_cannot_be_reached_is_told(risk: Risk) -> None:
    nobody = "AccountName=devstoreaccount1;AccountKey=AAAA;BlobEndpoint=http://127.0.0.1:9/devstoreaccount1"
    done = risk("models", code=1, RISK_LAKE="az://lake/book", AZURE_STORAGE_CONNECTION_STRING=nobody)
    assert "storage can't be reached" in " ".join(done.stderr.split())


def test_a_file_with_its_target_lands_as_accounts_and_outcomes(risk: Risk, folder: Path) -> None:
    wide = folder / "wide.csv"
    rows = sample("accounts_2026-01-01.csv").read_text(encoding="utf-8").splitlines()
    wide.write_bytes(("\ufeff" + "\r\n".join([rows[0] + ",defaulted", *[f"{row},1" for row in rows[1:]]])).encode())
    risk("land", wide, "--date", "2026-01-01")
    assert (folder / "data/landing/accounts_2026-01-01.csv").read_bytes() == wide.read_bytes()
    outcomes = (folder / "data/landing/outcomes_2026-01-01.csv").read_text(encoding="utf-8").splitlines()
    assert outcomes == ["account_id,defaulted", *[f"{row.split(',')[0]},1" for row in rows[1:]]]
    refused = risk("land", wide, "--date", "2026-01-01", code=1)
    assert "--replace" in refused.stderr
    risk("land", wide, "--date", "2026-01-01", "--replace")


def foreign_file(path: Path, rows: int) -> None:
    """A team's own file: BOM, `;`, CRLF, quoted ids with leading zeros, odd names, codes for missing, Good/Bad."""
    lines = ['"";"client id";"net.income";"age-band";"months late";"outcome"']
    for number in range(rows):
        late = 99 if number % 50 == 0 else number * 7 % 5
        bad = "Bad" if (number * 7 % 5) >= 3 and number % 3 else "Good"
        band = ("18-30", "31-50", "51+")[number % 3]
        lines.append(f'"{number}";"{number:06d}";{1000 + number * 13 % 900};{band};{late};{bad}')
    path.write_bytes(b"\xef\xbb\xbf" + ("\r\n".join(lines) + "\r\n").encode())


def bring_own_data(risk: Risk, folder: Path, **settings: str) -> None:
    """The README's five commands, with a file that nobody prepared."""
    foreign_file(folder / "own.csv", 3000)
    risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml", **settings)
    own = {**settings, "RISK_CONTRACT": "own.yml"}
    risk("land", "own.csv", "--from", "2026-02-01", "--days", "10", **own)
    assert "model_v001 (live)" in risk("train", "2026-02-08", **own).stdout
    done = risk("run", "2026-02-09", "--until", "2026-02-10", **own)
    assert done.stdout.count("300") >= 4


def test_a_teams_own_file_is_served_on_disk(risk: Risk, folder: Path) -> None:
    bring_own_data(risk, folder, RISK_LAKE="file://" + str(folder / "own lake"), RISK_LANDING=str(folder / "own landing"))
    contract = (folder / "own.yml").read_text(encoding="utf-8")
    assert "Bad" in contract and "months late" in contract
    lines = (folder / "own lake/curated/accounts_2026-02-10_predictions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("002700,")
    assert len(lines) == 301


def test_a_teams_own_file_is_served_on_azurite(risk: Risk, folder: Path, azurite: Azurite) -> None:
    azurite.create_container("own")
    bring_own_data(
        risk, folder,
        RISK_LAKE="az://own/book", RISK_LANDING="az://own/landing", AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string,
    )  # fmt: skip
    assert not (folder / "lakehouse").exists()


def test_an_inferred_contract_is_never_written_over_edits(risk: Risk, folder: Path) -> None:
    foreign_file(folder / "own.csv", 300)
    (folder / "own.yml").write_text("edited\n", encoding="utf-8")
    done = risk("contract", "infer", "own.csv", "--id", "client id", "--target", "outcome", "--out", "own.yml", code=1)
    assert "exists already" in done.stderr
    assert (folder / "own.yml").read_text(encoding="utf-8") == "edited\n"


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Yield `risk serve` in the folder, once it answers, and a client to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(RISK), "serve", "--port", port]
    with (
        subprocess.Popen(command, cwd=folder, env=without_settings() | settings, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        try:
            wait_until_it_answers(process, client)
            yield process, client
        finally:
            process.kill()


def wait_until_it_answers(process: subprocess.Popen[str], client: httpx.Client) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client.get("/health/live")
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < end, "risk serve does not answer"
            time.sleep(0.05)
        else:
            return


def test_serve_answers_at_its_port_until_it_is_told_to_stop(folder: Path) -> None:
    with serving(folder, RISK_LAKE=str(folder / "lake")) as (process, client):
        assert client.get("/health/live").status_code == 200
        assert client.post("/predict", json={"records": [{}]}).status_code == 503
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=STOP_SECONDS)
        assert process.returncode == 0
        assert "Traceback" not in errors


def test_a_token_that_is_made_is_let_in_and_no_other(risk: Risk, folder: Path) -> None:
    made, entry = (line.strip() for line in risk("token", "batch", "--role", "score").stdout.splitlines() if line.startswith("  "))
    with serving(folder, RISK_LAKE=str(folder / "lake"), RISK_SERVE_TOKENS=entry.removeprefix("RISK_SERVE_TOKENS=")) as (_, client):
        codes = [client.post("/predict", json={"records": [{}]}, headers=headers).status_code for headers in (
            {"Authorization": f"Bearer {made}"}, {"Authorization": f"Bearer {made[:-1]}"}, {},
        )]  # fmt: skip
    assert codes == [503, 401, 401]  # let in, there is no model yet


def test_the_demo_runs_the_sample_book_and_shows_what_it_made(risk: Risk, folder: Path) -> None:
    for kind, last in (("accounts", 8), ("outcomes", 6)):
        for day in range(1, last + 1):
            name = f"{kind}_2026-01-{day:02d}.csv"
            shutil.copy(sample(name), folder / "data/landing" / name)
    shown = risk("demo").stdout
    for text in (
        "Snapshots",
        "2026-01-08",
        "model_v001 (live)",
        "AUC",
        "The 10 riskiest accounts of 2026-01-08",
        "What to do next",
        "make ui",
    ):
        assert text in shown
