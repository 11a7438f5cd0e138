"""Tests of online scoring: the same results as batch for the same values, by the same arm."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.field_rules import SEPARATOR
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUE, ISSUES, NOT_ELIGIBLE, Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.ingest.validation import RAGGED, validate
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Steps, Term, VersionedScorecard
from risk_assets.lake import layout, registry
from risk_assets.lake.store import open_store
from risk_serving.http.problems import Problem
from risk_serving.scoring.live_model import LiveSnapshot, build_snapshot
from tests.answered import ScoredBody, answered
from tests.defs.conftest import NEXT
from tests.documents import BOUND
from tests.domain.scorecard.test_forms import policies, steps, weights
from tests.serving.conftest import LOGISTIC, SCORECARD

Record: TypeAlias = dict[str, Any]
NEAR = 1e-12
ID = "account"
GROUP = "customer"
NEVER_SCORED = "not known here"

names = st.text("abcXYZ éß_-.0", min_size=1, max_size=6)
bounds = st.floats(-1e6, 1e6).map(lambda bound: bound + 0.0)
blanks = st.sampled_from(["", " ", "\t", " \r\n", "\xa0", "\u2003 ", "\x1c"])
seldom = st.sampled_from([False] * 5 + [True])
texts = st.one_of(
    st.sampled_from(["a", "b", "c", "ä", "", "NA", "null", "NK", "-9", NEVER_SCORED]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)


@st.composite
def features(draw: st.DrawFn) -> dict[str, Any]:
    common = {
        "required": draw(st.booleans()),
        "reason": "why",
        "missing": draw(st.sampled_from([(), ("-9",), ("NK", "-9"), ("999", "NK")])),
    }
    if draw(st.booleans()):
        return {"type": "category", **common}
    low, high = sorted([draw(bounds), draw(bounds)])
    limits = {"min": low, "max": high}
    return {"type": "number", **common, **{name: limits[name] for name in draw(st.sets(st.sampled_from(["min", "max"])))}}


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Return contracts with and without customers, population rules and columns that models do not use."""
    chosen = draw(st.dictionaries(names.filter(lambda name: name not in {"id", "bad"}), features(), min_size=1, max_size=5))
    others = draw(st.sets(st.sampled_from(list(chosen)), max_size=len(chosen) - 1))
    columns = {name: {**feature, "input": False, "required": False} if name in others else feature for name, feature in chosen.items()}
    content = {"id": ID, "target": {"column": "outcome", "bad": "1"}, "features": columns}
    content["missing"] = draw(st.sampled_from([("", "NA", "null"), ("", "-1", "NA")]))
    content["exclude"] = draw(st.lists(st.sampled_from(list(chosen)).flatmap(lambda name: rules(name, chosen[name])), max_size=3))
    return Contract.model_validate(content | draw(st.sampled_from([{}, {"group": GROUP}])))


def rules(name: str, feature: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    common = {"column": st.just(name), "reason": st.sampled_from(["closed", "late", "fraud"])}
    if feature["type"] == "category":
        return st.fixed_dictionaries({**common, "is": st.lists(st.sampled_from(["a", "ä ", NEVER_SCORED]), min_size=1)})
    limits = st.sampled_from([feature.get("min", 0.0), feature.get("max", 1.0), 0, -0.0]) | bounds
    return st.sampled_from(["at_least", "above", "at_most", "below"]).flatmap(lambda key: st.fixed_dictionaries({**common, key: limits}))


known = st.none() | weights


@st.composite
def cards(draw: st.DrawFn, contract: Contract) -> Scorecard:
    """Return a scorecard of either estimator with all inputs of a contract."""
    estimator = draw(st.sampled_from(["logistic", "scorecard"]))
    line = st.builds(Line, weights, st.floats(-1e6, 1e6), weights)
    number: st.SearchStrategy[Line | Steps | Levels] = line if estimator == "logistic" else steps
    level: st.SearchStrategy[Line | Steps | Levels] = st.builds(
        Levels, st.just(("a", "b", "ä")), st.tuples(weights, weights, weights), weights, weights
    )
    shapes = {name: draw(number if feature.type == "number" else level) for name, feature in contract.inputs.items()}
    terms = tuple(
        Term(name, shape, draw(weights), draw(weights), f"why {name}", draw(seldom), _texts(name, shape), draw(known))
        for name, shape in shapes.items()
    )
    return Scorecard(estimator, draw(st.floats(-5, 5)), terms)


def _texts(name: str, shape: Line | Steps | Levels) -> tuple[str, ...]:
    size = 2 if isinstance(shape, Line) else len(shape.table)
    return tuple(f"{name} at {position}" for position in range(size))


@st.composite
def arms(draw: st.DrawFn, contract: Contract) -> Arms:
    champion = VersionedScorecard("model_v001", draw(cards(contract)))
    beside = draw(st.sampled_from(["alone", "share", "shadow"]))
    if beside == "alone":
        return Arms(champion)
    share = draw(st.sampled_from([0.001, 0.3, 0.999])) if beside == "share" else None
    return Arms(champion, VersionedScorecard("model_v002", draw(cards(contract))), share, "salt")


@st.composite
def valid_or_invalid_records(draw: st.DrawFn, contract: Contract, cards: Sequence[Scorecard]) -> list[Record]:
    """Return records with unique ids: few or many, most of them valid."""
    clean = draw(st.booleans())
    row = st.fixed_dictionaries({name: _values(contract, name, cards, clean) for name in contract.request_features})
    found = draw(st.lists(row, min_size=1, max_size=6))
    count = draw(st.sampled_from([1, 2, 11, 12, 33]))
    customers = draw(st.lists(texts | st.none(), min_size=1, max_size=4)) if contract.group else []
    groups = [{GROUP: customers[at % len(customers)]} if customers else {} for at in range(count)]
    return [{"id": f"A{at}", **groups[at], **found[at % len(found)]} for at in range(count)]


def _values(contract: Contract, name: str, cards: Sequence[Scorecard], clean: bool) -> st.SearchStrategy[Any]:
    feature = contract.features[name]
    if feature.type == "category":
        any_text = st.builds(lambda before, text, after: before + text + after, blanks, texts, blanks)
        known = st.sampled_from(["a", " b", "ä\t", NEVER_SCORED])
        return known if clean and feature.required else known | any_text | st.none()
    low, high = (-1e7 if feature.min is None else feature.min), (1e7 if feature.max is None else feature.max)
    within = st.floats(min(low, high), max(low, high)) | st.sampled_from([low, high])
    if clean and feature.required:
        return within.filter(lambda value: value not in (-9, 999, -1))
    missing = st.sampled_from([None, -9, -9.0, 999, -1])
    if clean:
        return within | st.none()
    shapes = [term.shape for card in cards for term in card.terms if term.feature == name]
    edges = [edge for shape in shapes if isinstance(shape, Steps) for edge in shape.edges]
    return within | missing | st.floats(-1e7, 1e7) | st.integers(-(10**20), 10**20) | st.sampled_from([*edges, 0, -0.0, 5e-324])


@st.composite
def requests(draw: st.DrawFn) -> tuple[Contract, Arms, list[Record]]:
    contract = draw(contracts())
    models = draw(arms(contract))
    return contract, models, draw(valid_or_invalid_records(contract, [model.scorecard for model in models.models]))


@given(requests(), policies)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_random_records_get_the_results_of_batch(made: tuple[Contract, Arms, list[Record]], policy: Policy) -> None:
    contract, models, records = made
    frame = pl.DataFrame(
        [_raw(record, contract) for record in records], schema=dict.fromkeys([*contract.columns, RAGGED], pl.String), orient="row"
    )
    expected = predictions(validate(frame.lazy(), contract, pl.Series([], dtype=pl.String)), models, policy).collect()
    body = json.dumps({"records": records}).encode()
    errors = [(at, *issue.rsplit(": ", 1)) for at, issues in enumerate(expected[ISSUES]) if issues for issue in issues.split(SEPARATOR)]
    if errors:
        with pytest.raises(Problem) as caught:
            live_snapshot(contract, models, policy).decoder.decode(body)
        # batch lists what the contract requires first, and then what the models require
        place = list(contract.request_features).index
        errors.sort(key=lambda error: (error[0], place(error[1])))
        assert [(error.record, error.field, error.rule) for error in caught.value.errors] == errors
        skipping = json.dumps({"on_error": "skip", "records": records}).encode()
        _require_same(answered(live_snapshot(contract, models, policy), skipping), expected)
    else:
        _require_same(answered(live_snapshot(contract, models, policy), body), expected)


def _raw(record: Record, contract: Contract) -> list[str | None]:
    """Return a record as a row of a raw file: numbers as in the JSON, empty for null."""
    values = [record["id"], *(record.get(name) for name in contract.columns[1:])]
    return [*["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values], None]


def _require_same(scored_body: ScoredBody, expected: pl.DataFrame) -> None:
    results = json.loads(scored_body.content)["results"]
    assert len(results) == expected.height
    for result, row in zip(results, expected.to_dicts(), strict=True):
        assert (result["status"], result.get("excluded")) == (row["status"], row["excluded"])
        if row["status"] == ISSUE:
            assert list(result) == ["status", "id", "issues", "arm", "model_version"]
            assert SEPARATOR.join(result["issues"]) == row[ISSUES]
            assert [result[name] for name in ("id", "arm", "model_version")] == [row[name] for name in (ACCOUNT_ID, "arm", "model_version")]
            continue
        if row["status"] == NOT_ELIGIBLE:
            assert list(result) == ["status", "id", "excluded", "arm", "model_version"]
            assert [result[name] for name in ("id", "arm", "model_version")] == [row[name] for name in (ACCOUNT_ID, "arm", "model_version")]
            continue
        assert abs(result["probability"] - row["probability"]) <= NEAR
        assert result["id"] == row[ACCOUNT_ID]
        assert [result[name] for name in ("prediction", "points", "band", "arm", "model_version")] == [
            row[name] for name in ("prediction", "points", "band", "arm", "model_version")
        ]
        assert result["reasons"] == [row[name] for name in row if name.startswith("reason_") and row[name] is not None]
    shadow = scored_body.scored.shadow
    beside = [None] * expected.height if shadow is None else shadow
    for online, batch in zip(beside, expected["challenger_probability"], strict=True):
        assert (online is None) == (batch is None)
        assert online is None or abs(online - batch) <= NEAR


def live_snapshot(contract: Contract, models: Arms, policy: Policy) -> LiveSnapshot:
    """Return the snapshot of a binding to these models."""
    challenger = models.challenger.version if models.challenger else None
    plain = {"seq": 1, "action": "promote", "mode": "ab", "actor": "ann", "reason": "a test", "overrides": (), **BOUND}
    times = {"effective_from": "2026-03-01T00:00:00+00:00", "recorded_at": "2026-03-01T00:00:00+00:00", "previous": None, "seal": ""}
    named = {"champion": models.champion.version, "challenger": challenger, "challenger_share": models.share, "salt": models.salt}
    return build_snapshot(msgspec.convert({**plain, **times, **named}, Binding), models, contract, policy, 1000)


@pytest.fixture(scope="module")
def both(served_book: Path) -> tuple[VersionedScorecard, VersionedScorecard]:
    """The logistic model and the scorecard of the lake."""
    lake = open_store(str(served_book / "lake"))
    return registry.read_scorecard(lake, LOGISTIC), registry.read_scorecard(lake, SCORECARD)


@pytest.fixture(scope="module")
def curated(served_book: Path) -> pl.LazyFrame:
    """The scored date's features for the accounts without issues."""
    return pl.scan_parquet(served_book / "lake" / layout.features(NEXT)).filter(pl.col(ISSUES).is_null())


@pytest.mark.parametrize("share", [0.3, None], ids=["share", "shadow"])
@pytest.mark.parametrize("size", [1, 11, 12, 300])
def test_challenger_scores_the_same_accounts_as_in_batch(
    both: tuple[VersionedScorecard, VersionedScorecard],
    curated: pl.LazyFrame,
    records: list[Record],
    contract: Contract,
    policy: Policy,
    share: float | None,
    size: int,
) -> None:
    models = Arms(*both, share, "spring")
    expected = predictions(curated, models, policy).collect()
    live = live_snapshot(contract, models, policy)
    for start in range(0, len(records), size):
        part = records[start : start + size]
        _require_same(answered(live, json.dumps({"records": part}).encode()), expected[start : start + size])
    assert len(set(expected["arm"])) == (1 if share is None else 2)


def test_records_without_an_id_are_scored_by_the_champion(
    both: tuple[VersionedScorecard, VersionedScorecard], records: list[Record], contract: Contract, policy: Policy
) -> None:
    live = live_snapshot(contract, Arms(*both, 0.999, "spring"), policy)
    for size in (5, 40):
        nameless = [{**record, "id": None} for record in records[:size]] + [{k: v for k, v in records[0].items() if k != "id"}]
        results = json.loads(answered(live, json.dumps({"records": nameless}).encode()).content)["results"]
        assert {result["arm"] for result in results} == {"champion"}
        assert {result["id"] for result in results} == {None}


def test_request_may_have_accounts_of_one_arm_only(
    both: tuple[VersionedScorecard, VersionedScorecard], records: list[Record], contract: Contract, policy: Policy
) -> None:
    models = Arms(*both, 0.3, "spring")
    live = live_snapshot(contract, models, policy)
    challenged = models.challenged([record["id"] for record in records])
    for arm in ("champion", "challenger"):
        part = [record for record, by_challenger in zip(records, challenged, strict=True) if by_challenger == (arm == "challenger")]
        for size in (1, 5, len(part)):
            results = json.loads(answered(live, json.dumps({"records": part[:size]}).encode()).content)["results"]
            assert [result["arm"] for result in results] == [arm] * size
