"""`make bench-serving`: `POST /predict` beside other model servers, the same model and records, in turns."""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import BenchError, Task, measure, module, say, set_up, show, table
from tests.bench.rivals.running import Running
from tests.bench.rivals.servers import ARROW, COLUMNS, LIMIT, OURS, SEED, STREAMS, UNLOGGED, Place, servers

FOLDER = Path(".bench")
LIBRARIES = ("uvicorn", "fastapi", "msgspec", "numpy", "scikit-learn")
CLOSE = 1e-9
IDLE = 2.0


@dataclass(frozen=True)
class Case:
    """Records a request, and connections that are kept busy."""

    records: int
    connections: int

    def __str__(self) -> str:
        """Tell it to people."""
        return f"{self.records:,} record{'s' if self.records > 1 else ''} a request, {self.connections} connections"


CASES = (Case(1, 8), Case(1, 32), Case(100, 8), Case(1000, 8))
QUICK, BUSY, HUNDRED, THOUSAND = CASES
MOST_CPU = 70 / 24  # microseconds, where bare uvicorn takes 24


@dataclass(frozen=True)
class Load:
    """What the client saw: requests a second, milliseconds, its own processor time a request (microseconds) and share of a core.

    `cpu` is the server's processor time a request, in microseconds.
    """

    rate: float
    slowest: float
    fastest: float
    p50: float
    p99: float
    own: float
    share: float
    cpu: float

    @staticmethod
    def of(text: str, cpu: float) -> "Load":
        """Read what the client wrote, while the server took some processor seconds."""
        found = json.loads(text)
        answers, seconds, own = found["answers"], found["seconds"], found["cpu"]
        rate = answers / seconds
        return Load(rate, rate, rate, found["p50"] * 1e3, found["p99"] * 1e3, own / answers * 1e6, own / seconds, cpu / answers * 1e6)

    @staticmethod
    def median(loads: Sequence["Load"]) -> "Load":
        """Return the medians over rounds, figure by figure, and the slowest and the fastest round."""
        middle = Load(*(statistics.median(getattr(load, each.name) for load in loads) for each in fields(Load)))
        rates = [load.rate for load in loads]
        return replace(middle, slowest=min(rates), fastest=max(rates))


Loads = Mapping[Case, Mapping[str, Load]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all servers that start; return the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end too
    place = Place(FOLDER.absolute() / "serving", FOLDER.absolute() / "rivals")
    try:
        _prepare(place)
        with ExitStack() as stack:
            _bench(place, stack, options)
        shutil.rmtree(place.root)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    return 0


def _prepare(place: Place) -> None:
    shutil.rmtree(place.root, ignore_errors=True)
    place.root.mkdir(parents=True)
    set_up("a live model and what to send", module("rivals.payloads", place.root))


def _bench(place: Place, stack: ExitStack, options: argparse.Namespace) -> None:
    show(_machine(options))
    show(f"The fitted pipeline in a loop, without any server: {_alone(place)}.\n")
    cpu, running = _start(place, stack, options.without)
    show(f"Probabilities: all as the fitted pipeline's, at most {CLOSE:.0e} apart. {_idle(running)}\n")
    if LIMIT in running:
        show(_client(place, running[LIMIT], options.seconds))
    loads = _measured(place, running, options)
    show(f"Load average at the end: {os.getloadavg()[0]:.1f}.\n")
    for case, found in loads.items():
        show(f"### {case}\n")
        show(_comparison(found))
    megabytes = {name: each.megabytes() for name, each in running.items()}
    show("### Start and memory\n")
    show(table(("", "CPU s until the first answer", "resident MB after the run"), _costs(cpu, megabytes)))
    if OURS in running:
        show("### Goals\n")
        goals = _goals(loads, cpu[OURS], megabytes[OURS])
        show(table(("goal", "found", "met"), [(what, found, "yes" if met else "no") for what, found, met in goals]))


def _alone(place: Place) -> str:
    return set_up("the fitted pipeline alone", module("rivals.alone", place.root, *_sizes()))


def _start(place: Place, stack: ExitStack, without: Sequence[str]) -> tuple[dict[str, float], dict[str, Running]]:
    cpu, running = {}, {}
    for server in (each for each in servers() if each.name not in without):
        say(f"start: {server.name}")
        try:
            server.install(place)
            started = stack.enter_context(Running(server, place))
            cpu[server.name] = _first_answer(place, started)
            running[server.name] = started
        except BenchError as error:
            if server.name == OURS:
                raise
            show(f"Left out: {server.name}: {error}\n")
    return cpu, running


def _first_answer(place: Place, running: Running) -> float:
    """Return the processor seconds until its first answer, after comparing all its answers; stops one that does not do the same work."""
    try:
        cpu = running.first_answer(_bodies(place, running.server.form, 1)[0])
        _check(place, running)
    except BenchError:
        running.stop()
        raise
    return cpu


def _check(place: Place, running: Running) -> None:
    if running.server.probabilities is None:
        return
    for size in _sizes():
        expected = json.loads((place.root / f"expected_{size}.json").read_text(encoding="utf-8"))
        for body, wanted in zip(_bodies(place, running.server.form, size), expected, strict=True):
            found = running.server.probabilities(running.server.read(running.ask(body)))
            if len(found) != len(wanted) or max(abs(one - other) for one, other in zip(found, wanted, strict=True)) > CLOSE:
                raise BenchError(f"{running.server.name} answers {size:,} records with other probabilities than the fitted pipeline")


def _idle(running: Mapping[str, Running]) -> str:
    before = {name: each.cpu() for name, each in running.items()}
    time.sleep(IDLE)
    share = sum(each.cpu() - before[name] for name, each in running.items()) / IDLE
    return f"All together take {share:.1%} of a core when nobody asks."


def _client(place: Place, limit: Running, seconds: float) -> str:
    found = {case: _load(place, limit, case, seconds) for case in CASES}
    head = ("the client against bare uvicorn", "requests/s", "client's own CPU a request, µs", "client's share of a core")
    rows = ((str(case), f"{load.rate:,.0f}", f"{load.own:.0f}", f"{load.share:.0%}") for case, load in found.items())
    return table(head, rows)


def _measured(place: Place, running: Mapping[str, Running], options: argparse.Namespace) -> Loads:
    """Ask each server in each case, then all again, and so on: what else the machine does falls on each alike."""
    loads: dict[Case, dict[str, list[Load]]] = {case: {name: [] for name in running} for case in CASES}
    for turn in range(options.rounds):
        say(f"round {turn + 1} of {options.rounds}")
        for case, found in loads.items():
            for name, each in running.items():
                found[name].append(_load(place, each, case, options.seconds))
    return {case: {name: Load.median(rounds) for name, rounds in found.items()} for case, found in loads.items()}


def _load(place: Place, running: Running, case: Case, seconds: float) -> Load:
    """Let the client ask; raises `BenchError` when anything but 200 is answered."""
    requests = place.root / f"{running.port}_{case.records}.json"
    if not requests.exists():
        requests.write_text(json.dumps([running.request(body) for body in _bodies(place, running.server.form, case.records)]))
    before = running.cpu()
    output = measure(Task(str(case), module("rivals.load", running.port, requests, case.connections, seconds))).output
    return Load.of(output, running.cpu() - before)


def _bodies(place: Place, form: str, size: int) -> list[bytes]:
    lines = (place.root / f"{form}_{size}.jsonl").read_text(encoding="utf-8").splitlines()
    return [bytes.fromhex(line) if form == ARROW else line.encode() for line in lines]


def _sizes() -> list[int]:
    return sorted({case.records for case in CASES})


def _comparison(found: Mapping[str, Load]) -> str:
    seed, best = found.get(SEED), _best_rival(found)
    limit = found.get(LIMIT)
    head = ("", "requests/s", "slowest to fastest round", "p50 ms", "p99 ms", "CPU µs", "x bare", "x seed", "x best rival")
    rows = (
        (
            name,
            f"{load.rate:,.0f}",
            f"{load.slowest:,.0f} to {load.fastest:,.0f}",
            f"{load.p50:.2f}",
            f"{load.p99:.2f}",
            f"{load.cpu:,.0f}",
            f"{load.rate / limit.rate:.2f}" if limit else "",
            _times(load, seed),
            _times(load, best),
        )
        for name, load in found.items()
    )
    return table(head, rows)


def _times(load: Load, other: Load | None) -> str:
    return f"{load.rate / other.rate:.1f}" if other else ""


def _best_rival(found: Mapping[str, Load]) -> Load | None:
    rivals = [load for name, load in found.items() if name not in (LIMIT, OURS, UNLOGGED, COLUMNS, STREAMS)]
    return max(rivals, key=lambda load: load.rate, default=None)


def _costs(cpu: Mapping[str, float], megabytes: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    return ((name, f"{cpu[name]:.2f}", f"{megabytes[name]:,.0f}") for name in megabytes)


def _goals(loads: Loads, cpu: float, megabytes: float) -> Iterator[tuple[str, str, bool]]:
    for case, least in ((QUICK, 0.35), (BUSY, 0.35), (HUNDRED, 0.1)):
        if bare := loads[case].get(LIMIT):
            ratio = loads[case][OURS].rate / bare.rate
            yield f"{case}: at least {least} times bare uvicorn", f"{ratio:.2f}", ratio >= least
    for name, times in ((OURS, 10), (COLUMNS, 40), (STREAMS, 40)):
        if (seed := loads[THOUSAND].get(SEED)) and name in loads[THOUSAND]:
            ratio = loads[THOUSAND][name].rate / seed.rate
            yield f"{THOUSAND}: {name} at least {times} times the seed's design", f"{ratio:.1f}", ratio >= times
    if bare := loads[QUICK].get(LIMIT):
        ratio = loads[QUICK][OURS].cpu / bare.cpu
        yield f"{QUICK}: at most {MOST_CPU:.1f} times the CPU time of bare uvicorn", f"{ratio:.1f}", ratio <= MOST_CPU
    if best := _best_rival(loads[BUSY]):
        ratio = loads[BUSY][OURS].rate / best.rate
        yield f"{BUSY}: at least 4 times the best rival", f"{ratio:.1f}", ratio >= 4
    tail = loads[QUICK][OURS].p99 / loads[QUICK][OURS].p50
    yield f"{QUICK}: p99 under 5 times p50", f"{tail:.1f}", tail < 5
    yield "first answer after under 1 s of CPU time", f"{cpu:.2f} s", cpu < 1
    yield "under 110 MB resident after the run", f"{megabytes:.0f} MB", megabytes < 110


def _machine(options: argparse.Namespace) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"## serving\n\n{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}. "
        f"One worker each, all up at once, asked in turns: medians of {options.rounds} rounds of {options.seconds:g} s. "
        f"Load average at the start: {os.getloadavg()[0]:.1f}.\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.serving", description="Measure POST /predict beside others; works in .bench/."
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each server is asked in each case (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each time (default: %(default)s)")
    names = [server.name for server in servers()]
    parser.add_argument("--without", action="append", default=[], choices=names, help="leave a server out; may be repeated")
    return parser


if __name__ == "__main__":
    sys.exit(main())
