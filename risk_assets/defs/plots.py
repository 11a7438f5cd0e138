"""Plots of a trained model for the UI: PNG images embedded in Markdown. Imports matplotlib, so only training uses it."""

import base64
import io
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from risk_assets.domain.governance.artifacts import Performance

SIZE_INCHES = (5.2, 3.2)


def roc(curves: Mapping[str, Performance]) -> str:
    """Return the ROC curves on other accounts, by the model's name: the candidate's, and the live model's if there is one."""
    figure, axes = _empty("ROC on other accounts", "share of good accounts flagged", "share of bad accounts flagged")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    for (name, figures), style in zip(curves.items(), ("-", "--"), strict=False):
        low, high = figures.roc_auc_interval
        axes.plot(*zip(*figures.roc, strict=True), label=f"{name}, AUC {figures.roc_auc:.3f} ({low:.3f} to {high:.3f})", linestyle=style)
    axes.legend(loc="lower right", frameon=False)
    return _markdown(figure, "ROC curve")


def calibration(other_accounts: Performance, later_dates: Performance | None) -> str:
    """Return predicted and observed bad rates on each holdout, by tenth."""
    figure, axes = _empty("Calibration", "predicted bad rate", "observed bad rate")
    curves = {"other accounts": other_accounts} | ({"later dates": later_dates} if later_dates else {})
    top = 1.05 * max(max(part.predicted, part.observed) for figures in curves.values() for part in figures.calibration_bins)
    axes.plot([0, top], [0, top], color="0.7", linewidth=0.8)
    for (name, figures), style in zip(curves.items(), ("-", "--"), strict=False):
        predicted, observed = zip(*((part.predicted, part.observed) for part in figures.calibration_bins), strict=True)
        axes.plot(predicted, observed, marker="o", markersize=4, label=name, linestyle=style)
    axes.legend(loc="upper left", frameon=False)
    return _markdown(figure, "calibration")


def _empty(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _markdown(figure: Figure, name: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return f"![{name}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
