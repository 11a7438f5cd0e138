"""Texts and tables of a performance report, the same in the UI and on the command line."""

from collections.abc import Iterator, Sequence

from risk_assets.domain.markdown import markdown_table
from risk_assets.domain.monitoring.performance_report import (
    RANKING,
    Cohort,
    Interval,
    Migration,
    ModelPerformance,
    Part,
    PerformanceReport,
    Verdict,
    Vintage,
)
from risk_assets.domain.wording import counted

HEADER = ("model", "rows", "expected bad", "observed bad", "observed / expected", "AUC", "Gini", "KS", "Brier", "beyond its limit")
PARTS_HEADER = ("model", "part", "rows", "expected bad", "observed bad", "observed / expected")
DESCRIBED = 3  # figures in a description
FEW = "< 10"


def summary(report: PerformanceReport) -> str:
    """Return the result of a date in one sentence: what is beyond a limit, or the champion's figures; before maturity, its estimates."""
    beyond = [exceeded_text(model, name) for model, name in report.exceeded]
    if beyond:
        more = f"; and {len(beyond) - DESCRIBED} more" if len(beyond) > DESCRIBED else ""
        return "; ".join(beyond[:DESCRIBED]) + more
    first = report.models[0]
    if first.overall is None:
        due = f"matured on {report.matures_on} and have not arrived" if report.matured else f"mature on {report.matures_on}"
        return f"{estimate_text(first)}; outcomes {due}"
    within = "within its limits" if first.overall.lowest is not None else "without limits"
    auc = "" if first.ranking is None else f"; {_ranking_text(first)}"
    return f"{first.version} ({first.role}) is {within}: {part_text(first.overall)}{auc}"


def description(report: PerformanceReport) -> str:
    """Return the result of a date, and the verdict on its challenger if there is one."""
    return f"{summary(report)}{f'. {verdict_text(report.verdict)}' if report.verdict else ''}"


def verdict_text(found: Verdict) -> str:
    """Return whether a challenger is better than the champion in one sentence, with the interval and the date of a decision."""
    ours, theirs = found.champion, found.challenger
    state = "undecided against" if found.result == "undecided" else f"{found.result} than"
    low, high = found.interval
    gain = (
        "AUC not known, all outcomes are the same" if found.gain is None else f"gain in AUC {found.gain:+.4f} ({low:+.4f} to {high:+.4f})"
    )
    dates = (
        f"{counted(found.dates, 'matured date')}, {found.first} to {found.last}" if found.dates > 1 else f"1 matured date, {found.first}"
    )
    bads = f"{theirs.bad_groups} bad accounts or customers" + ("" if found.role == "shadow" else f", {ours.bad_groups} of {ours.version}")
    return (
        f"{theirs.version} ({found.role}) is {state} {ours.version}: {gain} on {dates}, with {bads}; observed / expected bads "
        f"{theirs.observed / theirs.expected:.2f} and {ours.observed / ours.expected:.2f}{_decision(found)}"
    )


def estimate_text(model: ModelPerformance) -> str:
    """Return what a model expects of the date by its own probabilities, in words."""
    found = model.estimate
    low, high = found.interval
    auc = "" if found.roc_auc is None else f" and an AUC of {found.roc_auc:.3f}"
    rows = counted(found.rows, "row")
    return f"estimate: {model.version} ({model.role}) expects {found.expected:.1f} bad ({low:.0f} to {high:.0f}) of {rows}{auc}"


def exceeded_text(model: ModelPerformance, name: str) -> str:
    """Return a figure that is beyond a limit, in words."""
    if name == RANKING:
        return f"{model.version} ({model.role}): {_ranking_text(model)}"
    part = next(part for part in (model.overall, *model.bands.shown) if part is not None and part.name == name)
    where = "" if part is model.overall else f" in band {name}"
    return f"{model.version} ({model.role}){where}: {part_text(part)}"


def part_text(part: Part) -> str:
    """Return the bads of a part in words."""
    low, high = part.interval
    limits = "" if part.lowest is None else f", limits {part.lowest:.2f} to {part.highest:.2f}"
    observed = f"{part.observed} of {counted(part.rows, 'row')} bad ({low:.0f} to {high:.0f})"
    return f"{observed}, {part.expected:.1f} expected, ratio {part.ratio:.2f}{limits}"


def rows(report: PerformanceReport) -> list[tuple[str, ...]]:
    """Return the cells of each model, its own estimate and its holdouts at training, under `HEADER`."""
    return [cells for model in report.models for cells in _model_rows(model)]


def part_rows(model: ModelPerformance) -> list[tuple[str, ...]]:
    """Return the cells of the bands, the flagged accounts and the levels of categories of a model, under `PARTS_HEADER`."""
    groups = {"band": model.bands, "flagged,": model.flagged, **model.categories}
    return [_part_row(model, f"{group} {part.name}", part) for group, parts in groups.items() for part in parts.shown]


def performance_table(report: PerformanceReport) -> str:
    """Return models, estimates and holdouts in Markdown."""
    return markdown_table(HEADER, rows(report))


def parts_table(models: Sequence[ModelPerformance]) -> str:
    """Return the bands and the levels of categories of models in Markdown."""
    return markdown_table(PARTS_HEADER, [cells for model in models for cells in part_rows(model)])


def migration_rows(found: Migration) -> list[tuple[str, ...]]:
    """Return a row of accounts for each earlier band, after its name; fewer than ten are not shown."""
    return [(band, *map(_accounts, cells)) for band, cells in zip(found.before, found.accounts, strict=True)]


def migration_header(found: Migration) -> tuple[str, ...]:
    """Return the header of `migration_rows`."""
    return (f"band on {found.since}", *found.now)


def migration_table(found: Migration) -> str:
    """Return the accounts by earlier and later band in Markdown."""
    return markdown_table(migration_header(found), migration_rows(found), numbers=len(found.now))


def vintage_header(found: Vintage) -> tuple[str, ...]:
    """Return the header of `vintage_rows`."""
    return ("days since the snapshot", "accounts", "bad so far", *([f"bad of {found.earlier}"] if found.earlier else []))


def vintage_rows(found: Vintage) -> list[tuple[str, ...]]:
    """Return the cells of each age of a vintage."""
    return [(str(at.days), str(at.now.accounts), _rate(at.now), *([_rate(at.earlier)] if found.earlier else [])) for at in found.points]


def vintage_table(found: Vintage) -> str:
    """Return the bads so far by age in Markdown."""
    return markdown_table(vintage_header(found), vintage_rows(found))


def _decision(found: Verdict) -> str:
    if found.result != "undecided":
        return ""
    if found.decision_on is None:
        return "; no date of a decision can be expected"
    return f"; a decision is expected on {found.decision_on} if the gain stays the same"


def _rate(cohort: Cohort | None) -> str:
    return "" if cohort is None or not cohort.accounts else f"{cohort.bad} ({cohort.bad / cohort.accounts:.2%})"


def _model_rows(model: ModelPerformance) -> Iterator[tuple[str, ...]]:
    name, part, ranking, estimate = f"{model.version} ({model.role})", model.overall, model.ranking, model.estimate
    if part is not None:
        observed, brier = f"{part.observed} {_brackets(part.interval, 0)}", f"{model.brier:.4f}"
        figures = _figures(ranking.roc_auc, ranking.roc_auc_interval, ranking.gini, ranking.ks) if ranking else ("",) * 3
        beyond = "used in training" if model.used_in_training else ", ".join(model.exceeded)
        yield name, str(part.rows), f"{part.expected:.1f}", observed, _ratio(part), *figures, brier, beyond
    expected = f"{estimate.expected:.1f} {_brackets(estimate.interval, 0)}"
    auc = "" if estimate.roc_auc is None else f"{estimate.roc_auc:.3f}"
    yield f"{name}, own estimate", str(estimate.rows), expected, "", "", auc, "", "", "", ""
    for held in model.training:
        counts = str(held.rows), f"{held.expected:.1f}", str(held.observed), f"{held.observed / held.expected:.2f}"
        figures = _figures(held.roc_auc, held.roc_auc_interval, held.gini, held.ks)
        yield f"{name}, {held.holdout} at training", *counts, *figures, f"{held.brier:.4f}", ""


def _figures(roc_auc: float, interval: Interval, gini: float, ks: float) -> tuple[str, ...]:
    return f"{roc_auc:.3f} {_brackets(interval, 3)}", f"{gini:.3f}", f"{ks:.3f}"


def _part_row(model: ModelPerformance, name: str, part: Part) -> tuple[str, ...]:
    observed = f"{part.observed} {_brackets(part.interval, 0)}"
    return f"{model.version} ({model.role})", name, str(part.rows), f"{part.expected:.1f}", observed, _ratio(part)


def _ratio(part: Part) -> str:
    limits = "" if part.lowest is None else f" ({part.lowest:.2f} to {part.highest:.2f})"
    return f"{part.ratio:.2f}{limits}"


def _ranking_text(model: ModelPerformance) -> str:
    found = model.ranking
    assert found is not None
    trained = f", {model.training[0].roc_auc:.3f} at training" if model.training else ""
    limit = "" if found.lowest is None else f", lowest {found.lowest:.3f}"
    return f"{RANKING} {found.roc_auc:.3f} {_brackets(found.roc_auc_interval, 3)}{trained}{limit}"


def _brackets(interval: Interval, digits: int) -> str:
    return f"({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def _accounts(number: int | None) -> str:
    return FEW if number is None else str(number)
