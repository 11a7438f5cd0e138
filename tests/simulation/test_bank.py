"""The simulated bank: reproducible to the byte, with outcomes that agree with the snapshots that follow."""

import csv
import hashlib
import io
from collections import Counter
from datetime import date, timedelta
from itertools import islice, pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from risk_assets.domain.contract.schema import Contract
from risk_assets.simulation import demo
from risk_assets.simulation.bank import Bank
from risk_assets.simulation.draws import Streams, normal
from risk_assets.simulation.economy import Economy
from risk_assets.simulation.files import Definition, landing_files
from risk_assets.simulation.observation import DAYS_SHOWN, observe, shown
from risk_assets.simulation.state import CHARGED_OFF, CLOSED, FRAUD, OPEN, STATUSES, State
from tests.conftest import ROOT

START = date(2025, 9, 3)
WINDOW = Definition(days_past_due=30, within_days=21)
SNAPSHOTS = tuple(START + timedelta(days=day) for day in range(28))
WEEKS = tuple(START + timedelta(weeks=week) for week in range(0, 9, 4))

Row = dict[str, str]


@pytest.mark.parametrize("number", [1, 511, 512, 513])
def test_kept_draws_are_those_of_their_stream(number: int) -> None:
    streams = Streams(7)
    found = streams.normals("trait", 3, number)
    assert np.array_equal(found, normal(streams.uniforms("trait", 3, number, 4).T))
    assert np.array_equal(found, streams.normals("trait", 3, 5000)[:number])
    assert not np.array_equal(found, streams.normals("trait", 4, number))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0.0


class Constant:
    """An economy that does not change."""

    def __init__(self, stress: float) -> None:
        self.level = stress

    def stress(self, _: date) -> float:
        return self.level


def rows(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def by_id(accounts: list[Row]) -> dict[str, Row]:
    """Return the rows with a unique id."""
    seen = Counter(row["account_id"] for row in accounts)
    return {row["account_id"]: row for row in accounts if row["account_id"] and seen[row["account_id"]] == 1}


@pytest.fixture(scope="module")
def states() -> tuple[State, ...]:
    """A small bank on 150 days."""
    return tuple(islice(Bank(600, START).days(), 150))


@pytest.fixture(scope="module")
def daily() -> dict[str, bytes]:
    """Four weeks of daily snapshots of a small bank, and the outcomes of the first week: 21 days later."""
    return dict(landing_files(Bank(400, START), SNAPSHOTS, SNAPSHOTS[-1], WINDOW))


@pytest.fixture(scope="module")
def monthly() -> pd.DataFrame:
    """Three snapshots of a bank with their outcomes, of the accounts that are neither bad nor closed nor new."""
    files = dict(landing_files(Bank(2000, START, seed=3), WEEKS, WEEKS[-1] + timedelta(days=60), Definition()))
    joined = (labelled(files, day) for day in WEEKS)
    return pl.concat(joined).filter(pl.col("status") == "open", pl.col("days_past_due") < 30, pl.col("months_on_book") >= 2).to_pandas()


def labelled(files: dict[str, bytes], day: date) -> pl.DataFrame:
    accounts = pl.DataFrame(list(by_id(rows(files[f"accounts_{day}.csv"])).values()))
    outcomes = pl.DataFrame(rows(files[f"outcomes_{day}.csv"]))
    numbers = [name for name in accounts.columns[3:] if name not in contract().categories]
    return accounts.join(outcomes, on="account_id").with_columns(
        pl.col("defaulted").cast(pl.Int64), pl.col(numbers).cast(pl.Float64, strict=False), day=pl.lit(str(day))
    )


def contract() -> Contract:
    return Contract.parse((ROOT / "data/bank/contract.yml").read_text(encoding="utf-8"), "data/bank/contract.yml")


def test_files_are_reproduced_to_the_byte(daily: dict[str, bytes]) -> None:
    content = b"".join(daily[f"{kind}_{SNAPSHOTS[5]}.csv"] for kind in ("accounts", "outcomes"))
    assert hashlib.sha256(content).hexdigest() == "120b1966efc96e6445c05a56ebd4f4de56de2019c1b2dc506732000b7f79eb67"


def test_a_file_does_not_depend_on_the_other_dates(daily: dict[str, bytes]) -> None:
    wanted = SNAPSHOTS[5]
    alone = dict(landing_files(Bank(400, START), [wanted], SNAPSHOTS[-1], WINDOW))
    assert alone == {name: daily[name] for name in (f"accounts_{wanted}.csv", f"outcomes_{wanted}.csv")}


def test_files_land_in_the_order_of_their_dates(daily: dict[str, bytes]) -> None:
    assert [name for name in daily if name.startswith("outcomes")] == [f"outcomes_{day}.csv" for day in SNAPSHOTS[:7]]
    assert list(daily)[20:23] == [f"accounts_{SNAPSHOTS[20]}.csv", f"accounts_{SNAPSHOTS[21]}.csv", f"outcomes_{SNAPSHOTS[0]}.csv"]


def test_days_past_due_rise_by_one_a_day_until_everything_is_paid(states: tuple[State, ...]) -> None:
    for before, after in pairwise(states):
        number = len(before.customer)
        overdue, change = after.days_past_due[:number], after.days_past_due[:number] - before.days_past_due
        assert np.all((overdue == 0) | (change == 1))
        assert np.all((after.days_past_due == 0) | (after.missed_payments > 0))


def test_accounts_that_left_do_not_come_back(states: tuple[State, ...]) -> None:
    for before, after in pairwise(states):
        left = before.status != OPEN
        assert np.array_equal(after.status[: len(left)][left], before.status[left])
        assert np.all(after.customer[: len(left)] == before.customer)
        assert np.all(after.unpaid_since[(after.status >= CLOSED) & (after.status != CHARGED_OFF)] == 0)


def test_accounts_open_close_and_default_for_every_reason(states: tuple[State, ...]) -> None:
    first, last = states[0], states[-1]
    assert set(np.unique(last.status)) == set(range(len(STATUSES)))
    assert len(last.customer) - len(first.customer) > 20
    assert 0.8 < np.sum(last.status == OPEN) / np.sum(first.status == OPEN) < 1.25
    charged_off = last.status == CHARGED_OFF
    assert np.all((last.status_since - last.unpaid_since)[charged_off] == 90)


def test_an_account_that_left_stays_in_the_snapshots_for_some_days(states: tuple[State, ...]) -> None:
    last = states[-1]
    days = last.today - last.status_since
    for code in range(CLOSED, FRAUD + 1):
        left = last.status == code
        assert np.array_equal(shown(last)[left], days[left] < DAYS_SHOWN[STATUSES[code]])


def test_some_customers_have_several_accounts(daily: dict[str, bytes]) -> None:
    accounts = by_id(rows(daily[f"accounts_{START}.csv"])).values()
    sizes = Counter(row["customer_id"] for row in accounts)
    assert 0.1 < sum(size > 1 for size in sizes.values()) / len(sizes) < 0.4
    facts = {(row["customer_id"], row["region"], row["months_at_address"]) for row in accounts}
    assert len(facts) == len(sizes)


def test_every_outcome_agrees_with_the_snapshots_that_follow(daily: dict[str, bytes]) -> None:
    snapshots = [by_id(rows(daily[f"accounts_{day}.csv"])) for day in SNAPSHOTS]
    for at, day in enumerate(SNAPSHOTS[:7]):
        outcomes = {row["account_id"]: row["defaulted"] for row in rows(daily[f"outcomes_{day}.csv"])}
        assert {row["account_id"] for row in rows(daily[f"accounts_{day}.csv"])} >= set(outcomes)
        for account in snapshots[at]:
            later = [snapshot[account] for snapshot in snapshots[at + 1 : at + 22] if account in snapshot]
            bad = any(int(row["days_past_due"]) >= 30 for row in later)
            is_open = account not in snapshots[at + 21] or snapshots[at + 21][account]["status"] == "open"
            assert outcomes.get(account, "none") in ({"1"} if bad else {"0", "none"} if is_open else {"none"})


def test_accounts_that_leave_before_maturity_have_no_outcome(daily: dict[str, bytes]) -> None:
    accounts, outcomes = (rows(daily[f"{kind}_{SNAPSHOTS[0]}.csv"]) for kind in ("accounts", "outcomes"))
    without = {row["account_id"] for row in accounts} - {row["account_id"] for row in outcomes}
    assert 0 < len(without) < 0.1 * len(accounts)


def test_snapshots_have_the_contract_s_columns_and_few_corrupted_rows(daily: dict[str, bytes]) -> None:
    accounts = rows(daily[f"accounts_{SNAPSHOTS[2]}.csv"])
    assert set(accounts[0]) == {*contract().columns, "customer_id", "status"}
    corrupted = [row for row in accounts if not row["credit_limit"] or row["annual_income"] == "#VALUE!" or not row["account_id"]]
    assert len(corrupted) == 3
    assert all(row["account_id"] for row in rows(daily[f"accounts_{SNAPSHOTS[3]}.csv"]))


def test_most_rows_change_slowly_from_day_to_day(daily: dict[str, bytes]) -> None:
    before, after = (by_id(rows(daily[f"accounts_{day}.csv"])) for day in SNAPSHOTS[3:5])
    both = before.keys() & after.keys()
    assert len(both) > 0.95 * len(before)
    moved = sorted(abs(float(before[name]["utilisation"]) - float(after[name]["utilisation"])) for name in both)
    assert 0 < moved[len(moved) // 2] < 0.05


def test_the_bad_rate_is_realistic_and_follows_the_economy(monthly: pd.DataFrame) -> None:
    rates = monthly.groupby("day")["defaulted"].mean()
    assert rates.min() >= 0.03 and rates.max() <= 0.08
    stress = [Economy(3).stress(day) for day in WEEKS]
    assert stress == sorted(stress) and rates.is_monotonic_increasing


def test_an_additive_model_ranks_other_customers_as_in_practice(monthly: pd.DataFrame) -> None:
    numbers = monthly[list(contract().numbers)].drop(columns="months_since_missed")
    x = pd.concat([numbers.fillna(numbers.median()), pd.get_dummies(monthly[list(contract().categories)], dtype=float)], axis=1)
    y, held = monthly["defaulted"], monthly["customer_id"].str[-1].isin(["0", "1", "2"])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[~held], y[~held])
    assert 0.75 <= roc_auc_score(y[held], model.predict_proba(x[held])[:, 1]) <= 0.85


def test_more_stress_means_more_arrears() -> None:
    def arrears(stress: float) -> int:
        state = Bank(200, START, economy=Constant(stress)).opening()
        return int(np.sum(state.missed_payments))

    assert arrears(2) > 1.3 * arrears(-2)


def test_the_economy_moves_slowly_around_zero() -> None:
    levels = [Economy(7).stress(START + timedelta(days=day)) for day in range(0, 20_000, 10)]
    assert abs(float(np.mean(levels))) < 0.3 and 0.7 < float(np.std(levels)) < 1.3
    assert max(abs(after - before) for before, after in pairwise(levels)) < 0.7


def test_another_seed_gives_another_bank() -> None:
    one, other = (Bank(50, START, seed=seed) for seed in (1, 2))
    assert observe(one, one.opening()) != observe(other, other.opening())


def test_a_bank_needs_ten_accounts_and_dates_after_its_start() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        Bank(9, START)
    with pytest.raises(ValueError, match="starts on 2025-09-03"):
        next(landing_files(Bank(10, START), [date(2025, 9, 2)], START, WINDOW))


def test_the_demo_s_contract_has_the_sample_s_features() -> None:
    sample = Contract.parse((ROOT / "data/contract.yml").read_text(encoding="utf-8"), "data/contract.yml")
    assert contract().inputs == sample.inputs


def test_the_demo_s_outcomes_are_known_before_it_trains() -> None:
    assert demo.LABELLED[-1] + timedelta(days=demo.DEFINITION.within_days) < demo.UNLABELLED[0]
    assert demo.BANK.accounts >= 3000


def test_the_demo_s_outcomes_are_those_of_its_contract() -> None:
    target = contract().target
    assert target.performance_days == demo.DEFINITION.within_days
    assert f"at least {demo.DEFINITION.days_past_due} days past due" in str(target.definition)
