"""The bindings in the lake: numbered, each bearing the hash of the one before, written once, never edited."""

import hashlib

import msgspec

from risk_assets.clock import utc_now
from risk_assets.domain.governance.bindings import Binding, Change
from risk_assets.errors import LakeError, ModelError
from risk_assets.lake import layout
from risk_assets.lake.store import Store

_OTHER = "another binding was made in the same moment. Look at what is live now (risk live) and try again."


def read(store: Store) -> tuple[Binding, ...]:
    """Return all bindings, oldest first; raises `LakeError` that names one that is missing or was changed."""
    there = set(_paths(store))
    for path in _expected(store):
        if path not in there:
            raise LakeError(f"{path} is missing, so what was live before is not known. Restore it from a backup.")
    return tuple(_decode(store.get(path), path) for path in sorted(there, key=_number))


def live(store: Store, at: str | None = None) -> Binding | None:
    """Return the binding in force at an instant (ISO 8601, UTC; now by default), or None before the first."""
    if at is None:
        last = _last(store)
        return last[0] if last else None
    in_force = [binding for binding in read(store) if binding.effective_from <= at]
    return in_force[-1] if in_force else None


def newest(store: Store) -> str | None:
    """Return the path of the newest binding that is there, or None before the first; none is read, so it is cheap."""
    return max(_paths(store), key=_number, default=None)


def find(store: Store, seq: int) -> Binding:
    """Return a binding by its number; raises `ModelError` when it is not there."""
    content = store.find(layout.binding(seq))
    if content is None:
        raise ModelError(f"{layout.binding(seq)} is not in the lake. See what is there: risk history --verify.")
    return _decode(content, layout.binding(seq))


def write(store: Store, change: Change) -> Binding:
    """Write a change as the next binding, in force from now on, and return it.

    Raises
    ------
    ModelError
        When another binding was made since the change was decided upon.
    """
    last = _last(store)
    if (last[0].seq if last else 0) != change.after:
        raise ModelError(_OTHER)
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
        previous=hashlib.sha256(last[1]).hexdigest() if last else None,
        seal="",
    )
    binding = msgspec.structs.replace(unsealed, seal=_seal(unsealed))
    if not store.create(layout.binding(binding.seq), _content(binding)):
        raise ModelError(_OTHER)
    return binding


def verify(store: Store) -> list[str]:
    """Return what is wrong with the chain: each missing, changed or unlinked binding by name; nothing when it is whole."""
    problems, before = [], None
    for seq, path in enumerate(_expected(store), start=1):
        content = store.find(path)
        if content is None:
            problems.append(f"{path} is missing")
        else:
            problems += _problems(seq, path, content, before)
        before = content
    return problems


def head(store: Store) -> str | None:
    """Return the SHA-256 of the newest binding's file: kept elsewhere, it proves the whole chain later."""
    last = _last(store)
    return hashlib.sha256(last[1]).hexdigest() if last else None


def _problems(seq: int, path: str, content: bytes, before: bytes | None) -> list[str]:
    try:
        binding = _decode(content, path)
    except LakeError as error:
        return [str(error)]
    if before is not None and binding.previous != hashlib.sha256(before).hexdigest():
        return [f"{path} does not follow {layout.binding(seq - 1)}: one of the two was changed"]
    if seq == 1 and binding.previous is not None:
        return [f"{path} follows a binding that is not there"]
    return []


def _expected(store: Store) -> list[str]:
    """Return the paths of a whole chain up to the newest binding that is there."""
    paths = _paths(store)
    return [layout.binding(seq) for seq in range(1, _number(paths[-1]) + 1)] if paths else []


def _paths(store: Store) -> list[str]:
    """Return the paths of the bindings that are there, oldest first; other files are none."""
    return sorted((path for path in store.list(f"{layout.BINDINGS}/") if layout.binding_number(path) is not None), key=_number)


def _number(path: str) -> int:
    return layout.binding_number(path) or 0


def _last(store: Store) -> tuple[Binding, bytes] | None:
    paths = _paths(store)
    if not paths:
        return None
    content = store.get(paths[-1])
    return _decode(content, paths[-1]), content


def _seal(binding: Binding) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(binding, seal=""))).hexdigest()


def _content(binding: Binding) -> bytes:
    return msgspec.json.format(msgspec.json.encode(binding), indent=1)


def _decode(content: bytes, path: str) -> Binding:
    try:
        binding = msgspec.json.decode(content, type=Binding)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} can't be read as a binding: {error}. Restore it from a backup.") from error
    if binding.seal != _seal(binding) or content != _content(binding) or binding.seq != _number(path):
        raise LakeError(f"{path} was changed since it was written. Restore it from a backup.")
    return binding
