"""Features in parts, as several machines write them."""

import io

import polars as pl

from risk_assets.lake import layout
from risk_assets.lake.facts import FeatureFacts, facts_from_row
from risk_assets.lake.hashing import content_of_chunks
from risk_assets.lake.manifests import Manifest, Provenance
from risk_assets.lake.objects import Guard, no_guard
from risk_assets.lake.staging import new_token
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, commit_parts

NO_FACTS = FeatureFacts(with_issues=0, issue_counts={}, not_eligible=0, excluded_counts={}, missing={})


def write_in_parts(store: Store, path: str, table: Table, guard: Guard = no_guard, rows: int = 100) -> Manifest:
    """Write a table of features in parts of some rows."""
    frame = table.frame.collect()
    parts = [frame.slice(start, rows) for start in range(0, max(frame.height, 1), rows)]
    summary = frame.select(table.facts).row(0, named=True)
    del summary["rows"]
    return commit_frames(store, path, parts, facts_from_row(summary, FeatureFacts), table.made_from, guard)


def commit_frames(
    store: Store,
    path: str,
    frames: list[pl.DataFrame],
    facts: FeatureFacts = NO_FACTS,
    made_from: Provenance | None = None,
    guard: Guard = no_guard,
) -> Manifest:
    """Write features whose parts have these rows."""
    token, contents = new_token(), {}
    for number, frame in enumerate(frames):
        file = io.BytesIO()
        frame.write_parquet(file, row_group_size=10)
        name = layout.features_part(layout.date_of(path) or "", token, number)
        store.put(name, file.getvalue())
        contents[name] = content_of_chunks([file.getvalue()])
    rows = tuple(frame.height for frame in frames)
    known = FeatureFacts(
        with_issues=facts.with_issues,
        issue_counts=facts.issue_counts,
        not_eligible=facts.not_eligible,
        excluded_counts=facts.excluded_counts,
        missing=facts.missing,
        part_rows=rows,
    )
    columns = tuple(frames[0].columns)
    return commit_parts(store, path, contents, sum(rows), columns, made_from or Provenance(run_id="run-1"), known, guard)
