"""The differences between two contracts, or two policies, by key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk_assets.domain.contract.documents import Document

ABSENT = "(absent)"
MAX_NAMED = 5


@dataclass(frozen=True)
class Difference:
    """A key whose value differs, such as `training.holdout`; `ABSENT` on the side that does not have it."""

    key: str
    before: str
    after: str


def differences(before: Document, after: Document) -> tuple[Difference, ...]:
    """Return the keys that differ between two documents of a kind, in the order of the first one, new keys last.

    A feature or a band that only one of them has is one difference. The order of features and of bands is compared too.
    """
    return tuple(_compare("", before.model_dump(mode="json"), after.model_dump(mode="json")))


def named(keys: Sequence[str]) -> str:
    """Return the first keys as a list for a message, and the number of the others."""
    more = len(keys) - MAX_NAMED
    return f"{', '.join(keys[:MAX_NAMED])} and {more} more" if more > 0 else ", ".join(keys)


def _compare(key: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _compare_keys(key, before, after)
    elif before != after:
        yield Difference(key, _text(before), _text(after))


def _compare_keys(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        yield from _compare(f"{key}.{name}" if key else name, before.get(name, ABSENT), after.get(name, ABSENT))
    common = [[name for name in one if name in other] for one, other in ((before, after), (after, before))]
    if common[0] != common[1]:
        yield Difference(f"order of {key}", ", ".join(common[0]), ", ".join(common[1]))


def _text(value: Any) -> str:
    """Return a value as people write it: keys with their values, lists in brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(part)}" for name, part in value.items() if part not in (None, [], False))
    if isinstance(value, list | tuple):
        return f"[{'; '.join(map(_text, value))}]"
    return str(value)
