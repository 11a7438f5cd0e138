"""Where everything lies in the lake: the only place that spells a path."""

from collections.abc import Callable

RAW = "raw"
CURATED = "curated"
VERSIONS = "registry/model_v"
BINDINGS = "registry/bindings"
POLICIES = "registry/policies"
RUN_LOG = "logs/batch_runs_log.csv"
RUN_RECORDS = "logs/batch_runs"
ONLINE_LOG = "logs/online"

SCORECARD = "scorecard.json"
STEPS = "steps.json"
METRICS = "metrics.json"
PROFILE = "profile.json"
EXAMPLE = "example.json"
PIPELINE = "model.joblib"
METADATA = "metadata.json"
CLAIM = "claim.json"
IMPACT = "impact.json"
IMPACT_ACCOUNTS = "impact_accounts.csv"


def accounts(date: str) -> str:
    """Return a snapshot's path as landed; a sharded one lies in the folder of this name without `.csv`."""
    return f"{RAW}/accounts_{date}.csv"


def outcomes(date: str) -> str:
    """Return the path of the outcomes of a date's snapshot, as landed."""
    return f"{RAW}/outcomes_{date}.csv"


def superseded(path: str, digest: str) -> str:
    """Return where a raw file is kept that was landed again with other content."""
    return f"{RAW}/superseded/{digest[:12]}/{path.removeprefix(f'{RAW}/')}"


def features(date: str) -> str:
    """Return the path of a date's checked features."""
    return f"{CURATED}/accounts_{date}_features.parquet"


def predictions(date: str) -> str:
    """Return the path of a date's predictions."""
    return f"{CURATED}/accounts_{date}_predictions.csv"


def review(date: str) -> str:
    """Return the path of a date's review list."""
    return f"{CURATED}/accounts_{date}_review.csv"


def manifest(path: str) -> str:
    """Return the path of a table's manifest."""
    return f"{path}.manifest.json"


def trained(date: str) -> str:
    """Return the folder of the model trained for a date."""
    return f"training/model_{date}"


def version(number: int) -> str:
    """Return the folder of a model version."""
    return f"{VERSIONS}{number:03d}"


def version_name(number: int) -> str:
    """Return a version's name, as people and files spell it."""
    return f"model_v{number:03d}"


def binding(number: int) -> str:
    """Return the path of a binding."""
    return f"{BINDINGS}/{number:06d}.json"


def policy(digest: str) -> str:
    """Return the path of a policy that was scored by."""
    return f"{POLICIES}/{digest}.json"


def run_record(date: str, run_id: str) -> str:
    """Return the path of one run's record."""
    return f"{RUN_RECORDS}/{date}/{run_id}.json"


def online_log(date: str, collection: str, hour: str, writer: str, number: int) -> str:
    """Return the path of one of a writer's files of the prediction log, in an hour (UTC), where Azure ML's monitors look for it."""
    return f"{ONLINE_LOG}/{collection}/{date.replace('-', '/')}/{hour}/{writer}-{number:06d}.jsonl"


PATHS: dict[str, Callable[[str], str]] = {
    "raw/accounts": accounts,
    "raw/outcomes": outcomes,
    "curated/features": features,
    "curated/predictions": predictions,
    "curated/review_list": review,
}
