"""Requests to the service in a drift report: their own limits, what is shown, and the words."""

import msgspec
import polars as pl
import pytest

from risk_assets.domain.contract.policy import Monitoring
from risk_assets.domain.monitoring.drift import count, measure, measure_online
from risk_assets.domain.monitoring.evidence import ONLINE_HEADER, online_drifts, online_rows, online_summary, online_table, parity_text
from risk_assets.domain.monitoring.report import PSI, UNSEEN, DriftReport, OnlineShift, Parity
from risk_assets.domain.scorecard.expressions import probabilities
from tests.domain.monitoring.test_drift import REFERENCE, SCALE, of, rows

DATE = "2026-01-05"
AGREES = Parity(200)


def requests(found: pl.DataFrame, independent: float | None = None, parity: Parity = AGREES) -> OnlineShift:
    scores = pl.LazyFrame({"probability": probabilities(REFERENCE.card, found)})
    return measure_online(count(DATE, found.lazy(), scores, REFERENCE, independent), REFERENCE, Monitoring(), SCALE, 4, parity)


def report(online: OnlineShift | None, batch: pl.DataFrame | None = None) -> DriftReport:
    found = rows(500, seed=2) if batch is None else batch
    scores = pl.LazyFrame({"probability": probabilities(REFERENCE.card, found)})
    return measure(count(DATE, found.lazy(), scores, REFERENCE), REFERENCE, Monitoring(), SCALE, online=online)


def test_the_same_rows_have_the_same_figures_as_in_the_batch() -> None:
    found = rows(500, seed=2)
    shown = report(requests(found), found)
    assert shown.online and shown.online.score == shown.score
    assert (shown.online.features, shown.online.rows, shown.online.independent) == (shown.features, 500, 500.0)


def test_few_requests_have_limits_of_their_own() -> None:
    shown = report(requests(rows(30, seed=3)), rows(20_000, seed=4))
    assert shown.online and shown.online.score
    assert shown.online.exceeded == ()
    assert shown.online.score.psi.limit > 2 * shown.score.psi.limit
    assert shown.online.score.psi.value > shown.score.psi.limit


def test_requests_that_repeat_accounts_have_higher_limits() -> None:
    found = rows(500, seed=5)
    repeated, different = requests(found, 50.0).score, requests(found).score
    assert repeated and different and repeated.psi.limit > 2 * different.psi.limit


def test_a_shift_of_the_requests_is_not_one_of_the_batch() -> None:
    shown = report(requests(rows(500, seed=6).with_columns(pl.col("usage") + 1.0)))
    assert shown.exceeded == ()
    assert shown.online and ("usage", PSI) in [each[:2] for each in shown.online.exceeded]


def test_new_levels_of_requests_are_counted_and_not_shown() -> None:
    found = rows(500, seed=7).with_columns(region=pl.lit("somewhere"))
    region = next(each for each in requests(found).features if each.name == "region")
    assert region.statistics[UNSEEN].value == 1.0
    assert region.new_levels == {}
    assert of(report(None, found), "region").new_levels == {"somewhere": 500}


def test_without_a_record_there_are_no_figures() -> None:
    found = measure_online(None, REFERENCE, Monitoring(), SCALE, 2, Parity(3), ("a note",))
    assert (found.rows, found.score, found.features, found.exceeded, found.notes) == (0, None, (), (), ("a note",))
    shown = report(found)
    assert online_summary(shown) == f"no record of a request on {DATE} was scored by model_v001; a note"
    assert online_rows(shown) == online_drifts(shown) == []
    assert online_summary(report(None)) == f"no requests on {DATE}"
    assert online_rows(report(None)) == []


def test_requests_survive_storage_and_are_left_out_if_there_are_none() -> None:
    shown = report(requests(rows(100, seed=8), parity=Parity(100, 1, 2, 3, ("a message",))))
    assert msgspec.json.decode(msgspec.json.encode(shown), type=DriftReport) == shown
    assert b'"online"' not in msgspec.json.encode(report(None))


def test_the_summary_names_what_is_beyond_its_limit() -> None:
    shown = report(requests(rows(500, seed=6).with_columns(pl.col("usage") + 1.0)))
    assert online_summary(shown).startswith("500 records of requests compared with 2000 training rows of model_v001: PSI of the score")
    assert "the largest shift by usage (-2" in online_summary(shown)


def test_the_table_has_the_batch_next_to_the_requests() -> None:
    moved = rows(500, seed=6).with_columns(constant=pl.int_range(pl.len()).cast(pl.Float64))
    shown = report(requests(moved))
    score, *features = online_rows(shown)
    assert len(score) == len(ONLINE_HEADER)
    assert (ONLINE_HEADER[2], ONLINE_HEADER[-1]) == ("PSI (limit of requests)", "requests beyond their limit")
    assert score[2] == f"{shown.score.psi.value:.3f} / {online_drifts(shown)[0].psi.value:.3f} ({online_drifts(shown)[0].psi.limit:.3f})"
    assert [cells[0] for cells in features] == [each.name for each in shown.features] == [each.name for each in online_drifts(shown)[1:]]
    lines = online_table(shown, 1).splitlines()
    assert len(lines) == 2 + 3
    assert "constant" in lines[4]  # beyond its limit


@pytest.mark.parametrize(
    ("parity", "text"),
    [
        (Parity(20), "the batch gives the same answers to 20 records of requests"),
        (Parity(20, differing=1, messages=("m.",)), "1 of 20 records of requests differs from the batch; m"),
        (
            Parity(20, differing=2, unchecked=3),
            "2 of 20 records of requests differ from the batch; 3 not checked, because the log does not",
        ),
        (Parity(20, problems=1), "the batch gives the same answers to 20 records of requests; 1 problem of the log"),
    ],
)
def test_parity_in_words(parity: Parity, text: str) -> None:
    assert parity_text(parity).startswith(text)
    assert parity.agrees == (not parity.differing and not parity.problems)
