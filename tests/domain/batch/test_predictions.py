"""Predictions from features: one row for each row, in order, by the model of its arm."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.batch.predictions import prediction_descriptions, prediction_facts, prediction_schema, predictions
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.arrays import contributions, probability
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term, VersionedScorecard
from risk_assets.domain.scorecard.scoring import HISTOGRAM_BINS, score
from tests.domain.scorecard.test_scoring import lines, policy

NAN = math.nan


def features(rows: Sequence[Mapping[str, object]], *cards: Scorecard) -> pl.LazyFrame:
    types = {name: pl.Float64 if kind == "number" else pl.String for card in cards for name, kind in card.features.items()}
    named = [{"account_id": f"a{at}", "excluded": None, "issues": None} | dict(row) for at, row in enumerate(rows)]
    filled = [{"group": row["account_id"]} | row for row in named]
    ends = dict.fromkeys(("group", "excluded", "issues"), pl.String)
    return pl.LazyFrame(filled, schema={"account_id": pl.String, **types, **ends})


def alone(card: Scorecard) -> Arms:
    return Arms(VersionedScorecard("model_v007", card))


def both(champion: Scorecard, challenger: Scorecard, share: float | None, salt: str = "salt") -> Arms:
    return Arms(VersionedScorecard("model_v007", champion), VersionedScorecard("model_v008", challenger), share, salt)


def predicted(rows: Sequence[Mapping[str, object]], scored_by: Scorecard | Arms, how: Policy) -> pl.DataFrame:
    arms = alone(scored_by) if isinstance(scored_by, Scorecard) else scored_by
    found = predictions(features(rows, *[model.scorecard for model in arms.models]), arms, how).collect(engine="streaming")
    assert found.schema == prediction_schema(how)
    return found


def test_reasons_against_changes_only_the_reasons() -> None:
    card = lines(3.0, 2.0, best=[-2.0, 1.0])
    rows = [{"f0": 2.0, "f1": 3.0}, {"f0": -9.0, "f1": 1.0}]
    mean, best = (predicted(rows, card, policy(reasons_against=against)) for against in ("mean", "best"))
    assert mean["reason_1"].to_list() == ["why f1", None]
    assert best["reason_1"].to_list() == ["why f0", None]
    assert mean.drop("reason_1", "reason_2").equals(best.drop("reason_1", "reason_2"))


def test_missing_and_unseen_values_can_be_reasons() -> None:
    level = Term("k", Levels(("u",), (-1.0,), missing=2.0, unseen=1.0), 0.0, -1.0, "why k")
    card = Scorecard("logistic", 3.0, (Term("x", Line(1.0, 0.0, 1.5), 0.0, -9.0, "why x"), level))
    found = predicted([{"x": None, "k": "u"}, {"x": -1.0, "k": None}, {"x": 1.25, "k": "w"}], card, policy())
    assert found.select("reason_1", "reason_2").rows() == [("why x", None), ("why k", None), ("why x", "why k")]


def test_prediction_by_hand() -> None:
    card = lines(0.0, 0.0, intercept=-math.log(50))
    (row,) = predicted([{"f0": 0.0, "f1": 0.0}], card, policy()).rows(named=True)
    assert row.pop("probability") == pytest.approx(1 / 51, rel=1e-15)
    assert row == {
        "account_id": "a0",
        "status": "scored",
        "prediction": 0,
        "points": 600,
        "band": "A",
        "reason_1": None,
        "reason_2": None,
        "arm": "champion",
        "model_version": "model_v007",
        "challenger_probability": None,
        "excluded": None,
        "issues": None,
    }


def test_columns_are_ordered_with_the_policy_number_of_reasons() -> None:
    first, last = (
        ["account_id", "status", "probability", "prediction", "points", "band"],
        ["arm", "model_version", "challenger_probability", "excluded", "issues"],
    )
    assert list(prediction_schema(policy(reasons=3))) == [*first, "reason_1", "reason_2", "reason_3", *last]
    for arms in (alone(lines(0.0)), both(lines(0.0), lines(0.0), None), both(lines(0.0), lines(0.0), 0.5)):
        assert predicted([{"f0": 1.0}], arms, policy(reasons=0)).columns == [*first, *last]


def test_every_column_is_described() -> None:
    for how in (policy(reasons=0), policy(reasons=10)):
        assert list(prediction_descriptions(how)) == list(prediction_schema(how))
        assert all(prediction_descriptions(how).values())


def test_row_with_issues_keeps_its_place_without_a_score() -> None:
    rows = [{"f0": 1.0}, {"f0": 1.0, "issues": "f0: above 0"}, {"f0": None, "issues": "f0: unreadable"}, {"f0": -1.0}]
    found = predicted(rows, lines(0.0), policy())
    assert found["account_id"].to_list() == ["a0", "a1", "a2", "a3"]
    assert found["issues"].to_list() == [None, "f0: above 0", "f0: unreadable", None]
    assert found["model_version"].to_list() == ["model_v007"] * 4
    assert found["arm"].to_list() == ["champion"] * 4
    between = found.select("probability", "prediction", "points", "band", "reason_1", "reason_2")
    assert between[1:3].rows() == [(None,) * 6] * 2
    assert between.select("probability", "prediction", "points", "band").null_count().row(0) == (2, 2, 2, 2)


@pytest.mark.parametrize("kind", ["alone", "share", "shadow"])
def test_row_that_is_not_eligible_has_no_score_and_no_issue(kind: str) -> None:
    card = requiring("f0")
    arms = {"alone": alone(card), "share": both(card, card, 0.5), "shadow": both(card, card, None)}[kind]
    eligible = [{"f0": -1.0, "f1": 1.0, "k": "u"}, {"f0": None, "f1": 1.0, "k": "u"}]
    closed = [{**row, "excluded": "closed"} for row in eligible]
    found = predicted([*eligible, *closed], arms, policy())
    assert found["status"].to_list() == ["scored", "issue", "not eligible", "not eligible"]
    assert found["excluded"].to_list() == [None, None, "closed", "closed"]
    assert found["issues"].to_list() == [None, "f0: missing", None, None]
    given = ["probability", "prediction", "points", "band", "reason_1", "reason_2", "challenger_probability"]
    assert found[2:].select(pl.col(given).null_count()).row(0) == (2,) * 7
    assert found.select(pl.col("arm", "model_version").null_count()).row(0) == (0, 0)
    facts = facts_of(found)
    assert (facts["rows"], facts["scored"], facts["with_issues"], facts["not_eligible"]) == (4, 1, 1, 2)


def test_model_decides_for_all_accounts_of_a_customer() -> None:
    arms = both(lines(0.0), lines(0.0), 0.5)
    customers = [f"C{at}" for at in range(20)]
    rows = [{"account_id": f"{customer}-{at}", "group": customer, "f0": 0.0} for at in range(5) for customer in customers]
    expected = ["challenger" if taken("salt", customer, 0.5) else "champion" for customer in customers]
    assert predicted(rows, arms, policy())["arm"].to_list() == expected * 5
    assert set(expected) == {"champion", "challenger"}


def requiring(*names: str, intercept: float = 0.0) -> Scorecard:
    terms = (*lines(0.0, 0.0).terms, Term("k", Levels(("u",), (1.0,), 0.0, 0.0), 0.0, 0.0, "why k"))
    return Scorecard("logistic", intercept, tuple(msgspec.structs.replace(term, required=term.feature in names) for term in terms))


def test_row_without_a_required_value_has_an_issue() -> None:
    rows = [
        {"f0": 1.0, "f1": None, "k": "u"},
        {"f0": None, "f1": 1.0, "k": "v"},
        {"f0": None, "f1": 1.0, "k": None},
        {"f0": None, "f1": 1.0, "k": None, "issues": "f1: above 0; f0: unreadable"},
    ]
    found = predicted(rows, requiring("f0", "k"), policy())
    assert found["issues"].to_list() == [None, "f0: missing", "f0: missing; k: missing", "f1: above 0; f0: unreadable; k: missing"]
    assert found["probability"].is_not_null().to_list() == [True, False, False, False]
    assert found["arm"].to_list() == ["champion"] * 4
    assert predicted(rows, requiring(), policy())["issues"].to_list() == [None, None, None, "f1: above 0; f0: unreadable"]


@pytest.mark.parametrize(("share", "issue"), [(0.5, "f0: missing"), (None, None)], ids=["share", "shadow"])
def test_required_feature_of_a_deciding_challenger_holds_for_all(share: float | None, issue: str | None) -> None:
    found = predicted([{"f0": None, "f1": 1.0, "k": "u"}] * 20, both(requiring(), requiring("f0"), share), policy())
    assert set(found["issues"]) == {issue}
    assert found["probability"].is_null().to_list() == [issue is not None] * 20


def test_no_rows_give_no_predictions() -> None:
    assert predicted([], lines(0.0, 0.0), policy()).height == 0


def test_date_without_scorable_rows_keeps_its_rows() -> None:
    assert predicted([{"f0": None, "issues": "f0: missing"}] * 3, lines(0.0), policy())["probability"].to_list() == [None] * 3


def test_rows_keep_their_order_over_many_batches() -> None:
    rows = 300_000
    card = lines(0.0)
    row = pl.int_range(rows)
    frame = pl.LazyFrame().select(
        account_id=row.cast(pl.String),
        f0=(row % 21 - 10).cast(pl.Float64),
        group=row.cast(pl.String),
        excluded=pl.lit(None, dtype=pl.String),
        issues=pl.when(row % 1009 == 5).then(pl.lit("f0: odd")),
    )
    found = predictions(frame, alone(card), policy()).collect(engine="streaming")
    assert found["account_id"].to_list() == [str(position) for position in range(rows)]
    assert found["issues"].is_not_null().arg_true().to_list() == list(range(5, rows, 1009))
    expected = [None if position % 1009 == 5 else 1 / (1 + math.exp(10 - position % 21)) for position in range(rows)]
    np.testing.assert_allclose(found["probability"].to_numpy(), np.array(expected, dtype=np.float64), rtol=1e-14)


@pytest.mark.parametrize("issue", [None, "f0: above 1"])
def test_extreme_number_does_not_affect_other_rows(issue: str | None) -> None:
    card = Scorecard(
        "logistic", 0.0, tuple(Term(f"f{at}", Line(slope, 0.0, 0.0), 0.0, 0.0, f"why f{at}") for at, slope in enumerate((10.0, -10.0)))
    )
    found = predicted([{"f0": 0.0, "f1": 0.0}, {"f0": 1e308, "f1": 1e308, "issues": issue}, {"f0": 1.0, "f1": 0.0}], card, policy())
    assert found["account_id"].to_list() == ["a0", "a1", "a2"]
    assert found["probability"].to_list()[::2] == pytest.approx([0.5, 1 / (1 + math.exp(-10))], rel=1e-14)
    assert not found["probability"].is_nan().any()


# Eighths are exact in binary, so that equal contributions tie.
EIGHTHS = st.integers(-16, 16).map(lambda value: value / 8)
WEIGHTS = st.dictionaries(st.sampled_from("uvw"), EIGHTHS, max_size=3)
SHAPES = st.one_of(
    st.builds(Line, EIGHTHS, EIGHTHS, EIGHTHS),
    st.builds(lambda weights, *rest: Levels(tuple(weights), tuple(weights.values()), *rest), WEIGHTS, EIGHTHS, EIGHTHS),
)


@st.composite
def books(draw: st.DrawFn) -> tuple[Scorecard, list[dict[str, Any]]]:
    """Return a card and rows for it, some with missing values, unseen levels or issues."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=5))
    terms = tuple(Term(f"f{at}", shape, draw(EIGHTHS), draw(EIGHTHS), f"why f{at}") for at, shape in enumerate(shapes))
    values = {term.feature: st.none() | (EIGHTHS if isinstance(term.shape, Line) else st.sampled_from([*"uvwx", ""])) for term in terms}
    row = st.fixed_dictionaries(values | {"issues": st.sampled_from([None, None, None, "f0: unreadable"])})
    return Scorecard("logistic", draw(EIGHTHS), terms), draw(st.lists(row, min_size=1, max_size=20))


def part(term: Term, value: Any) -> float:
    if value is None:
        return term.shape.missing
    if isinstance(term.shape, Line):
        return term.shape.slope * (value - term.shape.center)
    return dict(zip(term.shape.levels, term.shape.weights, strict=True)).get(value, term.shape.unseen)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(books(), st.integers(0, 6), st.sampled_from(["mean", "best"]))
def test_batch_equals_plain_python(book: tuple[Scorecard, list[dict[str, Any]]], most: int, against: str) -> None:
    card, rows = book
    how = policy(threshold=0.4321, bands={"A": 0.1234, "B": 0.4567, "C": 0.789, "D": 1}, reasons=most, reasons_against=against)
    for row, found in zip(rows, predicted(rows, card, how).rows(named=True), strict=True):
        reasons = [found.pop(f"reason_{rank}") for rank in range(1, most + 1)]
        if row["issues"]:
            assert {found[name] for name in ("probability", "prediction", "points", "band")} | set(reasons) <= {None}
            continue
        parts = [part(term, row[term.feature]) for term in card.terms]
        log_odds = card.intercept + sum(parts)
        probability = 1 / (1 + math.exp(-log_odds))
        assert found["probability"] == pytest.approx(probability, rel=1e-14)
        assert found["prediction"] == int(probability >= 0.4321)
        assert abs(found["points"] - (600 - 20 * math.log2(50) - 20 * log_odds / math.log(2))) <= 0.5 + 1e-9
        assert found["band"] == "ABCD"[bisect_right([0.1234, 0.4567, 0.789], probability)]
        references = [term.mean if against == "mean" else term.best for term in card.terms]
        above = {term.reason: value - limit for term, value, limit in zip(card.terms, parts, references, strict=True) if value > limit}
        expected = sorted(above, key=lambda text: -above[text])[:most] if probability >= 0.4321 else []
        assert reasons == expected + [None] * (most - len(expected))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(books())
def test_batch_equals_scores_of_the_inputs(book: tuple[Scorecard, list[dict[str, Any]]]) -> None:
    card, rows = book
    rows = [row | {"issues": None} for row in rows]
    found = predicted(rows, card, policy())
    x = encode(features(rows, card).collect(), card)
    direct = score(card, policy(), x)
    assert found["probability"].to_list() == pytest.approx(direct.probability.tolist(), rel=1e-14)
    assert direct.probability.tolist() == pytest.approx(probability(card, contributions(card, x)).tolist(), rel=1e-14)
    assert found["points"].to_list() == direct.points.tolist()
    assert found["prediction"].to_list() == direct.prediction.tolist()
    assert found["band"].to_list() == ["ABC"[band] for band in direct.band]
    texts = [[None if at < 0 else f"why f{at}" for at in row] for row in direct.reasons.tolist()]
    assert found.select("reason_1", "reason_2").rows() == [tuple(row) for row in texts]


def taken(salt: str, account: str, share: float) -> bool:
    """Return whether the challenger decides for an account, as arms.py documents it."""
    return int(hashlib.sha256(f"{salt}:{account}".encode()).hexdigest()[:16], 16) < share * 2**64


def test_share_scores_each_account_by_its_model_in_order() -> None:
    # printf 'salt:a2' | sha256sum starts with 67, and so on: the challenger has first bytes below 0x73 (0.45 of 256)
    first = {"a2": 0x67, "a0": 0x82, "a3": 0x6C, "a1": 0x7D}
    champion, challenger = lines(0.0, intercept=-math.log(50)), lines(0.0, intercept=math.log(3))
    rows = [{"account_id": account, "f0": 0.0} for account in first]
    found = predicted(rows, both(champion, challenger, 0.45), policy())
    theirs = [start < 0x73 for start in first.values()]
    assert found["account_id"].to_list() == list(first)
    assert found["arm"].to_list() == ["challenger" if it else "champion" for it in theirs]
    assert found["model_version"].to_list() == ["model_v008" if it else "model_v007" for it in theirs]
    assert found["probability"].to_list() == pytest.approx([0.75 if it else 1 / 51 for it in theirs], rel=1e-14)
    assert found["points"].to_list() == [round(600 - 20 * math.log2(150)) if it else 600 for it in theirs]
    assert found["band"].to_list() == ["C" if it else "A" for it in theirs]
    assert found["prediction"].to_list() == [int(it) for it in theirs]
    assert found["challenger_probability"].to_list() == [None] * 4


def test_models_of_a_share_may_have_different_features() -> None:
    champion = lines(0.0, 0.0)
    challenger = Scorecard("logistic", 0.0, (Term("city", Levels(("n",), (1.0,), 0.0, 0.0), 0.0, 0.0, "City"), champion.terms[1]))
    rows = [{"f0": 1.0, "f1": 2.0, "city": "n"}] * 40
    log_odds = {"champion": 3.0, "challenger": 3.0}
    found = predicted(rows, both(champion, challenger, 0.5), policy())
    assert found["probability"].to_list() == pytest.approx([1 / (1 + math.exp(-log_odds[arm])) for arm in found["arm"]], rel=1e-14)
    reasons = {"champion": ("why f1", "why f0"), "challenger": ("why f1", "City")}
    assert found.select("reason_1", "reason_2").rows() == [reasons[arm] for arm in found["arm"]]
    assert set(found["arm"]) == set(reasons)


def test_share_keeps_rows_with_issues_in_place_with_their_arm() -> None:
    rows = [{"f0": 1.0, "issues": "f0: odd" if at % 3 else None} for at in range(60)]
    found = predicted(rows, both(lines(0.0), lines(0.0, intercept=1.0), 0.5), policy())
    assert found["account_id"].to_list() == [f"a{at}" for at in range(60)]
    assert found["issues"].to_list() == ["f0: odd" if at % 3 else None for at in range(60)]
    assert found["arm"].to_list() == ["challenger" if taken("salt", f"a{at}", 0.5) else "champion" for at in range(60)]
    versions = {"champion": "model_v007", "challenger": "model_v008"}
    assert found["model_version"].to_list() == [versions[arm] for arm in found["arm"]]
    probabilities = {"champion": 1 / (1 + math.exp(-1)), "challenger": 1 / (1 + math.exp(-2))}
    expected = [None if at % 3 else pytest.approx(probabilities[arm], rel=1e-14) for at, arm in enumerate(found["arm"])]
    assert found["probability"].to_list() == expected
    with_issues = found.filter(pl.col("issues").is_not_null())
    empty = ["probability", "prediction", "points", "band", "reason_1", "reason_2", "challenger_probability"]
    assert with_issues.select(pl.col(empty).count()).row(0) == (0,) * 7


def test_row_without_an_id_belongs_to_the_champion() -> None:
    rows = [{"account_id": None, "f0": 0.0, "issues": "id: missing"}, {"f0": 0.0}]
    found = predicted(rows, both(lines(0.0), lines(0.0), 1 - 2**-53), policy())
    assert found.select("account_id", "arm").rows() == [(None, "champion"), ("a1", "challenger")]


@pytest.mark.parametrize("share", [1e-15, 1 - 1e-15])
def test_batch_may_belong_to_one_arm_entirely(share: float) -> None:
    found = predicted([{"f0": 0.0}, {"f0": 1.0}], both(lines(0.0), lines(0.0), share), policy())
    assert found["arm"].to_list() == ["champion" if share < 0.5 else "challenger"] * 2
    assert found["probability"].to_list() == pytest.approx([0.5, 1 / (1 + math.exp(-1))], rel=1e-14)


@pytest.mark.parametrize("share", [0.5, None])
def test_no_rows_give_no_predictions_with_two_models(share: float | None) -> None:
    assert predicted([], both(lines(0.0), lines(0.0), share), policy()).height == 0


def test_shadow_scores_all_accounts_and_decides_for_none() -> None:
    rows = [{"f0": 0.0}, {"f0": 2.0}, {"f0": 1.0, "issues": "f0: odd"}, {"f0": None}]
    champion = lines(0.0, intercept=-1.0)
    found = predicted(rows, both(champion, lines(0.0, intercept=math.log(3)), None), policy())
    shadow = found["challenger_probability"].to_list()
    assert shadow == [
        pytest.approx(0.75, rel=1e-14),
        pytest.approx(3 / (3 + math.exp(-2)), rel=1e-14),
        None,
        pytest.approx(0.75, rel=1e-14),
    ]
    champion_only = predicted(rows, champion, policy())
    assert found.drop("challenger_probability").equals(champion_only.drop("challenger_probability"))
    assert found["arm"].to_list() == ["champion"] * 4


def test_shadow_may_have_features_of_its_own() -> None:
    shadow = Scorecard("logistic", 0.0, (Term("city", Levels(("n",), (1.0,), 0.0, -1.0), 0.0, 0.0, "City"),))
    found = predicted([{"f0": 3.0, "city": "n"}, {"f0": 3.0, "city": "x"}, {"f0": 3.0}], both(lines(0.0), shadow, None), policy())
    assert found["challenger_probability"].to_list() == pytest.approx([1 / (1 + math.exp(-log_odds)) for log_odds in (1, -1, 0)], rel=1e-14)
    assert found["reason_1"].to_list() == ["why f0"] * 3


@pytest.mark.parametrize("share", [0.3, None])
def test_rows_of_two_models_keep_their_order_over_batches(share: float | None) -> None:
    rows = 150_000
    row = pl.int_range(rows)
    frame = pl.LazyFrame().select(
        account_id=pl.format("AC{}", row),
        f0=(row % 21 - 10).cast(pl.Float64),
        group=pl.format("AC{}", row),
        excluded=pl.lit(None, dtype=pl.String),
        issues=pl.when(row % 1009 == 5).then(pl.lit("f0: odd")),
    )
    found = predictions(frame, both(lines(0.0), lines(0.0, intercept=1.0), share), policy()).collect(engine="streaming")
    assert found["account_id"].to_list() == [f"AC{position}" for position in range(rows)]
    assert found["issues"].is_not_null().arg_true().to_list() == list(range(5, rows, 1009))
    theirs = np.array([share is not None and taken("salt", f"AC{position}", share) for position in range(rows)])
    assert (found["arm"] == "challenger").to_list() == theirs.tolist()
    log_odds = np.arange(rows) % 21 - 10.0
    log_odds[np.arange(rows) % 1009 == 5] = NAN
    np.testing.assert_allclose(found["probability"].to_numpy(), 1 / (1 + np.exp(-(log_odds + theirs))), rtol=1e-13)
    shadow = 1 / (1 + np.exp(-(log_odds + 1))) if share is None else np.full(rows, NAN)
    np.testing.assert_allclose(found["challenger_probability"].to_numpy(), shadow, rtol=1e-13)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(books(), EIGHTHS, st.floats(0, 1, exclude_min=True, exclude_max=True), st.text("ab1é", max_size=3))
def test_shared_batch_equals_each_model_on_its_accounts(
    book: tuple[Scorecard, list[dict[str, Any]]], intercept: float, share: float, salt: str
) -> None:
    card, rows = book
    rival = Scorecard("logistic", intercept, card.terms)
    found = predicted(rows, both(card, rival, share, salt), policy())
    ours, theirs = predicted(rows, card, policy()), predicted(rows, rival, policy())
    rest = [name for name in found.columns if name not in ("arm", "model_version")]
    for at in range(len(rows)):
        it = taken(salt, f"a{at}", share)
        assert found[at].select("arm", "model_version").row(0) == (("challenger", "model_v008") if it else ("champion", "model_v007"))
        assert found[at].select(rest).equals((theirs if it else ours)[at].select(rest))


def test_facts_summarise_a_date() -> None:
    log_odds = [-40.0, 0.0, math.log(3), 40.0]
    rows = [{"f0": value} for value in log_odds] + [{"f0": 1.0, "issues": "f0: odd"}]
    facts = predicted(rows, lines(0.0), policy()).select(prediction_facts()).row(0, named=True)
    assert (facts["rows"], facts["scored"], facts["with_issues"], facts["predicted_bad"]) == (5, 4, 1, 3)
    assert facts["min_score"] == pytest.approx(math.exp(-40), rel=1e-12)
    assert facts["max_score"] == 1
    assert facts["mean_score"] == pytest.approx((0 + 0.5 + 0.75 + 1) / 4, abs=1e-12)
    histogram = [facts[f"histogram.{bin_:02d}"] for bin_ in range(HISTOGRAM_BINS)]
    assert sum(histogram) == 4
    assert (histogram[0], histogram[10], histogram[-1]) == (1, 1, 1)
    assert (facts["challenger_scored"], facts["challenger_mean_score"]) == (0, None)


def facts_of(found: pl.DataFrame) -> dict[str, Any]:
    return found.lazy().select(prediction_facts()).collect(engine="streaming").row(0, named=True)


def test_facts_of_a_share_have_the_challenger_count_and_mean() -> None:
    rows = [{"f0": at / 10, "issues": "f0: odd" if at % 4 == 1 else None} for at in range(80)]
    facts = facts_of(predicted(rows, both(lines(0.0), lines(0.0, intercept=-1.0), 0.4), policy()))
    scored = [at for at in range(80) if at % 4 != 1]
    theirs = [at for at in scored if taken("salt", f"a{at}", 0.4)]
    probability = {at: 1 / (1 + math.exp((1 if at in theirs else 0) - at / 10)) for at in scored}
    assert 0 < len(theirs) < len(scored)
    assert (facts["rows"], facts["scored"], facts["challenger_scored"]) == (80, 60, len(theirs))
    assert facts["challenger_mean_score"] == pytest.approx(math.fsum(probability[at] for at in theirs) / len(theirs), rel=1e-12)
    assert facts["mean_score"] == pytest.approx(math.fsum(probability.values()) / 60, rel=1e-12)


def test_facts_of_a_shadow_have_its_mean_over_all_rows() -> None:
    rows = [{"f0": 0.0}, {"f0": 0.0, "issues": "f0: odd"}, {"f0": math.log(3)}]
    facts = facts_of(predicted(rows, both(lines(0.0), lines(0.0, intercept=math.log(3)), None), policy()))
    assert (facts["scored"], facts["challenger_scored"]) == (2, 0)
    assert facts["mean_score"] == pytest.approx((0.5 + 0.75) / 2, rel=1e-12)
    assert facts["challenger_mean_score"] == pytest.approx((0.75 + 0.9) / 2, rel=1e-12)


@pytest.mark.parametrize("rows", [[], [{"f0": 0.0, "issues": "f0: odd"}]])
@pytest.mark.parametrize("share", [1 - 1e-15, None])
def test_facts_without_challenger_scores_are_zero_and_null(rows: list[dict[str, Any]], share: float | None) -> None:
    facts = facts_of(predicted(rows, both(lines(0.0), lines(0.0), share), policy()))
    assert (facts["rows"], facts["scored"], facts["challenger_scored"]) == (len(rows), 0, 0)
    assert facts["challenger_mean_score"] is None


def test_facts_without_scores_are_zero_and_null() -> None:
    facts = predicted([{"f0": 1.0, "issues": "f0: odd"}], lines(0.0), policy()).select(prediction_facts()).row(0, named=True)
    assert (facts["rows"], facts["scored"], facts["with_issues"], facts["predicted_bad"]) == (1, 0, 1, 0)
    assert (facts["min_score"], facts["mean_score"], facts["max_score"]) == (None, None, None)
    assert {facts[f"histogram.{bin_:02d}"] for bin_ in range(HISTOGRAM_BINS)} == {0}
