"""The causes of alerts in a lake: reports of drift and performance, predictions, outcomes, runs, and bindings."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest

from risk_assets.clock import Calendar, shift
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Change
from risk_assets.domain.monitoring.alert_causes import drift_causes, online_causes
from risk_assets.domain.monitoring.alerts import AlertReport, Cause, evaluate
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.performance_report import (
    ALL,
    RANKING,
    ModelPerformance,
    OwnEstimate,
    Part,
    Parts,
    PerformanceReport,
    Ranking,
    Role,
)
from risk_assets.domain.monitoring.report import SCORE, Drift, DriftReport, OnlineShift, Parity, Statistic
from risk_assets.lake import alert_files, binding_log, drift_files, layout, performance_files, run_log
from risk_assets.lake.alert_evidence import Evidence, collect, dates_with_evidence, outdated_alerts
from risk_assets.lake.facts import OutcomeFacts, PredictionFacts
from risk_assets.lake.manifests import Provenance, Written, commit
from risk_assets.lake.run_log import BLOCKED, FAILED, LATE, SUCCESS, WARNING, RunRecord
from risk_assets.lake.store import Store
from tests.documents import BOUND, SMALL_CONTRACT

CONTRACT = Contract.parse(SMALL_CONTRACT.replace('good: "0"', 'good: "0", matures_after_days: 28'), "small.yml")
POLICY = Policy()
CALENDAR = Calendar(ZoneInfo("UTC"), time(2), time(6), frozenset(range(7)))
TODAY = "2026-03-01"
MATURED = shift(TODAY, -28)
MADE = Provenance(run_id="run-1")


def collected(store: Store, date: str = TODAY) -> Evidence:
    return collect(store, date, CONTRACT, POLICY, CALENDAR)


def causes(store: Store, date: str = TODAY) -> dict[str, Cause]:
    return {cause.name: cause for cause in collected(store, date).causes}


def is_gap(store: Store, cause: str) -> bool:
    return any(cause.startswith(gap.names) for gap in collected(store).gaps)


def score(store: Store, date: str, flagged: int = 20) -> None:
    numbers = dict.fromkeys(("scored", "with_issues", "not_eligible", "challenger_scored"), 0)
    none = dict.fromkeys(("min_score", "mean_score", "max_score", "challenger_mean_score"))
    facts = PredictionFacts(**numbers, **none, predicted_bad=flagged, histogram={})
    commit(store, Written(layout.predictions(date), {}, 100, ("account_id",), MADE, facts))


def know_outcomes(store: Store, date: str) -> None:
    numbers = dict.fromkeys(("labelled", "bad", "restated", "revisions", "missing_known_at", "unreadable_known_at", "posted_shards"), 0)
    commit(store, Written(layout.curated_outcomes(date), {}, 100, ("account_id",), MADE, OutcomeFacts(**numbers, known_on=None)))


def forget_outcomes(store: Store, date: str) -> None:
    store.delete(layout.manifest(layout.curated_outcomes(date)))


def drift(
    store: Store, income: float = 0.0, points: float = 0.0, flagged: FlaggedChange | None = None, online: OnlineShift | None = None
) -> None:
    def of(name: str, psi: float, shift: float) -> Drift:
        return Drift(name, Statistic(psi, 0.0, 0.2), missing=Statistic(0.1, 0.1, 0.2), points=shift, max_points=5.0)

    features = (of("income", income, 0.0), of("age", 0.01, 0.0))
    report = DriftReport(TODAY, "model_v001", 100, 100.0, 500, 500.0, of(SCORE, 0.0, points), features, flagged, (), online)
    drift_files.write(store, report, MADE)


def part(name: str, ratio: float, limits: bool) -> Part:
    return Part(name, 100, 100, 10.0, round(10 * ratio), (1.0, 20.0), *((0.5, 1.5) if limits else ()))


def model(role: Role = "champion", ratio: float = 1.0, band: float = 1.0, auc: float = 0.8, limits: bool = True) -> ModelPerformance:
    ranking = Ranking(auc, (0.5, 0.9), 0.5, 0.5, lowest=0.7 if limits else None)
    estimate = OwnEstimate(100, 10.0, (5.0, 15.0), 0.8)
    bands = Parts((part("C", band, limits),))
    return ModelPerformance("model_v001", role, not limits, estimate, part(ALL, ratio, limits), ranking, 0.1, bands)


def perform(store: Store, *models: ModelPerformance, date: str = MATURED) -> None:
    report = PerformanceReport(date, shift(date, 28), shift(date, 28), True, 100, 100, None, models)
    performance_files.write(store, report, MADE)


def ran(store: Store, date: str, job: str, status: str, number: int, **more: str) -> None:
    stamp = f"2026-03-02T00:00:{number:02d}+00:00"
    run_log.add(store, RunRecord(timestamp=stamp, date=date, job=job, status=status, run_id=f"{job}-{number}", **more))


def bind(store: Store, version: str, after: int, *overrides: str) -> None:
    binding_log.write(store, Change(after, "promote", version, "ann", "a test", overrides=overrides, **BOUND))


def test_a_lake_without_anything_has_gaps_and_no_causes(store: Store) -> None:
    found = collected(store)
    assert (found.causes, found.earlier) == ((), None)
    names = ("drift:x", "performance:champion:ranking", "flagged:count", "check:curated/features.unique_ids", "check:training/model.gates")
    assert all(is_gap(store, name) for name in names)
    assert not any(is_gap(store, name) for name in ("run:daily_scoring:2026-03-01", "late:outcomes", "override:model_v001"))
    assert dates_with_evidence(store) == ()


def requests(parity: Parity, income: float = 0.0) -> OnlineShift:
    score, found = (Drift(name, Statistic(psi, 0.0, 0.2)) for name, psi in ((SCORE, 0.0), ("income", income)))
    return OnlineShift(1, parity, 50, 40.0, score, (found,))


def test_requests_that_shifted_and_answers_that_differ(store: Store) -> None:
    drift(store, online=requests(Parity(200, differing=3), income=0.3))
    found = causes(store)
    assert found.keys() == {"online:requests", "parity:online"}
    assert found["online:requests"].evidence == (
        "50 records of requests, compared with the training of model_v001: PSI of income 0.3, 0.1 above the limit of 0.2"
    )
    parity = found["parity:online"]
    assert parity.evidence == "3 of 200 records of requests differ from the batch"
    assert [str(figure) for figure in parity.figures] == ["records that differ from the batch 3, 3 above the limit of 0"]


@pytest.mark.parametrize(
    ("parity", "evidence"),
    [
        (Parity(120, differing=1), "1 of 120 records of requests differs from the batch"),
        (Parity(120, problems=2), "2 problems of the log of 120 records"),
        (Parity(120, differing=2, problems=1), "2 of 120 records of requests differ from the batch; 1 problem of the log"),
    ],
)
def test_the_evidence_of_answers_that_differ(parity: Parity, evidence: str) -> None:
    report = DriftReport(TODAY, "model_v001", 1, 1.0, 1, 1.0, Drift(SCORE, Statistic(0.0, 0.0, 0.2)), (), None, (), requests(parity))
    assert [cause.evidence for cause in online_causes(report)] == [evidence]


def test_a_damaged_log_is_an_alert_and_a_date_without_one_a_gap(store: Store) -> None:
    drift(store, online=requests(Parity(200, problems=1)))
    assert causes(store).keys() == {"parity:online"}
    alert_files.write(store, evaluate(shift(TODAY, -1), None, causes(store).values()), "", MADE)
    drift(store)
    assert causes(store) == {}
    assert is_gap(store, "parity:online")


def test_requests_like_those_of_training_are_no_alert(store: Store) -> None:
    drift(store, online=requests(Parity(200)))
    assert causes(store) == {}
    assert not is_gap(store, "parity:online")


def test_a_feature_named_score_is_not_the_score_of_the_model() -> None:
    drifts = [Drift(name, Statistic(0.3, 0.0, 0.2), points=0.0, max_points=5.0) for name in (SCORE, "score")]
    report = DriftReport(TODAY, "model_v001", 100, 100.0, 500, 500.0, drifts[0], (drifts[1],), None, ())
    assert [cause.name for cause in drift_causes(report)] == ["drift:score", "drift:feature score"]


def test_drift_of_the_score_and_of_features(store: Store) -> None:
    drift(store, income=0.35, points=-7.0)
    found = causes(store)
    assert found.keys() == {"drift:income", "drift:score"}
    assert found["drift:income"].evidence == ("income, compared with the training of model_v001: PSI 0.35, 0.15 above the limit of 0.2")
    assert "shift of the mean score in points 7, 2 above the limit of 5" in found["drift:score"].evidence
    assert not is_gap(store, "drift:income")


def test_performance_of_the_newest_matured_date(store: Store) -> None:
    perform(store, model(ratio=9.0), date=shift(MATURED, -1))
    perform(store, model(ratio=9.0), date=shift(MATURED, 1))  # not matured by the date
    perform(store, model(ratio=1.9, band=2.0, auc=0.65), model("shadow", auc=0.6))
    found = causes(store)
    assert found.keys() == {"performance:champion:calibration", "performance:champion:ranking", "performance:shadow:ranking"}
    calibration = found["performance:champion:calibration"]
    assert [figure.name for figure in calibration.figures] == ["observed / expected bads", "observed / expected bads in band C"]
    assert calibration.evidence.startswith(f"model_v001 on the outcomes of {MATURED}: observed / expected bads 1.9, 0.4 above")
    assert found["performance:champion:ranking"].evidence.endswith(f"{RANKING} 0.65, 0.05 below the limit of 0.7")
    assert calibration.next_step == f"Train on the outcomes that are known now: risk train {TODAY}."
    assert "risk challenge --end" in found["performance:shadow:ranking"].next_step


def test_a_version_that_is_not_live_any_more_was_replaced(store: Store) -> None:
    perform(store, model(ratio=1.9))
    bind(store, "model_v002", 0)
    assert causes(store)["performance:champion:calibration"].next_step.startswith("model_v002 is live now: wait until")


def test_figures_without_limits_are_not_evaluated(store: Store) -> None:
    perform(store, model(ratio=9.0, limits=False))
    assert is_gap(store, "performance:champion:calibration")
    perform(store, model(), model("challenger", auc=0.1, limits=False))
    assert causes(store) == {}
    assert is_gap(store, "performance:challenger:ranking")
    assert not is_gap(store, "performance:champion:ranking")


@pytest.mark.parametrize(("flagged", "is_unusual"), [(20, False), (31, False), (45, True), (3, True)])
def test_the_number_of_flagged_accounts(store: Store, flagged: int, is_unusual: bool) -> None:
    for back in range(1, 9):
        score(store, shift(TODAY, -back))
    score(store, TODAY, flagged)
    drift(store, flagged=FlaggedChange(shift(TODAY, -1), 20, flagged, 1, -2, 0, 0, flagged - 19))
    found = causes(store)
    assert ("flagged:count" in found) == is_unusual
    if is_unusual:
        assert f"accounts predicted bad {flagged}, " in found["flagged:count"].evidence
        assert f"{flagged - 20:+d} since {shift(TODAY, -1)}" in found["flagged:count"].evidence


def test_outcomes_are_overdue_after_the_days_of_the_policy(store: Store) -> None:
    first, last = shift(MATURED, -9), shift(MATURED, -8)
    for date in (first, last, shift(MATURED, -7)):
        score(store, date)
    evidence = causes(store)["late:outcomes"].evidence
    assert f"2 scored dates have no outcomes more than 7 days after the end of the performance window: {first} to {last}" in evidence
    assert f"risk land FILE --outcomes --date {first}, then risk outcomes {first}." in causes(store)["late:outcomes"].next_step
    know_outcomes(store, first)
    assert "1 scored date has no outcomes" in causes(store)["late:outcomes"].evidence
    know_outcomes(store, last)
    assert causes(store) == {}


def test_outcomes_of_one_date_a_week_are_overdue_when_none_of_the_newest_has_them(store: Store) -> None:
    dates = [shift(MATURED, -8 - days) for days in range(28)]
    for date in dates:
        score(store, date)
    for date in dates[6::7]:
        know_outcomes(store, date)
    assert "late:outcomes" not in causes(store)
    forget_outcomes(store, dates[6])
    assert f"13 scored dates have no outcomes more than 7 days after the end of the performance window: {dates[12]}" in (
        causes(store)["late:outcomes"].evidence
    )


def test_the_newest_run_of_a_job_and_date_counts(store: Store) -> None:
    ran(store, TODAY, "monitoring", FAILED, 1, error="a first error")
    ran(store, TODAY, "outcomes", BLOCKED, 2, error="a check")
    ran(store, MATURED, "outcomes", FAILED, 3, error="a file")
    ran(store, shift(MATURED, 1), "outcomes", FAILED, 3, error="neither recent nor matured")
    ran(store, TODAY, "alerts", FAILED, 4, error="its own")
    assert causes(store).keys() == {f"run:monitoring:{TODAY}", f"run:outcomes:{TODAY}", f"run:outcomes:{MATURED}"}
    assert causes(store)[f"run:outcomes:{TODAY}"].evidence == f"the newest run of outcomes for {TODAY} was blocked: a check"
    ran(store, TODAY, "monitoring", SUCCESS, 5)
    assert f"run:monitoring:{TODAY}" not in causes(store)
    ran(store, TODAY, "monitoring", FAILED, 6, error="again")
    assert causes(store)[f"run:monitoring:{TODAY}"].evidence.endswith("failed: again")


def test_a_failed_run_stays_open_until_it_succeeds_however_old(store: Store) -> None:
    old = shift(TODAY, -100)
    ran(store, old, "outcomes", FAILED, 1, error="a file")
    assert causes(store) == {}
    name = f"run:outcomes:{old}"
    earlier = evaluate(shift(TODAY, -1), None, [Cause("run", f"outcomes:{old}", "failed", "run it")])
    alert_files.write(store, earlier, "", MADE)
    assert causes(store).keys() == {name}
    ran(store, old, "outcomes", SUCCESS, 2)
    assert causes(store) == {}


def test_a_failed_training_is_replaced_by_one_of_a_later_date(store: Store) -> None:
    ran(store, shift(TODAY, -1), "training", FAILED, 1, error="too few rows")
    assert causes(store).keys() == {f"run:training:{shift(TODAY, -1)}"}
    store.put(layout.training_current(TODAY), b"{}")
    assert causes(store) == {}


def test_a_failed_materialization_is_replaced_by_any_later_success(store: Store) -> None:
    ran(store, TODAY, "materialize", FAILED, 1, error="a test")
    assert causes(store).keys() == {f"run:materialize:{TODAY}"}
    ran(store, TODAY, "daily_scoring", SUCCESS, 2)
    assert causes(store) == {}


def test_checks_that_warned(store: Store) -> None:
    scoring = "row_count of raw/accounts: 99 rows; -67%; row_count; unique_ids of curated/features: 3 rows"
    ran(store, TODAY, "daily_scoring", WARNING, 1, warnings=scoring)
    ran(store, MATURED, "outcomes", WARNING, 2, warnings="label_coverage of curated/outcomes: 10.0% lack one")
    ran(store, TODAY, "training", WARNING, 3, warnings="gates of training/model: discrimination is undecided")
    know_outcomes(store, MATURED)
    store.put(layout.training_current(TODAY), b"{}")
    found = causes(store)
    assert found.keys() == {
        "check:raw/accounts.row_count",
        "check:curated/features.unique_ids",
        "check:curated/outcomes.label_coverage",
        "check:training/model.gates:" + TODAY,
    }
    assert found["check:raw/accounts.row_count"].evidence == f"row_count of raw/accounts warned for {TODAY}: 99 rows; -67%; row_count"
    ran(store, TODAY, "daily_scoring", SUCCESS, 4)
    ran(store, MATURED, "outcomes", SUCCESS, 5)
    ran(store, TODAY, "training", SUCCESS, 6)
    assert causes(store) == {}


def test_outcomes_of_a_later_date_without_a_warning_pass_its_checks(store: Store) -> None:
    ran(store, shift(MATURED, -1), "outcomes", WARNING, 1, warnings="label_coverage of curated/outcomes: 10.0% lack one")
    know_outcomes(store, shift(MATURED, -1))
    assert causes(store).keys() == {"check:curated/outcomes.label_coverage"}
    know_outcomes(store, MATURED)
    assert causes(store) == {}


def test_late_accounts_replace_the_run_that_failed_for_them(store: Store) -> None:
    ran(store, TODAY, "daily_scoring", FAILED, 1, error="no accounts")
    assert causes(store).keys() == {f"run:daily_scoring:{TODAY}"}
    ran(store, TODAY, "landing", LATE, 2)
    assert causes(store).keys() == {f"late:accounts:{TODAY}"}
    store.put(layout.manifest(layout.accounts(TODAY)), b"{}")
    assert causes(store).keys() == {f"run:daily_scoring:{TODAY}"}


def test_an_override_lasts_while_its_version_is_live(store: Store) -> None:
    bind(store, "model_v001", 0, "discrimination")
    binding_log.write(store, Change(1, "adopt_policy", "model_v001", "ann", "a test", **BOUND))
    challenge = Change(2, "challenge", "model_v001", "ann", "a test", "model_v002", 0.3, "salt", overrides=("stability",), **BOUND)
    binding_log.write(store, challenge)
    found = causes(store)
    assert found["override:model_v001"].evidence.endswith("set aside: discrimination (binding 1)")
    assert found["override:model_v002"].evidence == (
        "model_v002 is a challenger although these gates were set aside: stability (binding 3)"
    )
    bind(store, "model_v003", 3)
    assert causes(store) == {}


def test_an_override_counts_for_the_dates_on_which_it_was_in_force(store: Store) -> None:
    bind(store, "model_v001", 0, "discrimination")
    found = causes(store)["override:model_v001"]
    assert found.evidence == "model_v001 is live although these gates were set aside: discrimination (binding 1)"
    score(store, shift(TODAY, 1))  # from now on the date is not the newest one, and the binding is later
    assert causes(store) == {}
    assert causes(store, shift(TODAY, 1)).keys() == {"override:model_v001"}
    bind(store, "model_v002", 1)
    assert causes(store, shift(TODAY, 1)) == {}


def test_a_date_is_outdated_when_its_evidence_changes(store: Store) -> None:
    score(store, TODAY)

    def outdated() -> list[str]:
        return [found.date for found in outdated_alerts(store, CONTRACT, POLICY, CALENDAR, 2)]

    def write(date: str) -> AlertReport:
        evidence = collected(store, date)
        report = evidence.evaluate(alert_files.find(store, date))
        alert_files.write(store, report, evidence.digest, MADE)
        return report

    assert outdated() == [TODAY]
    write(TODAY)
    assert outdated() == []
    ran(store, shift(TODAY, -1), "monitoring", FAILED, 1, error="a test")
    assert outdated() == [shift(TODAY, -1), TODAY]
    write(shift(TODAY, -1))
    assert [alert.since for alert in write(TODAY).alerts] == [shift(TODAY, -1)]
    assert outdated() == []
    narrow = POLICY.model_copy(update={"monitoring": POLICY.monitoring.model_copy(update={"max_flagged_change": 0.1})})
    assert [*outdated_alerts(store, CONTRACT, narrow, CALENDAR, 2)] == []  # nothing that the policy decides has changed
