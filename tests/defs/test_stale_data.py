"""Data that changed since it was stored: training refreshes it or stops, and replaced predictions are kept."""

from pathlib import Path

import dagster as dg
import pytest

from risk_assets.cli.jobs import refresh
from risk_assets.clock import utc_now
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.contract.values import values_digest
from risk_assets.lake import layout, registry
from risk_assets.lake.manifests import find_manifest
from risk_assets.runner import Result, Runner
from tests.conftest import ROOT
from tests.defs.conftest import LABELLED, NEXT, Book


def flip(book: Book, date: str) -> None:
    """Land a date's outcomes again with every label flipped."""
    header, *lines = book.landing.get(f"outcomes_{date}.csv").decode().splitlines()
    flipped = [line[:-1] + {"0": "1", "1": "0"}[line[-1]] if line[-1] in "01" else line for line in lines]
    book.land(f"outcomes_{date}.csv", "\n".join([header, *flipped, ""]).encode())


def with_contract(book: Book, change: tuple[str, str], path: str) -> Book:
    """Return the book under a changed contract."""
    text = (ROOT / "data/contract.yml").read_text(encoding="utf-8")
    assert change[0] in text
    changed = book.settings.dagster_home.parent / path
    changed.write_text(text.replace(*change), encoding="utf-8")
    return book.with_documents(contract=changed)


def train_with_restatements(book: Book, *assets: str) -> Result:
    """Train with outcomes as they are known today."""
    return book.runner.run("training", LABELLED[-1], *assets, training__model={"known_by": utc_now()[:10]})


def test_flipped_labels_change_a_training_that_knows_them(book: Book) -> None:
    before = registry.read_version(book.lake, "model_v001").metrics.bad_rate_train
    for date in LABELLED[:2]:
        flip(book, date)
    result = train_with_restatements(book, "training/model", "registry/model_version")
    assert result.status == "warning", result.error
    version = registry.read_version(book.lake, "model_v002")
    assert version.metrics.bad_rate_train > before + 0.2
    assert (version.metadata.origin.known_by, version.metadata.origin.left_out) == (utc_now()[:10], 0)


def test_a_past_date_trains_the_same_model_after_a_restatement(book: Book) -> None:
    before = registry.read_scorecard(book.lake, "model_v001").scorecard
    for date in LABELLED[:2]:
        flip(book, date)
    result = book.runner.run("training", LABELLED[-1], "training/model", "registry/model_version")
    assert registry.read_scorecard(book.lake, "model_v002").scorecard == before
    origin = registry.read_version(book.lake, "model_v002").metadata.origin
    assert origin.left_out > 500 and origin.left_out_until == utc_now()[:10]
    (warning,) = (text for text in result.warnings if "training_outcomes" in text)
    assert f"outcomes were left out: they became known after {LABELLED[-1]}" in warning
    assert f"risk train {LABELLED[-1]} --known-by {utc_now()[:10]}" in warning


def test_the_error_says_how_to_train_with_corrected_outcomes(book: Book) -> None:
    """Wrong files were stored first, for every date."""
    right = {date: book.landing.get(f"outcomes_{date}.csv") for date in LABELLED}
    for date in LABELLED:
        for path in (layout.outcomes(date), layout.curated_outcomes(date)):
            book.lake.delete(layout.manifest(path))
        flip(book, date)
    assert "labels in the contract" in str(book.runner.run("training", LABELLED[-1]).error)
    for date, content in right.items():
        book.land(f"outcomes_{date}.csv", content)
    blocked = book.runner.run("training", LABELLED[-1])
    assert f"To train with them: risk train {LABELLED[-1]} --known-by {utc_now()[:10]}" in str(blocked.error)


def test_training_reports_the_outcomes_that_it_stored(book: Book) -> None:
    flip(book, LABELLED[0])
    assert book.runner.run("training", LABELLED[-1], "training/model").error is None
    for zone in ("raw", "curated"):
        events = book.runner.instance.fetch_materializations(dg.AssetKey([zone, "outcomes"]), limit=10).records
        assert {event.partition_key for event in events} == {LABELLED[0]}


def test_training_stops_and_names_dates_whose_accounts_changed(book: Book) -> None:
    for date in LABELLED[:2]:
        name = f"accounts_{date}.csv"
        book.land(name, book.landing.get(name).replace(b",north,", b",south,"))
    error = book.runner.run("training", LABELLED[-1]).error
    assert error is not None
    assert f"accounts landed again for {LABELLED[0]}, {LABELLED[1]}" in error and "risk train DATE" in error
    assert [version.name for version in registry.versions(book.lake)] == ["model_v001"]


def test_bringing_in_refreshes_only_what_changed(book: Book) -> None:
    assert refresh(book.runner, LABELLED[0], LABELLED[-1]) == []
    name = f"accounts_{LABELLED[1]}.csv"
    book.land(name, book.landing.get(name).replace(b",north,", b",south,"))
    assert [result.date for result in refresh(book.runner, LABELLED[0], LABELLED[-1])] == [LABELLED[1]]
    assert refresh(book.runner, LABELLED[0], LABELLED[-1]) == []


@pytest.mark.parametrize(
    "change", [("reason: Income is low", "reason: Your income"), ("# before tax", "# after tax"), ("risk: down", "risk: up")]
)
def test_wording_of_the_contract_does_not_make_data_stale(book: Book, change: tuple[str, str]) -> None:
    assert refresh(with_contract(book, change, "worded.yml").runner, LABELLED[0], LABELLED[-1]) == []


def test_features_of_another_contract_are_refreshed(book: Book) -> None:
    other = with_contract(book, ("max: 5000000", "max: 60000"), "narrow.yml")
    assert refresh(other.runner, LABELLED[0], LABELLED[-1]) == []
    other.adopt("contract")
    error = other.runner.run("training", LABELLED[-1]).error
    assert error is not None
    assert f"curated/features of {', '.join(LABELLED)} was made under another contract" in error
    assert [result.date for result in refresh(other.runner, LABELLED[0], LABELLED[-1])] == list(LABELLED)
    assert other.runner.run("training", LABELLED[-1], "training/model").error is None


def test_a_feature_added_to_the_contract_is_named(book: Book) -> None:
    added = with_contract(book, ("features:\n", "features:\n  postcode: {type: category, reason: Postcode}\n"), "added.yml")
    error = added.runner.run("training", LABELLED[-1]).error
    assert error is not None
    assert f"raw/accounts_{LABELLED[0]}.csv has no column postcode" in error and "malformed" not in error


def test_the_values_digest_ignores_reason_texts(contract: Contract) -> None:
    feature = contract.features["open_accounts"].model_copy(update={"reason_missing": "new", "reason_low": "new", "reason_high": "new"})
    changed = contract.model_copy(update={"features": contract.features | {"open_accounts": feature}})
    assert values_digest(changed) == values_digest(contract)


def test_the_values_digest_ignores_the_order_of_keys(contract: Contract) -> None:
    shuffled = Contract.model_validate(contract.model_dump() | {"features": dict(reversed(contract.model_dump()["features"].items()))})
    assert values_digest(shuffled) == values_digest(contract)
    assert shuffled.digest != contract.digest


def test_scoring_other_input_keeps_the_replaced_predictions(scored_book: Book) -> None:
    lake = scored_book.lake
    first = lake.get(layout.predictions(NEXT))
    manifest = find_manifest(lake, layout.predictions(NEXT))
    assert manifest is not None
    assert scored_book.score().error is None
    assert not lake.list("curated/superseded/")
    scored_book.land(f"accounts_{NEXT}.csv", scored_book.landing.get(f"accounts_{NEXT}.csv").replace(b",north,", b",south,"))
    assert scored_book.score().error is None
    kept = layout.superseded(layout.predictions(NEXT), manifest.digest)
    assert lake.get(kept) == first
    assert lake.size(layout.manifest(kept)) is not None


def test_a_step_that_is_executed_again_does_not_read_earlier_bytes(book: Book) -> None:
    first = book.landing.get(f"accounts_{NEXT}.csv")
    assert book.runner.run("daily_scoring", NEXT, "raw/accounts").error is None
    book.land(f"accounts_{NEXT}.csv", first.replace(b",north,", b",south,"))
    error = book.runner.run("daily_scoring", NEXT, "curated/features").error
    assert error is not None and f"other accounts have landed for {NEXT}" in error and f"risk run {NEXT}" in error
    assert book.score().error is None


def test_labels_the_wrong_way_round_block_training(book: Book) -> None:
    for date in LABELLED:
        flip(book, date)
    blocked = train_with_restatements(book)
    assert blocked.status == "blocked"
    assert blocked.error is not None and "training_outcomes of training/model: bad rate" in blocked.error
    assert [version.name for version in registry.versions(book.lake)] == ["model_v001"]
    assert (book.log()[-1]["job"], book.log()[-1]["status"]) == ("training", "blocked")


def test_a_target_read_the_other_way_round_blocks_training(book: Book, tmp_path: Path) -> None:
    text = book.settings.contract.read_text(encoding="utf-8")
    other = text.replace('bad: "1"', 'bad: "x"').replace('good: "0"', 'good: "1"').replace('bad: "x"', 'bad: "0"')
    assert other != text
    (tmp_path / "other.yml").write_text(other, encoding="utf-8")
    settings = book.settings.model_copy(update={"contract": tmp_path / "other.yml"})
    blocked = Runner(settings, book.runner.instance).run("training", LABELLED[-1])
    assert blocked.status == "blocked" and blocked.error is not None and "labels in the contract" in blocked.error


def test_training_warns_about_the_outcomes_of_a_date(book: Book) -> None:
    header, *rows = book.landing.get(f"outcomes_{LABELLED[1]}.csv").splitlines(keepends=True)
    book.land(f"outcomes_{LABELLED[1]}.csv", b"".join([header, rows[0][:-2] + b"?\n", *rows[1:]]))
    warned = book.runner.run("training", LABELLED[-1])
    assert warned.error is None and warned.status == "warning"
    assert any("training_outcomes of training/model: " in text and LABELLED[1] in text for text in warned.warnings)
    assert (book.log()[-1]["job"], book.log()[-1]["status"]) == ("training", "warning")
