"""Section `morning`: cost of the morning report of a large snapshot, relative to scoring it."""

import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from risk_assets.defs.morning_pages import write_pages
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.batch.review_list import review_facts, review_list, riskiest
from risk_assets.domain.contract.schema import ACCOUNT_ID
from risk_assets.lake import layout, morning_files, raw, registry, snapshots
from risk_assets.lake.facts import ReviewFacts
from risk_assets.lake.landed_parts import OwnParts
from risk_assets.lake.landing import ACCOUNTS, file_name
from risk_assets.lake.manifests import Provenance
from risk_assets.lake.morning_facts import Sources, morning_report
from risk_assets.lake.notes import Notes
from risk_assets.lake.staleness import landed_versions
from risk_assets.lake.tables import Table, read_table, write_table
from tests.bench.measure import Run, Task, interleaved, module, table
from tests.bench.prepare import NUMBERS, chunks, go_live, write_documents
from tests.bench.product import Clock, make_features, make_predictions, open_lakehouse
from tests.bench.workspace import TARGET, Workspace

BEFORE, DATE = "2026-01-07", "2026-01-08"
SCORE, REPORT = "score", "report"
NAMES = {SCORE: "scoring", REPORT: "morning report"}
ROUNDS = 3
CHANGED = NUMBERS[0]


def prepare(root: Path, rows: int) -> None:
    """Make a lake with a live model, and two snapshots of which the first is scored and reported."""
    workspace = Workspace(root)
    root.mkdir(parents=True, exist_ok=True)
    write_documents(workspace)
    lakehouse = open_lakehouse(workspace)
    go_live(lakehouse, workspace, 0.0)
    shutil.rmtree(workspace.lake / layout.version_folder(workspace.version("scorecard")))  # trained for a date that is not one
    for date, column in ((BEFORE, pl.col(CHANGED)), (DATE, _in_some_rows(CHANGED))):
        frames = (frame.drop(TARGET).with_columns(column) for frame in chunks(rows, 0.0, stream=0))
        with (workspace.landing / file_name(ACCOUNTS, date)).open("wb") as file:
            for position, frame in enumerate(frames):
                frame.write_csv(file, include_header=position == 0, float_precision=3)
    score(lakehouse, workspace, BEFORE)
    report(lakehouse, BEFORE)


def _in_some_rows(column: str) -> pl.Expr:
    """Return a number that is doubled in one row of twenty."""
    return pl.when(pl.int_range(pl.len()) % 20 == 0).then(pl.col(column) * 2).otherwise(pl.col(column)).alias(column)


def score(lakehouse: Lakehouse, workspace: Workspace, date: str) -> None:
    """Do what the assets accounts, features, predictions and review_list do, without their checks."""
    landed = lakehouse.landed(ACCOUNTS, date)
    raw.ingest(OwnParts(lakehouse.store, landed), layout.accounts(date), Provenance(run_id="bench", inputs=landed_versions(landed)))
    clock, version, store, policy = Clock(), workspace.version("logistic"), lakehouse.store, lakehouse.policy
    make_features(lakehouse, date, clock)
    make_predictions(lakehouse, date, version, clock)
    listed = riskiest(read_table(store, layout.predictions(date)), policy.review)
    now = snapshots.of_accounts(read_table(store, layout.features(date)), listed[ACCOUNT_ID])
    before = snapshots.last_before(store, date, now.drop(ACCOUNT_ID).schema, listed[ACCOUNT_ID], policy.review.look_back_days)
    cards = {version: registry.read_scorecard(store, version).scorecard}
    frame = review_list(listed, now, before, cards, policy).lazy()
    made_from = lakehouse.made_from("bench", date, "curated/predictions", "curated/features", policy=policy.digest)
    write_table(store, layout.review(date), Table(frame, ReviewFacts, tuple(review_facts()), made_from, quoted=True))


def report(lakehouse: Lakehouse, date: str) -> None:
    """Do what the asset reports/morning does."""
    sources, notes = Sources(lakehouse.store, lakehouse.landing, lakehouse.settings.calendar, lakehouse.contract), Notes()
    found = morning_report(sources, date, sources.calendar.late_from(date), notes)
    assert found.report.work_list.items and not [text for text in notes.texts if text.startswith("chang")], notes.texts
    morning_files.write(lakehouse.store, found.report, found.inputs, "bench")
    write_pages(lakehouse.store, found.report)


def step(root: Path, name: str) -> None:
    """Score or report the second snapshot, and write its wall and CPU seconds to standard output."""
    workspace = Workspace(root)
    lakehouse = open_lakehouse(workspace)
    wall, cpu = time.perf_counter(), time.process_time()
    if name == REPORT:
        report(lakehouse, DATE)
    else:
        score(lakehouse, workspace, DATE)
    sys.stdout.write(f"{time.perf_counter() - wall:.3f} {time.process_time() - cpu:.3f}")


def main(root: Path, rows: int, rounds: int) -> None:
    """Write a table: the seconds and the peak memory of each step, in a process of its own; medians of rounds that take turns."""
    prepare(root, rows)
    runs = interleaved([Task(name, module("morning", root, name)) for name in (SCORE, REPORT)], rounds)
    found = {name: _medians(each) for name, each in runs.items()}
    lines = [(NAMES[name], *(f"{figure:,.2f}" for figure in figures)) for name, figures in found.items()]
    shares = [("report / scoring", *_shares(found[REPORT], found[SCORE]))]
    sys.stdout.write(table((f"{rows:,} rows", "wall seconds", "CPU seconds", "peak MB"), [*lines, *shares]))


def _medians(runs: Sequence[Run]) -> tuple[float, ...]:
    """Return wall seconds, CPU seconds, both without imports, and megabytes."""
    seconds = [[float(part) for part in run.output.split()] for run in runs]
    return (*map(statistics.median, zip(*seconds, strict=True)), statistics.median(run.megabytes for run in runs))


def _shares(part: Sequence[float], whole: Sequence[float]) -> list[str]:
    return [f"{one / other:.0%}" for one, other in zip(part, whole, strict=True)]


if __name__ == "__main__":
    if sys.argv[2] in NAMES:
        step(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS)
