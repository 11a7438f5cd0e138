"""Tables of outcomes and of states of accounts: what they are made from, and which have to be made again."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date as Date

import polars as pl

from risk_assets.clock import Calendar, shift
from risk_assets.domain.contract.schema import ACCOUNT_ID, Contract, Derived
from risk_assets.domain.contract.values import outcomes_digest, states_digest, values_digest
from risk_assets.domain.ingest.account_states import carry, derive, state_descriptions, state_facts
from risk_assets.domain.ingest.labels import CONTRADICTORY, count_known_at, labels_with_date, posted_labels, require_outcome_columns
from risk_assets.domain.ingest.outcome_coverage import Coverage, count_coverage
from risk_assets.domain.ingest.outcome_history import (
    FIRST,
    LAST_DAY,
    PostedOutcomes,
    derived_again,
    derived_outcomes,
    known_by,
    landed_outcomes,
    matures_on,
    outcome_descriptions,
    outcome_facts,
    restated,
)
from risk_assets.errors import LakeError
from risk_assets.lake import layout, verification
from risk_assets.lake.dates import committed_dates, newest_before
from risk_assets.lake.facts import AccountStateFacts, OutcomeFacts
from risk_assets.lake.manifests import Manifest, Provenance, find_manifest, find_readable, identity, require_contract, require_manifest
from risk_assets.lake.outcome_sources import outcome_sources
from risk_assets.lake.posted_outcomes import posted_shards
from risk_assets.lake.store import Store
from risk_assets.lake.tables import Table, read_table, translate_polars_errors

FEATURES, STATES, OUTCOMES = "curated/features", "curated/account_states", "curated/outcomes"


def outcome_table(store: Store, contract: Contract, calendar: Calendar, date: str, run_id: str, today: str) -> Table:
    """Return the table of a snapshot's outcomes: of all revisions of its file and posted ones, or derived from later snapshots.

    Parameters
    ----------
    date : str
        The date of the snapshot.
    today : str
        The date from which outcomes are known that were derived before and are now derived differently.

    Raises
    ------
    LakeError
        If an input is missing, or the outcomes have not matured. The message names the date to run.
    ContractError
        If the file of outcomes lacks or repeats a column.
    """
    if contract.target.derived:
        return _derived(store, contract, calendar, date, run_id, today)
    return _landed(store, contract, calendar, date, run_id)


def state_table(store: Store, contract: Contract, date: str, run_id: str) -> Table:
    """Return the table of the states of all accounts on a date, carried from the newest earlier date that has features.

    Raises
    ------
    ContractError
        If the contract does not derive outcomes.
    LakeError
        If the date has no features, or the earlier date no states; the message names the date to run.
    """
    derived = require_derived(contract)
    features = _current(store, layout.features(date), values_digest(contract))
    earlier = newest_before(store, FEATURES, date)
    before = _current(store, layout.account_states(earlier), states_digest(contract)) if earlier else None
    inputs = (features, *([before] if before else []))
    dates = before.facts_as(AccountStateFacts).dates + 1 if before else 1
    frame = carry(read_table(store, features.path), read_table(store, before.path) if before else None, derived, date)
    facts = (*state_facts(date), pl.lit(dates).alias("dates"))
    made_from = _provenance(contract, states_digest(contract), run_id, _identities(store, [found.path for found in inputs]))
    return Table(frame, AccountStateFacts, facts, made_from, state_descriptions(contract))


def require_derived(contract: Contract) -> Derived:
    """Return the rule that derives outcomes; raises `LakeError` if the contract has none."""
    if contract.target.derived is None:
        raise LakeError(
            "the contract does not derive outcomes, so accounts have no states. Land files of outcomes and store them: "
            "risk outcomes DATE; or set target.derived in the contract."
        )
    return contract.target.derived


def outdated_outcomes(store: Store, contract: Contract, dates: Iterable[str]) -> tuple[str, ...]:
    """Return those dates that have outcomes, or features to derive them for, and whose table of outcomes is outdated.

    That is: missing, made under another target, or made from other inputs than those in the lake: revisions of a file and posted
    outcomes, or features and states of accounts.
    """
    source = layout.features if contract.target.derived else layout.outcomes
    posted = {} if contract.target.derived else posted_shards(store)
    stored = [date for date in dates if date in posted or find_readable(store, source(date)) is not None]
    return tuple(date for date in stored if not _is_current(store, contract, date))


def outcome_coverage(store: Store, contract: Contract, date: str) -> Coverage:
    """Return how many accounts of a snapshot have an outcome, and the others by reason.

    Raises
    ------
    LakeError
        If features or outcomes of the date are missing.
    ContractError
        If the file of outcomes lacks or repeats a column.
    """
    labels = known_by(read_table(store, layout.curated_outcomes(date)), LAST_DAY)
    features = read_table(store, layout.features(date))
    if contract.target.derived:
        return count_coverage(features, labels, None)
    return count_coverage(features, labels, listed_accounts(store, contract, date))


def listed_accounts(store: Store, contract: Contract, date: str) -> pl.LazyFrame:
    """Return the accounts of the newest file and of posted outcomes, and whether their labels in the file are contradictory.

    Raises
    ------
    LakeError
        If the lake has no outcomes of the date.
    ContractError
        If the file lacks or repeats a column.
    """
    sources = outcome_sources(store, contract, date)
    listed = [posted_labels(sources.posted(), contract).select(ACCOUNT_ID, pl.lit(False).alias(CONTRADICTORY))]
    rows = sources.rows()
    if rows is not None:
        require_outcome_columns(rows.collect_schema().names(), contract, layout.outcomes(date))
        listed.insert(0, labels_with_date(rows, contract).select(ACCOUNT_ID, CONTRADICTORY))
    return pl.concat(listed).unique(ACCOUNT_ID, keep="first", maintain_order=True)


def dates_to_carry(store: Store, contract: Contract, until: str) -> tuple[str, ...]:
    """Return the dates with features, up to a date, whose states are missing or outdated, in the order in which to carry them.

    States count the dates they were carried through. So one that was carried without an earlier date is found by bisection: the
    cost grows with the logarithm of the number of dates.
    """
    dates = [date for date in committed_dates(store, FEATURES) if date <= until]
    current = states_digest(contract)

    def is_outdated(position: int) -> bool:
        manifest = find_readable(store, layout.account_states(dates[position]))
        if manifest is None or manifest.made_from.contract_values != current:
            return True
        return manifest.facts_as(AccountStateFacts).dates != position + 1

    return tuple(dates[bisect_left(range(len(dates)), True, key=is_outdated) :])


def states_to_carry(store: Store, contract: Contract, since: str, until: str) -> Iterator[str]:
    """Yield the dates up to `until` whose states have to be carried, in order.

    These are those of `dates_to_carry` and, from `since` on, those whose states were made from other features or earlier states
    than those in the lake, as after a correction of accounts. Carry each one before the next is requested: a date is decided by
    the states of the one before it, so that carrying ends when they no longer change.
    """
    missing = set(dates_to_carry(store, contract, until))
    dates = [date for date in committed_dates(store, FEATURES) if date <= until]
    for before, date in zip([None, *dates], dates, strict=False):
        if date in missing or (date >= since and not _is_carried(store, before, date)):
            yield date


def outdated_states(store: Store, first: str, last: str) -> tuple[str, ...]:
    """Return the dates from `first` to `last` whose states were made from other features or earlier states than those in the lake.

    Dates without states are left out.
    """
    dates = [date for date in committed_dates(store, FEATURES) if date <= last]
    stored = set(committed_dates(store, STATES))
    pairs = zip([None, *dates], dates, strict=False)
    return tuple(date for before, date in pairs if date >= first and date in stored and not _is_carried(store, before, date))


def matured_outcomes(store: Store, contract: Contract, calendar: Calendar, until: str) -> list[tuple[str, str]]:
    """Return the snapshots whose outcomes can be derived from states up to a date and are missing, with the date of the states.

    Snapshots whose outcomes are in the lake are found by listing only. Those whose last day has no snapshot are left out.
    """
    stored = set(committed_dates(store, OUTCOMES))
    last = shift(until, -contract.target.performance_days)
    missing = [date for date in committed_dates(store, FEATURES) if date <= last and date not in stored]
    found = []
    for date in missing:
        with suppress(LakeError):
            found.append((date, state_at_end(store, contract, calendar, date)))
    return found


def state_at_end(store: Store, contract: Contract, calendar: Calendar, date: str) -> str:
    """Return the date whose states decide the outcomes of a snapshot: the end of its performance window.

    If that day has no snapshot because it is not a business day, it is the newest date before it that has one.

    Raises
    ------
    LakeError
        If a business day has no snapshot, or its states are missing; the message names the date to run.
    """
    end = matures_on(date, contract).isoformat()
    for back in range((Date.fromisoformat(end) - Date.fromisoformat(date)).days + 1):
        day = shift(end, -back)
        if find_readable(store, layout.features(day)) is not None:
            _current(store, layout.account_states(day), states_digest(contract))
            return day
        if calendar.expects(day):
            raise LakeError(
                f"outcomes of {date} mature on {end}, and {day} has no features in the lake. Land the accounts of {day} and run it "
                f"(risk run {day}), then: risk outcomes {end}. Days without snapshots are left out of RISK_BUSINESS_DAYS."
            )
    return date


def _landed(store: Store, contract: Contract, calendar: Calendar, date: str, run_id: str) -> Table:
    sources = outcome_sources(store, contract, date)
    rows, missing, unreadable = sources.rows(), 0, 0
    if rows is not None:
        path = layout.outcomes(date)
        require_outcome_columns(rows.collect_schema().names(), contract, path)
        with translate_polars_errors(path):
            missing, unreadable = count_known_at(rows, contract)
    revisions = sources.revisions(calendar)
    frame = landed_outcomes(revisions, contract, date)
    made_from = _provenance(contract, outcomes_digest(contract), run_id, sources.inputs)
    files = sum(not isinstance(revision, PostedOutcomes) for revision in revisions)
    facts = _facts(files + len(sources.shards), missing, unreadable, len(sources.shards))
    return Table(frame, OutcomeFacts, facts, made_from, outcome_descriptions())


def _derived(store: Store, contract: Contract, calendar: Calendar, date: str, run_id: str, today: str) -> Table:
    features = _current(store, layout.features(date), values_digest(contract))
    state_date = state_at_end(store, contract, calendar, date)
    state = layout.account_states(state_date)
    labels = derive(read_table(store, features.path), read_table(store, state), require_derived(contract), date, state_date)
    earlier = _derived_before(store, date)
    if earlier is None:
        frame, revisions = derived_outcomes(labels, contract, date), FIRST
    elif earlier.made_from.contract_values != outcomes_digest(contract):
        frame, revisions = derived_again(labels, read_table(store, earlier.path), contract, date), FIRST
    else:
        before, number = read_table(store, earlier.path), earlier.facts_as(OutcomeFacts).revisions
        with translate_polars_errors(earlier.path):
            changes = restated(labels, before, matures_on(date, contract), number + 1, today)
        frame, revisions = pl.concat([before, changes.lazy()]), number + (not changes.is_empty())
    made_from = _provenance(contract, outcomes_digest(contract), run_id, _identities(store, [features.path, state]))
    return Table(frame, OutcomeFacts, _facts(revisions, 0, 0, 0), made_from, outcome_descriptions(), keep_replaced=True)


def _derived_before(store: Store, date: str) -> Manifest | None:
    """Return the manifest of a date's outcomes, under any contract; None if there is none.

    Raises
    ------
    LakeError
        If the table was changed, so that the dates of its restatements are lost.
    """
    manifest = find_manifest(store, layout.curated_outcomes(date))
    if manifest is None or not verification.problems(store, manifest):
        return manifest
    if manifest.facts_as(OutcomeFacts).revisions == FIRST:
        return None
    raise LakeError(
        f"{manifest.path} was changed, and it has the dates of restated outcomes. Restore it from a backup; or delete it with its "
        f"manifest to derive it again without these dates: risk outcomes {date}."
    )


def _facts(revisions: int, missing: int, unreadable: int, shards: int) -> tuple[pl.Expr, ...]:
    counts = {"revisions": revisions, "missing_known_at": missing, "unreadable_known_at": unreadable, "posted_shards": shards}
    return (*outcome_facts(), *(pl.lit(count).alias(name) for name, count in counts.items()))


def _current(store: Store, path: str, values: str) -> Manifest:
    """Return the manifest of a table; raises `LakeError` if it is missing or was made under another contract."""
    manifest = require_manifest(store, path)
    require_contract(manifest, values)
    return manifest


def _intact(store: Store, path: str, values: str) -> Manifest | None:
    """Return the manifest of a table that was made under this contract and was not changed since, or None."""
    manifest = find_readable(store, path)
    if manifest is None or manifest.made_from.contract_values != values or verification.problems(store, manifest):
        return None
    return manifest


def _is_carried(store: Store, before: str | None, date: str) -> bool:
    """Return whether the states of a date were made from its features and the states of the date before as they are in the lake."""
    manifest = find_readable(store, layout.account_states(date))
    inputs = [layout.features(date), *([layout.account_states(before)] if before else [])]
    return manifest is not None and manifest.made_from.inputs.keys() == set(inputs) and not _changed_inputs(store, manifest)


def _is_current(store: Store, contract: Contract, date: str) -> bool:
    manifest = _intact(store, layout.curated_outcomes(date), outcomes_digest(contract))
    if manifest is None:
        return False
    if contract.target.derived:
        return not _changed_inputs(store, manifest)
    return outcome_sources(store, contract, date).inputs.items() <= manifest.made_from.inputs.items()


def _changed_inputs(store: Store, manifest: Manifest) -> list[str]:
    """Return the tables from which a table was made and that have other content now; a table that is missing is left out."""
    now = {path: find_readable(store, path) for path in manifest.made_from.inputs}
    return [path for path, found in now.items() if found is not None and found.identity != manifest.made_from.inputs[path]]


def _identities(store: Store, inputs: Sequence[str]) -> dict[str, str]:
    return {name: identity(store, name) for name in inputs}


def _provenance(contract: Contract, values: str, run_id: str, inputs: Mapping[str, str]) -> Provenance:
    return Provenance(run_id=run_id, inputs=dict(inputs), contract=contract.digest, contract_values=values)
