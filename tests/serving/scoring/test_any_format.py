"""A property of all formats: the same results and errors as `records`, for any contract, models and records."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_serving.http.media import ArrowMedia, JsonMedia, Media
from risk_serving.http.problems import FieldError, Problem
from risk_serving.scoring.live_model import LiveSnapshot
from risk_serving.scoring.wire import InvalidRequest
from tests.domain.scorecard.test_forms import policies
from tests.serving.scoring.test_arrow import stream
from tests.serving.scoring.test_formats import MAKERS
from tests.serving.scoring.test_scorer import Record, live_snapshot, requests

Outcome: TypeAlias = tuple[list[Any], Any] | tuple[FieldError, ...]


def arrow(records: list[Record]) -> bytes:
    columns = {name: [record[name] for record in records] for name in records[0]}
    return stream(pa.table({name: pa.array([float(x) if isinstance(x, int) else x for x in values]) for name, values in columns.items()}))


def outcome(media: Media, live: LiveSnapshot, body: bytes) -> Outcome:
    """Return the results of a body and the probabilities in shadow, or its errors."""
    try:
        records = media.read(live.decoder, body)
    except InvalidRequest:
        with pytest.raises(Problem) as caught:
            media.reread(live.decoder, body)
        return caught.value.errors
    scored = live.scorer.score(records)
    return scored.results, scored.shadow


FORMATS: list[tuple[Media, Callable[[list[Record]], bytes]]] = [(ArrowMedia(), arrow)]
FORMATS += [(JsonMedia(), lambda records, make=make: json.dumps(make(records)).encode()) for make in MAKERS.values()]  # type: ignore[misc]


@given(requests(), policies)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_outcome_equals_that_of_records(made: tuple[Contract, Arms, list[Record]], policy: Policy) -> None:
    contract, models, drawn = made
    records = [{name: record[name] for name in drawn[0]} for record in drawn]
    live = live_snapshot(contract, models, policy)
    expected = outcome(JsonMedia(), live, json.dumps({"records": records}).encode())
    for media, make in FORMATS:
        assert outcome(media, live, make(records)) == expected
