"""What a version's metrics show, as text: both holdouts with their intervals, and what was tried.

A group is an account, or all accounts of a customer.
"""

from collections.abc import Iterator, Mapping, Sequence

from risk_assets.domain.governance.artifacts import CrossValidated, Gate, Metrics, Performance
from risk_assets.domain.markdown import markdown_table

HOLDOUT_COLUMNS = ("model, holdout", "rows", "groups", "bad groups", "AUC (95 %)", "accuracy (base rate)", "calibration error")
GATE_COLUMNS = ("gate", "result", "evidence", "bad accounts or customers that would decide it")
CONSIDERED_COLUMNS = ("estimator", "cross-validated AUC (95 %)")
ONE_DATE = "one date only"


def interval_text(interval: tuple[float, float]) -> str:
    """Return an interval as text."""
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def auc_text(figures: Performance | CrossValidated | None) -> str:
    """Return an AUC with its interval; without figures, that there is one date only."""
    return f"{figures.roc_auc:.3f} ({interval_text(figures.roc_auc_interval)})" if figures else ONE_DATE


def accuracy_text(figures: Performance | Metrics) -> str:
    """Return an accuracy with that of always predicting the more frequent class."""
    return f"{figures.accuracy:.3f} ({figures.base_accuracy:.3f})"


def holdouts(metrics: Metrics) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model and holdout, with the cells of `HOLDOUT_COLUMNS`: the candidate, then the live model."""
    yield _row("other accounts", metrics.other_accounts)
    yield _row("later dates", metrics.later_dates)
    if metrics.champion_version and metrics.champion_other_accounts:
        yield _row(f"{metrics.champion_version} (live then), other accounts", metrics.champion_other_accounts)
        yield _row(f"{metrics.champion_version} (live then), later dates", metrics.champion_later_dates)


def holdouts_table(metrics: Metrics) -> str:
    """Return the rows of `holdouts` as Markdown."""
    return markdown_table(HOLDOUT_COLUMNS, holdouts(metrics))


def gates(found: Sequence[Gate]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each gate, with the cells of `GATE_COLUMNS`."""
    for gate in found:
        yield gate.name, gate.status, gate.evidence, "" if gate.more_bads is None else f"{gate.more_bads} more"


def gates_table(found: Sequence[Gate]) -> str:
    """Return the rows of `gates` as Markdown."""
    return markdown_table(GATE_COLUMNS, gates(found))


def considered(tried: Mapping[str, CrossValidated | None], chosen: str) -> dict[str, str]:
    """Return each estimator's cross-validated AUC with its interval, and its difference to the chosen one's."""
    reference = tried[chosen]
    return {name: _considered(name, found, chosen, reference) for name, found in tried.items()}


def considered_table(tried: Mapping[str, CrossValidated | None], chosen: str) -> str:
    """Return the result of `considered` as Markdown."""
    return markdown_table(CONSIDERED_COLUMNS, considered(tried, chosen).items())


def _considered(name: str, found: CrossValidated | None, chosen: str, reference: CrossValidated | None) -> str:
    if found is None or reference is None:
        return "too few groups of a class for cross-validation"
    difference = "chosen" if name == chosen else f"{found.roc_auc - reference.roc_auc:+.4f} compared with {chosen}"
    low, high = found.roc_auc_interval
    return f"{found.roc_auc:.4f} ({low:.4f} to {high:.4f}), {difference}"


def _row(name: str, figures: Performance | None) -> tuple[str, ...]:
    if figures is None:
        return (name, ONE_DATE, "", "", "", "", "")
    counts = (str(figures.rows), str(figures.groups), str(figures.bad_groups))
    return (name, *counts, auc_text(figures), accuracy_text(figures), f"{figures.calibration_error:.4f}")
