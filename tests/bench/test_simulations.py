import pytest

from tests.bench import drift, gates, holdouts, intervals

pytestmark = pytest.mark.long


def test_intervals_of_one_book(capsys):
    intervals.main("1")
    found = capsys.readouterr().out
    assert found.count("1 books of 300 accounts") == 2
    assert found.count("gain over the live model") == 6


def test_holdouts_of_one_book(capsys):
    holdouts.main("1")
    found = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in found.splitlines() if "AUC on unseen accounts |" in line] == ["logistic", "scorecard"]


def test_gates_of_one_book(capsys, monkeypatch):
    monkeypatch.setattr(gates, "WEEKS", 2)
    gates.main("1")
    found = capsys.readouterr().out
    assert found.count(", equal |") == len(gates.BADS)
    assert "1 years of 2 weekly trainings" in found


def test_drift_of_one_book(capsys, monkeypatch):
    monkeypatch.setattr(drift, "SIZES", (50, 500))
    monkeypatch.setattr(drift, "DAYS", 3)
    drift.main("1")
    found = capsys.readouterr().out
    assert found.count(", no drift") == 4
    assert "| 500 rows, 1 sd | 100.0% |" in found
