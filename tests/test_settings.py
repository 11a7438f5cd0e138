"""Settings: read from the environment, without secrets in messages; access to Azure."""

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from azure.identity import DefaultAzureCredential
from dagster._core.remote_representation.external_data import RepositorySnap

from risk_assets.alerts.file import MessageFile
from risk_assets.alerts.mail import Mail
from risk_assets.alerts.receivers import receiver_names, receivers
from risk_assets.alerts.webhook import Webhook
from risk_assets.definitions import build
from risk_assets.defs.resources import Lakehouse, azure_blob, credential_of
from risk_assets.domain.contract.policy import Policy
from risk_assets.errors import ContractError, LakeError
from risk_assets.lake.store import AzureCredential
from risk_assets.settings import Settings, load_settings
from tests.azurite.server import Azurite
from tests.conftest import ROOT

KEY = "U0VDUkVUMTIz"  # SECRET123 in base64
SAS = "sv=2026-02-06&ss=b&srt=sco&sp=rl&sig=SECRET123%2F%3D"
REAL = f"DefaultEndpointsProtocol=https;AccountName=team;AccountKey={KEY}==;EndpointSuffix=core.windows.net"

Set = Callable[..., Settings]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Set variables in an empty environment and an empty folder, and load the settings."""
    monkeypatch.chdir(tmp_path)

    def load(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return load


def credential(settings: Settings) -> AzureCredential:
    found = settings.credential()
    assert found is not None
    return found


# --- read --------------------------------------------------------------------------------------------------------------


def test_the_defaults_are_below_the_working_directory(loaded: Set, tmp_path: Path) -> None:
    settings = loaded()
    assert settings.lake == f"file://{tmp_path}/lakehouse"
    assert settings.landing == "data/landing"
    assert (settings.contract, settings.policy) == (Path("data/contract.yml"), Path("data/policy.yml"))
    assert settings.start_date == date(2026, 1, 1)
    assert settings.dagster_home == tmp_path / ".dagster"
    assert settings.credential() is None
    assert not settings.on_azure


def test_a_file_of_defaults_gives_way_to_the_environment_and_dotenv(loaded: Set, tmp_path: Path) -> None:
    defaults = tmp_path / "defaults.env"
    defaults.write_text("RISK_LANDING=defaults\nRISK_CONTRACT=defaults.yml\nRISK_POLICY=defaults.yml\n")
    (tmp_path / ".env").write_text("RISK_CONTRACT=dotenv.yml\n")
    loaded(RISK_POLICY="environment.yml")
    settings = load_settings(defaults=defaults)
    assert (settings.landing, settings.contract, settings.policy) == ("defaults", Path("dotenv.yml"), Path("environment.yml"))


def test_each_variable_is_read(loaded: Set) -> None:
    settings = loaded(
        RISK_LAKE="az://lake/team",
        RISK_LANDING="drop",
        RISK_CONTRACT="c.yml",
        RISK_POLICY="p.yml",
        RISK_START_DATE="2025-06-30",
        DAGSTER_HOME="/var/dagster",
    )
    assert (settings.lake, settings.landing) == ("az://lake/team", "drop")
    assert (settings.contract, settings.policy) == (Path("c.yml"), Path("p.yml"))
    assert (settings.start_date, settings.dagster_home) == (date(2025, 6, 30), Path("/var/dagster"))
    assert settings.on_azure


def test_a_landing_folder_on_azure_is_on_azure_too(loaded: Set) -> None:
    assert loaded(RISK_LANDING="az://landing").on_azure


def test_a_dot_env_file_is_read_and_the_environment_wins(loaded: Set, tmp_path: Path) -> None:
    lines = ["RISK_LAKE=az://from-file", "RISK_START_DATE=2024-02-29", f"AZURE_STORAGE_ACCOUNT_KEY={KEY}", "UNKNOWN=1"]
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    settings = loaded(RISK_LAKE="az://from-environment", AZURE_STORAGE_ACCOUNT_NAME="team")
    assert settings.lake == "az://from-environment"
    assert settings.start_date == date(2024, 2, 29)
    assert credential(settings).key == KEY


def test_settings_are_immutable(loaded: Set) -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().lake = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30", ""])
def test_a_bad_start_date_is_named(loaded: Set, value: str) -> None:
    with pytest.raises(ContractError, match=r"start_date|RISK_START_DATE"):
        loaded(RISK_START_DATE=value)


def test_the_calendar_is_set_by_variables(loaded: Set) -> None:
    calendar = loaded(
        RISK_TIME_ZONE="Europe/Berlin", RISK_SCORING_TIME="03:30", RISK_DEADLINE="07:15", RISK_BUSINESS_DAYS="mon-fri"
    ).calendar
    assert calendar.due("2026-01-02") == "2026-01-03T02:30:00+00:00"
    assert calendar.late_from("2026-01-02") == "2026-01-03T06:15:00+00:00"
    assert not calendar.expects("2026-01-03")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RISK_TIME_ZONE", "Mars/Olympus", "not a time zone"),
        ("RISK_BUSINESS_DAYS", "mon-holiday", "does not name days"),
        ("RISK_BUSINESS_DAYS", "", "does not name days"),
        ("RISK_DEADLINE", "25:00", "RISK_DEADLINE"),
        ("RISK_END_DATE", "2025-12-31", "before RISK_START_DATE"),
    ],
)
def test_a_bad_calendar_setting_is_named(loaded: Set, variable: str, value: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        loaded(**{variable: value})
    assert variable in str(caught.value)


def test_the_default_policy_is_the_one_in_data(loaded: Set, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    inside = Policy.parse((ROOT / "data/policy.yml").read_text(encoding="utf-8"), "data/policy.yml")
    assert loaded().read_policy() == inside


def test_a_policy_that_is_set_must_exist(loaded: Set, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ContractError, match="RISK_POLICY"):
        loaded(RISK_POLICY="mine.yml").read_policy()


@pytest.mark.parametrize("variable", ["RISK_LAKE", "RISK_LANDING"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_address_is_an_error_with_its_variable(loaded: Set, variable: str, value: str) -> None:
    with pytest.raises(ContractError, match=f"{variable}: .*is empty") as caught:
        loaded(**{variable: value})
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "variable", "name"), [("read_contract", "RISK_CONTRACT", "c.yml"), ("read_policy", "RISK_POLICY", "p.yml")]
)
def test_a_missing_file_is_named_with_its_variable(loaded: Set, read: str, variable: str, name: str) -> None:
    settings = loaded(RISK_CONTRACT="c.yml", RISK_POLICY="p.yml")
    with pytest.raises(ContractError, match=rf"{name} cannot be read \(No such file.*Set {variable}"):
        getattr(settings, read)()


def test_the_projects_own_contract_and_policy_are_valid(loaded: Set) -> None:
    settings = loaded(RISK_CONTRACT=str(ROOT / "data/contract.yml"), RISK_POLICY=str(ROOT / "data/policy.yml"))
    assert settings.read_contract().id == "account_id"
    assert settings.read_policy().threshold == 0.25


# --- accounts ----------------------------------------------------------------------------------------------------------


def test_azurites_connection_string_reaches_azurite(loaded: Set, azurite: Azurite) -> None:
    settings = loaded(
        AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string, RISK_LAKE="az://lake/settings", RISK_LANDING="az://lake/drop"
    )
    assert credential(settings) == AzureCredential(azurite.account, azurite.endpoint, key=azurite.key)
    assert credential(settings).plain_http
    settings.open_lake().put("a", b"1")
    assert settings.open_lake().get("a") == b"1"
    assert settings.open_landing().list("") == ()


def test_development_storage_is_azurite_on_its_own_port(loaded: Set, azurite: Azurite) -> None:
    expected = AzureCredential("devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1", key=azurite.key)
    assert credential(loaded(AZURE_STORAGE_CONNECTION_STRING="UseDevelopmentStorage=true")) == expected
    assert credential(loaded(AZURE_STORAGE_CONNECTION_STRING="UseDevelopmentStorage=true;")) == expected


def test_a_connection_string_gives_address_and_key(loaded: Set) -> None:
    found = credential(loaded(AZURE_STORAGE_CONNECTION_STRING=REAL))
    assert found == AzureCredential("team", "https://team.blob.core.windows.net", key=f"{KEY}==")
    assert not found.plain_http


def test_another_clouds_suffix_is_kept(loaded: Set) -> None:
    found = credential(loaded(AZURE_STORAGE_CONNECTION_STRING=REAL.replace("windows.net", "chinacloudapi.cn") + "\n"))
    assert found.endpoint == "https://team.blob.core.chinacloudapi.cn"


def test_a_sas_in_a_connection_string_is_used_unchanged(loaded: Set) -> None:
    text = f"BlobEndpoint=https://team.blob.core.windows.net/;AccountName=team;SharedAccessSignature={SAS}"
    assert credential(loaded(AZURE_STORAGE_CONNECTION_STRING=text)) == AzureCredential(
        "team", "https://team.blob.core.windows.net", sas=SAS
    )


def test_a_sas_connection_string_needs_no_account_name(loaded: Set) -> None:
    """Azure's portal writes endpoints and the signature only."""
    endpoints = "BlobEndpoint=https://team.blob.core.windows.net/;QueueEndpoint=https://team.queue.core.windows.net/"
    found = credential(loaded(AZURE_STORAGE_CONNECTION_STRING=f"{endpoints};SharedAccessSignature={SAS}"))
    assert found == AzureCredential("team", "https://team.blob.core.windows.net", sas=SAS)


@pytest.mark.parametrize(
    ("endpoint", "account"),
    [
        ("https://team.blob.core.chinacloudapi.cn", "team"),
        ("https://team.z6.blob.storage.azure.net/", "team"),
        ("https://123.blob.core.windows.net/", "123"),
        ("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
        ("http://localhost:10000/devstoreaccount1/", "devstoreaccount1"),
        ("http://[::1]:10000/devstoreaccount1", "devstoreaccount1"),
        ("http://azurite:10000/devstoreaccount1", "devstoreaccount1"),
    ],
)
def test_the_account_is_read_from_the_endpoint(loaded: Set, endpoint: str, account: str) -> None:
    found = credential(loaded(AZURE_STORAGE_CONNECTION_STRING=f"BlobEndpoint={endpoint};SharedAccessSignature={SAS}"))
    assert found == AzureCredential(account, endpoint.rstrip("/"), sas=SAS)


@pytest.mark.parametrize(
    "text",
    [
        f"AccountKey={KEY}",
        KEY,
        "DefaultEndpointsProtocol=https",
        f"BlobEndpoint=http://127.0.0.1:10000;AccountKey={KEY}",
        f"BlobEndpoint=team;AccountKey={KEY}",
    ],
)
def test_a_connection_string_without_an_account_is_not_shown(loaded: Set, text: str) -> None:
    settings = loaded(AZURE_STORAGE_CONNECTION_STRING=text, RISK_LAKE="az://lake")
    with pytest.raises(ContractError, match="AZURE_STORAGE_CONNECTION_STRING") as caught:
        settings.open_lake()
    assert KEY not in str(caught.value)


def test_an_account_with_a_key_or_a_sas(loaded: Set) -> None:
    assert credential(loaded(AZURE_STORAGE_ACCOUNT_NAME="team", AZURE_STORAGE_SAS_TOKEN=SAS)) == AzureCredential("team", sas=SAS)
    assert credential(loaded(AZURE_STORAGE_ACCOUNT_KEY=KEY)) == AzureCredential("team", key=KEY)


def test_an_account_alone_takes_the_default_credential(loaded: Set) -> None:
    settings = loaded(AZURE_STORAGE_ACCOUNT_NAME="team", RISK_LAKE="az://lake")
    found = credential(settings)
    assert isinstance(found.provider, DefaultAzureCredential)
    assert "skip_signature" not in found.options()


def test_every_store_gets_the_retry_budget(loaded: Set, azurite: Azurite) -> None:
    settings = loaded(
        RISK_LAKE="az://lake/budget",
        RISK_LANDING="az://lake/budget-landing",
        RISK_STORAGE_RETRY_SECONDS="7.5",
        AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string,
    )
    lakehouse = Lakehouse(settings)
    stores = (settings.open_lake(), settings.connect_lake(), settings.open_landing(), lakehouse.store, lakehouse.landing)
    assert [store.retry_seconds for store in stores] == [7.5] * 5


def test_the_retry_budget_is_thirty_seconds_and_can_be_zero(loaded: Set) -> None:
    assert loaded().storage_retry_seconds == 30.0
    assert loaded(RISK_STORAGE_RETRY_SECONDS="0").storage_retry_seconds == 0.0


@pytest.mark.parametrize("value", ["-1", "301", "inf", "nan", "soon"])
def test_an_invalid_retry_budget_is_named(loaded: Set, value: str) -> None:
    with pytest.raises(ContractError, match="RISK_STORAGE_RETRY_SECONDS"):
        loaded(RISK_STORAGE_RETRY_SECONDS=value)


def test_a_lake_on_azure_without_an_account_names_the_setting(loaded: Set) -> None:
    with pytest.raises(LakeError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        loaded(RISK_LAKE="az://lake").open_lake()


def test_a_folder_opens_with_invalid_azure_variables(loaded: Set, tmp_path: Path) -> None:
    store = loaded(RISK_LAKE=str(tmp_path / "lake"), AZURE_STORAGE_CONNECTION_STRING="nonsense").open_lake()
    store.put("a", b"1")
    assert (tmp_path / "lake" / "a").read_bytes() == b"1"


def test_secrets_are_never_shown(loaded: Set) -> None:
    settings = loaded(
        AZURE_STORAGE_CONNECTION_STRING=REAL, AZURE_STORAGE_ACCOUNT_NAME="team", AZURE_STORAGE_ACCOUNT_KEY=KEY, AZURE_STORAGE_SAS_TOKEN=SAS
    )
    shown = repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json() + repr(settings.credential())
    for secret in (KEY, "SECRET123"):
        assert secret not in shown


def test_receivers_of_alerts_are_read_and_their_secrets_hidden(loaded: Set, tmp_path: Path) -> None:
    settings = loaded(
        RISK_ALERT_WEBHOOK="https://hooks.test/T0KEN",
        RISK_ALERT_SECRET="SECRET123-SECRET123",
        RISK_ALERT_SMTP="smtp://risk@mail.test:587",
        RISK_ALERT_SMTP_PASSWORD="SECRET123",
        RISK_ALERT_MAIL_FROM="risk@bank.test",
        RISK_ALERT_MAIL_TO="ann@bank.test,bob@bank.test",
        RISK_ALERT_FILE=str(tmp_path / "alerts.jsonl"),
    )
    assert receiver_names(settings) == ("webhook", "mail", "file")
    webhook, mail, file = receivers(settings)
    assert isinstance(webhook, Webhook) and (webhook.url, webhook.secret) == ("https://hooks.test/T0KEN", "SECRET123-SECRET123")
    assert isinstance(mail, Mail) and (mail.host, mail.password, mail.recipients) == (
        "mail.test",
        "SECRET123",
        ("ann@bank.test", "bob@bank.test"),
    )
    assert isinstance(file, MessageFile) and file.path == tmp_path / "alerts.jsonl"
    repository = build(settings).get_repository_def()
    snapshots = [RepositorySnap.from_def(repository), *(job.get_job_snapshot() for job in repository.get_all_jobs())]
    shown = [
        *map(dg.serialize_value, snapshots),
        repr(settings),
        str(settings.model_dump()),
        settings.model_dump_json(),
        repr(webhook),
        repr(mail),
    ]
    for text in (*shown, repr(Lakehouse(settings))):
        assert "SECRET123" not in text and "T0KEN" not in text


@pytest.mark.parametrize(
    ("variables", "named", "says"),
    [
        ({"RISK_ALERT_WEBHOOK": "https://hooks.test/T0KEN"}, "RISK_ALERT_WEBHOOK", "Set RISK_ALERT_SECRET"),
        ({"RISK_ALERT_WEBHOOK": "https://hooks.test/T0KEN", "RISK_ALERT_SECRET": ""}, "RISK_ALERT_WEBHOOK", "Set RISK_ALERT_SECRET"),
        ({"RISK_ALERT_WEBHOOK": "hooks.test/T0KEN", "RISK_ALERT_SECRET": "16 characters or"}, "RISK_ALERT_WEBHOOK", "is not an address"),
        ({"RISK_ALERT_WEBHOOK": "", "RISK_ALERT_SECRET": "16 characters or"}, "RISK_ALERT_WEBHOOK", "is not an address"),
        ({"RISK_ALERT_SECRET": "T0KEN-T0KEN-T0K"}, "RISK_ALERT_SECRET", "it is shorter than 16 characters. Set a random text"),
        ({"RISK_ALERT_SMTP": "mail.test:25"}, "RISK_ALERT_SMTP", "not the address of a mail server"),
        ({"RISK_ALERT_SMTP": "smtp://mail.test:T0KEN"}, "RISK_ALERT_SMTP", "not the address of a mail server"),
        ({"RISK_ALERT_SMTP": "smtp://risk:T0KEN@mail.test"}, "RISK_ALERT_SMTP", "RISK_ALERT_SMTP_PASSWORD"),
        ({"RISK_ALERT_SMTP": "smtp://mail.test", "RISK_ALERT_MAIL_FROM": "a@bank.test"}, "RISK_ALERT_SMTP", "RISK_ALERT_MAIL_TO"),
    ],
)  # fmt: skip
def test_a_wrong_receiver_is_named_without_its_value(loaded: Set, variables: dict[str, str], named: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        loaded(**variables)
    assert f"{named}: " in str(caught.value)
    assert "T0KEN" not in str(caught.value)


def test_a_short_secret_is_the_only_error_of_its_webhook(loaded: Set) -> None:
    with pytest.raises(ContractError, match="RISK_ALERT_SECRET: it is shorter than 16 characters") as caught:
        loaded(RISK_ALERT_WEBHOOK="https://hooks.test", RISK_ALERT_SECRET="short")
    assert "RISK_ALERT_WEBHOOK" not in str(caught.value)


# --- dagster's resource --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", [None, "https://team.blob.core.windows.net", "http://127.0.0.1:10000/team"])
@pytest.mark.parametrize("how", [{"key": KEY}, {"sas": SAS}, {"sas": f"?{SAS}"}, {}], ids=["key", "SAS", "SAS with ?", "anonymous"])
def test_a_credential_round_trips_through_dagsters_resource(endpoint: str | None, how: dict[str, str]) -> None:
    there = AzureCredential("team", endpoint, **how)
    expected = AzureCredential("team", endpoint or "https://team.blob.core.windows.net", **how)
    assert credential_of(azure_blob(there)) == expected


def test_the_default_credential_round_trips_through_dagster(loaded: Set) -> None:
    there = credential(loaded(AZURE_STORAGE_ACCOUNT_NAME="team"))
    back = credential_of(azure_blob(there))
    assert isinstance(back.provider, DefaultAzureCredential)
    assert (back.account, back.key, back.sas) == ("team", None, None)


@pytest.mark.parametrize("how", [{"key": KEY}, {"sas": SAS}], ids=["key", "SAS"])
def test_dagster_does_not_show_secrets(loaded: Set, how: dict[str, str]) -> None:
    secret = {"key": "AZURE_STORAGE_ACCOUNT_KEY", "sas": "AZURE_STORAGE_SAS_TOKEN"}
    settings = loaded(RISK_LAKE="az://lake", AZURE_STORAGE_ACCOUNT_NAME="team", **{secret[kind]: value for kind, value in how.items()})
    repository = build(settings).get_repository_def()
    lakehouse = repository.get_top_level_resources()["lakehouse"]
    snapshots = [RepositorySnap.from_def(repository), *(job.get_job_snapshot() for job in repository.get_all_jobs())]
    shown = [*map(dg.serialize_value, snapshots), repr(lakehouse), repr(Lakehouse(settings, azure_blob(AzureCredential("team", **how))))]
    for text in shown:
        assert KEY not in text
        assert "SECRET123" not in text


def test_the_imports_give_no_warning() -> None:
    code = "import dagster_azure.blob, risk_assets.defs.resources, risk_assets.settings"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_settings_and_the_lake_are_loaded_without_dagster() -> None:
    code = "import sys, risk_assets.settings, risk_assets.lake.registry; print(sorted({'dagster', 'dagster_azure'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
