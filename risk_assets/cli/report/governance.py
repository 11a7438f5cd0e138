"""Reports of model versions and bindings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from risk_assets.cli.console import LiteralConsole, styled
from risk_assets.cli.report.tables import new_table, percent, text
from risk_assets.domain.governance.bindings import Binding, challenger_label
from risk_assets.domain.governance.evidence import HOLDOUT_COLUMNS, accuracy_text, auc_text, considered, holdouts
from risk_assets.domain.governance.fairness import FAIRNESS_COLUMNS, fairness_rows
from risk_assets.domain.governance.gates import needed_text, next_command, summary
from risk_assets.domain.wording import counted

GATE_STYLES = {"passed": "green", "failed": "bold red", "undecided": "yellow"}

if TYPE_CHECKING:
    from risk_assets.domain.contract.policy import Points, Promotion
    from risk_assets.domain.contract.schema import Target
    from risk_assets.domain.governance.artifacts import Gate, Metrics
    from risk_assets.domain.governance.impact import Impact
    from risk_assets.domain.scorecard.scorecard import Scorecard, Step
    from risk_assets.lake.registry import ModelVersion
    from risk_assets.reproduction import Reproduction

SHOWN_DIGITS = 12  # of a digest


def models(console: LiteralConsole, versions: "Sequence[ModelVersion]", live: Binding | None) -> None:
    """Print all versions, newest first; mark the live one and its challenger."""
    dates = ("trained\nfor", "matured until,\nknown by")
    columns = ("version", "estimator", *dates, "groups", "AUC,\nother accounts", "AUC,\nlater dates", "accuracy\n(base rate)", "gates")
    table = new_table("Model versions", *columns)
    table.columns[0].no_wrap = True
    roles = {live.challenger: " (challenger)", live.champion: " (live)"} if live else {}
    for version in reversed(versions):
        metrics, origin = version.metrics, version.metadata.origin
        table.add_row(
            version.name + roles.get(version.name, ""),
            origin.estimator,
            origin.training_date,
            f"{origin.matured_until},\n{origin.known_by}",
            f"{metrics.groups_train}+{metrics.other_accounts.groups}",
            auc_text(metrics.other_accounts),
            auc_text(metrics.later_dates),
            accuracy_text(metrics),
            summary(version.metadata.gates.found),
        )
    console.print(table)
    for version in reversed(versions):
        if len(version.metrics.considered) > 1:
            console.print(f"{version.name} tried, {_considered(version)}", soft_wrap=True)


def reproduction(console: LiteralConsole, found: "Reproduction") -> None:
    """Print whether a version trained again is the same to the bit; if not, in which parts it differs, and what else has changed."""
    if found.identical:
        console.print(f"{found.version} is reproduced: the scorecard is the same to the bit.")
    else:
        differences = ", ".join(found.differences)
        console.print(styled((f"{found.version} is NOT reproduced:", "bold red"), f" {differences} differ"), soft_wrap=True)
    if found.changed:
        console.print(f"Changed since the training: {'; '.join(found.changed)}", soft_wrap=True)
    if found.next_step and not found.identical:
        console.print(found.next_step, soft_wrap=True)


def labels(console: LiteralConsole, version: "ModelVersion", target: "Target") -> None:
    """Print which outcomes trained a version: what bad means, the performance window, and the dates up to which they count."""
    origin = version.metadata.origin
    window = counted(origin.performance_days, "day")
    console.print(f"Bad: {_definition(target)}. Performance window: {window}.", soft_wrap=True)
    console.print(f"Snapshots matured until {origin.matured_until}; outcomes as known by {origin.known_by}.", soft_wrap=True)


def _definition(target: "Target") -> str:
    """Return what bad means: the definition if there is one, and the rule."""
    if target.derived:
        condition = target.derived.bad_when
        rule = f"{condition.column} at least {condition.at_least:g} within the window; {target.derived.when_gone} if gone before its end"
    else:
        rule = f"{target.column} is {target.bad}"
    return f"{target.definition} ({rule})" if target.definition else rule


def scorecard(console: LiteralConsole, version: "ModelVersion", card: "Scorecard", steps: "Sequence[Step]", scale: "Points") -> None:
    """Print a version as a table whose points add up: base points, then the steps of each feature."""
    from risk_assets.domain.scorecard.scoring import base_points, feature_points

    metrics, origin = version.metrics, version.metadata.origin
    console.print(
        styled(
            (version.name, "bold"),
            f", {origin.estimator}, trained for {origin.training_date} on {metrics.n_train} rows of {metrics.groups_train} groups "
            f"(accounts or customers), {metrics.bad_groups_train} of them bad",
        ),
        soft_wrap=True,
    )
    if origin.reason:
        console.print(f"Trained because: {origin.reason}", soft_wrap=True)
    console.print(_holdouts(metrics))
    console.print(f"Tried, {_considered(version)}", soft_wrap=True)
    if card.required:
        console.print(f"Required features (accounts without a value are not scored): {', '.join(card.required)}", soft_wrap=True)
    gates(console, version.metadata.gates.found)
    table = new_table(f"Base points: {base_points(card, scale):.1f}", "feature", "step", "points", "rows", "bad rate")
    previous = None
    for step in steps:
        feature, previous = "" if step.feature == previous else step.feature, step.feature
        bad_rate = f"{step.bad / step.rows:.1%}" if step.rows else ""
        points = f"{feature_points(step.log_odds, scale):+z.1f}"
        table.add_row(feature, step.step, points, f"{step.rows / metrics.n_train:.1%}", bad_rate)
    console.print(table)
    if metrics.fairness:
        console.print(_fairness(metrics))


def _fairness(metrics: "Metrics") -> Table:
    table = new_table("Sensitive features, on other accounts", *FAIRNESS_COLUMNS)
    for row in fairness_rows(metrics.fairness):
        table.add_row(*row)
    return table


def gates(console: LiteralConsole, found: "Sequence[Gate]") -> None:
    """Print each gate: passed, failed or undecided, its evidence, and what would decide it."""
    for gate in found:
        result = (gate.status, GATE_STYLES[gate.status])
        console.print(styled("  ", result, f" {gate.name}: {gate.evidence}{needed_text(gate)}"), soft_wrap=True)


def waiting(console: LiteralConsole, version: str, found: "Sequence[Gate]", live: str | None, policy: "Promotion") -> None:
    """Print that a version is registered and not live, the gates that it has not passed, and the command that promotes it."""
    console.print(f"{version} is registered and not live; {live or 'no model'} is live.", soft_wrap=True)
    gates(console, [gate for gate in found if not gate.passed])
    console.print(next_command(version, found, policy), soft_wrap=True)


def impact(console: LiteralConsole, impact: "Impact") -> None:
    """Print how a promotion changes decisions: flags, bands, and the predicted bad rate by category."""
    dates = f"{impact.dates[0]} to {impact.dates[-1]}" if len(impact.dates) > 1 else impact.dates[0]
    against = impact.against or "no live model"
    rows = f"{counted(impact.rows, 'row')} of {counted(impact.accounts, 'account')}{' that both score' if impact.against else ''}"
    console.print(styled((impact.candidate, "bold"), f" against {against}, on {dates}: {rows}"))
    console.print(_flags(impact))
    if impact.migration:
        console.print(styled(("Rows by band: live model down, candidate across", "bold")))
        console.print(_migration(impact))
    console.print(_categories(impact))


def binding(console: LiteralConsole, binding: Binding, version: "ModelVersion") -> None:
    """Print the live version: since when, by whom and why, its challenger, and its metrics."""
    metrics, origin = version.metrics, version.metadata.origin
    overrides = f", overriding {', '.join(binding.overrides)}" if binding.overrides else ""
    table = new_table(None, "", "", header=False)
    for name, value in {
        "live": binding.champion,
        "since": binding.effective_from,
        "by": ", ".join(_people(binding)),
        "reason": binding.reason,
        "action": binding.action + overrides,
        "challenger": challenger_label(binding) or "none",
        "binding": str(binding.seq),
        "policy": binding.policy[:SHOWN_DIGITS],
        "contract": binding.contract[:SHOWN_DIGITS],
        "estimator": origin.estimator,
        "trained for": origin.training_date,
        "AUC, other accounts": auc_text(metrics.other_accounts),
        "AUC, later dates": auc_text(metrics.later_dates),
        "accuracy (base rate)": accuracy_text(metrics),
    }.items():
        table.add_row(name, value)
    console.print(table)


def _people(binding: Binding) -> list[str]:
    """Return who decided a binding, and who approved it."""
    return [binding.actor, *([f"approved by {binding.approved_by}"] if binding.approved_by else [])]


def history(console: LiteralConsole, bindings: Sequence[Binding], changes: Sequence[Sequence[str]]) -> None:
    """Print all bindings, newest first, each with the keys of policy and contract that it changed."""
    table = new_table("Bindings", "number", "since", "action", "live", "challenger", "changed documents", "by", "reason")
    for each, changed in reversed([*zip(bindings, changes, strict=True)]):
        table.add_row(
            str(each.seq),
            each.effective_from,
            "\n".join((each.action, *(f"override: {name}" for name in each.overrides))),
            each.champion,
            challenger_label(each),
            "\n".join(changed),
            "\n".join(_people(each)),
            each.reason,
        )
    console.print(table)


def _considered(version: "ModelVersion") -> str:
    tried = considered(version.metrics.considered, version.metadata.origin.estimator)
    return "by cross-validated AUC: " + "; ".join(f"{estimator} {figures}" for estimator, figures in tried.items())


def _holdouts(metrics: "Metrics") -> Table:
    table = new_table(None, *HOLDOUT_COLUMNS)
    for row in holdouts(metrics):
        table.add_row(*row)
    return table


def _flags(impact: "Impact") -> Table:
    table = new_table(None, "", impact.candidate, impact.against or "")
    table.add_row("predicted bad rate", percent(impact.predicted_bad_rate), percent(impact.live_predicted_bad_rate))
    table.add_row("scored", text(impact.scored), text(impact.live_scored))
    table.add_row("not scored: with issues", text(impact.with_issues), text(impact.live_with_issues))
    table.add_row("not scored: a required feature is missing", text(impact.unscored), text(impact.live_unscored))
    table.add_row("not scored: not eligible", text(impact.not_eligible), text(impact.live_not_eligible))
    table.add_row("flagged", text(impact.flagged), text(impact.live_flagged))
    for label, rows, accounts in (
        ("newly flagged", impact.newly_flagged, impact.newly_flagged_accounts),
        ("no longer flagged", impact.no_longer_flagged, impact.no_longer_flagged_accounts),
        ("newly scored and flagged", impact.newly_scored_flagged, impact.newly_scored_flagged_accounts),
        ("flagged before and no longer scored", impact.no_longer_scored_flagged, impact.no_longer_scored_flagged_accounts),
    ):
        if rows is not None and accounts is not None:
            table.add_row(label, f"{rows} ({counted(accounts, 'account')})", "")
    return table


def _migration(impact: "Impact") -> Table:
    table = new_table(None, "", *next(iter(impact.migration.values())))
    for band, row in impact.migration.items():
        table.add_row(band, *map(str, row.values()))
    return table


def _categories(impact: "Impact") -> Table:
    figures = ("predicted bad rate", "before", "flagged", "before")
    table = new_table("Predicted bad rate and flagged rows by category", "feature", "level", "rows", *figures)
    for part in impact.categories:
        rates = percent(part.predicted_bad_rate), percent(part.live_predicted_bad_rate)
        table.add_row(part.feature, part.level, str(part.rows), *rates, str(part.flagged), text(part.live_flagged))
    return table
