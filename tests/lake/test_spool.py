"""The spool keeps rows on local disk until the lake takes them."""

from pathlib import Path

import pytest

from risk_assets.errors import LakeError
from risk_assets.lake.run_log import RunRecord
from risk_assets.lake.spool import open_spool


def record(run_id: str) -> RunRecord:
    return RunRecord(timestamp="2026-01-01T10:00:00+00:00", date="2026-01-01", job="daily_scoring", status="failed", run_id=run_id)


def test_records_are_uploaded_once_and_deleted(tmp_path: Path) -> None:
    spool, added = open_spool(tmp_path, "lake"), []
    for run_id in ("b", "a", "a"):
        spool.put(record(run_id))
    assert len(spool.upload(added.append)) == 2
    assert added == [record("a"), record("b")]
    assert spool.upload(added.append) == ()
    assert [path for path in spool.folder.rglob("*") if path.is_file()] == []


def test_records_stay_while_the_lake_cannot_be_reached(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "lake")
    spool.put(record("a"))

    def fail(_: RunRecord) -> None:
        raise LakeError("storage cannot be reached.")

    with pytest.raises(LakeError):
        spool.upload(fail)
    assert [path.name for path in spool.paths()] == ["a.json"]


@pytest.mark.parametrize("content", [b"", b'{"timestamp": ', b"\xff"], ids=["empty", "cut off", "no UTF-8"])
def test_a_damaged_record_is_kept_aside_and_reported(tmp_path: Path, content: bytes) -> None:
    spool, added = open_spool(tmp_path, "lake"), []
    for run_id in ("a", "b"):
        spool.put(record(run_id))
    (spool.folder / "a.json").write_bytes(content)
    damaged, uploaded = spool.upload(added.append)
    assert "a.json is damaged: kept as a.json.damaged" in damaged and "the run b " in uploaded
    assert added == [record("b")]
    assert [path.name for path in spool.folder.rglob("*") if path.is_file()] == ["a.json.damaged"]
    assert spool.paths() == ()
