"""Typed settings from the environment, or from a `.env` file in the working directory."""

import getpass
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as Date
from datetime import time as Time
from pathlib import Path
from typing import Annotated, Any, TypeVar, overload
from urllib.parse import urlparse
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import AzureKeyVaultSettingsSource, BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from risk_assets.clock import Calendar, shift, utc_now, weekdays
from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import Contract
from risk_assets.errors import ContractError
from risk_assets.lake.addresses import is_azure
from risk_assets.lake.azure_blobs import RETRY_SECONDS
from risk_assets.lake.format import open_lake
from risk_assets.lake.store import AzureCredential, Store, open_store

AZURITE = (
    "AccountName=devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
VAULT_RETRIES = 2
VAULT_SECONDS = 10
ENV_FILE = ".env"
MIN_SECRET_LENGTH = 16
MAX_RETRY_SECONDS = 300  # a request is repeated with the same signature, which Azure accepts for 15 minutes

LOCAL_ENGINE = "local"
_HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_ENGINE = re.compile(
    rf"local|local\[(?:[1-9][0-9]*|\*)\]|spark://{_HOST}:{_PORT}(?:,{_HOST}:{_PORT})*|sc://{_HOST}(?::{_PORT})?(?:/?;[^\s]*|/)?"
)

S = TypeVar("S", bound="Settings")
RetrySeconds = Annotated[float, Field(ge=0, le=MAX_RETRY_SECONDS, allow_inf_nan=False)]


def _default_lake() -> str:
    return (Path.cwd() / "lakehouse").as_uri()


class Settings(BaseSettings):
    """The addresses of lake and landing folder, the paths of contract, policy and run history, and the storage account.

    Each setting can also be a secret of the Key Vault `key_vault`, named as its variable with dashes
    (`AZURE-STORAGE-ACCOUNT-KEY`). The environment and `.env` take precedence.
    """

    model_config = SettingsConfigDict(env_prefix="RISK_", env_file=ENV_FILE, extra="ignore", frozen=True, populate_by_name=True)

    lake: str = Field(default_factory=_default_lake)
    landing: str = "data/landing"
    contract: Path = Path("data/contract.yml")
    policy: Path = Path("data/policy.yml")
    start_date: Date = Date(2026, 1, 1)
    end_date: Date | None = None
    time_zone: str = "UTC"
    scoring_time: Time = Time(2)
    deadline: Time = Time(6)
    business_days: str = "mon-sun"
    lease_wait_seconds: float = Field(60, ge=0)
    storage_retry_seconds: RetrySeconds = RETRY_SECONDS
    engine: str = Field(LOCAL_ENGINE, repr=False)  # an address of Spark Connect can contain a token
    executor_wait_seconds: float = Field(120, gt=0, allow_inf_nan=False)
    key_vault: str | None = None
    dagster_home: Path = Field(default_factory=lambda: Path.cwd() / ".dagster", validation_alias="DAGSTER_HOME")
    connection_string: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_CONNECTION_STRING")
    account_name: str | None = Field(None, validation_alias="AZURE_STORAGE_ACCOUNT_NAME")
    account_key: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_ACCOUNT_KEY")
    sas_token: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_SAS_TOKEN")

    alert_secret: SecretStr | None = None
    alert_webhook: SecretStr | None = None  # many services put a token into the address
    alert_smtp_password: SecretStr | None = None
    alert_mail_from: str | None = None
    alert_mail_to: str | None = None
    alert_smtp: str | None = None
    alert_file: Path | None = None

    @field_validator("alert_secret")
    @classmethod
    def _long_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and 0 < len(secret.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(f"it is shorter than {MIN_SECRET_LENGTH} characters. Set a random text: openssl rand -hex 32 makes one.")
        return secret

    @field_validator("alert_webhook")
    @classmethod
    def _signed_webhook(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None and not _is_address(url.get_secret_value(), ("https", "http")):
            raise ValueError("it is not an address. Set https://HOST/PATH, or unset it.")
        secret, is_valid = info.data.get("alert_secret"), "alert_secret" in info.data
        if url is not None and is_valid and not (secret and secret.get_secret_value()):
            raise ValueError("messages are signed. Set RISK_ALERT_SECRET to a long random text that the receiver also has.")
        return url

    @field_validator("alert_smtp")
    @classmethod
    def _mail_server(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None:
            return None
        if not _is_address(address, ("smtp", "smtps")):
            raise ValueError("it is not the address of a mail server. Set smtp://USER@HOST:PORT, or smtps://, or unset it.")
        if urlparse(address).password is not None:
            raise ValueError("it contains a password. Set smtp://USER@HOST:PORT, and the password in RISK_ALERT_SMTP_PASSWORD.")
        if not (info.data.get("alert_mail_from") and info.data.get("alert_mail_to")):
            raise ValueError("mail has a sender and recipients. Set RISK_ALERT_MAIL_FROM, and RISK_ALERT_MAIL_TO to a list with commas.")
        return address

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name != "UTC" and name not in available_timezones():  # the list takes longer than all other settings
            raise ValueError("it is not a time zone. Set a name such as Europe/Berlin, or unset it for UTC.")
        return name

    @field_validator("business_days")
    @classmethod
    def _known_days(cls, text: str) -> str:
        try:
            weekdays(text)
        except ValueError:
            raise ValueError("it does not name days. Set days such as mon-fri or mon,wed,sat, or unset it for every day.") from None
        return text

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, engine: str) -> str:
        if not _ENGINE.fullmatch(engine):
            raise ValueError(
                "it is not an engine. Set spark://HOST:PORT (a Spark master), sc://HOST:PORT (Spark Connect), or local[N] (Spark on this "
                "machine), or unset it for local: this process, without Spark."
            )
        return engine

    @field_validator("end_date")
    @classmethod
    def _not_before_start(cls, end: Date | None, info: ValidationInfo) -> Date | None:
        if end is not None and "start_date" in info.data and end < info.data["start_date"]:
            raise ValueError("it is before RISK_START_DATE. Set a later date, or unset it to end with yesterday.")
        return end

    @field_validator("lake", "landing")
    @classmethod
    def _not_empty(cls, address: str) -> str:
        if not address.strip():
            raise ValueError("it is empty. Set a folder or az://container/prefix, or unset it for the default.")
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the Key Vault after all other sources, if one is set."""
        sources = (init_settings, env_settings, dotenv_settings, file_secret_settings)
        vaults = [values["key_vault"] for source in sources if (values := source()).get("key_vault") is not None]
        return (*sources, _KeyVault(settings_cls, vaults[0])) if vaults else sources

    @property
    def calendar(self) -> Calendar:
        """When snapshots are expected and scored."""
        return Calendar(ZoneInfo(self.time_zone), self.scoring_time, self.deadline, weekdays(self.business_days))

    @property
    def last_date(self) -> str:
        """The last date that can be run: the end date, or the last day that has ended in the time zone."""
        yesterday = shift(self.calendar.day(utc_now()), -1)
        return min(yesterday, self.end_date.isoformat()) if self.end_date else yesterday

    def why_not_run(self, date: str) -> str | None:
        """Return why a date cannot be run, and what to do; None if it can."""
        first, last = self.start_date.isoformat(), self.last_date
        if date < first:
            return (
                f"{date} cannot be run: the first date is {first} ({_placed('RISK_START_DATE')}). Set RISK_START_DATE to {date} or earlier."
            )
        if date <= last:
            return None
        if self.end_date and date > self.end_date.isoformat():
            end = self.end_date.isoformat()
            place = _placed("RISK_END_DATE")
            return f"{date} cannot be run: the last date is {end} ({place}). Set RISK_END_DATE to {date} or later, or unset it."
        return f"{date} cannot be run yet: the day has not ended, and the last date is {last}. Run it when the day has ended."

    @property
    def engine_name(self) -> str:
        """The engine without the parameters of its address, which can contain a token."""
        return self.engine.partition(";")[0].rstrip("/")

    @property
    def on_azure(self) -> bool:
        """Whether the lake or the landing folder is on Azure or Azurite."""
        return is_azure(self.lake) or is_azure(self.landing)

    def credential(self) -> AzureCredential | None:
        """Return the credential of the storage account, or None if no account is set."""
        if self.connection_string:
            return _from_connection_string(self.connection_string.get_secret_value())
        if not self.account_name:
            return None
        if self.account_key:
            return AzureCredential(self.account_name, key=self.account_key.get_secret_value())
        if self.sas_token:
            return AzureCredential(self.account_name, sas=self.sas_token.get_secret_value())
        return AzureCredential(self.account_name, provider=_default_credential())

    def open_lake(self) -> Store:
        """Return the lake after comparing its format.

        Raises
        ------
        LakeError
            If its address or account is not valid, storage cannot be reached, or another release wrote the lake.
        """
        return open_lake(self.lake, self._credential_for(self.lake), self.storage_retry_seconds)

    def connect_lake(self) -> Store:
        """Return the lake without a request; compare its format (`lake.format.require_format`) before reading it.

        For a service that starts while storage cannot be reached.
        """
        return open_store(self.lake, self._credential_for(self.lake), self.storage_retry_seconds)

    def open_landing(self) -> Store:
        """Return the landing folder; raises `LakeError` if its address or account is not valid."""
        return open_store(self.landing, self._credential_for(self.landing), self.storage_retry_seconds)

    def read_contract(self) -> Contract:
        """Return the contract; raises `ContractError` if it is missing or not valid."""
        return Contract.parse(_text(self.contract, "RISK_CONTRACT"), str(self.contract))

    def read_policy(self) -> Policy:
        """Return the policy; the default one if `RISK_POLICY` is not set and there is no `data/policy.yml`.

        Raises
        ------
        ContractError
            If the policy is missing or not valid.
        """
        if "policy" not in self.model_fields_set and not self.policy.exists():
            return Policy()
        return Policy.parse(_text(self.policy, "RISK_POLICY"), str(self.policy))

    def proposes(self, kind: str) -> bool:
        """Return whether the file of the `contract` or the `policy` exists, or its setting is set."""
        return kind in self.model_fields_set or bool(getattr(self, kind).exists())

    def _credential_for(self, url: str) -> AzureCredential | None:
        return self.credential() if is_azure(url) else None


class _KeyVault(AzureKeyVaultSettingsSource):
    """The secrets of a vault that are settings. Other secrets are not read."""

    def __init__(self, settings_cls: type[BaseSettings], url: str) -> None:
        if not _is_address(url, ("https",)):
            raise ContractError("RISK_KEY_VAULT is not the address of a vault. Set https://NAME.vault.azure.net, or unset it.")
        with _translate_vault_errors(url), _default_credential() as identity:
            super().__init__(settings_cls, url, identity, dash_to_underscore=True)

    def _load_env_vars(self) -> dict[str, str | None]:
        from azure.keyvault.secrets import SecretClient

        fields = self.settings_cls.model_fields.items()
        wanted = {secret for name, field in fields for _, secret, _ in self._extract_field_info(field, name)}
        limits = {"retry_total": VAULT_RETRIES, "connection_timeout": VAULT_SECONDS, "read_timeout": VAULT_SECONDS}
        with SecretClient(self._url, self._credential, **limits) as client:
            listed = [secret.name for secret in client.list_properties_of_secrets() if secret.name and secret.enabled]
            return {name.lower(): client.get_secret(name).value for name in listed if name.lower() in wanted}


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlparse(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@contextmanager
def _translate_vault_errors(url: str) -> Iterator[None]:
    """Turn errors of the vault's client into a `ContractError` without their text, which can contain secrets."""
    from azure.core.exceptions import AzureError, HttpResponseError

    host = urlparse(url).hostname
    try:
        yield
    except ImportError:
        raise ContractError("RISK_KEY_VAULT requires two more packages: pip install 'risk-lakehouse[keyvault]'.") from None
    except HttpResponseError as error:
        status = error.status_code
        problem = f"the Key Vault {host} responded with status {status}" if status else f"sign-in to the Key Vault {host} failed"
        raise ContractError(
            f"{problem}. Sign in (az login, or a managed identity) with an identity that has the role Key Vault Secrets User."
        ) from None
    except (AzureError, ValueError) as error:
        raise ContractError(
            f"the Key Vault {host} cannot be reached ({type(error).__name__}). Check RISK_KEY_VAULT and the network."
        ) from None


@overload
def load_settings(*, defaults: Path | None = None) -> Settings: ...


@overload
def load_settings(kind: type[S], *, defaults: Path | None = None) -> S: ...


def load_settings(kind: type[Settings] = Settings, *, defaults: Path | None = None) -> Settings:
    """Return settings of a kind; raises `ContractError` that names each invalid variable, without its value.

    `defaults` is a file in the format of `.env`: its settings apply where neither the environment nor `.env` has one.
    """
    try:
        return kind(_env_file=(defaults, ENV_FILE)) if defaults else kind()
    except ValidationError as error:
        problems = (
            f"{_variable(str(problem['loc'][0]))}: {problem['msg'].removeprefix('Value error, ').rstrip('.')}."
            for problem in error.errors(include_input=False)
        )
        raise ContractError(f"the settings are not valid: {' '.join(problems)}") from None


def current_user() -> str:
    """Return the name of the user who runs this process, or `unknown` if the system does not know it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _placed(variable: str) -> str:
    """Return a variable with the place where it is set: the environment, or `.env`; without one if it is set elsewhere or not at all."""
    if variable in os.environ:
        return f"{variable} in the environment"
    file = Path(ENV_FILE)
    is_in_file = file.is_file() and re.search(rf"(?m)^\s*(export\s+)?{variable}\s*=", file.read_text(encoding="utf-8", errors="replace"))
    return f"{variable} in {ENV_FILE}" if is_in_file else variable


def _variable(field: str) -> str:
    return field if field.isupper() else f"RISK_{field.upper()}"


def _text(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(
            f"{path} cannot be read ({error.strerror}). Set {variable} to the file, or run in the project's folder."
        ) from error
    except UnicodeDecodeError:
        raise ContractError(f"{path} is not UTF-8 text. Save it as UTF-8, or set {variable} to another file.") from None


def _from_connection_string(text: str) -> AzureCredential:
    parts = dict(part.split("=", 1) for part in text.strip().split(";") if "=" in part)
    if parts.get("UseDevelopmentStorage", "").lower() == "true":
        return _from_connection_string(AZURITE)
    account = parts.get("AccountName") or _account(parts.get("BlobEndpoint", ""))
    if not account:
        raise ContractError("AZURE_STORAGE_CONNECTION_STRING has no account: copy it completely from the storage account, in quotes.")
    suffix = parts.get("EndpointSuffix", "core.windows.net")
    endpoint = parts.get("BlobEndpoint") or f"{parts.get('DefaultEndpointsProtocol', 'https')}://{account}.blob.{suffix}"
    return AzureCredential(account, endpoint.rstrip("/"), parts.get("AccountKey"), parts.get("SharedAccessSignature"))


def _account(endpoint: str) -> str:
    """Return the account of a blob endpoint: the first label of the host, or the first part of the path if the host is local."""
    parts = urlparse(endpoint)
    host = parts.hostname or ""
    if host and ("." not in host or host.replace(".", "").isdigit()):
        return parts.path.strip("/").partition("/")[0]
    return host.partition(".")[0]


def _default_credential() -> Any:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
