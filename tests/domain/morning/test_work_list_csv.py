"""The work list as a file for a spreadsheet."""

import csv
import io
from typing import Any

import msgspec

from risk_assets.domain.morning.dispositions import Disposition
from risk_assets.domain.morning.facts import FeatureChange, WorkItem
from risk_assets.domain.morning.work_list_csv import COLUMNS, DONE, work_list_csv

ITEM = WorkItem(
    rank=1,
    account="00012",
    exposure=1840.5,
    probability=0.791,
    points=438,
    band="F",
    flagged=True,
    last_snapshot="2026-01-27",
    points_before=459,
    band_before="E",
    days_listed=2,
    categories=("newly flagged", "worse"),
    changes=(FeatureChange("missed", "missed payments", 0.0, 1.0, -18), FeatureChange("home", "home", "owner", None, -3)),
    reasons=("=Arrears", "Limit"),
)
ENTRY = Disposition("f1", "2026-01-29T10:00:00+00:00", "2026-01-28", "00012", "promise to pay", "2026-02-03", "@home", "ann")


def rows(content: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def test_an_account_is_a_row_with_what_was_done_last() -> None:
    earlier = msgspec.structs.replace(ENTRY, kind="called", promised_on=None)
    content = work_list_csv([ITEM], {"00012": (earlier, ENTRY), "other": (earlier,)})
    assert content.splitlines()[1] == (
        b'1,"00012",1840.5,0.791,438,"F","yes","newly flagged; worse","2026-01-27",459,-21,"E",2,'
        b'"missed payments 1, was 0: -18 points; home missing, was owner: -3 points","\'=Arrears; Limit",'
        b'"promise to pay","2026-02-03","\'@home","ann","2026-01-29T10:00:00+00:00"'
    )


def test_what_is_not_known_is_empty() -> None:
    item = msgspec.structs.replace(
        ITEM, exposure=None, last_snapshot=None, points_before=None, band_before=None, categories=(), changes=(), reasons=(), flagged=False
    )
    (row,) = rows(work_list_csv([item], {}))
    assert list(row) == [*COLUMNS, *DONE]
    assert {name for name, value in row.items() if value} == {
        "rank",
        "account_id",
        "probability",
        "points",
        "band",
        "flagged",
        "days_listed",
    }
    assert row["flagged"] == "no"


def test_a_file_without_accounts_has_its_columns() -> None:
    assert rows(work_list_csv([], {})) == []
    assert work_list_csv([], {}).decode("utf-8-sig").startswith('"rank","account_id"')
