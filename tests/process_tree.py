"""The processes below one, by the parent that each names.

A thread's list of its children (`/proc/PID/task/TID/children`) can lack one: threads end while their lists are read, and the
children of a thread that has ended move to another.
"""

from collections import defaultdict
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started and that have not ended."""
    return _by_parent()[pid]


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below one that have not ended, parents first; none if it has ended itself."""
    by_parent = _by_parent()
    found = [*by_parent[pid]]
    for process in found:
        found += by_parent[process]
    return found


def is_running(pid: int) -> bool:
    """Return whether a process has not ended."""
    return _parent(pid) is not None


def _by_parent() -> defaultdict[int, list[int]]:
    """Return the processes that have not ended, by parent."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (parent := _parent(int(entry.name))) is not None:
            found[parent].append(int(entry.name))
    return found


def _parent(pid: int) -> int | None:
    """Return the parent of a process; none if it has ended, also if nobody has waited for it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, *_ = stat.rpartition(")")[2].split()  # the name in front of it can have spaces and brackets
    return None if state in {"Z", "X"} else int(parent)
