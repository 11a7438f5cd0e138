"""No account gets a reason text that is false for it, whatever the book, the estimator and the reference."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_assets.domain.contract.column_types import polars_schema
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.scorecard.arrays import contribution, with_reference_points
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.reasons import reason_texts
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Shape, Steps, Term
from risk_assets.domain.scorecard.scoring import score
from risk_assets.domain.scorecard.single_row import scorer
from risk_assets.domain.training.estimators import fit
from risk_assets.domain.training.reason_texts import with_reason_texts

ROWS = 240
LOW, HIGH, MISSING, NEUTRAL = "low", "high", "missing", "neutral"


def contract_of(risks: list[str | None], categories: int) -> Contract:
    """Return a contract whose texts name a feature and what they claim about its value."""
    features: dict[str, Any] = {}
    for at, risk in enumerate(risks):
        name = f"x{'abc'[at]}"
        side = {"up": HIGH, "down": LOW, None: NEUTRAL}[risk]
        features[name] = {"type": "number", "risk": risk, "reason": f"{name} {side}", "reason_missing": f"{name} {MISSING}"}
        if risk is None:
            features[name] |= {"reason_low": f"{name} {LOW}", "reason_high": f"{name} {HIGH}"}
    if categories:
        features["k"] = {"type": "category", "reason": f"k {NEUTRAL}", "reason_missing": f"k {MISSING}"}
    return Contract.model_validate({"id": "id", "target": {"column": "t", "bad": 1}, "features": features})


@st.composite
def books(draw: st.DrawFn) -> tuple[Contract, pd.DataFrame, np.ndarray]:
    """Return a contract and rows: effects in either direction or in the middle, and missing values that are safe, risky or rare."""
    risks = draw(st.lists(st.sampled_from(["up", "down", None]), min_size=1, max_size=3))
    contract = contract_of(risks, draw(st.integers(0, 1)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    log_odds, columns = np.full(ROWS, -0.5), {}
    for name in contract.numbers:
        values = np.round(random.normal(size=ROWS), draw(st.sampled_from([0, 2])))
        gone = random.random(ROWS) < draw(st.sampled_from([0, 0, 0.02, 0.3, 0.8, 1]))
        effects = {"up": values, "down": -values, "none": 0 * values, "middle": 2 - 2 * abs(values), "ends": 2 * abs(values) - 2}
        log_odds += np.where(gone, draw(st.sampled_from([-3, 0, 2])), effects[draw(st.sampled_from(sorted(effects)))])
        columns[name] = np.where(gone, np.nan, values)
    for name in contract.categories:
        levels = random.choice(["u", "v", "w", None], ROWS)
        log_odds += np.where(levels == "u", 1, 0)
        columns[name] = levels.tolist()
    bad = (log_odds + random.logistic(size=ROWS) > 0).astype(np.int64)
    bad[:12], bad[12:24] = 0, 1
    schema = polars_schema({name: feature.type for name, feature in contract.inputs.items()})
    return contract, pl.DataFrame(columns, schema=schema, nan_to_null=True).to_pandas(), bad


def probes(term: Term, random: np.random.Generator) -> list[Any]:
    if isinstance(term.shape, Levels):
        return ["never seen", None]
    extremes = [-1e9, -3.0, 0.0, 3.0, 1e9, None]
    return extremes + list(getattr(term.shape, "edges", ())) + random.normal(size=4).tolist()


def holds(claim: str, shape: Shape, value: Any, trained: pd.Series) -> bool:
    """Return whether a claim about a value is true: compared with the training rows, and by trying other values."""
    if claim == MISSING or value is None:
        return claim == MISSING and value is None
    if claim == NEUTRAL:
        return True
    average = (trained.mean(), trained.median())
    if not (value < min(average) if claim == LOW else value > max(average)):
        return False
    edges = [*getattr(shape, "edges", ()), value]
    others = np.array(sorted({*edges, *(edge - 1e-6 for edge in edges), *(np.nextafter(edge, np.inf) for edge in edges), -1e12, 1e12}))
    here, there = contribution(shape, np.array([value]))[0], contribution(shape, others)
    lower, higher = (there[others < value] < here).any(), (there[others > value] < here).any()
    return bool(higher and not lower) if claim == LOW else bool(lower and not higher)


@pytest.mark.parametrize("estimator", ["logistic", "scorecard"])
@settings(deadline=None, max_examples=25)
@given(books(), st.sampled_from(["mean", "best"]), st.sampled_from(["worst", "issue"]))
def test_no_account_gets_a_text_that_is_false_for_it(
    estimator: str, book: tuple[Contract, pd.DataFrame, np.ndarray], against: str, unseen: str
) -> None:
    contract, features, bad = book
    boosting = {"rounds": 30, "max_bins": 16, "min_rows": 5}
    policy = Policy.model_validate(
        {"threshold": 0.1, "reasons": 4, "reasons_against": against, "training": {"scorecard": boosting, "unseen_missing": unseen}}
    )
    card = fit(estimator, features, bad, np.arange(ROWS), contract, policy.training, None).card
    random = np.random.default_rng(1)
    columns = {term.feature: random.choice(np.array(probes(term, random), dtype=object), 60).tolist() for term in card.terms}
    schema = polars_schema(card.features)
    frame = pl.concat([pl.from_pandas(features, nan_to_null=True).cast(schema), pl.DataFrame(columns, schema=schema)])  # type: ignore[arg-type]
    scores, texts = score(card, policy, encode(frame, card)), reason_texts(card)
    alone = scorer(card, policy)
    terms = {term.feature: term for term in card.terms}
    for row, found in zip(frame.rows(), scores.texts.tolist(), strict=True):
        given_texts = [texts[position] for position in found if position >= 0]
        assert list(alone(row)[-1]) == given_texts
        for text in given_texts:
            name, claim = text.split(" ") if " " in text else (text, NEUTRAL)
            feature = name.lower()
            assert holds(claim, terms[feature].shape, dict(zip(frame.columns, row, strict=True))[feature], features[feature]), (text, row)


def texts_of(shape: Shape, risk: str | None = None) -> tuple[str, ...]:
    contract = contract_of([risk], 1)
    name = "k" if isinstance(shape, Levels) else "xa"
    card = Scorecard("scorecard", 0.0, (Term(name, shape, 0.0, 0.0, "?"),))
    found = with_reason_texts(card, contract, np.array([[0.0], [np.nan]]))
    return tuple(text.removeprefix(f"{name} ") for text in found.terms[0].texts)


@pytest.mark.parametrize(
    ("shape", "risk", "texts"),
    [
        (Line(1.0, 0.0, 2.0), None, (HIGH, MISSING)),
        (Line(-1.0, 0.0, 2.0), None, (LOW, MISSING)),
        (Line(0.0, 0.0, 2.0), None, (NEUTRAL, MISSING)),
        (Line(1.0, 0.0, 2.0), "up", (HIGH, MISSING)),
        (Line(1.0, 0.0, 2.0), "down", ("Xa", MISSING)),  # against the declared direction: a text that claims no direction
        (Steps((1.0, 2.0), (0.0, 1.0, 2.0), 0.5), "up", ("Xa", HIGH, HIGH, MISSING)),
        (Steps((-1.0, 2.0), (0.0, 1.0, 2.0), 0.5), "up", ("Xa", "Xa", HIGH, MISSING)),  # a step of values on both sides of the average
        (Steps((-2.0, -1.0), (2.0, 1.0, 0.0), 0.5), "down", (LOW, LOW, "Xa", MISSING)),
        (Steps((-1.0, 2.0), (2.0, 0.0, 2.0), 0.5), None, (LOW, NEUTRAL, HIGH, MISSING)),
        (Steps((1.0, 2.0), (0.0, 2.0, 1.0), 0.5), None, (NEUTRAL, NEUTRAL, HIGH, MISSING)),
        (Steps((), (1.0,), 0.5), None, (NEUTRAL, MISSING)),
        (Levels(("u", "v"), (1.0, 2.0), 0.5, 0.0), None, (NEUTRAL, NEUTRAL, NEUTRAL, MISSING)),
    ],
)
def test_texts_by_position(shape: Shape, risk: str | None, texts: tuple[str, ...]) -> None:
    assert texts_of(shape, risk) == texts


@pytest.mark.parametrize("shape", [Line(-1.0, 0.0, -9.0), Steps((-1.0, 1.0, 2.2), (3.0, 1.0, -1.0, -5.0), -9.0)])
@pytest.mark.parametrize("against", ["mean", "best"])
def test_a_value_is_low_only_compared_with_known_ones(shape: Shape, against: str) -> None:
    """Missing values are safer than all known ones, whose mean is 0.75 and whose median is 1.25."""
    x = np.array([[-2.0], [0.5], [2.0], [2.5], *[[np.nan]] * 96])
    card = with_reference_points(Scorecard("logistic", 9.0, (Term("xa", shape, 0.0, 0.0, "?"),)), x)
    card = with_reason_texts(card, contract_of(["down"], 0), x)
    policy = Policy.model_validate({"reasons": 1, "reasons_against": against})
    rows, texts = [-2.0, 1.1, 2.5], ["xa low", "Xa", "Xa"]
    assert [scorer(card, policy)([row])[-1] for row in rows] == [(text,) for text in texts]
    shown, found = reason_texts(card), score(card, policy, np.array([rows]).T)
    assert [shown[position] for position in found.texts[:, 0]] == texts
