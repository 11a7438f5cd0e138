"""Section `desk`: scoring while people read the desk, and the time to a page: `python -m tests.bench.desk LAKE [ROUNDS]`.

LAKE is a folder with a live model and a morning report, such as `bank-lakehouse` of `make demo`; a copy of it is served.
"""

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

import msgspec
import uvloop

from risk_assets.lake import layout, morning_files
from risk_assets.lake.dates import newest_date
from risk_assets.lake.store import Store, open_store
from tests.bench.measure import show, table
from tests.bench.rivals.load import Connection
from tests.bench.rivals.payloads import records_of
from tests.serving.conftest import Service, serving

SCORERS, READERS = 32, 50
SECONDS = 6.0
FEW, MANY = 10, 1000
PAGES = 20
BODIES = 200


def main(lake: str, rounds: str = "5") -> None:
    """Measure, and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "lake"
        shutil.copytree(lake, copied, ignore=shutil.ignore_patterns("online"))
        store = open_store(str(copied))
        dates = _with_reports(store, FEW)
        requests = Path(folder) / "requests.json"
        requests.write_text(json.dumps(_score_requests(copied)), encoding="utf-8")
        with serving(store, RISK_SERVE_LOG_SHARE="0") as service:
            show(_scoring(service, requests, dates, int(rounds)))
        rows = [_page_times(store, FEW), _page_times(store, MANY)]
    show(table(("dates", "first page of a date, ms", "the same again, ms", "list of dates, ms"), rows))


def _with_reports(store: Store, dates: int) -> tuple[str, ...]:
    """Write copies of the newest report until there are so many dates, and return them."""
    newest = newest_date(store, "reports/morning")
    report = morning_files.read(store, newest).report
    found = tuple((Date.fromisoformat(newest) - timedelta(days=back)).isoformat() for back in range(dates))
    for date in found[1:]:
        if store.entry(layout.morning(date)) is None:
            morning_files.write(store, msgspec.structs.replace(report, date=date), {}, "bench")
    return found


def _score_requests(lake: Path) -> list[str]:
    heads = "POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    bodies = [msgspec.json.encode({"records": [record]}) for record in records_of(lake)[:BODIES]]
    return [heads.format(len(body)) + body.decode("latin-1") for body in bodies]


def _scoring(service: Service, requests: Path, dates: Sequence[str], rounds: int) -> str:
    """Return a table of scoring alone, with readers who look at a page each second, and with readers who never pause, in turns."""
    port = service.url.rpartition(":")[2]
    cases = {"no readers": None, "a page each second": 1.0, "without a pause": 0.0}
    _read(port, dates, 0.0).wait()  # every page is rendered once
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, pause in cases.items():
            reading = None if pause is None else _read(port, dates, pause)
            command = (sys.executable, "-m", "tests.bench.rivals.load", port, str(requests), str(SCORERS), str(SECONDS))
            scored = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            read = json.loads(reading.communicate()[0]) if reading else {"rate": 0.0, "p99": 0.0}
            found[name].append((scored["answers"] / scored["seconds"], scored["p99"], read["rate"], read["p99"]))
    alone = statistics.median(each[1] for each in found["no readers"])
    rows = []
    for name, each in found.items():
        rate, slow, pages, slow_pages = (statistics.median(values) for values in zip(*each, strict=True))
        rows.append((name, f"{rate:,.0f}", f"{1000 * slow:.1f}", f"{slow / alone:.2f}", f"{pages:,.0f}", f"{1000 * slow_pages:.0f}"))
    return table((f"{READERS} readers", "scores/s", "p99, ms", "p99 / alone", "pages/s", "p99 of pages, ms"), rows)


def _read(port: str, dates: Sequence[str], pause: float) -> "subprocess.Popen[bytes]":
    command = (sys.executable, "-m", "tests.bench.desk", "--read", port, str(pause), *dates)
    reading = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert reading.stdout is not None
    reading.stdout.readline()  # its imports take a second of a processor
    return reading


def _page_times(store: Store, dates: int) -> tuple[str, ...]:
    found = _with_reports(store, dates)
    with serving(store) as service:
        service.client.get("/desk")  # starts the process
        first = [_milliseconds(service, f"/desk/{date}") for date in found[:FEW]]
        again = [_milliseconds(service, f"/desk/{found[0]}") for _ in range(PAGES)]
        listed = [_milliseconds(service, "/desk/dates") for _ in range(PAGES)]
        return (f"{dates:,}", *(f"{statistics.median(each):.1f}" for each in (first, again, listed)))


def _milliseconds(service: Service, path: str) -> float:
    began = time.perf_counter()
    with service.client.stream("GET", path) as answer:
        took = time.perf_counter() - began  # until the head is here
        assert answer.status_code == 200
        answer.read()
    return 1000 * took


async def _readers(port: int, pause: float, dates: Sequence[str]) -> dict[str, float]:
    """Return the pages each second, and the 99th percentile of the seconds to a page."""
    requests = [f"GET /desk/{date} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode() for date in dates]
    took: list[float] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    end = time.perf_counter() + SECONDS

    async def read(number: int) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        await asyncio.sleep(pause * number / READERS)
        while (began := time.perf_counter()) < end:
            await connection.ask(requests[(number + len(took)) % len(requests)])
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, pause - took[-1]))
        connection.close()

    await asyncio.gather(*(read(number) for number in range(READERS)))
    took.sort()
    return {"rate": len(took) / SECONDS, "p99": took[len(took) * 99 // 100]}


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        sys.stdout.write(json.dumps(uvloop.run(_readers(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))))
    else:
        main(*sys.argv[1:])
