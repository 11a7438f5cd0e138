"""The model that is live, loaded from the lake, watched, and swapped as a whole when another one goes live."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

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
from risk_serving.scoring.wire import Wire
from risk_serving.settings import ServingSettings

_NONE = "no model is live yet: train one on dates with outcomes (risk train DATE)."
_GONE = "the lake holds no bindings any more. See that RISK_LAKE is there, or restore it from a backup."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSnapshot:
    """All that an answer needs, made for one binding, contract and policy: it never changes."""

    binding: Binding
    arms: Arms
    policy: Policy
    wire: Wire
    scorer: Scorer
    examples: tuple[Example, ...] = ()
    registered: registry.ModelVersion | None = None

    @property
    def version(self) -> str:
        """The champion's version."""
        return self.binding.champion

    @property
    def age(self) -> float:
        """Seconds since the binding came into force."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.binding.effective_from)).total_seconds()


def build(binding: Binding, arms: Arms, contract: Contract, policy: Policy, max_records: int) -> LiveSnapshot:
    """Return what answers by a binding; raises `ModelError` when a model needs features that the contract does not give."""
    for model in arms.models:
        require_fit(model, contract)
    try:
        wire = Wire(contract, arms.models, max_records)
    except ValueError as error:
        raise ModelError("a feature's name in the contract has a quote, a backslash or a control character: rename it.") from error
    return LiveSnapshot(binding, arms, policy, wire, Scorer(arms, policy, contract))


class LiveModel:
    """Holds the live model, and looks for another every `serve_refresh_seconds`.

    `current` is replaced by one assignment, so that a request sees one model from its beginning to its end. What can't be
    loaded is not used: the last good model stays, `problem` says why, and it is tried again with the next look.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._seen: tuple[str | None, bytes, bytes] | None = None
        self.store: Store = settings.connect_lake()
        self.current: LiveSnapshot | None = None
        self.problem: str | None = None
        self.failures = 0

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.serve_refresh_seconds)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Load what is live now, when it is not what was loaded last."""
        try:
            self._refresh()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the last good one goes on answering
            self.failures += 1
            self._tell(str(error) if isinstance(error, RiskError) else f"{type(error).__name__} while loading the live model")
        else:
            self._tell(None)

    def _refresh(self) -> None:
        seen = (binding_log.newest(self.store), _content(self._settings.contract), _content(self._settings.policy))
        if seen == self._seen:
            return
        require_format(self.store)
        if seen[0] is None:
            raise ModelError(_NONE if self.current is None else _GONE)
        started = time.perf_counter()
        self.current = self._load()
        self._seen = seen
        logger.info("live: %s, loaded in %.0f ms", self.current.version, 1000 * (time.perf_counter() - started))

    def _load(self) -> LiveSnapshot:
        champion = registry.champion(self.store)
        contract, policy = self._settings.read_contract(), self._settings.read_policy()
        live = build(champion.binding, champion.arms, contract, policy, self._settings.serve_max_records)
        examples = tuple(registry.read_example(self.store, model.version) for model in live.arms.models)
        for model, example in zip(live.arms.models, examples, strict=True):
            require_reproduced(model, example)
        return replace(live, examples=examples, registered=registry.read_version(self.store, live.version))

    def _tell(self, problem: str | None) -> None:
        """Remember a problem, and log it when it is new."""
        if problem != self.problem:
            self.problem = problem
            if problem:
                logger.warning("the live model can't be loaded: %s", problem)
            else:
                logger.info("the live model can be loaded again")


def _content(path: Path) -> bytes:
    """Return a file's content, or nothing where it can't be read: who loads it says why."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
