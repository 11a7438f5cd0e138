"""`risk policy` and `risk contract`: what differs from the bound document, and its adoption with a reason."""

import io
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from risk_assets.cli.console import LiteralConsole
from risk_assets.cli.report import documents as report
from risk_assets.cli.report import governance
from risk_assets.domain.contract.differences import Difference
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import adopt_contract
from risk_assets.lake import binding_log, document_archive
from risk_assets.lake.store import open_store
from tests.cli.conftest import Risk
from tests.domain.governance.test_bindings import made

KONTO = "  konto: {type: number, required: true, reason: The account}\n"


def lower(folder: Path) -> None:
    """Edit the file of the policy: a lower cut-off."""
    with (folder / "data/policy.yml").open("a", encoding="utf-8") as file:
        file.write("threshold: 0.1\n")


def flagged(folder: Path) -> int:
    lines = (folder / "lakehouse/curated/accounts_2026-01-04_predictions.csv").read_text(encoding="utf-8").splitlines()
    position = lines[0].split(",").index("prediction")
    return sum(line.split(",")[position] == "1" for line in lines[1:])


def test_an_edited_policy_is_reported_and_used_after_its_adoption(on_scored: Risk, scored: Path) -> None:
    before = flagged(scored)
    assert "is the bound policy (binding 2, " in on_scored("policy").stdout
    lower(scored)
    note = "data/policy.yml differs from the bound policy and is not used (threshold). Compare them: risk policy."
    assert note in on_scored("run", "2026-01-04").text and note in on_scored("live").text
    assert flagged(scored) == before
    shown = on_scored("policy", "show").text
    assert "threshold" in shown and "0.25" in shown and "0.1" in shown and "risk policy adopt --reason WHY" in shown
    asked = on_scored("policy", "adopt", "--reason", "fewer losses", code=1).text
    assert "newly flagged" in asked and "model_v001 with the policy of the file" in asked and "Rows by band" in asked
    assert "stdin is not a terminal: review the text above, add --yes to the same command" in " ".join(asked.split())
    on_scored("policy", "adopt", "--reason", "fewer losses", "--by", "ann", "--yes")
    history = on_scored("history").stdout
    assert all(text in history for text in ("adopt_policy", "policy: threshold", "fewer losses", "ann"))
    assert "The chain is complete" in on_scored("history", "--verify").stdout
    assert "differs" not in on_scored("run", "2026-01-04").text
    assert flagged(scored) > 1.5 * before


def test_a_reason_is_printed_as_it_is(on_scored: Risk, scored: Path) -> None:
    lower(scored)
    decision = ("--reason", "closing [/x] a [link=http://e]b :bug: \x1b[31m\u202e", "--by", "[red]ann", "--yes")
    shown = (r"closing [/x] a [link=http://e]b :bug: \x1b[31m\u202e", "[red]ann")
    for done in (on_scored("policy", "adopt", *decision), on_scored("live")):
        assert all(text in done.text for text in shown)
    history = re.sub(r"\s", "", on_scored("history").stdout)  # long reasons are wrapped
    assert "[red]ann" in history and "[/x]" in history and r":bug:\x1b" in history and "\x1b" not in history
    assert "error: [/x].yml cannot be read" in on_scored("policy", code=1, RISK_POLICY="[/x].yml").text


@pytest.mark.parametrize("kind", ["policy", "contract"])
def test_an_identical_document_is_not_adopted(on_scored: Risk, kind: str) -> None:
    done = on_scored(kind, "adopt", "--reason", "x", code=1)
    assert f"the {kind} in the file is the one in force" in done.text and "nothing to adopt" in done.text


@pytest.mark.parametrize("kind", ["policy", "contract"])
def test_the_files_are_in_force_before_the_first_promotion(risk: Risk, kind: str) -> None:
    assert f"data/{kind}.yml is in force, because no model is live yet." in risk(kind).text
    assert "no model is live yet" in risk(kind, "adopt", "--reason", "x", code=1).text


def test_a_broken_contract_stops_training_and_not_scoring(on_scored: Risk, scored: Path) -> None:
    (scored / "data/contract.yml").write_text("id: [", encoding="utf-8")
    assert "data/contract.yml is not valid YAML" in on_scored("run", "2026-01-04").text
    for command in (("train", "2026-01-03"), ("contract",), ("contract", "adopt", "--reason", "x")):
        assert "data/contract.yml is not valid YAML" in on_scored(*command, code=1).text


def test_a_contract_that_does_not_fit_the_live_version_is_not_adopted(on_scored: Risk, scored: Path) -> None:
    path = scored / "data/contract.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("  utilisation:", "  utilization:"), encoding="utf-8")
    for more in ((), ("--yes",)):
        done = on_scored("contract", "adopt", "--reason", "x", *more, code=1)
        assert "model_v001 needs features that are not in the contract: utilisation (number)" in done.text


def test_the_impact_of_a_contract_is_measured_from_the_raw_files(on_scored: Risk, scored: Path) -> None:
    path = scored / "data/contract.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("max: 5000000", "max: 60000"), encoding="utf-8")
    done = on_scored("contract", "adopt", "--reason", "x", code=1)
    assert "model_v001 with the contract of the file against model_v001 with the bound contract" in done.text
    on_scored("contract", "adopt", "--reason", "x", "--yes")
    history = on_scored("history").text
    assert "adopt_contract" in history and "features" in history


def edit(folder: Path, old: str, new: str) -> None:
    """Edit the file of the contract."""
    path = folder / "data/contract.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_impact_of_a_contract_counts_what_each_side_scores(on_scored: Risk, scored: Path) -> None:
    edit(scored, "features:\n", "exclude:\n  - {column: annual_income, above: 60000, reason: rich}\nfeatures:\n")
    asked = on_scored("contract", "adopt", "--reason", "x", code=1).stdout
    cells = {label: row for label, *row in (re.split(" {2,}", line.strip()) for line in asked.splitlines())}
    figures = {label: [int(text) for text in row if text.isdigit()] for label, row in cells.items()}
    (scored_now, scored_before), (excluded, excluded_before) = figures["scored"], figures["not scored: not eligible"]
    assert excluded > excluded_before == 0
    assert scored_before - scored_now > 0
    flagged_now, flagged_before = figures["flagged"]
    gone, accounts = cells["flagged before and no longer scored"][0].split("(")
    assert flagged_before - flagged_now == int(gone) >= int(accounts.split()[0]) > 0


@pytest.mark.parametrize(("old", "new"), [("features:\n", f"features:\n{KONTO}"), ("id: account_id", "id: konto")])
def test_a_contract_with_a_column_that_no_file_has_is_not_adopted(on_scored: Risk, scored: Path, old: str, new: str) -> None:
    edit(scored, old, new)
    for more in ((), ("--yes",)):
        done = on_scored("contract", "adopt", "--reason", "x", *more, code=1)
        assert "raw/accounts_2026-01-05.csv, the newest raw file, has no column konto, which the contract of the file requires" in done.text
        assert "Remove it from the contract" in done.text and "risk run DATE" in done.text
    assert "adopt_contract" not in on_scored("history").stdout


def test_a_contract_that_fits_replaces_one_that_does_not(on_scored: Risk, scored: Path) -> None:
    edit(scored, "features:\n", f"features:\n{KONTO}")
    lake = open_store(str(scored / "lakehouse"))
    broken = Contract.parse((scored / "data/contract.yml").read_text(encoding="utf-8"), "contract.yml")
    document_archive.archive(lake, broken)
    binding_log.write(lake, adopt_contract(binding_log.read(lake), broken.digest, "ann", "a mistake"))
    edit(scored, "max: 5000000", "max: 60000")
    assert "--yes adopts without it" in on_scored("contract", "adopt", "--reason", "x", code=1).text  # the same lack
    edit(scored, KONTO, "")
    asked = on_scored("contract", "adopt", "--reason", "x", code=1)
    assert "The impact is not measured: raw/accounts_2026-01-05.csv, the newest raw file, has no column konto" in asked.text
    assert "which the contract in force requires" in asked.text and "--yes adopts without it" in asked.text
    on_scored("contract", "adopt", "--reason", "x", "--yes")
    assert on_scored("history").stdout.count("adopt_contract") == 2


def test_a_promotion_shows_that_the_contract_changes(on_trained: Risk, trained: Path) -> None:
    path = trained / "data/contract.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("max: 5000000", "max: 4000000"), encoding="utf-8")
    done = on_trained("train", "2026-01-03")
    assert "model_v003 was trained under another contract than the one in force" in done.text
    assert "Next: risk promote model_v003 --reason WHY" in done.text
    assert "model_v001" in on_trained("live").stdout
    asked = on_trained("promote", "model_v003", "--reason", "x", code=1).text
    assert "The contract changes too, to the one that model_v003 was trained with: features." in asked
    assert "model_v003 against model_v001" in asked
    assert "model_v001 cannot be compared: the contract lacks a feature that it needs or reads it in another way" in asked
    on_trained("promote", "model_v003", "--reason", "x", "--yes", "--override")
    assert "is the bound contract" in on_trained("contract").text


def test_brackets_in_values_are_printed_as_they_are() -> None:
    console = LiteralConsole(file=io.StringIO(), width=160)
    report.differences(console, "contract", Path("[a]/c.yml"), made("promote 1")[0], [Difference("x [b]", "[bold]", "[gone; left]")])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert all(text in shown for text in ("[a]/c.yml differs", "x [b]", "[bold]", "[gone; left]"))


def test_history_has_overrides_and_the_second_name() -> None:
    binding = replace(made("promote 1")[0], overrides=("stability",), approved_by="bob")
    console = LiteralConsole(file=io.StringIO(), width=160)
    governance.history(console, [binding], [()])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "override: stability" in shown and "approved by bob" in shown
