"""The people, schedules and sensors of a simulated bank: what they do on each morning, by jobs of the real definitions."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from risk_assets.clock import shift, simulated_from
from risk_assets.defs.sensors import report_late
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.domain.governance.gates import summary
from risk_assets.domain.governance.impact import Impact
from risk_assets.domain.wording import counted
from risk_assets.errors import LakeError, RiskError
from risk_assets.lake import alert_files, binding_log, impact_files, layout, performance_files, registry
from risk_assets.lake.manifests import find_readable
from risk_assets.lake.retraining import cooling_down_until, retraining_due
from risk_assets.lake.store import Store
from risk_assets.lake.tables import read_table
from risk_assets.rehearsal import book
from risk_assets.rehearsal.records import Action, Day
from risk_assets.runner import Result, Runner
from risk_assets.simulation.incidents import Decision
from risk_assets.simulation.scenarios import Scenario
from risk_assets.simulation.scripted_bank import Landed, Morning

TRAINING, SCORING, ALERTING = "00:30", "02:00", "06:30"  # UTC, on the next day; files that have not arrived by 06:00 are late
FEATURES = ("raw/accounts", "curated/features")
REGISTERING = ("training/model", "registry/model_version", "registry/impact")
OWNER, APPROVER = "the model owner", "the approver"
JOBS = {"accounts": "daily_scoring", "outcomes": "outcomes"}


@dataclass(frozen=True)
class Team:
    """The team of a book with the incidents of a scenario."""

    runner: Runner
    scenario: Scenario

    @property
    def lake(self) -> Store:
        """The lake."""
        return self.runner.lakehouse.store

    def prepare(self, morning: Morning) -> None:
        """Store the files that land on a morning before the first day."""
        with _at(morning.date, SCORING):
            for file in morning.files:
                self._land(file)
                _require(self._run(JOBS[file.kind], file.date, *(FEATURES if file.kind == "accounts" else ())))

    def begin(self, date: str) -> None:
        """Train the first version for a date, and promote it; raises `RiskError` if its gates have not passed."""
        with _at(date, TRAINING):
            _require(self._run("training", date))
            gates = registry.read_version(self.lake, self._newest).metadata.gates
            if not gates.passed:
                raise RiskError(
                    f"the gates of the first version have not passed ({summary(gates.found)}). Choose another --seed, or more --accounts."
                )
            self._promote(self._newest, OWNER, "the first version")

    def work(self, morning: Morning) -> Day:
        """Do the work of a morning, and return what happened."""
        date = morning.date
        with _at(date, SCORING):
            actions = [*self._decide(morning.day, date)]
            for file in morning.files:
                self._receive(file)
        flagged = self._flagged(date)
        with _at(date, ALERTING):
            alerts = self._alerts(date)
            actions += self._retrain(date)
        return Day(morning.day, date, alerts, tuple(actions), flagged, self._ratio(morning.matured), self._live)

    def _receive(self, file: Landed) -> None:
        """Run the jobs of a file that lands: the sensors of landing, monitoring and performance."""
        self._land(file)
        self._run(JOBS[file.kind], file.date)
        scored = find_readable(self.lake, layout.predictions(file.date)) is not None
        if file.kind == "accounts" and scored:
            self._run("monitoring", file.date)
        if scored and find_readable(self.lake, layout.curated_outcomes(file.date)):
            self._run("performance", file.date)

    def _run(self, job: str, date: str, *only: str, **config: Mapping[str, Any]) -> Result:
        """Run a job for a date; a failure is a part of the rehearsal."""
        return self.runner.run(job, date, *only, **config)

    def _land(self, file: Landed) -> None:
        self.runner.lakehouse.landing.put(file.name, file.content)

    def _alerts(self, date: str) -> dict[str, str]:
        """Report accounts that are late, evaluate the alerts of a date, and return the status of each by its cause."""
        if find_readable(self.lake, layout.accounts(date)) is None:
            report_late(self.runner.lakehouse, self.runner.partitions, self.runner.settings.calendar)
        _require(self._run("alerts", date))
        return {alert.cause: alert.status for alert in alert_files.read(self.lake, date).report.alerts}

    def _retrain(self, date: str) -> Iterator[Action]:
        """Train again if that is due, as the sensor `retrain` does, and let the approver decide."""
        policy = self.runner.lakehouse.policy
        reason = retraining_due(self.lake, policy, date)
        if reason is None or cooling_down_until(self.lake, policy, date):
            return
        yield Action("retrain", reason.text)
        result = self._run("training", date, training__model={"reason": reason.text})
        if result.error:
            yield Action("reject", f"the training failed: {result.error}")
            return
        yield from self._approve(self._newest)

    def _approve(self, version: str) -> Iterator[Action]:
        """Promote a version whose gates have passed, after a look at its impact."""
        gates = registry.read_version(self.lake, version).metadata.gates
        yield Action("gates", f"{version}: {summary(gates.found)}")
        impact = impact_files.read(self.lake, version)
        yield Action("impact", impact_text(impact))
        if not gates.passed:
            yield Action("reject", f"{version} is not promoted: its gates have not passed")
            return
        self._promote(version, APPROVER, "its gates have passed, and the impact is as expected")
        yield Action("promote", f"{version} by {APPROVER}")

    def _decide(self, day: int, date: str) -> Iterator[Action]:
        """Carry out the scripted decisions of a day."""
        for planned in self.scenario.planned:
            decision = planned.incident.decision
            if decision and day == planned.start:
                yield Action("decide", self._do(decision, date))
            elif decision and day == planned.last + 1:
                yield Action("take back", self._undo(decision))

    def _do(self, decision: Decision, date: str) -> str:
        if decision == "promote a worse version":
            return self._promote_worse(shift(date, -1))
        self._adopt_cut_off(book.OTHER_CUT_OFF, "more accounts for the collection")
        return f"the cut-off {book.OTHER_CUT_OFF} is adopted"

    def _undo(self, decision: Decision) -> str:
        if decision == "promote a worse version":
            self._govern(action="rollback", actor=OWNER, reason="the version was promoted by mistake")
            return f"rolled back to {self._live}"
        self._adopt_cut_off(book.CUT_OFF, "back to the agreed cut-off")
        return f"the cut-off {book.CUT_OFF} is adopted again"

    def _promote_worse(self, date: str) -> str:
        """Train a version without the strongest features, and promote it by setting gates aside."""
        contract = self.runner.settings.contract
        before = contract.read_text(encoding="utf-8")
        book.edit(contract, book.weaker_contract)
        _require(self._run("training", date, *REGISTERING))
        self._promote(self._newest, OWNER, "simpler to explain", override=True)
        contract.write_text(before, encoding="utf-8")
        return f"{self._live}, without the strongest features, is promoted by setting gates aside"

    def _adopt_cut_off(self, threshold: float, reason: str) -> None:
        book.edit(self.runner.settings.policy, partial(book.with_cut_off, threshold=threshold))
        self._govern(action="adopt_policy", actor=OWNER, reason=reason)

    def _promote(self, version: str, actor: str, reason: str, override: bool = False) -> None:
        self._govern(action="promote", version=version, actor=actor, reason=reason, override=override)

    def _govern(self, **change: str | bool) -> None:
        if error := self.runner.govern(**change):
            raise RiskError(error)

    @property
    def _newest(self) -> str:
        return registry.names(self.lake)[-1]

    @property
    def _live(self) -> str:
        binding = binding_log.live(self.lake)
        return binding.champion if binding else ""

    def _flagged(self, date: str) -> frozenset[str] | None:
        """Return the accounts of a date that are predicted bad; None if it was not scored."""
        if find_readable(self.lake, layout.predictions(date)) is None:
            return None
        table = read_table(self.lake, layout.predictions(date)).filter(pl.col("prediction") == 1)
        return frozenset(table.select(ACCOUNT_ID).collect().to_series())

    def _ratio(self, matured: str | None) -> float | None:
        """Return the champion's observed divided by expected bads of the snapshot that matured."""
        if matured is None or find_readable(self.lake, layout.predictions(matured)) is None:
            return None
        try:
            overall = performance_files.read(self.lake, matured).report.models[0].overall
        except LakeError:  # its outcomes have not arrived
            return None
        return overall.ratio if overall else None


def impact_text(impact: Impact) -> str:
    """Return what a version changes, in words."""
    if impact.live_flagged is None or impact.newly_flagged_accounts is None or impact.no_longer_flagged_accounts is None:
        return f"{impact.flagged} flagged"
    return (
        f"{impact.flagged} flagged instead of {impact.live_flagged} on {counted(len(impact.dates), 'date')}: "
        f"{counted(impact.newly_flagged_accounts, 'account')} newly, {impact.no_longer_flagged_accounts} no longer"
    )


def _at(date: str, time: str) -> AbstractContextManager[None]:
    """Simulate a time on the morning after a date."""
    return simulated_from(f"{shift(date, 1)}T{time}:00+00:00")


def _require(result: Result) -> None:
    if result.error:
        raise RiskError(f"the simulation ends, because a run for {result.date} that must succeed failed: {result.error}")
