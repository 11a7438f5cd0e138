"""`risk verify`, `risk replay` and `risk explain`: files are compared with their hashes, scores are recomputed."""

import re
from pathlib import Path

from tests.cli.conftest import Risk, sample


def test_replay_agrees_with_every_row(on_scored: Risk) -> None:
    assert on_scored("replay", "2026-01-04", "--until", "2026-01-05").stdout.count("every row") == 2


def test_verify_names_every_changed_file(on_scored: Risk, scored: Path) -> None:
    assert "Every file is as it was written." in on_scored("verify", "--all").stdout
    assert "Every file is as it was written." in on_scored("verify", "2026-01-04").stdout
    raw, features = "raw/accounts_2026-01-04.csv", "curated/accounts_2026-01-05_features.parquet"
    for name in (raw, features):
        path = scored / "lakehouse" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    done = on_scored("verify", "--all", code=1).stdout
    assert f"different: {raw} was changed since it was written" in done
    assert f"different: {features} was changed since it was written" in done
    assert raw in on_scored("verify", "2026-01-04", code=1).stdout
    assert raw in on_scored("replay", "2026-01-04", code=1).stdout


def test_verify_requires_a_date_or_all(on_scored: Risk) -> None:
    assert "give either DATE or --all" in on_scored("verify", code=2).text
    assert "give either DATE or --all" in on_scored("verify", "2026-01-04", "--all", code=2).text
    assert "risk run 2026-01-20" in on_scored("verify", "2026-01-20", code=1).text


def test_replay_names_changed_rows_and_files(on_scored: Risk, scored: Path) -> None:
    path = scored / "lakehouse/curated/accounts_2026-01-04_predictions.csv"
    path.write_bytes(path.read_bytes().replace(b"AC000003", b"AC000009", 1))
    done = on_scored("replay", "2026-01-04", code=1).stdout
    assert "account_id (1 row), first in row 3" in done and "was changed since it was written" in done


def test_explain_shows_stored_and_recomputed_scores(on_scored: Risk, scored: Path) -> None:
    account = (scored / "lakehouse/curated/accounts_2026-01-05_review.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    explained = on_scored("explain", "2026-01-05", account.strip('"')).stdout
    assert "recomputed" in explained and "excess over reference" in explained and "utilisation" in explained


def test_explain_shows_texts_of_a_file_as_they_are(on_scored: Risk, scored: Path) -> None:
    path = scored / "data/landing/accounts_2026-01-06.csv"
    text = sample("accounts_2026-01-06.csv").read_text(encoding="utf-8")
    account = re.search(r"^(\w+),.*,(east),", text, re.MULTILINE)
    assert account is not None
    path.write_text(
        text.replace(account[0], account[0].replace(account[1], "A[/x]\u202e").replace("east", "[/y] :bug:"), 1), encoding="utf-8"
    )
    on_scored("run", "2026-01-06")
    explained = on_scored("explain", "2026-01-06", "A[/x]\u202e").stdout
    assert r"A[/x]\u202e" in explained and "[/y] :bug:" in explained
    unknown = on_scored("explain", "2026-01-06", "[/z] :bug: \x1b", code=1).text
    assert "no account with this id" in unknown and "\x1b" not in unknown


def test_explain_of_a_date_that_is_not_scored_names_the_command(on_trained: Risk) -> None:
    assert "Run the date: risk run 2026-01-04, or" in on_trained("explain", "2026-01-04", "AC000001", code=1).text
    assert "Run the date: risk run 2026-01-04, or" in on_trained("replay", "2026-01-04", code=1).text


def test_explain_reports_an_unknown_account(on_scored: Risk) -> None:
    assert "no account with this id" in on_scored("explain", "2026-01-05", "nobody", code=1).text
