"""Paths in the lake. No other module spells one."""

import re
from collections.abc import Callable

RAW = "raw"
CURATED = "curated"
TRAINING = "training"
REGISTRY = "registry"
LOGS = "logs"
MONITORING = "monitoring"
REPORTING = "reports"
LEASES = "leases"
FORMAT = "format.json"
TEMPORARY = ".tmp"
FOLDERS = (RAW, CURATED, TRAINING, REGISTRY, LOGS, MONITORING, REPORTING)

CANDIDATES = f"{TRAINING}/contracts"
BINDINGS = f"{REGISTRY}/bindings"
POLICIES = f"{REGISTRY}/policies"
CONTRACTS = f"{REGISTRY}/contracts"
MORNING_INDEX = f"{REPORTING}/index.html"
MORNING_VERDICTS = f"{REPORTING}/index.json"
RUN_LOG = f"{LOGS}/batch_runs_log.csv"
RUN_RECORDS = f"{LOGS}/batch_runs"
PENDING_RECORDS = f"{LOGS}/pending"
OUTBOX = f"{MONITORING}/outbox"
ONLINE_LOG = f"{LOGS}/online"
ONLINE_INPUTS, ONLINE_OUTPUTS = "model_inputs", "model_outputs"  # the collections, as Azure ML names them

SCORECARD = "scorecard.json"
STEPS = "steps.json"
METRICS = "metrics.json"
PROFILE = "profile.json"
EXAMPLE = "example.json"
PIPELINE = "model.joblib"
METADATA = "metadata.json"
CLAIM = "claim.json"
CURRENT = "current.json"
IMPACT = "impact.json"
IMPACT_ACCOUNTS = "impact_accounts.csv"
IMPACT_HASHES = "impact.sha256.json"

REVISIONS = f"{RAW}/revisions"
POSTED = f"{RAW}/posted"
SUPERSEDED_DIGITS = 12
STAGED = "staged"
_FEATURES = re.compile(r"accounts_(\d{4}-\d{2}-\d{2})_features\.parquet\.manifest\.json")
_VERSION = re.compile(r"model_v([0-9]+)")
_BINDING = re.compile(rf"{BINDINGS}/([0-9]{{6,}})\.json")
_SUPERSEDED = re.compile(rf"(?:{RAW}|{CURATED})/superseded/([0-9a-f]{{{SUPERSEDED_DIGITS}}})/.+")
_DOCUMENT = re.compile(rf"(?:{POLICIES}|{CONTRACTS})/([0-9a-f]{{64}})\.json")
_REVISION = re.compile(rf"{REVISIONS}/[^/]+/([0-9]{{6,}})\.manifest\.json")
_POSTED = re.compile(rf"{POSTED}/outcomes_(\d{{4}}-\d{{2}}-\d{{2}})/([0-9a-f]{{64}})\.json")
_FOR_OUTCOMES = re.compile(r"/(?:outcomes|account_states)_")
_LEASE = re.compile(rf"{LEASES}/(.+)/([0-9]{{6,}})\.json")
_CANDIDATE = re.compile(rf"{CANDIDATES}/([0-9a-f]{{64}})/")
_ONLINE = re.compile(rf"{ONLINE_LOG}/({ONLINE_INPUTS}|{ONLINE_OUTPUTS})/(.+)")
_DATE = re.compile(r"_(\d{4}-\d{2}-\d{2})[._/]")
_TOKEN = re.compile(r"/[0-9a-f]{8}-([0-9]{6,}\.parquet)$")
_DISPOSITIONS = re.compile(rf"{LOGS}/dispositions_([0-9]{{4}}-[0-9]{{2}})\.csv")
_RUN_RECORD = re.compile(rf"{RUN_RECORDS}/([^/]+)/([^/]+)\.json")


def accounts(date: str) -> str:
    """Return the path of a date's snapshot in the raw zone."""
    return f"{RAW}/accounts_{date}.csv"


def outcomes(date: str) -> str:
    """Return the path of a date's outcomes in the raw zone."""
    return f"{RAW}/outcomes_{date}.csv"


def shards(path: str) -> str:
    """Return the folder of a raw file's shards or of a table's parts: the path without `.csv` or `.parquet`."""
    return path.removesuffix(".csv").removesuffix(".parquet")


def shard(path: str, name: str) -> str:
    """Return the path of one shard of a raw file, or of one part of a table."""
    return f"{shards(path)}/{name}"


def staged_folder(path: str) -> str:
    """Return the folder of what writes of a table, or of one of its parts, have staged: it belongs to them only after the commit."""
    zone, _, name = path.partition("/")
    return f"{zone}/{STAGED}/{shards(name.partition('/')[0])}/"


def staged(path: str, token: str) -> str:
    """Return the folder of what the write with this token has staged."""
    return f"{staged_folder(path)}{token}/"


def staged_piece(path: str, token: str, number: int, attempt: str) -> str:
    """Return the path of a staged piece of an object on disk; each attempt to stage it has a path of its own."""
    return f"{staged(path, token)}{number:06d}-{attempt}"


def without_token(part: str) -> str:
    """Return the path of a part of a table without the token of the write that made it; other paths unchanged."""
    return _TOKEN.sub(r"/\1", part)


def zone(path: str) -> str:
    """Return the first folder of a path."""
    return path.partition("/")[0]


def superseded_folder(zone: str) -> str:
    """Return the folder of a zone's superseded files."""
    return f"{zone}/superseded/"


def superseded(path: str, digest: str) -> str:
    """Return the path at which a file of the raw or the curated zone is kept, by its content, when another replaces it."""
    zone, _, name = path.partition("/")
    return f"{superseded_folder(zone)}{digest[:SUPERSEDED_DIGITS]}/{name}"


def before_superseded(path: str) -> str:
    """Return the path that a superseded file had."""
    zone, _, rest = path.partition("/superseded/")
    return f"{zone}/{rest.partition('/')[2]}"


def superseded_digest(path: str) -> str | None:
    """Return the first digits of a superseded file's SHA-256 from its path, or None if the path is another file's."""
    match = _SUPERSEDED.fullmatch(path)
    return match[1] if match else None


def revisions(path: str) -> str:
    """Return the folder of the manifests of a raw file's earlier revisions."""
    return f"{REVISIONS}/{path.rpartition('/')[2]}/"


def revision(path: str, number: int) -> str:
    """Return the name of an earlier revision of a raw file; its manifest is at `manifest(name)`, its parts are superseded files."""
    return f"{revisions(path)}{number:06d}"


def revision_number(path: str) -> int | None:
    """Return the number of an earlier revision from the path of its manifest, or None if the path is another file's."""
    match = _REVISION.fullmatch(path)
    return int(match[1]) if match else None


def posted_folder(date: str) -> str:
    """Return the folder of the outcomes of a date that the service has received."""
    return f"{POSTED}/outcomes_{date}/"


def posted_shard(date: str, key: str) -> str:
    """Return the path of a shard of a date's posted outcomes."""
    return f"{posted_folder(date)}{key}.json"


def posted_key(path: str) -> tuple[str, str] | None:
    """Return the date and the key of a shard of posted outcomes from its path, or None if the path is another file's."""
    match = _POSTED.fullmatch(path)
    return (match[1], match[2]) if match else None


def curated_outcomes(date: str) -> str:
    """Return the path of the outcomes of a date's accounts, each with the date from which it is known."""
    return f"{CURATED}/outcomes_{date}.parquet"


def account_states(date: str) -> str:
    """Return the path of the states of all accounts on a date, from which outcomes are derived."""
    return f"{CURATED}/account_states_{date}.parquet"


def features(date: str) -> str:
    """Return the path of a date's checked features."""
    return f"{CURATED}/accounts_{date}_features.parquet"


def features_part(date: str, token: str, number: int) -> str:
    """Return the path of a part of a date's checked features, written by the write with this token; parts are numbered from 0."""
    return shard(features(date), f"{token}-{number:06d}.parquet")


def features_date(name: str) -> str | None:
    """Return the date of a features manifest from its file name, or None if the name is another file's."""
    match = _FEATURES.fullmatch(name)
    return match[1] if match else None


def predictions(date: str) -> str:
    """Return the path of a date's predictions."""
    return f"{CURATED}/accounts_{date}_predictions.csv"


def account_index(date: str) -> str:
    """Return the path of the index of a date's accounts, which is the folder of its parts."""
    return f"{CURATED}/accounts_{date}_index"


def account_index_part(date: str, number: int) -> str:
    """Return the path of a part of the index of a date's accounts; parts are numbered from 0."""
    return shard(account_index(date), f"part-{number:04d}.parquet")


def review(date: str) -> str:
    """Return the path of a date's review list."""
    return f"{CURATED}/accounts_{date}_review.csv"


def drift(date: str) -> str:
    """Return the path of a date's drift report."""
    return f"{MONITORING}/drift_{date}.json"


def performance(date: str) -> str:
    """Return the path of a date's performance report."""
    return f"{MONITORING}/performance_{date}.json"


def retraining(date: str) -> str:
    """Return the path of the retraining that was requested or started first for a date."""
    return f"{MONITORING}/retraining_{date}.json"


def retraining_starts(date: str) -> str:
    """Return the folder of the starts of a date's retraining after its first record."""
    return f"{MONITORING}/starts/retraining_{date}/"


def retraining_start(date: str, run_id: str) -> str:
    """Return the path of a start of a date's retraining after its first record."""
    return f"{retraining_starts(date)}{run_id}.json"


def performance_revisions(date: str) -> str:
    """Return the folder of the earlier revisions of a date's performance report."""
    return f"{MONITORING}/revisions/performance_{date}/"


def performance_revision(date: str, number: int) -> str:
    """Return the path of an earlier revision of a date's performance report."""
    return f"{performance_revisions(date)}{number:06d}.json"


def alerts(date: str) -> str:
    """Return the path of the alerts as of a date."""
    return f"{MONITORING}/alerts_{date}.json"


def pending_messages() -> str:
    """Return the folder of the messages about alerts that a receiver has not accepted yet."""
    return f"{OUTBOX}/pending/"


def pending_message(key: str) -> str:
    """Return the path of a message that a receiver has not accepted yet."""
    return f"{pending_messages()}{key}.json"


def delivered_message(key: str) -> str:
    """Return the path of a message that all receivers have accepted."""
    return f"{OUTBOX}/delivered/{key}.json"


def announced_alerts() -> str:
    """Return the folder of the alerts that were announced as opened and not yet as resolved."""
    return f"{OUTBOX}/open/"


def announced_alert(key: str) -> str:
    """Return the path of an alert that was announced as opened by the message with this id."""
    return f"{announced_alerts()}{key}.json"


def receiver_state(name: str) -> str:
    """Return the path of the file that says when a receiver of messages is tried again."""
    return f"{OUTBOX}/receivers/{name}.json"


def morning(date: str) -> str:
    """Return the path of the facts of a date's morning report."""
    return f"{REPORTING}/morning_{date}.json"


def morning_page(date: str) -> str:
    """Return the path of the page of a date's morning report."""
    return f"{REPORTING}/morning_{date}.html"


def morning_text(date: str) -> str:
    """Return the path of a date's morning report as plain text, for e-mail."""
    return f"{REPORTING}/morning_{date}.txt"


def manifest(path: str) -> str:
    """Return the path of a table's manifest."""
    return f"{path}.manifest.json"


def training_folder(date: str) -> str:
    """Return the folder of the models trained for a date."""
    return f"{TRAINING}/model_{date}"


def training_run(date: str, run_id: str) -> str:
    """Return the folder of the model that a run trained for a date."""
    return f"{training_folder(date)}/{run_id}"


def training_current(date: str) -> str:
    """Return the path of the file that names the run whose model is the one of a date."""
    return artifact(training_folder(date), CURRENT)


def candidate_folders(contract: str) -> dict[str, str]:
    """Return where the tables of a contract that is not bound are kept, and their leases, by the folder that they replace."""
    place = f"{CANDIDATES}/{contract}"
    return {CURATED: place, f"{LEASES}/{CURATED}": f"{LEASES}/{place}"}


def candidate_contract(path: str) -> str | None:
    """Return the digest of the contract of a candidate's table from its path, or None if the path is another file's."""
    match = _CANDIDATE.match(path)
    return match[1] if match else None


def date_of(path: str) -> str | None:
    """Return the date of a file of the raw or the curated zone from its path, or None if it has none."""
    found = _DATE.search(path)
    return found[1] if found else None


def how_to_make(path: str) -> str:
    """Return how to make a table of the raw or the curated zone, as the next step of a message."""
    date = date_of(path) or "DATE"
    if path == curated_outcomes(date):
        return (
            f"Run the date: risk outcomes {date} (derived outcomes: the date on which they mature), or materialize its partition in the UI."
        )
    command = "outcomes" if _FOR_OUTCOMES.search(path) else "run"
    if path.startswith(f"{RAW}/"):
        return f"Run the date: risk {command} {date}, or materialize its partition in the UI. Its file must be in the landing folder."
    return f"Run the date: risk {command} {date}, or materialize its partition in the UI."


def version_name(number: int) -> str:
    """Return the name of a version, `model_vNNN`."""
    return f"model_v{number:03d}"


def version_number(name: str) -> int | None:
    """Return the number of a version from its name, or None if the text does not name a version."""
    match = _VERSION.fullmatch(name)
    return int(match[1]) if match else None


def version_folder(name: str) -> str:
    """Return the folder of a version."""
    return f"{REGISTRY}/{name}"


def version_file(name: str, file: str) -> str:
    """Return the path of a file of a version."""
    return artifact(version_folder(name), file)


def artifact(folder: str, file: str) -> str:
    """Return the path of a model's file in the folder of a version or of a trained model."""
    return f"{folder}/{file}"


def binding(number: int) -> str:
    """Return the path of a binding."""
    return f"{BINDINGS}/{number:06d}.json"


def binding_number(path: str) -> int | None:
    """Return the number of a binding from its path, or None if the path is another file's."""
    match = _BINDING.fullmatch(path)
    return int(match[1]) if match else None


def leases(path: str) -> str:
    """Return the folder of the leases of a table, or of the models trained for a date."""
    return f"{LEASES}/{path}/"


def lease(path: str, epoch: int) -> str:
    """Return the path of one lease: epochs are numbered, and the highest one counts."""
    return f"{leases(path)}{epoch:06d}.json"


def lease_epoch(path: str) -> int | None:
    """Return the epoch of a lease from its path, or None if the path is another file's."""
    match = _LEASE.fullmatch(path)
    return int(match[2]) if match else None


def policy(digest: str) -> str:
    """Return the path of an archived policy."""
    return f"{POLICIES}/{digest}.json"


def contract(digest: str) -> str:
    """Return the path of an archived contract."""
    return f"{CONTRACTS}/{digest}.json"


def document_digest(path: str) -> str | None:
    """Return the digest of an archived policy or contract from its path, or None if the path is another file's."""
    match = _DOCUMENT.fullmatch(path)
    return match[1] if match else None


def run_records(date: str) -> str:
    """Return the folder of the records of a date's runs."""
    return f"{RUN_RECORDS}/{date}/"


def run_record(date: str, run_id: str) -> str:
    """Return the path of a run's record."""
    return f"{run_records(date)}{run_id}.json"


def run_record_key(path: str) -> tuple[str, str] | None:
    """Return the date and the run id of a record from its path, or None if the path is another file's."""
    match = _RUN_RECORD.fullmatch(path)
    return (match[1], match[2]) if match else None


def pending_record(run_id: str) -> str:
    """Return the path of the record of a run whose row is being added."""
    return f"{PENDING_RECORDS}/{run_id}.json"


def dispositions(month: str) -> str:
    """Return the path of the dispositions that were recorded in a month (UTC), `YYYY-MM`."""
    return f"{LOGS}/dispositions_{month}.csv"


def dispositions_month(path: str) -> str | None:
    """Return the month of a file of dispositions from its path, or None if the path is another file's."""
    match = _DISPOSITIONS.fullmatch(path)
    return match[1] if match else None


def online_log(date: str, collection: str, hour: str, writer: str, number: int) -> str:
    """Return the path of a file of the prediction log.

    Files are grouped by hour (UTC), in the folder structure that Azure ML's model monitoring reads.
    """
    return f"{online_folder(collection, date)}{hour}/{writer}-{number:06d}.jsonl"


def online_folder(collection: str, date: str) -> str:
    """Return the folder of a collection's files of a date (UTC)."""
    return f"{ONLINE_LOG}/{collection}/{date.replace('-', '/')}/"


def online_partner(path: str) -> str | None:
    """Return the file with the same requests in the other collection of the prediction log; None if the path is another file's."""
    found = _ONLINE.fullmatch(path)
    if found is None:
        return None
    return f"{ONLINE_LOG}/{ONLINE_OUTPUTS if found[1] == ONLINE_INPUTS else ONLINE_INPUTS}/{found[2]}"


DRIFT, PERFORMANCE, ALERTS = "monitoring/drift", "monitoring/performance", "monitoring/alerts"
RETRAINING, MORNING = "monitoring/retraining", "reports/morning"
PATHS: dict[str, Callable[[str], str]] = {
    "raw/accounts": accounts,
    "raw/outcomes": outcomes,
    "curated/features": features,
    "curated/outcomes": curated_outcomes,
    "curated/account_states": account_states,
    "curated/predictions": predictions,
    "curated/account_index": account_index,
    "curated/review_list": review,
}
REPORTS: dict[str, Callable[[str], str]] = {
    DRIFT: drift,
    PERFORMANCE: performance,
    ALERTS: alerts,
    RETRAINING: retraining,
    MORNING: morning,
}


def is_table(path: str) -> bool:
    """Return whether a path is a table's in the lake; the landed files from which a raw file was made are not."""
    return path.startswith((f"{RAW}/", f"{CURATED}/"))


def leased(key: str, date: str) -> str | None:
    """Return the path whose lease a writer of an asset's date holds; None if its writers do not exclude each other."""
    if key == "training/model":
        return training_folder(date)
    if key in (PERFORMANCE, ALERTS):
        return REPORTS[key](date)
    return PATHS[key](date) if key in PATHS else None


def commit(key: str, date: str) -> str:
    """Return the path whose existence commits an asset's date: a table's manifest, a report, or a trained model's folder."""
    if key in REPORTS:
        return REPORTS[key](date)
    return manifest(PATHS[key](date)) if key in PATHS else training_folder(date)
