"""Drift reports of an earlier release, which have no requests to the service."""

import pytest

from risk_assets.errors import LakeError
from risk_assets.lake import drift_files, layout
from risk_assets.lake.store import Store

DATE = "2026-01-07"
STATISTIC = '{"value":0.01,"training":0.0,"limit":0.2}'
EARLIER = (
    f'{{"report":{{"date":"{DATE}","version":"model_v001","rows":300,"independent":300.0,"training_rows":482,"training_independent":240.5,'
    f'"score":{{"name":"the score","psi":{STATISTIC},"points":-0.5}},"features":[{{"name":"city","psi":{STATISTIC},"missing":{STATISTIC},'
    f'"unseen":{STATISTIC},"points":-0.5,"max_points":5.0,"new_levels":{{"north":12}}}}],"flagged":null,"notes":["a note"]}},'
    '"made_at":"2026-01-08T02:00:00+00:00","code_version":"0.9","made_from":{"run_id":"run-1",'
    f'"inputs":{{"curated/accounts_{DATE}_predictions.csv":"x"}},"contract":null,"policy":"p","model_version":null,"challenger":null,'
    '"binding":null,"contract_values":null,"released":[]},'
    '"seal":"4e807a419929a259b01a9148cd8a43264557802c32a2a57366cb3435667b548a"}'
)


def test_a_report_of_an_earlier_release_is_read(disk_store: Store) -> None:
    disk_store.put(layout.drift(DATE), EARLIER.encode())
    report = drift_files.read(disk_store, DATE).report
    assert (report.online, report.flagged, report.notes) == (None, None, ("a note",))
    assert drift_files.problems(disk_store, DATE) == []


def test_its_seal_is_still_verified(disk_store: Store) -> None:
    disk_store.put(layout.drift(DATE), EARLIER.replace('"rows":300', '"rows":301').encode())
    with pytest.raises(LakeError, match="was changed since it was written"):
        drift_files.read(disk_store, DATE)
