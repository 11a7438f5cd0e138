"""`risk dispositions` shows and exports what people did about accounts."""

import csv
from pathlib import Path

from risk_assets.clock import shift, utc_now
from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.lake import layout
from risk_assets.lake.dispositions import DispositionLog
from risk_assets.lake.format import open_lake
from tests.cli.conftest import Risk


def test_dispositions_are_shown_and_exported(risk: Risk, folder: Path) -> None:
    store = open_lake((folder / "lakehouse").as_uri())
    assert "There is no lake at" in risk("dispositions", code=1).stderr
    store.put("logs/batch_runs_log.csv", b"")
    assert "Nothing is recorded" in risk("dispositions").stdout
    log, now = DispositionLog(store), utc_now()
    log.record(
        Disposition("f1", now, "2026-01-28", "=00012", "promise to pay", "2026-02-03", "said \N{HEBREW LETTER ALEF}", "ann"), known=0
    )
    log.record(Disposition("f2", now, "2026-01-28", "AC2", "note", None, "-1", "bob"), known=0)
    path = layout.dispositions(now[:7])
    store.put(path, store.get(path) + b"torn\n")
    shown = risk("dispositions")
    assert "promise to pay" in shown.stdout and "=00012" in shown.stdout and "bob" in shown.stdout
    assert f"{path} has 1 line that cannot be read" in shown.stderr
    whole = store.get(path)
    assert "--csv" in risk("dispositions", "--csv", f"lakehouse/{path}", code=2).stderr
    assert store.get(path) == whole
    assert "2 dispositions in list.csv" in risk("dispositions", "--csv", "list.csv").stdout
    with (folder / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["account"], row["kind"], row["note"]) for row in rows] == [
        ("'=00012", "promise to pay", "said \N{HEBREW LETTER ALEF}"),
        ("AC2", "note", "'-1"),
    ]
    assert "Nothing is recorded" in risk("dispositions", "--since", shift(now[:10], 1)).stdout
