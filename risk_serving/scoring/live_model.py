"""The live model: loaded from the lake, watched, and replaced as a whole when another version goes live."""

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
from risk_assets.lake.format import require_format
from risk_assets.lake.store import Store
from risk_serving.scoring.scorer import Scorer
from risk_serving.scoring.wire import RequestDecoder
from risk_serving.settings import ServingSettings
from risk_serving.worker import Worker

_NO_MODEL = "no model is live yet. Train one on dates with outcomes: risk train DATE."
_LAKE_GONE = "the lake has no bindings any more. Check that RISK_LAKE exists, or restore it from a backup."

_State: TypeAlias = tuple[str | None, bytes, bytes]  # the newest binding's path, the contract, the policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSnapshot:
    """Everything that one request needs, for one binding, contract and policy; it never changes."""

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

    One assignment replaces `current`, so that each request uses one model from start to end. If the newest binding, contract
    or policy cannot be loaded, the previous model keeps serving, `problem` has the reason, and the next look tries again.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._loaded: _State | None = None
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
        """Load the live version if the binding, the contract or the policy has changed; never raises."""
        try:
            self._refresh()
        except Exception as error:  # noqa: BLE001 - whatever the error in the new version is, the previous one keeps serving
            self.failures += 1
            self._report(str(error) if isinstance(error, RiskError) else f"{type(error).__name__} while loading the live model")
        else:
            self._report(None)
        self._looked_at = time.monotonic()

    def _refresh(self) -> None:
        state = (binding_log.newest(self.store), _read(self._settings.contract), _read(self._settings.policy))
        if state == self._loaded:
            return
        require_format(self.store)
        if state[0] is None:
            raise ModelError(_NO_MODEL if self.current is None else _LAKE_GONE)
        started = time.perf_counter()
        self.current = self._load()
        self._loaded = state
        logger.info("live model: %s, loaded in %.0f ms", self.current.version, 1000 * (time.perf_counter() - started))

    def _load(self) -> LiveSnapshot:
        champion = registry.champion(self.store)
        contract, policy = self._settings.read_contract(), self._settings.read_policy()
        snapshot = build_snapshot(champion.binding, champion.arms, contract, policy, self._settings.serve_max_records)
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


def _read(path: Path) -> bytes:
    """Return a file's content, or nothing if it cannot be read: loading it then raises an error with the reason."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
