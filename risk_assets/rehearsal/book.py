"""The folder of a rehearsal: its lake, landing folder, run history, and the simulated bank's documents with shorter windows."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from risk_assets.errors import RiskError
from risk_assets.settings import Settings
from risk_assets.simulation.scripted_bank import DEFINITION, MIN_MONTHS, TRAINING_DAYS

SOURCE = Path("data/bank")
FIRST = date(2025, 3, 3)  # the first day that is scored
CONTRACT, POLICY = "contract.yml", "policy.yml"
# One database for the events of all runs: making a new one for each of many short runs costs a third of their time.
DAGSTER_YAML = """\
telemetry: {enabled: false}
nux: {enabled: false}
event_log_storage:
  module: dagster._core.storage.event_log
  class: ConsolidatedSqliteEventLogStorage
  config: {base_dir: {env: DAGSTER_HOME}}
"""
CUT_OFF, OTHER_CUT_OFF = 0.2, 0.1
# What a worse version does without: what is known about payments, usage and bureau.
STRONGEST = (
    "missed_payments_12m",
    "days_past_due",
    "months_since_missed",
    "utilisation",
    "payment_ratio",
    "bureau_score",
    "months_on_book",
    "inquiries_6m",
)


class RehearsalSettings(Settings):
    """Settings without environment, `.env` and Key Vault, so that a rehearsal never uses the lake or the receivers of a real book."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the arguments."""
        return (init_settings,)


def prepare(folder: Path, days: int) -> Settings:
    """Write the documents of a rehearsal of so many days to a folder that has none, and return its settings.

    Raises
    ------
    RiskError
        If the folder is not empty, or the documents of the simulated bank are not in this folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RiskError(f"{folder} is not empty: a simulation needs a folder of its own. Choose another one: --folder FOLDER.")
    contract, policy = _read(CONTRACT), _read(POLICY)
    for name in ("landing", "dagster"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dagster" / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    write(folder / CONTRACT, short_contract(contract))
    write(folder / POLICY, short_policy(policy))
    return RehearsalSettings(
        lake=(folder.absolute() / "lake").as_uri(),
        landing=str(folder / "landing"),
        contract=folder / CONTRACT,
        policy=folder / POLICY,
        start_date=FIRST + timedelta(days=TRAINING_DAYS.start),
        end_date=FIRST + timedelta(days=days),
        dagster_home=folder / "dagster",
    )


def short_contract(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the bank's contract with outcomes that are known after 28 days."""
    past_due, days = DEFINITION.days_past_due, DEFINITION.within_days
    target = {
        **contract["target"],
        "definition": f"at least {past_due} days past due on any of the {days} days after the snapshot",
        "matures_after_days": days,
    }
    exclude = [
        {"reason": "not open", "column": "status", "is": ["closed", "charged off", "deceased", "fraud"]},
        {"reason": f"already {past_due} days past due", "column": "days_past_due", "at_least": past_due},
        {"reason": "opened not long ago", "column": "months_on_book", "below": MIN_MONTHS},
    ]
    return {**contract, "target": target, "exclude": exclude}


def weaker_contract(contract: dict[str, Any]) -> dict[str, Any]:
    """Return a contract whose models do not use the strongest features."""
    features = {name: {**rule, "input": False} if name in STRONGEST else rule for name, rule in contract["features"].items()}
    return {**contract, "features": features}


def short_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the bank's policy with a window of 28 days, a person who promotes, and early retraining."""
    changes = {
        "training": {**policy["training"], "window_days": 28, "holdout": 0.1},
        "promotion": {**policy["promotion"], "mode": "manual", "max_auc_loss": 0.04},
        "checks": {**policy["checks"], "max_row_count_change": 0.2},
        "monitoring": {**policy["monitoring"], "retraining": {"exceeded": 2, "of_dates": 3, "cool_down_days": 14}},
    }
    return {**policy, **changes}


def with_cut_off(policy: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Return a policy with another cut-off."""
    return {**policy, "threshold": threshold}


def edit(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change a document as a person does in an editor."""
    write(path, change(yaml.safe_load(path.read_text(encoding="utf-8"))))


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a document."""
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load((SOURCE / name).read_text(encoding="utf-8"))
    except OSError:
        raise RiskError(
            f"{SOURCE / name} of the simulated bank is not here. Run the simulation in the project's folder: risk simulate SCENARIO."
        ) from None
    return found
