"""The log of bindings: numbered files, written once. Each holds the SHA-256 of the one before and a seal of its own.

An empty file is a write that did not complete. It does not count if the next binding holds the hash of the one before it.
"""

from collections.abc import Collection

import msgspec

from risk_assets.clock import seconds_between, utc_now
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import Binding, Change
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import document_archive, layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.seals import has_seal, sealed
from risk_assets.lake.store import Store

_CONFLICT = "another binding was made at the same time. See what is live now (risk live) and try again."
_RESTORE = "Restore it from a backup."
MAX_SKEW_SECONDS = 24 * 60 * 60  # by which a binding can be ahead of this clock; a larger difference is a wrong clock


def read(store: Store) -> tuple[Binding, ...]:
    """Return all bindings, oldest first; raises `LakeError` that names a missing or changed one."""
    paths = _paths(store)  # once: another process may write the next binding
    bindings: list[Binding] = []
    before, empty = b"", ""
    for path in _expected(paths):
        if path not in paths:
            raise LakeError(f"{path} is missing, so earlier bindings are not known. {_RESTORE}")
        content = store.get(path)
        if not content:
            empty = path
            continue
        binding = _decode(content, path)
        if empty and binding.previous != _hash(before):
            raise LakeError(f"{empty} was emptied since it was written. {_RESTORE}")
        bindings.append(binding)
        before, empty = content, ""
    return tuple(bindings)


def live(store: Store, at: str | None = None) -> Binding | None:
    """Return the binding in force at an instant (ISO 8601, UTC; default now), or None before the first binding."""
    if at is None:
        last = _last(store)
        return last[0] if last else None
    in_force = [binding for binding in read(store) if binding.effective_from <= at]
    return in_force[-1] if in_force else None


def newest(store: Store) -> str | None:
    """Return the path of the newest binding, or None before the first. Reads no binding, so it is cheap."""
    return _newest_of(_files(store))


def find(store: Store, seq: int) -> Binding:
    """Return a binding by its number; raises `ModelError` if it is missing."""
    content = store.find(layout.binding(seq))
    if content is None:
        raise ModelError(f"{layout.binding(seq)} is not in the lake. List the bindings: risk history --verify.")
    return _decode(content, layout.binding(seq))


def write(store: Store, change: Change, run_id: str | None = None) -> Binding:
    """Write a change that a run decided as the next binding, in force from now on, and return it.

    Raises
    ------
    ModelError
        If another binding was made after the history from which the change was decided.
    """
    files = _files(store)
    last = _last_of(store, files)
    if (last[0].seq if last else 0) != change.after:
        raise ModelError(_CONFLICT)
    binding = _next(change, last, _number(files[-1][0]) + 1 if files else 1, run_id)
    if not store.create(layout.binding(binding.seq), _content(binding)):
        raise ModelError(_CONFLICT)
    return binding


def verify(store: Store) -> list[str]:
    """Return a message for each binding that is missing, was changed or does not follow the one before; none if all are valid.

    The policies and contracts that the bindings name are verified too.
    """
    problems: list[str] = []
    before, empty = None, ""
    documents: dict[tuple[type[Policy | Contract], str], None] = {}
    for seq, path in enumerate(_expected(_paths(store)), start=1):
        content = store.find(path)
        if content == b"":
            empty = path
            continue
        found = _problems(seq, path, content, before, empty)
        problems += found
        if content and not found:
            binding = _decode(content, path)
            documents |= {(Policy, binding.policy): None, (Contract, binding.contract): None}
        before, empty = content, ""
    problems += [problem for kind, digest in documents for problem in document_archive.problems(store, kind, digest)]
    return [*problems, *(f"{path} is empty, so it does not count: {_RESTORE}" for path, size in _files(store) if not size)]


def unfinished(store: Store) -> list[str]:
    """Return a message if the newest binding is empty."""
    step = "so the binding before it is in force: restore it from a backup, or decide again"
    return [f"{path} is empty, {step}" for path, size in _files(store)[-1:] if not size]


def head(store: Store) -> str | None:
    """Return the SHA-256 of the newest binding's file. Stored outside the lake, it proves the whole chain later."""
    last = _last(store)
    return sha256(last[1]) if last else None


def _next(change: Change, last: tuple[Binding, bytes] | None, seq: int, run_id: str | None) -> Binding:
    """Return the binding of a change, linked to the last one and sealed.

    Bindings are in force in the order of their numbers, also if clocks differ. A binding that a wrong clock
    dated into the future does not date later ones there.
    """
    now = utc_now()
    wrong = last is not None and seconds_between(now, last[0].effective_from) > MAX_SKEW_SECONDS
    unsealed = Binding(
        seq=seq,
        action=change.action,
        champion=change.champion,
        challenger=change.challenger,
        challenger_share=change.share,
        mode=change.mode,
        salt=change.salt,
        actor=change.actor,
        reason=change.reason,
        overrides=change.overrides,
        policy=change.policy,
        contract=change.contract,
        approved_by=change.approved_by,
        effective_from=max(now, last[0].effective_from) if last and not wrong else now,
        recorded_at=now,
        previous=_hash(last[1]) if last else None,
        seal="",
        run_id=run_id,
    )
    return sealed(unsealed)


def _problems(seq: int, path: str, content: bytes | None, before: bytes | None, empty: str) -> list[str]:
    if content is None:
        return [f"{path} is missing"]
    try:
        binding = _decode(content, path)
    except LakeError as error:
        return [str(error)]
    if (before is not None or empty) and binding.previous != _hash(before):
        return [f"{path} does not follow {empty or layout.binding(seq - 1)}: one of the two was changed"]
    if seq == 1 and binding.previous is not None:
        return [f"{path} follows a binding that is missing"]
    return []


def _expected(paths: Collection[str]) -> list[str]:
    """Return the paths of a complete chain up to the newest of these bindings."""
    return [layout.binding(seq) for seq in range(1, max(map(_number, paths), default=0) + 1)]


def _paths(store: Store) -> set[str]:
    """Return the paths of the bindings; other files are ignored."""
    return {path for path, _ in _files(store)}


def _files(store: Store) -> list[tuple[str, int]]:
    found = [(entry.path, entry.size) for entry in store.entries(f"{layout.BINDINGS}/") if layout.binding_number(entry.path) is not None]
    return sorted(found, key=lambda file: _number(file[0]))


def _hash(content: bytes | None) -> str | None:
    return sha256(content) if content else None


def _number(path: str) -> int:
    number = layout.binding_number(path)
    assert number is not None
    return number


def _last(store: Store) -> tuple[Binding, bytes] | None:
    """Return the newest binding and the content of its file, or None before the first."""
    return _last_of(store, _files(store))


def _last_of(store: Store, files: list[tuple[str, int]]) -> tuple[Binding, bytes] | None:
    path = _newest_of(files)
    if path is None:
        return None
    content = store.get(path)
    return _decode(content, path), content


def _newest_of(files: list[tuple[str, int]]) -> str | None:
    return next((path for path, size in reversed(files) if size), None)


def _content(binding: Binding) -> bytes:
    return msgspec.json.format(msgspec.json.encode(binding), indent=1)


def _decode(content: bytes, path: str) -> Binding:
    try:
        binding = msgspec.json.decode(content, type=Binding)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read as a binding: {error}. {_RESTORE}") from error
    if not has_seal(binding) or content != _content(binding) or binding.seq != _number(path):
        raise LakeError(f"{path} was changed since it was written. {_RESTORE}")
    return binding
