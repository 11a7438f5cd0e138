"""Tests of the scores of a request: by column they are the same as one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_assets.domain.scorecard.many_rows import ManyScores
from risk_serving.scoring.scored import ManyScored, ModelNames, Scored

NAMES = ModelNames("champion", "model_v001", ("low", "high"), ("first", "second", "third"))


@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.95, 1.0])), min_size=1, max_size=60))
def test_scores_by_column_are_those_of_their_results(probabilities: list[float]) -> None:
    probability = np.array(probabilities)
    bad = probability > 0.5
    flagged = np.flatnonzero(bad)
    texts = np.tile([2, 0], (len(flagged), 1))
    counts = 1 + np.arange(len(flagged)) % 2
    scores = ManyScores(probability, bad, np.arange(len(bad)), bad.astype(np.int64), flagged, texts, counts)
    many = ManyScored([f"A{number}" for number in range(len(bad))], scores, NAMES)
    one_by_one = Scored(many.results)
    assert len(many) == len(one_by_one) == len(probabilities)
    assert many.counts() == one_by_one.counts()
    assert sum(many.counts().values()) == len(probabilities)
    assert many.columns() == one_by_one.columns()
    assert [result.reasons for result in many.results if result.prediction] == [("third", "first")[:count] for count in counts.tolist()]
