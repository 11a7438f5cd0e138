"""The log of bindings: numbered files, written once. Each holds the SHA-256 of the one before and a seal of its own."""

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.governance.bindings import Binding, Change
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import layout
from risk_assets.lake.hashing import sha256
from risk_assets.lake.store import Store

_CONFLICT = "another binding was made at the same time. See what is live now (risk live) and try again."
_RESTORE = "Restore it from a backup."


def read(store: Store) -> tuple[Binding, ...]:
    """Return all bindings, oldest first; raises `LakeError` that names a missing or changed one."""
    paths = set(_paths(store))
    for path in _expected_paths(store):
        if path not in paths:
            raise LakeError(f"{path} is missing, so earlier bindings are not known. {_RESTORE}")
    return tuple(_decode(store.get(path), path) for path in sorted(paths, key=_number))


def live(store: Store, at: str | None = None) -> Binding | None:
    """Return the binding in force at an instant (ISO 8601, UTC; default now), or None before the first binding."""
    if at is None:
        last = _last(store)
        return last[0] if last else None
    in_force = [binding for binding in read(store) if binding.effective_from <= at]
    return in_force[-1] if in_force else None


def newest(store: Store) -> str | None:
    """Return the path of the newest binding, or None before the first. Reads no binding, so it is cheap."""
    return max(_paths(store), key=_number, default=None)


def find(store: Store, seq: int) -> Binding:
    """Return a binding by its number; raises `ModelError` if it is missing."""
    content = store.find(layout.binding(seq))
    if content is None:
        raise ModelError(f"{layout.binding(seq)} is not in the lake. List the bindings: risk history --verify.")
    return _decode(content, layout.binding(seq))


def write(store: Store, change: Change) -> Binding:
    """Write a change as the next binding, in force from now on, and return it.

    Raises
    ------
    ModelError
        If another binding was made after the history from which the change was decided.
    """
    last = _last(store)
    if (last[0].seq if last else 0) != change.after:
        raise ModelError(_CONFLICT)
    binding = _next(change, last)
    if not store.create(layout.binding(binding.seq), _content(binding)):
        raise ModelError(_CONFLICT)
    return binding


def verify(store: Store) -> list[str]:
    """Return a message for each binding that is missing, was changed or does not follow the one before; none if all are valid."""
    problems, before = [], None
    for seq, path in enumerate(_expected_paths(store), start=1):
        content = store.find(path)
        problems += _problems(seq, path, content, before)
        before = content
    return problems


def head(store: Store) -> str | None:
    """Return the SHA-256 of the newest binding's file. Stored outside the lake, it proves the whole chain later."""
    last = _last(store)
    return sha256(last[1]) if last else None


def _next(change: Change, last: tuple[Binding, bytes] | None) -> Binding:
    """Return the binding of a change, linked to the last one and sealed."""
    now = utc_now()
    unsealed = Binding(
        seq=change.after + 1,
        action=change.action,
        champion=change.champion,
        challenger=change.challenger,
        challenger_share=change.share,
        mode=change.mode,
        salt=change.salt,
        actor=change.actor,
        reason=change.reason,
        overrides=change.overrides,
        effective_from=max(now, last[0].effective_from) if last else now,
        recorded_at=now,
        previous=sha256(last[1]) if last else None,
        seal="",
    )
    return msgspec.structs.replace(unsealed, seal=_seal(unsealed))


def _problems(seq: int, path: str, content: bytes | None, before: bytes | None) -> list[str]:
    if content is None:
        return [f"{path} is missing"]
    try:
        binding = _decode(content, path)
    except LakeError as error:
        return [str(error)]
    if before is not None and binding.previous != sha256(before):
        return [f"{path} does not follow {layout.binding(seq - 1)}: one of the two was changed"]
    if seq == 1 and binding.previous is not None:
        return [f"{path} follows a binding that is missing"]
    return []


def _expected_paths(store: Store) -> list[str]:
    """Return the paths of a complete chain up to the newest binding."""
    newest_path = newest(store)
    return [layout.binding(seq) for seq in range(1, _number(newest_path) + 1)] if newest_path else []


def _paths(store: Store) -> list[str]:
    """Return the paths of the bindings, oldest first; other files are ignored."""
    return sorted((path for path in store.list(f"{layout.BINDINGS}/") if layout.binding_number(path) is not None), key=_number)


def _number(path: str) -> int:
    number = layout.binding_number(path)
    assert number is not None
    return number


def _last(store: Store) -> tuple[Binding, bytes] | None:
    """Return the newest binding and the content of its file, or None before the first."""
    path = newest(store)
    if path is None:
        return None
    content = store.get(path)
    return _decode(content, path), content


def _seal(binding: Binding) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(binding, seal="")))


def _content(binding: Binding) -> bytes:
    return msgspec.json.format(msgspec.json.encode(binding), indent=1)


def _decode(content: bytes, path: str) -> Binding:
    try:
        binding = msgspec.json.decode(content, type=Binding)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read as a binding: {error}. {_RESTORE}") from error
    if binding.seal != _seal(binding) or content != _content(binding) or binding.seq != _number(path):
        raise LakeError(f"{path} was changed since it was written. {_RESTORE}")
    return binding
