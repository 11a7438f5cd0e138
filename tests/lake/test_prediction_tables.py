"""The CSV of predictions: quotes where a text needs them, and nowhere else."""

import io

import polars as pl
import pytest

from risk_assets.domain.batch.predictions import constant_texts, predict
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.scorecard.scorecard import Levels, Line, Scorecard, Term, VersionedScorecard
from risk_assets.lake.prediction_tables import prediction_batch
from tests.documents import SAMPLE_POLICY

OWN = (ACCOUNT_ID, EXCLUDED, ISSUES)
TEXTS = ("plain", "a,b", 'a"b', "a\nb", "a\rb", "", " ", "é", None)


def models(reason: str) -> Arms:
    """Return a model of two features, of which one has this text as a reason."""
    age = Term("age", Line(-0.1, 40.0, 0.5), 0.0, -4.0, "Age")
    city = Term("city", Levels(("north", "south"), (0.5, -0.5), 0.0, 0.2), 0.0, -0.5, reason)
    return Arms(VersionedScorecard("model_v001", Scorecard("logistic", -1.0, (age, city))))


def features(column: str, text: str | None) -> pl.DataFrame:
    """Return two rows, of which the second one has a text in a column."""
    plain = {ACCOUNT_ID: "A1", "age": 30.0, "city": "north", EXCLUDED: None, ISSUES: None}
    return pl.DataFrame([plain, plain | {column: text}], schema={name: pl.Float64 if name == "age" else pl.String for name in plain})


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("column", OWN)
@pytest.mark.parametrize("reason", ["City", "City, if any"])
def test_texts_that_need_quotes_have_them(column: str, text: str | None, reason: str) -> None:
    arms = models(reason)
    predictions = predict(features(column, text), arms, SAMPLE_POLICY)
    content = b"".join(prediction_batch(predictions, constant_texts(arms, SAMPLE_POLICY), SAMPLE_POLICY.review, header=True).csv)
    assert content == predictions.write_csv().encode()
    assert pl.read_csv(io.BytesIO(content), infer_schema=False)[column].to_list() == predictions[column].to_list()
    assert '"City, if any"' in content.decode() or reason == "City"


def test_all_other_texts_are_those_of_models_and_policy() -> None:
    arms = models("City")
    predictions = predict(pl.concat([features(ISSUES, "x: y"), features(EXCLUDED, "young")]), arms, SAMPLE_POLICY)
    others = predictions.select(pl.col(pl.String).exclude(*OWN))
    assert {text for column in others for text in column.drop_nulls()} <= {*constant_texts(arms, SAMPLE_POLICY)}
