"""Any text of an id and of levels is read the same way from a snapshot and from a request: level, issue, arm and probability."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_assets.domain.batch.predictions import predictions
from risk_assets.domain.contract.field_rules import CONTROL_ISSUE
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES, RAGGED, Contract
from risk_assets.domain.contract.text import WHITESPACE
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES, count_fields
from risk_assets.domain.ingest.csv_dialect import sniff
from risk_assets.domain.ingest.validation import SEPARATOR, validate
from risk_assets.domain.scorecard.scorecard import Levels, Scorecard, Term, VersionedScorecard
from risk_serving.http.problems import Problem
from risk_serving.scoring.columns import MIN_COLUMNS
from risk_serving.scoring.records import Records, Rows
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder

CONTRACT = Contract.model_validate(
    {
        "id": "account",
        "target": {"column": "outcome", "bad": "1"},
        "missing": ["", "NA", "ne\u0301ant "],
        "features": {
            "k": {"type": "category", "required": True, "reason": "K"},
            "m": {"type": "category", "missing": ["\xa0?"], "reason": "M"},
        },
    }
)
POLICY = Policy(threshold=0.5, bands={"A": 0.5, "B": 1})
LEVELS = Levels(("a", "\xe9", "e\u0301t ", "\ud55c", "\u200ba"), (0.1, 0.2, 0.3, 0.4, 0.5), missing=-0.7, unseen=0.9)


def card(intercept: float) -> Scorecard:
    return Scorecard("logistic", intercept, tuple(Term(name, LEVELS, 0.0, 0.0, name) for name in CONTRACT.features))


ARMS = Arms(VersionedScorecard("model_v001", card(0.0)), VersionedScorecard("model_v002", card(1.0)), 0.5, "salt")
DECODER = RequestDecoder(CONTRACT, ARMS, 1000)
SCORER = Scorer(ARMS, POLICY, CONTRACT)

# The encoder of JSON and the writer of CSV have no text for a lone surrogate. NUL is an issue of the line.
any_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
known = st.sampled_from(["a", "\xe9", "e\u0301", "e\u0301t", "\u1112\u1161\u11ab", "NA", "n\xe9ant", "?", "\u200ba", ""])
space = st.text(st.sampled_from(WHITESPACE), max_size=2)
cells = any_text | st.builds("{}{}{}".format, space, known, space)
rows = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5)


def batch(sent: list[tuple[str, str, str]]) -> pl.DataFrame:
    """Return the features and predictions of a snapshot, as if no id were repeated."""
    frame = pl.LazyFrame(sent, schema=dict.fromkeys(("account", "k", "m"), pl.String), orient="row")
    raw = frame.with_columns(pl.lit(None, dtype=pl.String).alias(RAGGED))
    features = validate(raw, CONTRACT, pl.Series([], dtype=pl.String)).collect(engine="streaming")
    return pl.concat([features, predictions(features.lazy(), ARMS, POLICY).collect().drop(ACCOUNT_ID, EXCLUDED, ISSUES)], how="horizontal")


def decoded(sent: list[tuple[str, str, str]]) -> Records:
    return DECODER.decode(json.dumps({"records": [dict(zip(("id", "k", "m"), row, strict=True)) for row in sent]}).encode())


def rejected(sent: list[tuple[str, str, str]]) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(Problem) as caught:
        decoded(sent)
    return [(error.record, error.field, error.rule) for error in caught.value.errors]


def levels(records: Records) -> list[tuple[Any, ...]]:
    if isinstance(records, Rows):
        return list(records.rows)
    return list(zip(*[[column.levels[at] for at in column.positions] for column in records.categories], strict=True))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows, st.booleans())
def test_batch_and_service_agree_on_any_text(sent: list[tuple[str, str, str]], many: bool) -> None:
    sent = sent * MIN_COLUMNS if many else sent
    expected = batch(sent)
    broken = [(at, *issue.split(": ")) for at, issues in enumerate(expected[ISSUES]) if issues for issue in issues.split(SEPARATOR)]
    if broken:
        assert rejected(sent) == [(at, "id" if field == ACCOUNT_ID else field, rule) for at, field, rule in broken]
        return
    records = decoded(sent)
    assert list(records.ids) == expected[ACCOUNT_ID].to_list()
    assert levels(records) == expected.select("k", "m").rows()
    for result, row in zip(SCORER.score(records).results, expected.to_dicts(), strict=True):
        assert (result.id, result.arm, result.points, result.band) == (row[ACCOUNT_ID], row["arm"], row["points"], row["band"])
        assert result.probability == pytest.approx(row["probability"], abs=1e-12)


@pytest.mark.parametrize("among", [1, MIN_COLUMNS])
@pytest.mark.parametrize("name", ["", " \xa0", "\u2003", "NA", " NA\t", "ne\u0301ant", "a\nb", "a\r\nb ", "NA\nNA"])
def test_id_with_an_issue_in_the_batch_is_an_error(name: str, among: int) -> None:
    rows = [("A1", "a", "a")] * among + [(name, "a", "a")]
    issue = batch(rows)[ISSUES][-1]
    assert rejected(rows) == [(among, "id", issue.removeprefix("account_id: "))]


@pytest.mark.parametrize("among", [1, MIN_COLUMNS])
def test_text_with_nul_is_an_error_as_in_the_batch(among: int) -> None:
    rows = [("A1", "a", "a")] * among + [("A\0", "a\0", "\0")]
    content = "".join(f"{name},{k},{m}\n" for name, k, m in [("account", "k", "m"), *rows])
    counted = count_fields(sniff(content.encode(), "accounts.csv", CONTRACT.columns), [content.encode()])
    assert list(counted.issues["control"]) == [among]
    assert LINE_ISSUES["control"] == f"line: {CONTROL_ISSUE}"
    assert rejected(rows) == [(among, field, CONTROL_ISSUE) for field in ("id", "k", "m")]


@pytest.mark.parametrize("among", [1, MIN_COLUMNS])
def test_padded_id_belongs_to_the_arm_of_the_id(among: int) -> None:
    found = {SCORER.score(decoded([(name, "a", "a")] * among)).results[0].arm for name in ("A1", "A1 ", "\xa0A1\u3000", "\x1cA1")}
    assert len(found) == 1
