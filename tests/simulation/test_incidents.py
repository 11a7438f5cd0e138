"""Scripted incidents: what each one changes, when files arrive, and which alerts it explains."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from risk_assets.simulation.incidents import INCIDENTS, Columns, Incident
from risk_assets.simulation.scenarios import EVERYTHING, SCENARIOS, Planned, Scenario, ScriptedEconomy, single
from risk_assets.simulation.scripted_bank import Morning, ScriptedBank

FIRST = date(2025, 3, 3)
COLUMNS: Columns = {
    "account_id": [f"AC{at}" for at in range(100)],
    "annual_income": ["42000", "", *["30500"] * 98],
    "bureau_score": ["700"] * 100,
    "inquiries_6m": ["1"] * 100,
    "months_employed": ["12"] * 100,
    "channel": ["telephone"] * 60 + ["branch"] * 40,
    "utilisation": ["0.123"] * 100,
}


def changed(name: str) -> Columns:
    incident = INCIDENTS[name]
    assert incident.accounts
    return incident.accounts(COLUMNS)


@cache
def mornings(incident: Incident, start: int, days: int) -> dict[int, Morning]:
    scenario = Scenario("one", (Planned(start, incident),), days)
    return {morning.day: morning for morning in ScriptedBank(scenario, 60, 1, FIRST).mornings(days)}


def files(morning: Morning) -> list[str]:
    return [file.name for file in morning.files]


def rows(content: bytes) -> list[Mapping[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_units_change() -> None:
    assert changed("changed-unit")["annual_income"][:3] == ["42", "", "30.5"]


def test_a_column_is_blank_missing_or_flooded_with_its_code() -> None:
    assert set(changed("blank-column")["bureau_score"]) == {""}
    assert "inquiries_6m" not in changed("missing-column")
    assert changed("missing-code-flood")["months_employed"].count("-9") == 40


def test_a_level_is_renamed_in_every_second_row() -> None:
    assert changed("renamed-level")["channel"].count("call centre") == 30
    assert changed("renamed-level")["channel"].count("branch") == 40


def test_rows_are_repeated() -> None:
    found = changed("duplicates")
    assert {len(texts) for texts in found.values()} == {102}
    assert found["account_id"][:3] == ["AC0", "AC0", "AC1"]


def test_usage_is_rounded_and_outcomes_are_swapped() -> None:
    assert set(changed("corrected-file")["utilisation"]) == {"0.12"}
    outcomes = INCIDENTS["wrong-outcomes"].outcomes
    assert outcomes
    assert outcomes({"account_id": ["A", "B"], "defaulted": ["1", "0"]})["defaulted"] == ["0", "1"]


@pytest.mark.parametrize("incident", INCIDENTS.values(), ids=INCIDENTS)
def test_functions_do_not_change_their_arguments(incident: Incident) -> None:
    before = {name: [*texts] for name, texts in COLUMNS.items()}
    for change in filter(None, (incident.accounts,)):
        change(COLUMNS)
    assert before == COLUMNS


def test_a_changed_file_lands_again_as_it_should_have_been() -> None:
    found = mornings(INCIDENTS["half-file"], 2, 5)
    right = mornings(INCIDENTS["late-file"], 3, 5)
    assert files(found[3]) == ["accounts_2025-03-05.csv", "accounts_2025-03-06.csv"]
    assert found[2].files[0].content == right[2].files[0].content[: len(right[2].files[0].content) // 2]
    assert found[3].files[0].content == right[2].files[0].content


def test_each_file_of_a_longer_incident_is_corrected_after_its_end() -> None:
    found = mornings(INCIDENTS["changed-unit"], 1, 6)
    assert [len(files(found[day])) for day in range(6)] == [1, 1, 1, 1, 4, 1]


def test_a_late_file_arrives_with_the_next_one() -> None:
    found = mornings(INCIDENTS["late-file"], 3, 5)
    assert [files(found[day]) for day in (3, 4)] == [[], ["accounts_2025-03-06.csv", "accounts_2025-03-07.csv"]]


def test_outcomes_are_delayed_and_swapped() -> None:
    delayed = mornings(replace(INCIDENTS["delayed-outcomes"], days=1, outcomes_late=2), 29, 33)
    assert "outcomes_2025-03-04.csv" not in files(delayed[29])
    assert {"outcomes_2025-03-04.csv", "outcomes_2025-03-06.csv"} <= {*files(delayed[31])}
    swapped = mornings(INCIDENTS["wrong-outcomes"], 29, 32)
    wrong, right = (next(f for f in swapped[day].files if f.name == "outcomes_2025-03-04.csv").content for day in (29, 30))
    assert [row["defaulted"] for row in rows(wrong)] == [str(1 - int(row["defaulted"])) for row in rows(right)]


def test_the_true_outcomes_of_a_snapshot_do_not_depend_on_its_files() -> None:
    swapped = mornings(INCIDENTS["wrong-outcomes"], 29, 32)[29]
    delayed = mornings(replace(INCIDENTS["delayed-outcomes"], days=1, outcomes_late=2), 29, 33)[29]
    assert swapped.bad == delayed.bad
    assert swapped.matured == "2025-03-04"
    assert 0 < len(swapped.bad) < 30


def test_snapshots_before_the_first_day_have_matured() -> None:
    before = [morning for day, morning in mornings(INCIDENTS["late-file"], 3, 5).items() if day < 0]
    kinds = [file.kind for morning in before for file in morning.files]
    assert kinds.count("accounts") == kinds.count("outcomes") == 7


def test_a_shock_raises_the_stress_on_its_days_only() -> None:
    economy = ScriptedEconomy(Scenario("one", (Planned(3, INCIDENTS["slow-decay"]),), 99), FIRST)
    found = [economy.stress(date.fromordinal(FIRST.toordinal() + day)) for day in (-300, 3, 33, 63, 92, 93)]
    assert found == [0, 0, 1.5, 3, 3, 0]


def test_more_accounts_go_bad_after_a_shock() -> None:
    def bads(shock: bool) -> int:
        incident = replace(INCIDENTS["macro-shock"], stress=(lambda _: 3.0) if shock else None)
        scenario = Scenario("one", (Planned(0, incident),), 50)
        return sum(len(morning.bad) for morning in ScriptedBank(scenario, 150, 1, FIRST).mornings(50))

    assert bads(shock=True) > 1.3 * bads(shock=False)


def test_an_incident_explains_its_alerts_until_they_must_be_resolved() -> None:
    planned = Planned(5, INCIDENTS["blank-column"])
    explained = [day for day in range(10) if planned.explains(day, "run:daily_scoring:2025-03-08")]
    assert explained == [5, 6]
    assert not planned.explains(5, "run:outcomes:2025-03-08")


def test_a_scenario_leaves_quiet_days_and_has_days_for_all_incidents() -> None:
    for scenario in SCENARIOS.values():
        assert all(each.settled < scenario.days or each.incident.stress for each in scenario.planned)
    assert [single(INCIDENTS["late-file"]).is_quiet(day) for day in (6, 7, 8)] == [True, False, True]
    assert not EVERYTHING.is_quiet(40)
    assert [single(INCIDENTS["macro-shock"]).is_quiet(day) for day in (15, 16, 29)] == [True, False, False]


def test_every_incident_but_the_slow_one_is_in_the_long_scenario() -> None:
    assert {each.incident.name for each in EVERYTHING.planned} == INCIDENTS.keys() - {"slow-decay"}


def test_an_alert_that_a_training_resolves_may_stay_open() -> None:
    planned = Planned(5, INCIDENTS["worse-model"])
    assert planned.explains(99, "check:training/model.gates")
    assert not planned.concerns(99, "check:training/model.gates")
    assert not planned.explains(4, "check:training/model.gates")
    assert not planned.explains(99, "override:model_v002")
