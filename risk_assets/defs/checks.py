"""The asset checks of each date: those that block the run, and those that warn."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from risk_assets.clock import shift
from risk_assets.defs.metadata import shown
from risk_assets.defs.resources import Lakehouse
from risk_assets.domain.batch.abnormal import Shift, missing_shifts, unseen_shifts
from risk_assets.domain.batch.predictions import with_missing_issues
from risk_assets.domain.contract.field_rules import LINE_END_ISSUE, MISSING_ISSUE, REPEATED_ISSUE
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, ISSUES, OUTCOME
from risk_assets.domain.governance.artifacts import Profile
from risk_assets.domain.governance.gates import gate_text
from risk_assets.domain.ingest.csv_counts import LINE_ISSUES
from risk_assets.domain.ingest.labels import NO_OUTCOMES, OutcomeCounts, count_outcomes, require_outcome_columns
from risk_assets.domain.ingest.outcome_history import LAST_DAY, known_by, landed_outcomes
from risk_assets.domain.ingest.text import strip_cells
from risk_assets.domain.ingest.validation import count_issues
from risk_assets.domain.monitoring.alerts import OPENED, RESOLVED, summary
from risk_assets.domain.scorecard.self_check import MAX_DIFFERENCE
from risk_assets.domain.wording import counted, lost_rows
from risk_assets.lake import alert_files, binding_log, drift_files, layout, performance_files, raw, registry
from risk_assets.lake.facts import FeatureFacts, OutcomeFacts, PredictionFacts, RawFacts
from risk_assets.lake.manifests import Manifest, find_manifest
from risk_assets.lake.outcome_sources import OutcomeSources, outcome_sources
from risk_assets.lake.outcome_tables import outcome_coverage
from risk_assets.lake.prediction_checks import PredictionChecks
from risk_assets.lake.raw_pieces import first_issues
from risk_assets.lake.tables import read_table

SHOWN_ISSUES, DESCRIBED_ISSUES = 8, 3  # in the metadata, and in the description
NO_REFERENCE = "no reference: no model is live"

Check = Callable[[Lakehouse, str], dg.AssetCheckResult]


def required_columns(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """Every column that the contract names is in the file."""
    columns = lakehouse.manifest("raw/accounts", date).columns
    missing = [name for name in lakehouse.contract.columns if name not in columns]
    text = f"missing: {', '.join(missing)}. Land the complete file, or remove the column from the contract." if missing else "all there"
    return _result(not missing, text, missing=", ".join(missing) or "none", columns=len(columns))


def row_count(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The number of rows is close to the median of the previous days."""
    limits, rows = lakehouse.policy.checks, lakehouse.manifest("raw/accounts", date).rows
    before = [manifest.rows for manifest in _days_before(lakehouse, date, limits.row_count_days)]
    if not before:
        return _result(True, f"{counted(rows, 'row')}; no earlier day to compare with", warn=True, rows=rows)
    usual = statistics.median(before)
    change = abs(rows - usual) / usual if usual else 0.0
    text = (
        f"{counted(rows, 'row')}, {rows / usual - 1:+.0%} on the median of {usual:g} (limit {limits.max_row_count_change:.0%})"
        if usual
        else counted(rows, "row")
    )
    return _result(change <= limits.max_row_count_change, text, warn=True, rows=rows, usual=usual, change=change)


def certain_lines(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The fields of every line are certain; a line with an issue keeps its row and is not scored."""
    manifest = lakehouse.manifest("raw/accounts", date)
    facts = manifest.facts_as(RawFacts)
    lines = {issue: getattr(facts, f"{name}_lines") for name, issue in LINE_ISSUES.items()}
    first = {issue: f" (first: {place})" for issue, place in first_issues(manifest).items()}
    found = [f"'{issue}' in {counted(number, 'row')}{first.get(issue, '')}" for issue, number in lines.items() if number]
    if facts.enclosed_rows:
        found.append(f"{lost_rows(facts.enclosed_rows)}: look for stray quotes")
    text = "; ".join(found) or f"all {counted(manifest.rows, 'row')}"
    figures = {name: getattr(facts, f"{name}_lines") for name in LINE_ISSUES}
    return _result(not found, text, warn=True, rows=manifest.rows, **figures, enclosed_rows=facts.enclosed_rows)


def bad_rate(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The share of bad accounts among the outcomes is within the policy's bounds, and every line gives one account a label."""
    limits = lakehouse.policy.checks
    sources = outcome_sources(lakehouse.store, lakehouse.contract, date)
    found = _count_outcomes(lakehouse, sources)
    enclosed = sources.newest.facts_as(RawFacts).enclosed_rows if sources.newest else 0
    rate = found.bad / found.known if found.known else 0.0
    problems = {
        ("line with an issue", "lines with issues"): found.line_issues,
        ("line inside quotes that looks like a row", "lines inside quotes that look like rows"): enclosed,
        ("line without id", "lines without id"): found.missing_ids,
        ("line with an unknown label", "lines with an unknown label"): found.unknown_labels,
        ("account without label", "accounts without label"): found.unlabelled,
        ("repeated account", "repeated accounts"): found.repeated,
    }
    in_bounds = bool(found.known) and limits.min_bad_rate <= rate <= limits.max_bad_rate
    found_problems = "".join(f", {counted(number, *words)}" for words, number in problems.items() if number)
    bounds = f"limits {limits.min_bad_rate:.1%} to {limits.max_bad_rate:.1%}"
    return _result(
        in_bounds and not any(problems.values()),
        f"bad rate {rate:.1%} of {counted(found.known, 'account')} ({bounds}){found_problems}",
        warn=True,
        bad_rate=rate,
        known=found.known,
        without_label=found.unlabelled + found.contradictory,
        contradictory=found.contradictory,
        repeated=found.repeated,
        unknown_labels=found.unknown_labels,
        missing_ids=found.missing_ids,
        line_issues=found.line_issues,
        posted_shards=len(sources.shards),
    )


def known_accounts(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """Every outcome belongs to an account of the date's snapshot; others are left out of training."""
    path = layout.features(date)
    if find_manifest(lakehouse.store, path) is None:
        return _result(False, f"the date has no features in the lake. {layout.how_to_make(path)}", warn=True)
    ids = read_table(lakehouse.store, path).select(strip_cells(pl.col(ACCOUNT_ID)))
    labelled = read_table(lakehouse.store, layout.curated_outcomes(date)).select(ACCOUNT_ID).unique()
    unknown = labelled.join(ids, on=ACCOUNT_ID, how="anti").select(pl.len()).collect(engine="streaming").item()
    text = counted(unknown, "account with an outcome is not in the snapshot", "accounts with an outcome are not in the snapshot")
    return _result(not unknown, text, warn=True, unknown_accounts=unknown)


def label_coverage(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """Few accounts of the snapshot lack an outcome that they should have; all that lack one are counted by reason."""
    manifest = lakehouse.manifest("curated/outcomes", date)
    if find_manifest(lakehouse.store, layout.features(date)) is None:
        return _result(True, "the date has no features in the lake", warn=True)
    found = outcome_coverage(lakehouse.store, lakehouse.contract, date)
    limit = lakehouse.policy.checks.max_without_outcome
    reasons = "".join(f"; {rows} {reason}" for reason, rows in found.reasons.items() if rows)
    unreadable = manifest.facts_as(OutcomeFacts).unreadable_known_at
    dates = (
        f"; {counted(unreadable, 'line')} with a {lakehouse.contract.target.known_at} that is not a date (YYYY-MM-DD)" if unreadable else ""
    )
    return _result(
        found.share_without <= limit and not unreadable,
        f"{_of(found.labelled, found.accounts, 'account')} an outcome{reasons}{dates}; {found.share_without:.1%} of those that should "
        f"have one lack it (limit {limit:.1%})",
        warn=True,
        accounts=found.accounts,
        with_outcome=found.labelled,
        **{reason.replace(" ", "_"): rows for reason, rows in found.reasons.items()},
        share_without=found.share_without,
        unreadable_known_at=unreadable,
    )


def unique_ids(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """No account id is missing, repeated or has a line end; such rows keep their place and are not scored."""
    issues = _issues(lakehouse, date)
    rules = {"repeated": REPEATED_ISSUE, "missing": MISSING_ISSUE, "with_line_ends": LINE_END_ISSUE}
    rows = {name: issues.get(f"{ACCOUNT_ID}: {rule}", 0) for name, rule in rules.items()}
    repeated, missing = (
        counted(rows["repeated"], "row repeats an id", "rows repeat an id"),
        counted(rows["missing"], "has none", "have none"),
    )
    text = f"{repeated}, {missing}"
    if rows["with_line_ends"]:
        with_line_ends = counted(rows["with_line_ends"], "has an id", "have an id")
        text += f", {with_line_ends} with line ends: stray quotes may enclose other rows, which are lost"
    return _result(not any(rows.values()), text, warn=True, **rows)


def issue_share(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The share of eligible rows with issues is within the limit; a missing value that the live models require is an issue."""
    manifest = lakehouse.manifest("curated/features", date)
    rows, excluded = _eligible_rows(manifest), manifest.facts_as(FeatureFacts).excluded_counts
    found, counts = _issues_with_required(lakehouse, date)
    share, limit = found / rows if rows else 0.0, lakehouse.policy.checks.max_issue_share
    commonest = dict(list(counts.items())[:SHOWN_ISSUES])
    what = counted(rows, "eligible row" if excluded else "row")
    text = f"{share:.1%} of {what} {'has' if rows == 1 else 'have'} issues (limit {limit:.1%}){_most_frequent(commonest)}"
    if excluded:
        text += f". {counted(manifest.rows - rows, 'row')} not eligible{_most_frequent(excluded)}"
    figures: dict[str, Any] = {"share": share, "limit": limit, "commonest": dg.MetadataValue.json(commonest)}
    if excluded:
        figures["excluded"] = dg.MetadataValue.json(excluded)
    return _result(share <= limit, text, **figures)


def eligible_share(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The share of rows that a population rule of the contract excludes is within the policy's limit."""
    manifest, limit = lakehouse.manifest("curated/features", date), lakehouse.policy.checks.max_not_eligible
    facts = manifest.facts_as(FeatureFacts)
    share = facts.not_eligible / manifest.rows
    text = f"{share:.1%} of {counted(manifest.rows, 'row')} not eligible (limit {limit:.1%}){_most_frequent(facts.excluded_counts)}"
    return _result(share <= limit, text, warn=True, share=share, limit=limit, excluded=dg.MetadataValue.json(facts.excluded_counts))


def missing_share(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """No feature is missing much more often than in the training of the live model."""
    profile = _live_profile(lakehouse)
    if profile is None:
        return _result(True, NO_REFERENCE)
    manifest, limit = lakehouse.manifest("curated/features", date), lakehouse.policy.checks.max_missing_increase
    shifts = missing_shifts(manifest.facts_as(FeatureFacts).missing, _eligible_rows(manifest), profile, limit)
    return _shifts(shifts, "missing")


def unseen_levels(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """No category has many levels that the training of the live model did not see."""
    profile = _live_profile(lakehouse)
    if profile is None:
        return _result(True, NO_REFERENCE)
    manifest, limit = lakehouse.manifest("curated/features", date), lakehouse.policy.checks.max_unseen_share
    shifts = unseen_shifts(read_table(lakehouse.store, manifest.path), _eligible_rows(manifest), profile, limit)
    return _shifts(shifts, "with unseen levels")


def one_per_row(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """There is one prediction for each raw row, in the same order."""
    rows = lakehouse.manifest("raw/accounts", date).rows
    predicted = lakehouse.manifest("curated/predictions", date).rows
    moved = _prediction_checks(lakehouse, date).out_of_place()
    text = f"{counted(predicted, 'prediction')} for {counted(rows, 'row')}, {moved} out of place"
    return _result(rows == predicted and not moved, text, raw_rows=rows, predictions=predicted, out_of_place=moved)


def probabilities(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """Every eligible row without issues has a probability in [0, 1], and no other row has one."""
    facts = lakehouse.manifest("curated/predictions", date).facts_as(PredictionFacts)
    rows = lakehouse.manifest("curated/predictions", date).rows
    scored, issues, excluded = facts.scored, facts.with_issues, facts.not_eligible
    inside = facts.min_score is None or facts.max_score is None or 0 <= facts.min_score <= facts.max_score <= 1
    counts = f"{scored} scored, {issues} with issues and {excluded} not eligible of {counted(rows, 'row')}"
    text = f"{counts}, probabilities {'inside' if inside else 'OUTSIDE'} [0, 1]"
    complete = scored + issues + excluded == rows
    return _result(inside and complete, text, scored=scored, with_issues=issues, not_eligible=excluded, rows=rows)


def live_binding(lakehouse: Lakehouse, _: str) -> dg.AssetCheckResult:
    """The newest binding is complete, so the date was scored by what was decided last."""
    problems, live = binding_log.unfinished(lakehouse.store), binding_log.live(lakehouse.store)
    return _result(not problems, "; ".join(problems) or f"binding {live.seq if live else 0} is the newest one, and complete", warn=True)


def riskiest_first(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The review list has the accounts with the highest probabilities that are not held out, riskiest first, as many as the policy sets."""
    riskiest = _prediction_checks(lakehouse, date).riskiest()
    expected, held = riskiest.probabilities, riskiest.held_out
    listed = read_table(lakehouse.store, layout.review(date)).select("probability").collect(engine="streaming").to_series().to_list()
    same = tuple(listed) == expected
    text = f"{counted(len(listed), 'account')} listed, {'the riskiest' if same else 'NOT the riskiest'} of the date"
    apart = f"; {counted(held, 'flagged account')} held out" if lakehouse.policy.review.hold_out else ""
    return _result(same, text + apart, listed=len(listed), expected=len(expected), held_out=held)


def compiled_equals_fitted(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The scorecard and the fitted pipeline give the same probabilities on the holdouts."""
    difference = registry.read_trained(lakehouse.store, date).metrics.compiled_difference
    text = f"largest difference {difference:.1e} (limit {MAX_DIFFERENCE:.0e})"
    return _result(difference <= MAX_DIFFERENCE, text, difference=difference, allowed=MAX_DIFFERENCE)


def training_outcomes(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The bad rate of the labelled rows is within the policy's bounds, which blocks; and so are the outcomes of each date."""
    trained, limits = registry.read_trained(lakehouse.store, date), lakehouse.policy.checks
    metrics, dates = trained.metrics, sorted({*trained.origin.train_dates, *trained.origin.holdout_dates})
    held = [figures for figures in (metrics.other_accounts, metrics.later_dates) if figures]
    rows = metrics.n_train + sum(figures.rows for figures in held)
    rate = (metrics.n_train * metrics.bad_rate_train + sum(figures.bad for figures in held)) / rows
    text = f"bad rate {rate:.1%} of {counted(rows, 'row')} (limits {limits.min_bad_rate:.1%} to {limits.max_bad_rate:.1%})"
    figures: dict[str, Any] = {"bad_rate": rate, "rows": rows, "dates": len(dates)}
    if not limits.min_bad_rate <= rate <= limits.max_bad_rate:
        advice = trained.origin.left_out_note or "Compare the outcomes with the target's bad and good labels in the contract."
        return _result(False, f"{text}. {advice}", **figures)
    results = {} if lakehouse.contract.target.derived else {day: bad_rate(lakehouse, day) for day in dates}
    abnormal = [f"{day}: {result.description}" for day, result in results.items() if not result.passed]
    more = f"; and {counted(len(abnormal) - DESCRIBED_ISSUES, 'more date')}" if len(abnormal) > DESCRIBED_ISSUES else ""
    note = trained.origin.left_out_note
    left_out = {"left_out": trained.origin.left_out} if note else {}
    description = "; ".join([text, *abnormal[:DESCRIBED_ISSUES]]) + more + (f". {note}" if note else "")
    return _result(not abnormal and not note, description, warn=True, **figures, abnormal_dates=len(abnormal), **left_out)


def gates(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The model passes all gates of the policy; otherwise the version is registered and does not go live by itself."""
    measured = registry.read_trained(lakehouse.store, date).gates
    waiting = [gate for gate in measured.found if not gate.passed]
    description = "; ".join(map(gate_text, waiting)) or f"all {len(measured.found)} gates are passed"
    return _result(measured.passed, description, warn=True, **{gate.name: gate.status for gate in measured.found})


def stable_groups(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """No account has several customers in the rows that trained; groups that share an account count as one."""
    regrouped = registry.read_trained(lakehouse.store, date).origin.regrouped
    have = counted(regrouped, "account has", "accounts have")
    text = f"{have} several customers, or none on some date; these customers count as one group" if regrouped else "one for each account"
    return _result(not regrouped, text, warn=True, regrouped_accounts=regrouped)


def within_limits(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The score and all features are as in the training of the version that scored the date, within the policy and sampling noise."""
    from risk_assets.domain.monitoring.evidence import summary

    report = drift_files.read(lakehouse.store, date).report
    figures = {"beyond_limits": len(report.exceeded), "score_psi": report.score.psi.value, "score_psi_limit": report.score.psi.limit}
    return _result(not report.exceeded, summary(report), warn=True, rows=report.rows, points=report.score.points or 0.0, **figures)


def online_within_limits(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The requests to the service on the date (UTC) are as in the training of the same version, within the policy and sampling noise."""
    from risk_assets.domain.monitoring.evidence import online_summary

    report = drift_files.read(lakehouse.store, date).report
    online = report.online
    exceeded = online.exceeded if online else ()
    figures: dict[str, Any] = {"rows": online.rows if online else 0, "beyond_limits": len(exceeded)}
    if online and online.score:
        figures |= {"score_psi": online.score.psi.value, "score_psi_limit": online.score.psi.limit}
    return _result(not exceeded, online_summary(report), warn=True, **figures)


def parity(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """The batch gives the answers of the service on the date (UTC): probabilities within 1e-12, the same points, bands and reasons."""
    from risk_assets.domain.monitoring.evidence import parity_text

    online = drift_files.read(lakehouse.store, date).report.online
    if online is None:
        return _result(True, f"no requests on {date}", records=0, differing=0, problems=0)
    found = online.parity
    counts: dict[str, Any] = {
        "records": found.records,
        "differing": found.differing,
        "unchecked": found.unchecked,
        "problems": found.problems,
    }
    return _result(found.agrees, parity_text(found), **counts)


def performs(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """Models predicted outcomes as well as at training: calibration, also by band, and ranking, within policy and chance."""
    from risk_assets.domain.monitoring.performance_evidence import description

    report = performance_files.read(lakehouse.store, date).report
    counts = {"scored": report.scored, "labelled": report.labelled, "matured": int(report.matured), "beyond_limits": len(report.exceeded)}
    ratios = {f"{model.role}_calibration_ratio": model.overall.ratio for model in report.models if model.overall}
    return _result(not report.exceeded, description(report), warn=True, **counts, **ratios)


def no_open_alerts(lakehouse: Lakehouse, date: str) -> dg.AssetCheckResult:
    """No alert is open: nothing is beyond a limit, has failed or is late."""
    report = alert_files.read(lakehouse.store, date).report
    counts = {"open": len(report.open), "opened": report.count(OPENED), "resolved": report.count(RESOLVED)}
    return _result(not report.open, summary(report), warn=True, **counts)


def chain(lakehouse: Lakehouse, _: str) -> dg.AssetCheckResult:
    """Every binding follows the previous one, and none was changed: the hash chain and each seal are intact."""
    problems = binding_log.verify(lakehouse.store)
    newest = None if problems else binding_log.head(lakehouse.store)
    broken = "; ".join(problems)
    return _result(not problems, broken or "the chain is intact", sha256=newest or "none", broken=broken or "none")


# The checks of each asset, and those whose failure blocks the assets downstream.
CHECKS: Mapping[str, tuple[Check, ...]] = MappingProxyType(
    {
        "raw/accounts": (required_columns, row_count, certain_lines),
        "raw/outcomes": (bad_rate,),
        "curated/outcomes": (known_accounts, label_coverage),
        "curated/features": (unique_ids, issue_share, eligible_share, missing_share, unseen_levels),
        "curated/predictions": (one_per_row, probabilities, live_binding),
        "curated/review_list": (riskiest_first,),
        "training/model": (training_outcomes, stable_groups, compiled_equals_fitted, gates),
        "registry/champion": (chain,),
        "monitoring/drift": (within_limits, online_within_limits, parity),
        "monitoring/performance": (performs,),
        "monitoring/alerts": (no_open_alerts,),
    }
)
BLOCKING = frozenset(
    {
        "required_columns",
        "issue_share",
        "missing_share",
        "unseen_levels",
        "one_per_row",
        "probabilities",
        "training_outcomes",
        "compiled_equals_fitted",
    }
)


def _result(passed: bool, description: str, warn: bool = False, **evidence: Any) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(passed=bool(passed), severity=severity, metadata=shown(evidence), description=description)


def _prediction_checks(lakehouse: Lakehouse, date: str) -> PredictionChecks:
    return lakehouse.engine.prediction_checks(lakehouse.store, lakehouse.contract, lakehouse.policy.review, date)


def _of(number: int, total: int, noun: str) -> str:
    """Return a part of a total with its verb: "1 of 300 accounts has"."""
    return f"{number} of {counted(total, noun)} {'has' if number == 1 else 'have'}"


def _most_frequent(rows: Mapping[str, int]) -> str:
    """Return the most frequent texts, each with its rows."""
    return "".join(f"; {text} in {counted(number, 'row')}" for text, number in list(rows.items())[:DESCRIBED_ISSUES])


def _live_profile(lakehouse: Lakehouse) -> Profile | None:
    """Return the reference profile of the version that is live in this run, or None if no version is."""
    binding = lakehouse.documents.binding
    return registry.read_profile(lakehouse.store, binding.champion) if binding else None


def _eligible_rows(manifest: Manifest) -> int:
    """Return the rows of a features table that no population rule excludes."""
    return manifest.rows - manifest.facts_as(FeatureFacts).not_eligible


def _shifts(shifts: Sequence[Shift], what: str) -> dg.AssetCheckResult:
    abnormal = [shift for shift in shifts if shift.abnormal]
    shown = "; ".join(map(str, (abnormal or shifts)[:DESCRIBED_ISSUES]))
    text = f"{what}: {shown}" if shown else f"no feature to compare: {what}"
    return _result(not abnormal, text, abnormal=len(abnormal), features=len(shifts))


def _count_outcomes(lakehouse: Lakehouse, sources: OutcomeSources) -> OutcomeCounts:
    """Return the counts of the newest file, which has the id and the target once, with the labels as posted outcomes left them."""
    contract, counts = lakehouse.contract, NO_OUTCOMES
    if sources.newest:
        require_outcome_columns(sources.newest.columns, contract, sources.newest.path)
        counts = count_outcomes(raw.scan_manifest(lakehouse.store, sources.newest), contract)
    if not sources.shards:
        return counts
    table = landed_outcomes(sources.revisions(lakehouse.settings.calendar), contract, sources.date)
    label = pl.col(OUTCOME)
    known, bad = known_by(table, LAST_DAY).select(label.count().alias("known"), label.sum().alias("bad")).collect(engine="streaming").row(0)
    return replace(counts, known=known, bad=bad)


def _issues(lakehouse: Lakehouse, date: str) -> dict[str, int]:
    return count_issues(lakehouse.manifest("curated/features", date).facts_as(FeatureFacts).issue_counts)


def _issues_with_required(lakehouse: Lakehouse, date: str) -> tuple[int, dict[str, int]]:
    """Return the rows with issues and the rows of each issue, most frequent first, as the live models score the date."""
    manifest = lakehouse.manifest("curated/features", date)
    binding = lakehouse.documents.binding
    live = registry.arms(lakehouse.store, binding) if binding else None
    required = [name for name in live.required if name in manifest.columns] if live else []
    if not required:
        return manifest.facts_as(FeatureFacts).with_issues, _issues(lakehouse, date)
    table = read_table(lakehouse.store, manifest.path).select(EXCLUDED, ISSUES, *required)
    marked = table.map_batches(partial(with_missing_issues, required=required), streamable=True)
    found = marked.filter(pl.col(ISSUES).is_not_null()).group_by(ISSUES).len().collect(engine="streaming")
    kinds = dict(found.iter_rows())
    return sum(kinds.values()), count_issues(kinds)


def _days_before(lakehouse: Lakehouse, date: str, days: int) -> list[Manifest]:
    before = (layout.accounts(shift(date, -back)) for back in range(1, days + 1))
    return [manifest for path in before if (manifest := find_manifest(lakehouse.store, path))]
