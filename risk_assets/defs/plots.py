"""Plots of a trained model for the UI: PNG images embedded in Markdown. Imports matplotlib, so only training uses it."""

import base64
import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from risk_assets.domain.governance.artifacts import Performance

SIZE_INCHES = (5.2, 3.2)


def roc(figures: Performance, champion: Performance | None) -> str:
    """Return the ROC curve on the holdout, with the live model's if there is one."""
    figure, axes = _empty("ROC on the holdout", "share of good accounts flagged", "share of bad accounts flagged")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.plot(*zip(*figures.roc, strict=True), label=f"candidate, AUC {figures.roc_auc:.3f}")
    if champion:
        axes.plot(*zip(*champion.roc, strict=True), label=f"live, AUC {champion.roc_auc:.3f}", linestyle="--")
    axes.legend(loc="lower right", frameon=False)
    return _markdown(figure, "ROC curve")


def calibration(figures: Performance) -> str:
    """Return predicted and observed bad rates, by tenth of the holdout."""
    figure, axes = _empty("Calibration on the holdout", "predicted bad rate", "observed bad rate")
    predicted = [part.predicted for part in figures.calibration_bins]
    observed = [part.observed for part in figures.calibration_bins]
    top = max(*predicted, *observed) * 1.05
    axes.plot([0, top], [0, top], color="0.7", linewidth=0.8)
    axes.plot(predicted, observed, marker="o", markersize=4)
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
