"""Policy and contract under governance: what is bound decides, in each run, and a past date is scored as it was then."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from risk_assets.cli.jobs import REGISTERING, refresh
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.values import values_digest
from risk_assets.lake import binding_log, document_archive, documents, layout, registry
from risk_assets.lake.manifests import require_manifest
from risk_assets.lake.verify import verify_all
from risk_assets.reproduction import reproduce
from tests.conftest import CONTRACT, POLICY
from tests.defs.conftest import LABELLED, NEXT, Book
from tests.defs.test_governance import predicted

LOWER = "threshold: 0.1\n"
NARROW = ("max: 5000000", "max: 60000")
RULE = "  derived: {bad_when: {column: days_past_due, at_least: 5}, within_days: 1, when_gone: good}\n"
TARGET = '  column: defaulted\n  bad: "1"\n  good: "0"\n  matures_after_days: 0\n'


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    """The policy of tests with a lower cut-off."""
    path = tmp_path / "lower.yml"
    path.write_text(POLICY.read_text(encoding="utf-8") + LOWER, encoding="utf-8")
    return path


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return the file of an edited contract."""

    def edit(old: str, new: str) -> Path:
        path, text = tmp_path / "edited.yml", CONTRACT.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return edit


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the bindings' clock."""
    return lambda time: monkeypatch.setattr(binding_log, "utc_now", lambda: time)


def flagged(book: Book) -> int:
    return sum(row["prediction"] == "1" for row in predicted(book))


def curated(book: Book) -> dict[str, str]:
    """Return the version of every object of the curated zone."""
    return {entry.path: entry.version for entry in book.lake.entries("curated/")}


def decide_then(book: Book, at: Callable[[str], None]) -> None:
    """Let `model_v001` be live, with its documents, before the next date was due; and score that date."""
    book.lake.delete(layout.binding(1))
    at("2026-01-07T12:00:00+00:00")
    assert book.runner.govern(version="model_v001", reason="the first") is None
    book.land_sample(f"accounts_{NEXT}.csv")
    assert book.score().error is None
    at("2026-01-08T02:00:01+00:00")


def score_as_of(book: Book) -> None:
    assert book.runner.run("daily_scoring", NEXT, curated__predictions={"model": "as_of"}).error is None


# --- policy --------------------------------------------------------------------------------------------------------------


def test_an_edited_cut_off_has_no_effect_until_it_is_adopted(scored_book: Book, lower: Path) -> None:
    before, proposed = flagged(scored_book), scored_book.with_documents(policy=lower)
    assert proposed.score().error is None
    assert flagged(proposed) == before
    proposed.adopt("policy")
    assert proposed.score().error is None
    assert flagged(proposed) > 1.5 * before
    *_, earlier, now = binding_log.read(proposed.lake)
    assert (now.action, now.champion, now.reason, now.actor) == ("adopt_policy", "model_v001", "a test", "dagster")
    assert documents.changed_keys(proposed.lake, earlier, now) == ("policy: threshold",)
    assert binding_log.verify(proposed.lake) == []


@pytest.mark.long
def test_as_of_reproduces_a_date_across_a_policy_change(stored_versions: Book, lower: Path, at: Callable[[str], None]) -> None:
    decide_then(stored_versions, at)
    paths = (layout.predictions(NEXT), layout.review(NEXT))
    then, count = [stored_versions.lake.get(path) for path in paths], flagged(stored_versions)
    proposed = stored_versions.with_documents(policy=lower)
    proposed.adopt("policy")
    assert proposed.score().error is None
    assert flagged(proposed) > 1.5 * count
    score_as_of(proposed)
    assert [proposed.lake.get(path) for path in paths] == then
    made_from = require_manifest(proposed.lake, layout.predictions(NEXT)).made_from
    assert (made_from.binding, made_from.policy) == (1, binding_log.find(proposed.lake, 1).policy)


def test_training_uses_the_bound_policy(book: Book, tmp_path: Path) -> None:
    stricter = tmp_path / "stricter.yml"
    stricter.write_text(POLICY.read_text(encoding="utf-8").replace("min_rows: 100", "min_rows: 100000"), encoding="utf-8")
    proposed = book.with_documents(policy=stricter)
    assert proposed.runner.run("training", LABELLED[-1], "training/model").error is None
    proposed.adopt("policy")
    assert "too few" in str(proposed.runner.run("training", LABELLED[-1], "training/model").error)


def test_an_adoption_needs_a_reason_and_a_difference(book: Book, lower: Path, edited: Callable[[str, str], Path]) -> None:
    assert "requires a reason" in str(book.runner.govern(action="adopt_policy"))
    assert "there is nothing to adopt" in str(book.runner.govern(action="adopt_policy", reason="again"))
    assert "there is nothing to adopt" in str(book.runner.govern(action="adopt_contract", reason="again"))
    unknown = edited("features:\n", "features:\n  konto: {type: number, reason: The account}\n")
    refused = str(book.with_documents(contract=unknown).runner.govern(action="adopt_contract", reason="why"))
    assert f"accounts_{LABELLED[-1]}.csv, the newest raw file, has no column konto" in refused
    assert len(binding_log.read(book.lake)) == 1
    assert "no model is live" not in str(book.with_documents(policy=lower).runner.govern(action="adopt_policy", reason="why"))


def test_an_adoption_without_a_live_model_is_rejected(empty_book: Book) -> None:
    assert "the file of the policy is in force" in str(empty_book.runner.govern(action="adopt_policy", reason="why"))


def test_the_ui_shows_the_impact_of_an_adoption_and_files_that_differ(book: Book, lower: Path) -> None:
    assert book.score().error is None
    proposed = book.with_documents(policy=lower)
    proposed.adopt("policy")
    key = dg.AssetKey(["registry", "champion"])
    (event,) = book.runner.instance.fetch_materializations(key, limit=1).records
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["newly_flagged"].value > 0 and "bands" in metadata
    assert "policy: threshold" in str(metadata["history"].value)
    assert metadata["live_scored"].value == metadata["scored"].value == metadata["rows"].value
    assert "newly_scored_flagged" not in metadata
    assert "unused_policy_file" not in metadata
    book.adopt("policy")
    assert proposed.runner.run("training", LABELLED[-1]).error is None
    (event,) = book.runner.instance.fetch_materializations(key, limit=1).records
    assert event.asset_materialization is not None
    assert "lower.yml differs from the bound policy" in str(event.asset_materialization.metadata["unused_policy_file"].value)


# --- contract ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_as_of_reproduces_a_date_across_a_contract_change(
    stored_versions: Book, edited: Callable[[str, str], Path], at: Callable[[str], None]
) -> None:
    decide_then(stored_versions, at)
    then = stored_versions.lake.get(layout.predictions(NEXT))
    features = require_manifest(stored_versions.lake, layout.features(NEXT)).digest
    proposed = stored_versions.with_documents(contract=edited(*NARROW))
    assert proposed.score().error is None
    assert proposed.lake.get(layout.predictions(NEXT)) == then
    proposed.adopt("contract")
    (event,) = proposed.runner.instance.fetch_materializations(dg.AssetKey(["registry", "champion"]), limit=1).records
    assert event.asset_materialization is not None
    figures = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert figures["with_issues"] > figures["live_with_issues"] and figures["scored"] < figures["live_scored"]
    assert figures["no_longer_scored_flagged"] == figures["live_flagged"] - figures["flagged"]
    released = {"risk/release": "issue_share", "risk/release_by": "ann", "risk/release_reason": "a test"}
    assert proposed.runner.run("daily_scoring", NEXT, tags=released).error is None
    assert proposed.lake.get(layout.predictions(NEXT)) != then
    score_as_of(proposed)
    assert proposed.lake.get(layout.predictions(NEXT)) == then
    assert require_manifest(proposed.lake, layout.features(NEXT)).digest == features


def test_a_file_that_cannot_be_read_stops_only_what_needs_it(book: Book, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_bytes(b"\xff[")
    proposed = book.with_documents(contract=broken, policy=broken)
    assert proposed.score().error is None
    assert "broken.yml is not UTF-8 text" in str(proposed.runner.run("training", LABELLED[-1]).error)
    assert "broken.yml is not UTF-8 text" in str(proposed.runner.govern(action="adopt_policy", reason="why"))
    assert len(binding_log.read(book.lake)) == 1


def test_a_run_uses_the_documents_of_its_start(book: Book, lower: Path) -> None:
    lakehouse = book.lakehouse
    policy = Policy.parse(lower.read_text(encoding="utf-8"), "lower.yml")
    with lakehouse.opened():
        assert lakehouse.policy.threshold == 0.25
        book.with_documents(policy=lower).adopt("policy")
        assert lakehouse.policy.threshold == 0.25
    with lakehouse.opened():
        assert lakehouse.policy == policy


# --- a version of a contract that is not bound ---------------------------------------------------------------------------


@pytest.mark.long
def test_a_candidate_of_an_unbound_contract_leaves_the_curated_zone_alone(book: Book, edited: Callable[[str, str], Path]) -> None:
    before = curated(book)
    proposed = book.with_documents(contract=edited("max: 5000000", "max: 4000000"))
    assert refresh(proposed.runner, LABELLED[0], LABELLED[-1]) == []
    assert proposed.runner.run("training", LABELLED[-1]).error is None
    assert curated(book) == before
    (live,) = binding_log.read(book.lake)  # a contract is never changed automatically
    origin = registry.read_version(book.lake, "model_v002").metadata.origin
    assert origin.contract == proposed.settings.read_contract().digest != live.contract
    assert {layout.candidate_contract(path) for path in origin.inputs} == {origin.contract}
    assert len(origin.inputs) == 2 * len(LABELLED)
    assert reproduce(book.lake, "model_v002").identical
    assert not [problem for found in verify_all(book.lake) for problem in found.problems]

    made = {entry.path: entry.version for entry in book.lake.entries(f"{layout.CANDIDATES}/")}
    assert proposed.runner.run("training", LABELLED[-1], "training/model").error is None
    assert {entry.path: entry.version for entry in book.lake.entries(f"{layout.CANDIDATES}/")} == made  # reused

    assert proposed.runner.govern(version="model_v002", reason="a narrower range", override=True) is None
    now = binding_log.read(book.lake)[-1]
    assert (now.champion, now.contract, now.policy) == ("model_v002", origin.contract, live.policy)
    assert book.score().error is None
    manifest = require_manifest(book.lake, layout.features(NEXT))
    assert manifest.made_from.contract_values == values_digest(proposed.settings.read_contract())
    assert book.runner.govern(action="rollback", reason="back") is None
    assert binding_log.read(book.lake)[-1].contract == live.contract


def test_a_candidate_can_derive_outcomes_while_the_bound_contract_does_not(book: Book, edited: Callable[[str, str], Path]) -> None:
    before = curated(book)
    proposed = book.with_documents(contract=edited(TARGET, RULE))
    result = proposed.runner.run("training", LABELLED[-1], *REGISTERING)
    assert result.error is None
    assert curated(book) == before
    origin = registry.read_version(book.lake, "model_v002").metadata.origin
    assert (origin.performance_days, origin.matured_until) == (1, LABELLED[-2])
    assert reproduce(book.lake, "model_v002").identical


def test_other_wording_trains_on_the_curated_zone_and_waits_for_a_person(book: Book, edited: Callable[[str, str], Path]) -> None:
    proposed = book.with_documents(contract=edited("reason: Income is low", "reason: Your income is low"))
    assert proposed.runner.run("training", LABELLED[-1]).error is None
    assert book.lake.list(f"{layout.CANDIDATES}/") == ()
    assert [found.champion for found in binding_log.read(book.lake)] == ["model_v001"]
    assert proposed.runner.govern(version="model_v002", reason="another text") is None
    *_, before, now = binding_log.read(book.lake)
    (changed,) = documents.changed_keys(book.lake, before, now)
    assert changed.startswith("contract: features.") and changed.endswith(".reason")


def test_the_first_promotion_binds_the_documents_that_trained_the_version(book: Book) -> None:
    (first,) = binding_log.read(book.lake)
    origin = registry.read_version(book.lake, "model_v001").metadata.origin
    assert (first.policy, first.contract) == (origin.policy, origin.contract)
    assert document_archive.read(book.lake, Policy, first.policy) == book.settings.read_policy()
