"""What must hold of a week with two models: challenge, impact, promotion, rollback, replay and explanation, all through the graph."""

import csv
import hashlib
import io
import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import binding_log, layout, policy_archive, registry, replay
from risk_assets.lake.tables import find_manifest, read_table
from risk_assets.runner import Runner
from tests.defs.conftest import LABELLED, NEXT, Book

SECOND = "model_v002"


def register_scorecard(book: Book) -> None:
    """Register a second version, a scorecard, and leave the first one live."""
    only = ("training/model", "registry/model_version", "registry/impact")
    assert book.runner.run("training", LABELLED[-1], *only, training__model={"estimator": "scorecard"}).error is None


def predicted(book: Book, date: str = NEXT) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(book.lake.get(layout.predictions(date)).decode())))


def flip(book: Book, path: str, old: bytes, new: bytes) -> None:
    content = book.lake.get(path)
    assert old in content and len(old) == len(new)
    book.lake.put(path, content.replace(old, new, 1))


def test_a_scorecard_is_trained_registered_and_leaves_the_live_version_as_it_is(book: Book) -> None:
    register_scorecard(book)
    first, second = registry.versions(book.lake)
    assert (first.metadata.origin.estimator, second.metadata.origin.estimator) == ("logistic", "scorecard")
    assert second.metrics.champion_version == "model_v001"
    low, high = second.metrics.auc_gain or (0, 0)
    assert low <= second.metrics.roc_auc - first_auc(book) <= high
    assert [found.champion for found in binding_log.read(book.lake)] == ["model_v001"]
    kinds = {type(term.shape).__name__ for term in registry.read_scorecard(book.lake, SECOND).scorecard.terms}
    assert kinds == {"Steps", "Levels"}


def first_auc(book: Book) -> float:
    champion = registry.read_version(book.lake, SECOND).metrics.champion_holdout
    assert champion is not None
    return champion.roc_auc


def test_both_estimators_are_tried_and_the_better_one_is_registered(book: Book) -> None:
    assert book.runner.run("training", LABELLED[-1], training__model={"estimator": "both"}).error is None
    newest = registry.read_version(book.lake, SECOND)
    assert set(newest.metrics.considered) == {"logistic", "scorecard"}
    best = max(newest.metrics.considered, key=lambda name: newest.metrics.considered[name])
    simpler = newest.metrics.considered["logistic"] >= max(newest.metrics.considered.values()) - 0.005
    assert newest.metadata.origin.estimator == ("logistic" if simpler else best)


def test_an_estimator_that_is_not_there_is_told(book: Book) -> None:
    error = book.runner.run("training", LABELLED[-1], training__model={"estimator": "forest"}).error
    assert error is not None and "logistic, scorecard, both" in error


def test_the_impact_counts_who_would_be_treated_differently(book: Book) -> None:
    register_scorecard(book)
    impact = json.loads(book.lake.get(f"registry/{SECOND}/impact.json"))
    assert (impact["candidate"], impact["against"]) == (SECOND, "model_v001")
    assert impact["dates"] == list(LABELLED)
    accounts = list(csv.DictReader(io.StringIO(book.lake.get(f"registry/{SECOND}/impact_accounts.csv").decode())))
    changes = [row["change"] for row in accounts]
    assert (changes.count("newly flagged"), changes.count("no longer flagged")) == (impact["newly_flagged"], impact["no_longer_flagged"])
    assert changes
    assert sum(sum(row.values()) for row in impact["migration"].values()) == impact["rows"]
    scorable = [read_table(book.lake, layout.features(date)).filter(pl.col("issues").is_null()).collect().height for date in LABELLED]
    assert impact["rows"] == sum(scorable)


def test_what_only_a_few_customers_have_does_not_reach_the_run_history(book: Book) -> None:
    rare = b"TOPSECRETCHANNEL"
    for date in LABELLED:
        header, *rows = book.landing.get(f"accounts_{date}.csv").splitlines(keepends=True)
        at = header.decode().strip().split(",").index("channel")
        cells = rows[4].decode().strip().split(",")
        cells[at] = rare.decode()
        book.land(f"accounts_{date}.csv", b"".join([header, *rows[:4], (",".join(cells) + "\n").encode(), *rows[5:]]))
        assert book.runner.run("daily_scoring", date, "raw/accounts", "curated/features").error is None
    register_scorecard(book)
    assert rare in book.lake.get(f"registry/{SECOND}/{layout.STEPS}")
    assert rare in book.lake.get(f"registry/{SECOND}/{layout.IMPACT}")
    assert not [path for path in book.settings.dagster_home.rglob("*") if path.is_file() and rare in path.read_bytes()]


def test_a_shadow_writes_its_probability_beside_and_answers_for_nobody(book: Book) -> None:
    register_scorecard(book)
    assert book.score().error is None
    before = predicted(book)
    assert book.runner.govern(action="challenge", version=SECOND, reason="a second look") is None
    assert book.score().error is None
    after = predicted(book)
    told = ("account_id", "probability", "prediction", "points", "band", "reason_1", "arm", "model_version", "issues")
    assert [[row[name] for name in told] for row in after] == [[row[name] for name in told] for row in before]
    assert {row["challenger_probability"] for row in before} == {""}
    assert all(bool(row["challenger_probability"]) == bool(row["probability"]) for row in after)
    logged = book.log()[-1] if book.log()[-1]["challenger"] else book.log()[0]
    assert (logged["model_version"], logged["challenger"], logged["challenger_scored"]) == ("model_v001", SECOND, "0")
    known = [float(row["challenger_probability"]) for row in after if row["challenger_probability"]]
    assert float(logged["challenger_mean_score"]) == pytest.approx(sum(known) / len(known))


def test_a_share_of_the_accounts_is_answered_for_by_the_challenger(book: Book) -> None:
    register_scorecard(book)
    assert book.runner.govern(action="challenge", version=SECOND, share=0.3, reason="on live accounts") is None
    assert book.score().error is None
    salt = binding_log.read(book.lake)[-1].salt
    for row in predicted(book):
        if row["issues"]:
            continue
        place = int.from_bytes(hashlib.sha256(f"{salt}:{row['account_id']}".encode()).digest()[:8], "big") / 2**64
        assert row["arm"] == ("challenger" if place < 0.3 else "champion")
        assert row["model_version"] == (SECOND if place < 0.3 else "model_v001")
    assert {row["arm"] for row in predicted(book)} == {"champion", "challenger"}
    assert replay.replay(book.lake, NEXT).agrees


def test_a_promotion_that_others_forestalled_leaves_what_they_made(book: Book) -> None:
    register_scorecard(book)
    assert book.runner.govern(version=SECOND, reason="better", actor="ann") is None
    error = book.runner.govern(version=SECOND, reason="better", actor="bob")
    assert error is not None and "already live" in error
    assert [(found.champion, found.actor) for found in binding_log.read(book.lake)][-1] == (SECOND, "ann")


def test_promoted_rolled_back_and_promoted_again_with_reasons(book: Book) -> None:
    register_scorecard(book)
    assert book.runner.govern(version=SECOND, reason="better on every holdout") is None
    assert book.runner.govern(action="rollback", reason="too many flagged") is None
    assert book.runner.govern(version=SECOND, reason="flags were right") is None
    found = binding_log.read(book.lake)
    assert [one.champion for one in found] == ["model_v001", SECOND, "model_v001", SECOND]
    assert [one.action for one in found] == ["promote", "promote", "rollback", "promote"]
    assert binding_log.verify(book.lake) == []


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"version": "model_v001"}, "requires a reason"),
        ({"version": "model_v001", "reason": "again"}, "already live"),
        ({"version": "model_v009", "reason": "x"}, "not in the lake"),
        ({"version": "latest", "reason": "x"}, "is not a version"),
        ({"action": "rollback", "reason": "x"}, "no earlier version"),
        ({"action": "challenge", "version": "model_v001", "reason": "x"}, "cannot challenge itself"),
        ({"action": "challenge", "reason": "x"}, "requires a version"),
        ({"action": "end_challenge", "reason": "x"}, "nothing to end"),
        ({"action": "crown", "version": "model_v001", "reason": "x"}, "unknown action"),
    ],
)
def test_a_choice_that_cannot_be_made_is_told_and_changes_nothing(book: Book, choice: dict[str, str], says: str) -> None:
    error = book.runner.govern(**choice)
    assert error is not None and says in error, error
    assert len(binding_log.read(book.lake)) == 1


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 7.0])
def test_a_share_outside_0_and_1_is_refused(book: Book, share: float) -> None:
    register_scorecard(book)
    error = book.runner.govern(action="challenge", version=SECOND, share=share, reason="x")
    assert error is not None and "between 0 and 1" in error


def test_a_version_that_failed_a_gate_goes_live_only_with_an_override_that_is_kept(book: Book) -> None:
    register_scorecard(book)
    path = f"registry/{SECOND}/{layout.METADATA}"
    metadata = json.loads(book.lake.get(path))
    metadata["gates"][0]["passed"] = False
    book.lake.put(path, json.dumps(metadata).encode())
    error = book.runner.govern(version=SECOND, reason="we need it")
    assert error is not None and "auc_floor" in error and "override" in error
    assert book.runner.govern(version=SECOND, reason="we need it", override=True) is None
    assert binding_log.read(book.lake)[-1].overrides == ("auc_floor",)


def test_an_artifact_that_was_changed_is_not_promoted(book: Book) -> None:
    register_scorecard(book)
    flip(book, f"registry/{SECOND}/{layout.SCORECARD}", b'"estimator": "scorecard"', b'"estimator": "scorecarb"')
    error = book.runner.govern(version=SECOND, reason="better")
    assert error is not None and f"registry/{SECOND}/scorecard.json is not the file that was registered" in error


def test_a_version_whose_features_the_contract_no_longer_gives_is_not_promoted(book: Book, tmp_path: Path) -> None:
    register_scorecard(book)
    narrow = yaml.safe_load(book.settings.contract.read_text(encoding="utf-8"))
    del narrow["features"]["utilisation"]
    (tmp_path / "narrow.yml").write_text(yaml.safe_dump(narrow, sort_keys=False), encoding="utf-8")
    runner = Runner(book.settings.model_copy(update={"contract": tmp_path / "narrow.yml"}), book.runner.instance)
    error = runner.govern(version=SECOND, reason="better")
    assert error is not None and "utilisation (number)" in error and "risk train" in error
    assert len(binding_log.read(book.lake)) == 1


def test_a_challenge_is_not_ended_by_the_next_training(book: Book) -> None:
    register_scorecard(book)
    assert book.runner.govern(action="challenge", version=SECOND, reason="a second look") is None
    assert book.runner.run("training", LABELLED[-1]).error is None
    now = binding_log.read(book.lake)[-1]
    assert (now.champion, now.challenger) == ("model_v001", SECOND)
    assert book.runner.govern(action="end_challenge", reason="seen enough") is None
    assert binding_log.read(book.lake)[-1].challenger is None


def test_a_date_is_scored_by_a_version_or_by_what_was_live_when_it_fell_due(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    register_scorecard(book)
    error = book.runner.run("daily_scoring", NEXT, curated__predictions={"model": "as_of"}).error
    assert error is not None and "before the first binding" in error and "risk history" in error
    assert book.runner.run("daily_scoring", NEXT, curated__predictions={"model": SECOND}).error is None
    assert {row["model_version"] for row in predicted(book)} == {SECOND}
    assert replay.replay(book.lake, NEXT).agrees
    error = book.runner.run("daily_scoring", NEXT, curated__predictions={"model": "model_v9"}).error
    assert error is not None and "risk models" in error


def test_what_was_live_when_a_date_fell_due_scores_it_again_later(empty_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book = empty_book
    monkeypatch.setattr(binding_log, "utc_now", lambda: "2026-01-07T12:00:00+00:00")
    assert book.train_on(*LABELLED).error is None
    monkeypatch.setattr(binding_log, "utc_now", lambda: "2026-01-08T02:00:01+00:00")
    register_scorecard(book)
    assert book.runner.govern(version=SECOND, reason="better") is None
    for date, version in ((NEXT, "model_v001"), ("2026-01-08", SECOND)):
        book.land_sample(f"accounts_{date}.csv")
        assert book.runner.run("daily_scoring", date, curated__predictions={"model": "as_of"}).error is None
        assert {row["model_version"] for row in predicted(book, date)} == {version}
        manifest = find_manifest(book.lake, layout.predictions(date))
        assert manifest is not None and manifest.made_from.model_version == version


def test_the_review_list_holds_the_riskiest_with_what_changed_since_their_last_snapshot(book: Book) -> None:
    assert book.score().error is None
    listed = list(csv.DictReader(io.StringIO(book.lake.get(layout.review(NEXT)).decode())))
    scored = [row for row in predicted(book) if row["probability"]]
    riskiest = sorted(scored, key=lambda row: -float(row["probability"]))[:50]
    assert [row["account_id"] for row in listed] == [row["account_id"] for row in riskiest]
    assert [row["rank"] for row in listed] == [str(rank) for rank in range(1, 51)]
    before = {row["account_id"]: row for row in csv.DictReader(io.StringIO(book.lake.get(layout.accounts(LABELLED[-1])).decode()))}
    after = {row["account_id"]: row for row in csv.DictReader(io.StringIO(book.lake.get(layout.accounts(NEXT)).decode()))}
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


def test_a_replayed_date_agrees_in_every_row(book: Book) -> None:
    assert book.score().error is None
    found = replay.replay(book.lake, NEXT)
    assert found.agrees
    assert (found.rows, found.version) == (300, "model_v001")
    register_scorecard(book)
    assert book.runner.govern(version=SECOND, reason="better") is None
    assert replay.replay(book.lake, NEXT).agrees


def test_a_changed_prediction_is_found_and_named(book: Book) -> None:
    assert book.score().error is None
    row = predicted(book)[2]
    line = ",".join([row["account_id"], row["probability"], row["prediction"], row["points"]])
    flip(book, layout.predictions(NEXT), line.encode(), line[:-1].encode() + (b"1" if line[-1] != "1" else b"2"))
    found = replay.replay(book.lake, NEXT)
    assert not found.agrees
    assert (found.columns, found.first) == ({"points": 1}, 3)
    assert found.changed == (f"{layout.predictions(NEXT)} was changed since it was written",)


def test_features_that_were_made_anew_are_named(book: Book) -> None:
    assert book.score().error is None
    assert book.runner.run("daily_scoring", NEXT, "raw/accounts", "curated/features").error is None
    found = replay.replay(book.lake, NEXT)
    assert found.changed == (f"{layout.features(NEXT)} or its manifest was written again since the date was scored",)
    assert found.columns == {}


@pytest.mark.parametrize(
    "path", ["registry/model_v001/scorecard.json", "registry/bindings/000001.json", "curated/accounts_2026-01-07_features.parquet"]
)
def test_one_changed_byte_of_what_a_date_was_scored_by_is_found_and_named(book: Book, path: str) -> None:
    assert book.score().error is None
    content = bytearray(book.lake.get(path))
    at = content.index(b"logistic") if path.endswith("scorecard.json") else content.index(b"newest") if "bindings" in path else 200
    content[at] ^= 1
    book.lake.put(path, bytes(content))
    try:
        told = " ".join(replay.replay(book.lake, NEXT).changed)
    except RiskError as error:
        told = str(error)
    assert path in told


def test_a_changed_policy_is_found_and_named(book: Book) -> None:
    assert book.score().error is None
    path = layout.policy(book.lakehouse.policy.digest)
    assert policy_archive.read(book.lake, book.lakehouse.policy.digest) == book.lakehouse.policy
    flip(book, path, b'"threshold":0.25', b'"threshold":0.35')
    with pytest.raises(LakeError, match=book.lakehouse.policy.digest):
        replay.replay(book.lake, NEXT)


def test_an_explained_account_adds_up_to_its_points(book: Book) -> None:
    assert book.score().error is None
    row = max((row for row in predicted(book) if row["probability"]), key=lambda row: float(row["probability"]))
    (found,) = replay.explain_account(book.lake, NEXT, row["account_id"])
    assert round(found.base_points + sum(part.points for part in found.contributions)) == int(row["points"])
    assert found.recomputed["probability"] == pytest.approx(float(row["probability"]), abs=1e-12)
    assert (str(found.recomputed["points"]), found.recomputed["band"]) == (row["points"], row["band"])
    reasons = {part.rank: part.feature for part in found.contributions if part.rank}
    texts = {name: feature.reason for name, feature in book.lakehouse.contract.features.items()}
    assert [texts[reasons[rank]] for rank in sorted(reasons)] == [row[f"reason_{rank}"] for rank in sorted(reasons)]
    assert sorted(reasons) == [1, 2, 3, 4]


def test_an_account_that_was_not_scored_is_explained_by_its_issues(book: Book) -> None:
    book.land_sample("accounts_2026-01-09.csv")
    assert book.score("2026-01-09").error is None
    row = next(row for row in predicted(book, "2026-01-09") if row["issues"] == "utilisation: below 0")
    (found,) = replay.explain_account(book.lake, "2026-01-09", row["account_id"])
    assert found.stored["issues"] == "utilisation: below 0"
    assert found.recomputed == {}


def test_an_account_that_is_not_there_is_told_without_its_id(book: Book) -> None:
    assert book.score().error is None
    with pytest.raises(LakeError, match="no account of this id") as told:
        replay.explain_account(book.lake, NEXT, "NOBODY-17")
    assert "NOBODY-17" not in str(told.value)
