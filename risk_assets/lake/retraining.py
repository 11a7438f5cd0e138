"""Whether the live version is due for retraining, by the reports in the lake; and which retrainings were requested and started.

`monitoring/retraining_{date}.json` is created by the first sensor that requests one for a training date, so that several sensors
request one run, also on different run histories; or by the first run that starts one without a request. It is never replaced. A run that
starts later has a file of its own in `monitoring/starts/retraining_{date}/`. So each reason is kept, and a run that fails counts too.
"""

import uuid
from collections.abc import Iterator

import msgspec

from risk_assets.clock import shift, utc_now
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.artifacts import Origin
from risk_assets.domain.governance.bindings import Binding
from risk_assets.domain.monitoring.retraining import Exceeded, RetrainingReason, drift_exceeded, due, is_misled, performance_exceeded
from risk_assets.errors import LakeError
from risk_assets.lake import binding_log, document_archive, drift_files, layout, performance_files, registry, sealed_files
from risk_assets.lake.dates import committed_dates
from risk_assets.lake.drift_files import PREDICTIONS
from risk_assets.lake.outcome_tables import OUTCOMES
from risk_assets.lake.seals import sealed
from risk_assets.lake.store import Store

Found = tuple[str, tuple[Exceeded, ...]]


class StoredRetraining(msgspec.Struct, frozen=True, kw_only=True):
    """A request or a start of a retraining: the reason, and the run that started it; None in a request.

    `request_id` makes each request differ from those of other sensors at the same instant.
    """

    date: str
    reason: str
    at: str
    run_id: str | None = None
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    seal: str | None = None


def retraining_due(store: Store, policy: Policy, date: str) -> RetrainingReason | None:
    """Return why the live version is to be trained again for a date, or None.

    Drift and performance are evaluated apart, each on the newest dates up to the training date: drift on those that were scored,
    performance on those whose outcomes have matured and are in the lake. Only current reports of the live version count, so that a
    version that was promoted since starts anew; dates that trained it or were held out are left out. `cooling_down_until` decides
    whether it is too early for one.

    Parameters
    ----------
    policy
        The policy in force, of which the reports must be.

    Raises
    ------
    LakeError
        If the binding in force or its contract was changed or is missing, or the metadata of its version was changed.
    ModelError
        If its version is missing or incomplete.
    """
    binding = binding_log.live(store)
    if binding is None:
        return None
    origin = registry.read_version(store, binding.champion).metadata.origin
    return _drift_due(store, policy, date, binding, origin) or _performance_due(store, policy, date, binding, origin)


def cooling_down_until(store: Store, policy: Policy, date: str) -> str | None:
    """Return the first date for which a retraining can be started again, or None if that is possible for the date.

    It is not for `cool_down_days` from a date for which a version was trained or a retraining was started. A request that no run has
    started counts on its own date only.
    """
    days = policy.monitoring.retraining.cool_down_days
    first = shift(date, 1 - days)
    requested = [day for day in committed_dates(store, layout.RETRAINING) if first <= day <= date]
    started = [day for day in requested if _is_started(store, day)]
    origins = (registry.find_origin(store, name) for name in registry.names(store))
    trained = [origin.training_date for origin in origins if origin is not None and first <= origin.training_date <= date]
    if not started and not trained:
        return shift(date, 1) if date in requested else None
    return shift(max([*started, *trained]), days)


def request(store: Store, date: str, reason: str) -> bool:
    """Store that a retraining is requested for a date; return False if it was requested or started before."""
    requested = StoredRetraining(date=date, reason=reason, at=utc_now(), request_id=uuid.uuid4().hex)
    return store.create(layout.retraining(date), _content(requested))


def start(store: Store, date: str, reason: str, run_id: str) -> None:
    """Store that a run has started a retraining for a date; what was requested or started before is kept."""
    content = _content(StoredRetraining(date=date, reason=reason, at=utc_now(), run_id=run_id))
    if not store.create(layout.retraining(date), content):
        store.create(layout.retraining_start(date, run_id), content)


def read(store: Store, date: str) -> StoredRetraining:
    """Return the first record of a date's retraining; raises `LakeError` if there is none, or it was changed."""
    path = layout.retraining(date)
    content = store.find(path)
    if content is None:
        raise LakeError(f"{path} is not in the lake: no retraining was requested for {date}. Start one: risk train {date} --reason WHY.")
    return _decode(content, path)


def read_starts(store: Store, date: str) -> tuple[StoredRetraining, ...]:
    """Return the starts of a date's retraining after its first record, oldest first; raises `LakeError` if one was changed."""
    found = [_decode(store.get(path), path) for path in store.list(layout.retraining_starts(date))]
    return tuple(sorted(found, key=lambda stored: stored.at))


def problems(store: Store, date: str) -> list[str]:
    """Return a message for each record of a date's retraining that is missing, was changed or cannot be read."""
    paths = (layout.retraining(date), *store.list(layout.retraining_starts(date)))
    return [problem for path in paths if (problem := _problem(store, path))]


def _problem(store: Store, path: str) -> str | None:
    content = store.find(path)
    if content is None:
        return f"{path} is missing"
    try:
        _decode(content, path)
    except LakeError as error:
        return str(error)
    return None


def _decode(content: bytes, path: str) -> StoredRetraining:
    return sealed_files.decode(content, path, StoredRetraining, "Restore it from a backup.")


def _drift_due(store: Store, policy: Policy, date: str, binding: Binding, origin: Origin) -> RetrainingReason | None:
    rule = policy.monitoring.retraining
    scored = _newest(committed_dates(store, PREDICTIONS), date, origin, rule.of_dates)
    return due("drift", binding.champion, [*_drift(store, policy.digest, scored, binding.champion)], rule)


def _performance_due(store: Store, policy: Policy, date: str, binding: Binding, origin: Origin) -> RetrainingReason | None:
    rule, contract = policy.monitoring.retraining, document_archive.read(store, Contract, binding.contract)
    known = {*committed_dates(store, PREDICTIONS)} & {*committed_dates(store, OUTCOMES)}
    matured = _newest(sorted(known), shift(date, -contract.target.performance_days), origin, rule.of_dates)
    return due("performance", binding.champion, [*_performance(store, policy, matured, date, binding.champion)], rule)


def _newest(dates: tuple[str, ...] | list[str], last: str, origin: Origin, most: int) -> list[str]:
    """Return the newest dates up to the last one that had no part in a training."""
    return [date for date in dates if date <= last and date not in (*origin.train_dates, *origin.holdout_dates)][-most:]


def _drift(store: Store, policy: str, dates: list[str], version: str) -> Iterator[Found]:
    for date in dates:
        report = drift_files.read(store, date).report if drift_files.is_current(store, date, policy) else None
        yield date, drift_exceeded(report) if report and report.version == version else ()


def _performance(store: Store, policy: Policy, dates: list[str], today: str, version: str) -> Iterator[Found]:
    for date in dates:
        is_current = performance_files.is_current(store, date, policy.digest, today)
        report = performance_files.read(store, date).report if is_current else None
        models = report.models if report and report.matured else ()
        own = next((model for model in models if (model.version, model.role) == (version, "champion")), None)
        yield date, performance_exceeded(own, policy.checks) if own and not _is_misled(store, date) else ()


def _is_misled(store: Store, date: str) -> bool:
    """Return whether the drift report of a date, if there is one, shows a fault of the data that moved the score."""
    try:
        return is_misled(drift_files.read(store, date).report)
    except LakeError:
        return False


def _is_started(store: Store, date: str) -> bool:
    """Return whether a run has started the retraining of a date; also if its file is damaged."""
    try:
        return read(store, date).run_id is not None or bool(store.list(layout.retraining_starts(date)))
    except LakeError:
        return True


def _content(value: StoredRetraining) -> bytes:
    return msgspec.json.format(msgspec.json.encode(sealed(value)), indent=1)
