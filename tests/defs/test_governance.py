"""A week with two versions: challenge, impact, promotion, rollback, replay and explanation."""

import csv
import dataclasses
import hashlib
import io
import json
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest
import yaml

from risk_assets.definitions import build
from risk_assets.defs.assets.model import _figures
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import binding_log, layout, registry, replay
from risk_assets.lake.manifests import find_manifest
from risk_assets.lake.tables import read_table
from risk_assets.lake.verify import verify_date
from risk_assets.promotion import gates_now, measure_again
from risk_assets.runner import Runner
from risk_assets.settings import Settings
from tests.defs.conftest import LABELLED, NEXT, Book

SECOND = "model_v002"


def predicted(book: Book, date: str = NEXT) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(book.lake.get(layout.predictions(date)).decode())))


def flip(book: Book, path: str, old: bytes, new: bytes) -> None:
    content = book.lake.get(path)
    assert old in content and len(old) == len(new)
    book.lake.put(path, content.replace(old, new, 1))


def test_register_only_leaves_the_champion_live(two_versions: Book) -> None:
    first, second = registry.versions(two_versions.lake)
    assert (first.metadata.origin.estimator, second.metadata.origin.estimator) == ("logistic", "scorecard")
    assert second.metrics.champion_version == "model_v001"
    low, high = second.metrics.auc_gain or (0, 0)
    assert low <= second.metrics.roc_auc - first_auc(two_versions) <= high
    assert [found.champion for found in binding_log.read(two_versions.lake)] == ["model_v001"]
    kinds = {type(term.shape).__name__ for term in registry.read_scorecard(two_versions.lake, SECOND).scorecard.terms}
    assert kinds == {"Steps", "Levels"}


def first_auc(book: Book) -> float:
    champion = registry.read_version(book.lake, SECOND).metrics.champion_other_accounts
    assert champion is not None
    return champion.roc_auc


def test_both_trains_two_estimators_and_registers_the_better(book: Book) -> None:
    assert book.runner.run("training", LABELLED[-1], training__model={"estimator": "both"}).error is None
    newest = registry.read_version(book.lake, SECOND)
    assert set(newest.metrics.considered) == {"logistic", "scorecard"}
    auc = {name: found.roc_auc for name, found in newest.metrics.considered.items() if found}
    best = max(auc, key=lambda name: auc[name])
    simpler = auc["logistic"] >= max(auc.values()) - 0.005
    assert newest.metadata.origin.estimator == ("logistic" if simpler else best)


def test_metadata_of_a_training_shows_both_holdouts(book: Book) -> None:
    trained = registry.read_trained(book.lake, LABELLED[-1])
    shown, later = _figures(trained), trained.metrics.later_dates
    assert later is not None
    assert (shown["roc_auc"], shown["later_roc_auc"]) == (trained.metrics.roc_auc, later.roc_auc)
    assert all(text in shown["holdouts"].value for text in ("other accounts", "later dates", "accuracy (base rate)"))
    alone = dataclasses.replace(
        trained,
        metrics=msgspec.structs.replace(trained.metrics, later_dates=None),
        origin=msgspec.structs.replace(trained.origin, holdout_dates=()),
    )
    single = _figures(alone)
    assert {single[name] for name in ("later_roc_auc", "later_roc_auc_interval", "holdout_dates")} == {"one date only"}


@pytest.mark.parametrize(
    ("job", "ops"),
    [
        ("training", {"training__model": {"config": {"estimator": "forest"}}}),
        ("governance", {"registry__champion": {"config": {"action": "crown", "reason": "x"}}}),
    ],
)
def test_the_launchpad_rejects_unknown_choices(disk_settings: Settings, job: str, ops: dict[str, object]) -> None:
    definition = build(disk_settings).resolve_job_def(job)
    assert not dg.validate_run_config(definition, {"ops": {}}).get("errors")
    with pytest.raises(dg.DagsterInvalidConfigError, match="not in enum type"):
        dg.validate_run_config(definition, {"ops": ops})


def test_impact_counts_accounts_with_another_decision(two_versions: Book) -> None:
    impact = json.loads(two_versions.lake.get(f"registry/{SECOND}/impact.json"))
    assert (impact["candidate"], impact["against"]) == (SECOND, "model_v001")
    assert impact["dates"] == list(LABELLED)
    accounts = list(csv.DictReader(io.StringIO(two_versions.lake.get(f"registry/{SECOND}/impact_accounts.csv").decode())))
    changes = [row["change"] for row in accounts]
    assert (changes.count("newly flagged"), changes.count("no longer flagged")) == (impact["newly_flagged"], impact["no_longer_flagged"])
    assert changes
    assert sum(sum(row.values()) for row in impact["migration"].values()) == impact["rows"]
    scorable = [
        read_table(two_versions.lake, layout.features(date)).filter(pl.col("issues").is_null()).collect().height for date in LABELLED
    ]
    assert impact["rows"] == sum(scorable)


def test_run_history_contains_no_rare_level(recorded_book: Book) -> None:
    rare = b"TOPSECRETCHANNEL"
    date = LABELLED[0]
    header, *rows = recorded_book.landing.get(f"accounts_{date}.csv").splitlines(keepends=True)
    at = header.decode().strip().split(",").index("channel")
    cells = [row.strip().split(b",") for row in rows[:6]]
    changed = [b",".join([*row[:at], rare, *row[at + 1 :]]) + b"\n" for row in cells]
    recorded_book.land(f"accounts_{date}.csv", b"".join([header, *changed, *rows[6:]]))
    assert recorded_book.runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
    recorded_book.register_scorecard()
    assert rare in recorded_book.lake.get(f"registry/{SECOND}/{layout.STEPS}")
    assert rare in recorded_book.lake.get(f"registry/{SECOND}/{layout.IMPACT}")
    assert recorded_book.history_contains(date.encode())
    assert not recorded_book.history_contains(rare)


def test_a_shadow_writes_its_probability_and_decides_nothing(two_versions: Book) -> None:
    assert two_versions.score().error is None
    before = predicted(two_versions)
    assert two_versions.runner.govern(action="challenge", version=SECOND, reason="a second look") is None
    assert two_versions.score().error is None
    after = predicted(two_versions)
    unchanged = ("account_id", "probability", "prediction", "points", "band", "reason_1", "arm", "model_version", "issues")
    assert [[row[name] for name in unchanged] for row in after] == [[row[name] for name in unchanged] for row in before]
    assert {row["challenger_probability"] for row in before} == {""}
    assert all(bool(row["challenger_probability"]) == bool(row["probability"]) for row in after)
    logged = two_versions.log()[-1] if two_versions.log()[-1]["challenger"] else two_versions.log()[0]
    assert (logged["model_version"], logged["challenger"], logged["challenger_scored"]) == ("model_v001", SECOND, "0")
    known = [float(row["challenger_probability"]) for row in after if row["challenger_probability"]]
    assert float(logged["challenger_mean_score"]) == pytest.approx(sum(known) / len(known))


def test_a_challenger_decides_its_share_of_the_accounts(two_versions: Book) -> None:
    assert two_versions.runner.govern(action="challenge", version=SECOND, share=0.3, reason="on live accounts") is None
    assert two_versions.score().error is None
    salt = binding_log.read(two_versions.lake)[-1].salt
    for row in predicted(two_versions):
        if row["issues"]:
            continue
        place = int.from_bytes(hashlib.sha256(f"{salt}:{row['account_id']}".encode()).digest()[:8], "big") / 2**64
        assert row["arm"] == ("challenger" if place < 0.3 else "champion")
        assert row["model_version"] == (SECOND if place < 0.3 else "model_v001")
    assert {row["arm"] for row in predicted(two_versions)} == {"champion", "challenger"}
    assert replay.replay(two_versions.lake, NEXT).agrees


def test_a_second_promotion_of_a_version_is_rejected(two_versions: Book) -> None:
    assert two_versions.runner.govern(version=SECOND, reason="better", actor="ann") is None
    error = two_versions.runner.govern(version=SECOND, reason="better", actor="bob")
    assert error is not None and "already live" in error
    assert [(found.champion, found.actor) for found in binding_log.read(two_versions.lake)][-1] == (SECOND, "ann")


def test_promote_roll_back_and_promote_again(two_versions: Book) -> None:
    assert two_versions.runner.govern(version=SECOND, reason="better on every holdout") is None
    assert two_versions.runner.govern(action="rollback", reason="too many flagged") is None
    assert two_versions.runner.govern(version=SECOND, reason="flags were right") is None
    found = binding_log.read(two_versions.lake)
    assert [one.champion for one in found] == ["model_v001", SECOND, "model_v001", SECOND]
    assert [one.action for one in found] == ["promote", "promote", "rollback", "promote"]
    assert binding_log.verify(two_versions.lake) == []


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"version": "model_v001"}, "requires a reason"),
        ({"version": "model_v001", "reason": "x", "actor": " "}, "requires the name of the person who decides"),
        ({"version": "model_v001", "reason": "again"}, "already live"),
        ({"version": "model_v009", "reason": "x"}, "not in the lake"),
        ({"version": "latest", "reason": "x"}, "is not a version"),
        ({"action": "rollback", "reason": "x"}, "no earlier version"),
        ({"action": "challenge", "version": "model_v001", "reason": "x"}, "cannot challenge itself"),
        ({"action": "challenge", "reason": "x"}, "requires a version"),
        ({"action": "end_challenge", "reason": "x"}, "nothing to end"),
    ],
)
def test_an_invalid_governance_config_changes_nothing(book: Book, choice: dict[str, str], says: str) -> None:
    error = book.runner.govern(**choice)
    assert error is not None and says in error, error
    assert len(binding_log.read(book.lake)) == 1


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 7.0])
def test_a_share_outside_0_and_1_is_rejected(two_versions: Book, share: float) -> None:
    error = two_versions.runner.govern(action="challenge", version=SECOND, share=share, reason="x")
    assert error is not None and "between 0 and 1" in error


def under(book: Book, folder: Path, **promotion: object) -> Runner:
    """Return a runner under a policy with other rules of promotion, which is in force."""
    policy = yaml.safe_load(book.settings.policy.read_text(encoding="utf-8"))
    policy["promotion"] |= promotion
    path = folder / f"policy-{len(list(folder.glob('policy-*')))}.yml"
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    runner = Runner(book.settings.model_copy(update={"policy": path}), book.runner.instance)
    if binding_log.live(book.lake):
        assert runner.govern(action="adopt_policy", reason="a test") is None
    return runner


def champions(book: Book) -> set[str]:
    """Return the versions that have been live."""
    return {found.champion for found in binding_log.read(book.lake)}


def test_a_gate_is_measured_under_the_policy_of_now(two_versions: Book, tmp_path: Path) -> None:
    assert registry.read_version(two_versions.lake, SECOND).metadata.gates.passed
    strict = under(two_versions, tmp_path, min_roc_auc=0.99)
    error = strict.govern(version=SECOND, reason="we need it")
    assert error is not None and "discrimination (failed: AUC" in error and "--override" in error
    fixed = under(two_versions, tmp_path, min_roc_auc=0.99, override=["stability"])
    error = fixed.govern(version=SECOND, reason="we need it", override=True)
    assert error is not None and "does not allow to override discrimination" in error
    assert champions(two_versions) == {"model_v001"}
    assert under(two_versions, tmp_path, min_roc_auc=0.98).govern(version=SECOND, reason="we need it", override=True) is None
    assert binding_log.read(two_versions.lake)[-1].overrides == ("discrimination",)


def test_an_undecided_gate_needs_an_override(two_versions: Book, tmp_path: Path) -> None:
    runner = under(two_versions, tmp_path, max_calibration_ratio=1.05)
    error = runner.govern(version=SECOND, reason="better")
    assert error is not None and "calibration (undecided: " in error and "more bad accounts or customers among the other accounts" in error
    assert runner.govern(version=SECOND, reason="better", override=True) is None
    assert binding_log.read(two_versions.lake)[-1].overrides == ("calibration",)


def test_a_second_name_is_recorded_in_the_binding(two_versions: Book, tmp_path: Path) -> None:
    runner = under(two_versions, tmp_path, second_name="always")
    error = runner.govern(version=SECOND, reason="better", actor="ann")
    assert error is not None and "--approved-by" in error
    error = runner.govern(version=SECOND, reason="better", actor="ann", approved_by="Ann")
    assert error is not None and "another" in error
    assert runner.govern(version=SECOND, reason="better", actor="ann", approved_by="bob") is None
    weaker = runner.settings.policy.with_name("weaker.yml")
    weaker.write_text(runner.settings.policy.read_text(encoding="utf-8").replace("always", "never"), encoding="utf-8")
    runner = Runner(runner.settings.model_copy(update={"policy": weaker}), two_versions.runner.instance)
    error = runner.govern(action="adopt_policy", reason="simpler", actor="ann")
    assert error is not None and "--approved-by" in error
    newest = binding_log.read(two_versions.lake)[-1]
    assert (newest.champion, newest.actor, newest.approved_by) == (SECOND, "ann", "bob")


def test_a_version_of_changed_tables_cannot_be_measured(two_versions: Book) -> None:
    path = layout.curated_outcomes(LABELLED[0])
    two_versions.lake.delete(f"{path}.manifest.json")
    error = two_versions.runner.govern(version=SECOND, reason="better")
    assert error is not None and f"{path} was changed since the training or is missing" in error
    assert "discrimination (undecided" in error and "stability" not in error
    assert two_versions.runner.govern(version=SECOND, reason="better", override=True) is None
    assert "not_worse_than_live" in binding_log.read(two_versions.lake)[-1].overrides


def test_a_registered_version_never_goes_live_by_a_later_training(two_versions: Book, tmp_path: Path) -> None:
    """The later candidate fails a gate; the registered version had passed those of its own day."""
    assert registry.read_version(two_versions.lake, SECOND).metadata.gates.passed
    strict = under(two_versions, tmp_path, min_roc_auc=0.99)
    assert strict.run("training", LABELLED[-1]).error is None
    assert strict.govern() is None
    assert champions(two_versions) == {"model_v001"}


def test_a_training_in_manual_mode_succeeds_and_waits(book: Book, tmp_path: Path) -> None:
    done = under(book, tmp_path, mode="manual").run("training", LABELLED[-1])
    assert (done.error, done.warnings) == (None, ())
    assert champions(book) == {"model_v001"}
    assert registry.read_version(book.lake, SECOND).metadata.gates.passed


@pytest.mark.long
def test_a_first_training_that_is_undecided_succeeds_and_waits(empty_book: Book, tmp_path: Path) -> None:
    for date in LABELLED:
        empty_book.land_sample(f"accounts_{date}.csv", f"outcomes_{date}.csv")
        assert empty_book.runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
    done = under(empty_book, tmp_path, max_calibration_ratio=1.05).run("training", LABELLED[-1])
    assert done.error is None
    assert "gates of training/model: calibration (undecided" in done.warnings[0]
    assert binding_log.read(empty_book.lake) == ()
    error = empty_book.runner.govern()
    assert error is not None and "risk promote model_v001 --reason WHY" in error
    edited = under(empty_book, tmp_path, max_calibration_ratio=9)
    assert edited.govern(version="model_v001", reason="our first model") is None  # measured under the policy that it binds
    (binding,) = binding_log.read(empty_book.lake)
    assert (binding.policy, binding.overrides) == (edited.settings.read_policy().digest, ())


def test_gates_of_another_live_version_are_measured_again(two_versions: Book) -> None:
    """The version was measured against the live one of its training; another one is live now."""
    two_versions.register_scorecard()
    assert two_versions.runner.govern(version=SECOND, reason="better") is None
    policy = two_versions.lakehouse.policy
    stored = registry.read_version(two_versions.lake, "model_v003").metadata.gates
    assert (stored.live, stored.champions) == ("model_v001", ("model_v001",))
    found = gates_now(two_versions.lake, "model_v003", policy)
    assert (found.live, found.champions) == (SECOND, ("model_v001", SECOND))
    assert {"not_worse_than_live", "not_worse_than_best"} <= {gate.name for gate in found.found}
    assert gates_now(two_versions.lake, "model_v001", policy).live == SECOND


def test_gates_measured_again_are_those_of_the_training(two_versions: Book) -> None:
    policy = two_versions.lakehouse.policy
    stored = registry.read_version(two_versions.lake, SECOND).metadata.gates
    assert gates_now(two_versions.lake, SECOND, policy) == stored
    assert measure_again(two_versions.lake, SECOND, policy) == stored


@pytest.mark.long
@pytest.mark.parametrize("now", [{}, {"max": 4}], ids=["gone", "another range"])
def test_a_changed_feature_of_the_live_model_is_undecided(book: Book, tmp_path: Path, now: dict[str, int]) -> None:
    narrow = yaml.safe_load(book.settings.contract.read_text(encoding="utf-8"))
    before = narrow["features"].pop("utilisation")
    narrow["features"].update({"utilisation": before | now} if now else {})
    (tmp_path / "narrow.yml").write_text(yaml.safe_dump(narrow, sort_keys=False), encoding="utf-8")
    runner = Runner(book.settings.model_copy(update={"contract": tmp_path / "narrow.yml"}), book.runner.instance)
    for date in LABELLED:
        assert runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
    done = runner.run("training", LABELLED[-1])
    assert done.error is None
    assert "not_worse_than_live (undecided: model_v001 cannot be compared" in done.warnings[0]
    assert [found.champion for found in binding_log.read(book.lake)] == ["model_v001"]


def test_a_changed_artifact_is_not_promoted(two_versions: Book) -> None:
    flip(two_versions, f"registry/{SECOND}/{layout.SCORECARD}", b'"estimator": "scorecard"', b'"estimator": "scorecarb"')
    error = two_versions.runner.govern(version=SECOND, reason="better")
    assert error is not None and f"registry/{SECOND}/scorecard.json is not the file that was registered" in error


def test_a_contract_without_a_feature_of_the_live_version_is_not_adopted(two_versions: Book, tmp_path: Path) -> None:
    narrow = yaml.safe_load(two_versions.settings.contract.read_text(encoding="utf-8"))
    del narrow["features"]["utilisation"]
    (tmp_path / "narrow.yml").write_text(yaml.safe_dump(narrow, sort_keys=False), encoding="utf-8")
    error = two_versions.with_documents(contract=tmp_path / "narrow.yml").runner.govern(action="adopt_contract", reason="simpler")
    assert error is not None and "utilisation (number)" in error and "risk train" in error
    assert len(binding_log.read(two_versions.lake)) == 1


def test_a_challenge_outlives_the_next_training(two_versions: Book) -> None:
    assert two_versions.runner.govern(action="challenge", version=SECOND, reason="a second look") is None
    assert two_versions.runner.run("training", LABELLED[-1]).error is None
    now = binding_log.read(two_versions.lake)[-1]
    assert (now.champion, now.challenger) == ("model_v001", SECOND)
    assert two_versions.runner.govern(action="end_challenge", reason="seen enough") is None
    assert binding_log.read(two_versions.lake)[-1].challenger is None


def test_a_date_is_scored_with_a_given_version(two_versions: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    error = two_versions.runner.run("daily_scoring", NEXT, curated__predictions={"model": "as_of"}).error
    assert error is not None and "before the first binding" in error and "risk history" in error
    assert two_versions.runner.run("daily_scoring", NEXT, curated__predictions={"model": SECOND}).error is None
    assert {row["model_version"] for row in predicted(two_versions)} == {SECOND}
    assert replay.replay(two_versions.lake, NEXT).agrees
    error = two_versions.runner.run("daily_scoring", NEXT, curated__predictions={"model": "model_v9"}).error
    assert error is not None and "risk models" in error


def test_as_of_scores_with_the_champion_of_the_due_time(stored_versions: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_versions.lake.delete(layout.binding(1))
    for version, since in (("model_v001", "2026-01-07T12:00:00+00:00"), (SECOND, "2026-01-08T02:00:01+00:00")):
        monkeypatch.setattr(binding_log, "utc_now", lambda since=since: since)
        assert stored_versions.runner.govern(version=version, reason="better") is None
    for date, version in ((NEXT, "model_v001"), ("2026-01-08", SECOND)):
        stored_versions.land_sample(f"accounts_{date}.csv")
        assert stored_versions.runner.run("daily_scoring", date, curated__predictions={"model": "as_of"}).error is None
        assert {row["model_version"] for row in predicted(stored_versions, date)} == {version}
        manifest = find_manifest(stored_versions.lake, layout.predictions(date))
        assert manifest is not None and manifest.made_from.model_version == version


def test_the_review_list_has_the_riskiest_and_their_changes(scored_book: Book) -> None:
    listed = list(csv.DictReader(io.StringIO(scored_book.lake.get(layout.review(NEXT)).decode())))
    scored = [row for row in predicted(scored_book) if row["probability"]]
    riskiest = sorted(scored, key=lambda row: -float(row["probability"]))[:50]
    assert [row["account_id"] for row in listed] == [row["account_id"] for row in riskiest]
    assert [row["rank"] for row in listed] == [str(rank) for rank in range(1, 51)]
    before = {row["account_id"]: row for row in csv.DictReader(io.StringIO(scored_book.lake.get(layout.accounts(LABELLED[-1])).decode()))}
    after = {row["account_id"]: row for row in csv.DictReader(io.StringIO(scored_book.lake.get(layout.accounts(NEXT)).decode()))}
    assert {row["last_snapshot"] for row in listed} <= {*LABELLED}
    changed = [row for row in listed if row["last_snapshot"] == LABELLED[-1] and row["changes"] != "nothing"]
    assert changed
    for row in changed:
        assert int(row["points_change"]) == int(row["points"]) - int(row["points_before"])
        feature, _, rest = row["changes"].split("; ")[0].partition(" ")
        old, _, new = rest.rpartition(" (")[0].partition(" to ")
        for shown, raw in ((old, before), (new, after)):
            text = raw[row["account_id"]][feature]
            assert shown == text or (shown == "missing" and text in ("", "-9")) or float(shown) == float(text)


def test_replay_agrees_in_every_row(scored_book: Book) -> None:
    found = replay.replay(scored_book.lake, NEXT)
    assert found.agrees
    assert (found.rows, found.version) == (300, "model_v001")
    scored_book.register_scorecard()
    assert scored_book.runner.govern(version=SECOND, reason="better") is None
    assert replay.replay(scored_book.lake, NEXT).agrees


def test_replay_names_a_changed_prediction(scored_book: Book) -> None:
    row = predicted(scored_book)[2]
    line = ",".join([row["account_id"], row["status"], row["probability"], row["prediction"], row["points"]])
    flip(scored_book, layout.predictions(NEXT), line.encode(), line[:-1].encode() + (b"1" if line[-1] != "1" else b"2"))
    found = replay.replay(scored_book.lake, NEXT)
    assert not found.agrees
    assert (found.columns, found.first) == ({"points": 1}, 3)
    assert found.changed == (f"{layout.predictions(NEXT)} was changed since it was written",)


def test_features_that_were_written_again_unchanged_are_the_same(scored_book: Book) -> None:
    assert scored_book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    assert replay.replay(scored_book.lake, NEXT).agrees
    assert verify_date(scored_book.lake, NEXT).problems == ()


@pytest.mark.parametrize(
    "path", ["registry/model_v001/scorecard.json", "registry/bindings/000001.json", "curated/accounts_2026-01-07_features.parquet"]
)
def test_replay_names_a_file_with_one_changed_byte(scored_book: Book, path: str) -> None:
    content = bytearray(scored_book.lake.get(path))
    at = content.index(b"logistic") if path.endswith("scorecard.json") else content.index(b"passed") if "bindings" in path else 200
    content[at] ^= 1
    scored_book.lake.put(path, bytes(content))
    try:
        message = " ".join(replay.replay(scored_book.lake, NEXT).changed)
    except RiskError as error:
        message = str(error)
    assert path in message


def test_replay_names_a_changed_policy(scored_book: Book) -> None:
    digest = scored_book.lakehouse.policy.digest
    flip(scored_book, layout.policy(digest), b'"threshold":0.25', b'"threshold":0.35')
    with pytest.raises(LakeError, match=digest):
        replay.replay(scored_book.lake, NEXT)


def test_the_parts_of_an_account_add_up_to_its_points(scored_book: Book) -> None:
    row = max((row for row in predicted(scored_book) if row["probability"]), key=lambda row: float(row["probability"]))
    (found,) = replay.explain_account(scored_book.lake, NEXT, row["account_id"])
    assert round(found.base_points + sum(part.points for part in found.contributions)) == int(row["points"])
    assert found.recomputed["probability"] == pytest.approx(float(row["probability"]), abs=1e-12)
    assert (str(found.recomputed["points"]), found.recomputed["band"]) == (row["points"], row["band"])
    reasons = {part.rank: part.feature for part in found.contributions if part.rank}
    texts = {name: feature.reason for name, feature in scored_book.lakehouse.contract.features.items()}
    assert [texts[reasons[rank]] for rank in sorted(reasons)] == [row[f"reason_{rank}"] for rank in sorted(reasons)]
    assert sorted(reasons) == [1, 2, 3, 4]


def test_an_account_without_score_is_explained_by_its_issues(book: Book) -> None:
    book.land_sample("accounts_2026-01-09.csv")
    assert book.score("2026-01-09").error is None
    row = next(row for row in predicted(book, "2026-01-09") if row["issues"] == "utilisation: below 0")
    (found,) = replay.explain_account(book.lake, "2026-01-09", row["account_id"])
    assert found.stored["issues"] == "utilisation: below 0"
    assert found.recomputed == {}


def test_an_unknown_account_is_reported_without_its_id(scored_book: Book) -> None:
    with pytest.raises(LakeError, match="no account with this id") as raised:
        replay.explain_account(scored_book.lake, NEXT, "NOBODY-17")
    assert "NOBODY-17" not in str(raised.value)
