"""Tests of `risk replay --online` and `risk explain --request` on the log of a real service."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from risk_assets.domain.contract.schema import Contract
from risk_assets.domain.governance.bindings import adopt_contract
from risk_assets.lake import binding_log, document_archive, layout, registry
from risk_assets.lake.store import Store, open_store
from risk_assets.settings import Settings
from tests.azurite.server import Azurite
from tests.cli.conftest import Done, run_here
from tests.conftest import CONTRACT
from tests.serving.conftest import LOGISTIC, SCORECARD, Service, challenge, promote, serving
from tests.serving.test_faults import Records

EXCLUDING = "\nexclude: [{reason: in arrears, column: days_past_due, at_least: 30}]\n"


@dataclass(frozen=True)
class Log:
    """A lake with the log of a service, the ids of the requests by what they test, and the dates (UTC) of the log."""

    lake: Path
    ids: dict[str, str]
    dates: tuple[str, str]

    def risk(self, *arguments: str, code: int = 0, **settings: str) -> Done:
        return run_here(self.lake.parent, *arguments, code=code, **({"RISK_LAKE": str(self.lake)} | settings))

    def replay(self, code: int = 0) -> str:
        """Return what a replay of all requests prints."""
        return self.risk("replay", self.dates[0], "--until", self.dates[1], "--online", code=code).text

    def change(self, name: str, collection: str, old: str, new: str) -> tuple[str, int]:
        """Replace a text in a request's line, and return the file and the number of the line."""
        store = open_store(str(self.lake))
        for path in store.list(f"{layout.ONLINE_LOG}/{collection}/"):
            lines = store.get(path).decode().splitlines()
            for number, line in enumerate(lines):
                if f'"correlationid":"{self.ids[name]}"' in line:
                    assert old in line
                    lines[number] = line.replace(old, new, 1)
                    store.put(path, ("\n".join(lines) + "\n").encode())
                    return path, number + 1
        raise AssertionError(name)


def contents(records: Records) -> dict[str, dict[str, Any]]:
    """Return a request of each kind."""
    table = {name: [record[name] for record in records[:40]] for name in records[0]}
    split = {"columns": list(records[0]), "data": [list(record.values()) for record in records[:3]]}
    invalid = [records[0] | {"balance": -1}, records[1] | {"balance": "ten"}, records[2], records[3] | {"colour": "red"}]
    return {
        "one": {"records": records[:1]},
        "many": {"records": records[:40]},
        "without id": {"records": [{name: value for name, value in record.items() if name != "id"} for record in records[:3]]},
        "explained": {"records": records[:2], "explain": True},
        "skipping": {"records": invalid, "on_error": "skip"},
        "columns": {"columns": table},
        "inputs": {"inputs": table},
        "input_data": {"input_data": split},
        "dataframe_split": {"dataframe_split": split},
        "dataframe_records": {"dataframe_records": records[:3]},
        "odd": {"records": [records[0] | {"id": "A[red]B\x1b[31m", "region": "[/x] :bug: \u202e"}]},
    }


def bind(service: Service, make: Callable[[], None], lake: Store) -> None:
    """Make a binding, and wait until the service has it."""
    make()
    newest = layout.binding_number(binding_log.newest(lake) or "")
    service.until(lambda: service.client.get("/model").json()["binding"]["seq"] == newest)


def adopt(lake: Store, text: str) -> None:
    contract = Contract.parse(text, "contract.yml")
    document_archive.archive(lake, contract)
    registry.bind(lake, adopt_contract(binding_log.read(lake), contract.digest, "ann", "a test"))


def send_all(lake: Store, service: Service, records: Records) -> dict[str, str]:
    """Send requests of each kind, under several bindings, and return their ids."""
    answers = {name: service.client.post("/predict", json=content) for name, content in contents(records).items()}
    answers["known"] = service.predict(records[:1], **{"X-Request-ID": "order-7"})
    bind(service, lambda: promote(lake, SCORECARD), lake)
    answers["promoted"] = service.predict(records[:5], **{"X-Request-ID": "order-7"})
    bind(service, lambda: challenge(lake, LOGISTIC, 0.5, "salt"), lake)
    answers["challenged"] = service.predict(records[:50])
    bind(service, lambda: challenge(lake, LOGISTIC, None, "salt"), lake)
    answers["shadow"] = service.predict(records[:5])
    bind(service, lambda: adopt(lake, CONTRACT.read_text(encoding="utf-8") + EXCLUDING), lake)
    answers["excluding"] = service.predict([records[0] | {"days_past_due": 35}, records[1] | {"days_past_due": 0}])
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.headers["x-request-id"] for name, answer in answers.items()}


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture(scope="module")
def logged(served_book: Path, records: Records, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A lake with requests of each kind; tests must not change it."""
    folder = tmp_path_factory.mktemp("proof") / "lake"
    shutil.copytree(served_book / "lake", folder, ignore=shutil.ignore_patterns("online", ".tmp"))
    first = today()
    with serving(folder) as service:
        ids = send_all(open_store(str(folder)), service, records)
    yield Log(folder, ids, (first, today()))


@pytest.fixture
def log(logged: Log, tmp_path: Path) -> Log:
    """A copy of the lake for one test."""
    return Log(shutil.copytree(logged.lake, tmp_path / "lake"), logged.ids, logged.dates)


def test_every_logged_answer_agrees(logged: Log) -> None:
    printed = logged.replay()
    assert "Every answer agrees." in printed
    assert "Not checked: records with an issue that no file can have" in printed
    row = logged.risk("replay", logged.dates[1], "--online").stdout.splitlines()
    assert any(line.split()[-5:] == [str(len(logged.ids)), "203", "2", "0", "0"] for line in row) or logged.dates[0] != logged.dates[1]


@pytest.mark.parametrize(
    ("name", "collection", "old", "new", "found"),
    [
        ("one", "model_outputs", '"points":', '"points":1', "record 0 differs in points"),
        ("one", "model_inputs", '"missed_payments_12m":', '"missed_payments_12m":1', "record 0 differs in probability"),
        ("challenged", "model_outputs", '"arm":"champion"', '"arm":"challenger"', "differs in arm"),
        (
            "shadow",
            "model_outputs",
            '"challenger_probability":0.',
            '"challenger_probability":0.0',
            "record 0 differs in challenger_probability",
        ),
        ("excluding", "model_outputs", '"excluded":"in arrears"', '"excluded":"closed"', "record 0 differs in excluded"),
        ("skipping", "model_outputs", "balance: below 0", "balance: missing", "record 0 differs in issues"),
        ("columns", "model_outputs", '"prediction":', '"prediction":7', "is not valid at `$.data[0].prediction`"),
        ("inputs", "model_inputs", '"correlationid":"', '"correlationid":"0', "the request has no line in"),
        ("promoted", "model_outputs", '"binding":2', '"binding":1', "differs in probability, "),
        (
            "promoted",
            "model_outputs",
            '"binding":2',
            '"binding":77',
            "cannot be scored again: registry/bindings/000077.json is not in the lake",
        ),
        ("promoted", "model_outputs", '"policy":"', '"policy":"0', "the line names another contract or policy than binding 2"),
    ],
)
def test_changed_line_is_found(log: Log, name: str, collection: str, old: str, new: str, found: str) -> None:
    path, line = log.change(name, collection, old, new)
    printed = log.replay(code=1)
    assert found in printed
    assert f"{path}, line {line}" in printed.replace("model_inputs", collection).replace("model_outputs", collection)
    assert "Every answer agrees." not in printed


def test_replay_of_a_date_without_requests_is_an_error(logged: Log) -> None:
    assert "the prediction log has no requests of 2020-01-01" in logged.risk("replay", "2020-01-01", "--online", code=1).text


@pytest.mark.parametrize("name", ["one", "columns", "without id", "promoted", "challenged", "shadow", "explained"])
def test_explained_answer_agrees(logged: Log, name: str) -> None:
    done = logged.risk("explain", "--request", logged.ids[name], "--record", "0").text
    for expected in (
        f"Request {logged.ids[name]}",
        "Base points",
        "excess over reference",
        "recomputed",
        "local",
        "Agrees with the answer.",
    ):
        assert expected in done


def test_explanation_names_what_decided(logged: Log) -> None:
    done = logged.risk("explain", "--request", logged.ids["promoted"], "--date", logged.dates[1]).text
    binding = binding_log.find(open_store(str(logged.lake)), 2)
    for expected in (binding.contract, binding.policy, "order-7", SCORECARD, "model_outputs/"):
        assert expected in done
    assert done.count("Agrees with the answer.") == 5


def test_unscored_records_are_explained(logged: Log) -> None:
    excluded = logged.risk("explain", "--request", logged.ids["excluding"]).text
    assert "Not eligible: in arrears" in excluded
    invalid = logged.risk("explain", "--request", logged.ids["skipping"]).text
    assert invalid.count("Agrees with the answer.") == 2
    assert invalid.count("Not checked: the record has an issue that no file can have") == 2


def test_long_request_is_explained_in_part(logged: Log) -> None:
    done = logged.risk("explain", "--request", logged.ids["many"]).text
    assert done.count("Agrees with the answer.") == 20
    assert "20 more records: choose one with --record" in done
    assert "Record 39" in logged.risk("explain", "--request", logged.ids["many"], "--record", "39").text
    assert "the request has 40 records" in logged.risk("explain", "--request", logged.ids["many"], "--record", "40", code=1).text


def test_callers_id_explains_all_its_requests(logged: Log) -> None:
    done = logged.risk("explain", "--request", "order-7").text
    assert "2 requests of this date with this id of the caller" in done or logged.dates[0] != logged.dates[1]
    assert f"Request {logged.ids['known']}" in done


def test_texts_of_callers_are_printed_as_they_are(log: Log) -> None:
    done = log.risk("explain", "--request", log.ids["odd"]).stdout
    assert r"A[red]B\x1b[31m" in done and r"[/x] :bug: \u202e" in done and "Agrees with the answer." in done
    log.change("odd", "model_outputs", '"points":', '"points":1')
    assert "DIFFERS from the answer in points." in log.risk("explain", "--request", log.ids["odd"], code=1).text


def test_explained_answer_that_was_changed_differs(log: Log) -> None:
    log.change("one", "model_outputs", '"points":', '"points":1')
    done = log.risk("explain", "--request", log.ids["one"], code=1).text
    assert "DIFFERS from the answer in points." in done


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--request", "unknown"), 1, "no request with this id on the newest 31 dates"),
        (("--request", "unknown", "--date", "soon"), 2, "is not a date"),
        (("--request", "unknown", "2026-01-01", "A"), 2, "give either DATE and ID, or --request"),
        (("2026-01-01",), 2, "give either DATE and ID, or --request"),
        (("2026-01-01", "A", "--record", "1"), 2, "give either DATE and ID, or --request"),
    ],
)
def test_wrong_usage_names_the_next_step(logged: Log, arguments: tuple[str, ...], code: int, message: str) -> None:
    assert message in logged.risk("explain", *arguments, code=code).text


def test_log_on_azure_is_replayed(served_book: Path, azurite: Azurite, records: Records) -> None:
    folder, prefix = served_book / "lake", f"az://lake/proof-{datetime.now(UTC).timestamp()}"
    connection = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    lake = Settings(lake=prefix, AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string, _env_file=None).open_lake()
    for path in [*folder.glob("*.json"), *sorted((folder / "registry").rglob("*.json"))]:
        lake.put(path.relative_to(folder).as_posix(), path.read_bytes())
    with serving(prefix, **connection, RISK_SERVE_LOG="required") as service:
        first, name = today(), service.predict(records[:3]).headers["x-request-id"]
        service.scored(records[:40])
    log = Log(folder, {"three": name}, (first, today()))
    azure = {**connection, "RISK_LAKE": prefix}
    assert "Every answer agrees." in log.risk("replay", log.dates[1], "--online", **azure).text or log.dates[0] != log.dates[1]
    assert log.risk("explain", "--request", name, **azure).text.count("Agrees with the answer.") == 3
