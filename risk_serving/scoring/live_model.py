"""The live model: loaded from the lake with its policy and contract, watched, and replaced as a whole by the next binding."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.arms import Arms
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.scorecard.scorecard import Example
from risk_assets.domain.scorecard.scoring import require_fit
from risk_assets.domain.scorecard.self_check import require_reproduced
from risk_assets.errors import ModelError, RiskError
from risk_assets.lake import binding_log, registry
from risk_assets.lake.documents import Documents, UnusedFile, of_binding, unused_files
from risk_assets.lake.format import require_format
from risk_assets.lake.store import Store
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

_NO_MODEL = "no model is live yet. Train one on dates with outcomes: risk train DATE."
_LAKE_GONE = "the lake has no bindings any more. Check that RISK_LAKE exists, or restore it from a backup."

_Stamp: TypeAlias = tuple[int, int] | None
_Compared: TypeAlias = tuple[str | None, _Stamp, _Stamp]  # the binding, the files of contract and policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSnapshot:
    """Everything that one request needs, for one binding with its contract and policy; it never changes."""

    binding: Binding
    arms: Arms
    policy: Policy
    decoder: RequestDecoder
    scorer: Scorer
    examples: tuple[Example, ...] = ()
    champion: registry.ModelVersion | None = None

    @property
    def version(self) -> str:
        """The champion's version."""
        return self.binding.champion

    @property
    def age(self) -> float:
        """Seconds since the binding took effect."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.binding.effective_from)).total_seconds()


def build_snapshot(binding: Binding, arms: Arms, contract: Contract, policy: Policy, max_records: int) -> LiveSnapshot:
    """Return the snapshot for a binding; raises `ModelError` if the contract lacks a feature that a model needs."""
    for model in arms.models:
        require_fit(model, contract)
    try:
        decoder = RequestDecoder(contract, arms, max_records)
    except ValueError as error:
        raise ModelError("a feature's name in the contract has a quote, a backslash or a control character: rename it.") from error
    return LiveSnapshot(binding, arms, policy, decoder, Scorer(arms, policy, contract))


class LiveModel:
    """Keeps the live model up to date: looks for another every `serve_refresh_seconds`.

    One assignment replaces `current`, so that each request uses one model from start to end. If the newest binding or its contract
    or policy cannot be loaded, the previous model keeps serving, `problem` has the reason, and the next look tries again.
    The files of contract and policy are not used; `unused_files` are those that differed from the bound ones at the last look.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._loaded: str | None = None  # the path of the binding
        self._bound: Documents | None = None
        self._compared: _Compared | None = None
        self.unused_files: tuple[UnusedFile, ...] = ()
        self.store: Store = settings.connect_lake()
        self.current: LiveSnapshot | None = None
        self.failures = 0
        self._problem: str | None = None
        self._looked_at = time.monotonic()
        self._worker = Worker("live model")

    @property
    def problem(self) -> str | None:
        """Why the live version is not, or may not be, the newest: loading it failed, or the last look has not ended; or None."""
        silent = time.monotonic() - self._looked_at
        if self._problem is None and silent > self._settings.serve_stale_seconds + self._settings.serve_refresh_seconds:
            return f"the last look at the lake began {silent:.0f} s ago and has not ended. Check that RISK_LAKE can be reached."
        return self._problem

    async def start(self) -> None:
        """Look for the live version, for at most `serve_stale_seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.serve_stale_seconds):
                await self._worker.run(self.refresh)

    async def watch(self) -> None:
        """Refresh at each interval, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.serve_refresh_seconds)
            await self._worker.run(self.refresh)

    def refresh(self) -> None:
        """Load the live version if there is another binding; never raises."""
        try:
            self._refresh()
        except Exception as error:  # noqa: BLE001 - whatever the error in the new version is, the previous one keeps serving
            self.failures += 1
            self._report(str(error) if isinstance(error, RiskError) else f"{type(error).__name__} while loading the live model")
        else:
            self._report(None)
        self._looked_at = time.monotonic()

    def _refresh(self) -> None:
        newest = binding_log.newest(self.store)
        if newest is None or newest != self._loaded:
            self._load_binding(newest)
        self._compare_files()

    def _load_binding(self, newest: str | None) -> None:
        require_format(self.store)
        if newest is None:
            raise ModelError(_NO_MODEL if self.current is None else _LAKE_GONE)
        started = time.perf_counter()
        champion = registry.champion(self.store)
        bound = of_binding(self.store, champion.binding)
        self.current = self._load(champion, bound)
        self._loaded, self._bound = newest, bound
        logger.info("live model: %s, loaded in %.0f ms", self.current.version, 1000 * (time.perf_counter() - started))

    def _compare_files(self) -> None:
        """Compare the files of contract and policy with the bound documents if a file or the binding has changed, and log differences."""
        found = (self._loaded, _stamp(self._settings.contract), _stamp(self._settings.policy))
        if self._bound is None or found == self._compared:
            return
        unused = unused_files(self._bound, self._settings)
        for file in unused:
            if file not in self.unused_files:
                logger.warning("%s", file.note)
        self.unused_files, self._compared = unused, found

    def _load(self, champion: registry.Champion, bound: Documents) -> LiveSnapshot:
        snapshot = build_snapshot(champion.binding, champion.arms, bound.contract, bound.policy, self._settings.serve_max_records)
        examples = tuple(registry.read_example(self.store, model.version) for model in snapshot.arms.models)
        for model, example in zip(snapshot.arms.models, examples, strict=True):
            require_reproduced(model, example)
        return replace(snapshot, examples=examples, champion=registry.read_version(self.store, snapshot.version))

    def _report(self, problem: str | None) -> None:
        """Store a problem, and log it if it is new."""
        if problem != self._problem:
            self._problem = problem
            if problem:
                logger.warning("cannot load the live model: %s", problem)
            else:
                logger.info("the live model can be loaded again")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return the time and the size of a file, which change with its content; None if it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
