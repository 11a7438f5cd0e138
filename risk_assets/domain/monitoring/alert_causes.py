"""The causes of alerts in the reports of drift and performance."""

from collections.abc import Iterator

from risk_assets.domain.monitoring.alerts import Cause, Figure, figures_text
from risk_assets.domain.monitoring.evidence import differing_text, flagged_text
from risk_assets.domain.monitoring.flagged import FlaggedChange
from risk_assets.domain.monitoring.performance_report import RANKING, ModelPerformance, PerformanceReport
from risk_assets.domain.monitoring.report import POINTS, SCORE, Drift, DriftReport, Parity
from risk_assets.domain.wording import counted

MODEL_SCORE = "score"
SHIFT = "shift of the mean score in points"
RATIO = "observed / expected bads"


def drift_causes(report: DriftReport) -> Iterator[Cause]:
    """Yield the score and each feature with a figure beyond its limit."""
    for found in (report.score, *report.features):
        if found.exceeded:
            yield _drift(report, found)


def online_causes(report: DriftReport) -> Iterator[Cause]:
    """Yield the requests to the service if a figure of theirs is beyond its limit, and their answers if the batch gives others."""
    online = report.online
    if online is None:
        return
    if online.exceeded:
        figures = tuple(
            Figure(f"{_figure_name(name)} of {feature}", each.value, highest=each.limit) for feature, name, each in online.exceeded
        )
        evidence = f"{counted(online.rows, 'record')} of requests, compared with the training of {report.version}: {figures_text(figures)}"
        step = f"Compare what the callers send with the files of the batch: risk monitor {report.date}."
        yield Cause("online", "requests", evidence, step, figures)
    parity = online.parity
    if not parity.agrees:
        counts = {"records that differ from the batch": parity.differing, "problems of the log": parity.problems}
        figures = tuple(Figure(name, float(number), highest=0.0) for name, number in counts.items() if number)
        step = f"See all of them, and keep the files: risk replay {report.date} --online."
        yield Cause("parity", "online", _parity_evidence(parity), step, figures)


def performance_causes(report: PerformanceReport, date: str, live: str | None) -> Iterator[Cause]:
    """Yield the calibration and the ranking of each model that are beyond a limit.

    Parameters
    ----------
    date
        The date of the alerts, which is after the one of the report.
    live
        The version that is live; None if there is none. One that is not live any more was replaced: there is nothing more to do.
    """
    for model in report.models:
        ranking = [name for name in model.exceeded if name == RANKING]
        parts = [name for name in model.exceeded if name != RANKING]
        for subject, names in (("calibration", parts), ("ranking", ranking)):
            if names:
                figures = tuple(_performance_figure(model, name) for name in names)
                yield Cause(
                    kind="performance",
                    subject=f"{model.role}:{subject}",
                    evidence=f"{model.version} on the outcomes of {report.date}: {figures_text(figures)}",
                    next_step=_performance_step(report, model, date, live),
                    figures=figures,
                )


def flagged_cause(date: str, figure: Figure, change: FlaggedChange | None) -> Cause:
    """Return the cause of an unusual number of flagged accounts, with the parts of its change."""
    split = "" if change is None else f"; {flagged_text(change)}"
    step = f"See which features changed: risk monitor {date}. If the policy or the model was changed, see its impact: risk history."
    return Cause("flagged", "count", f"{figure}{split}", step, (figure,))


def _parity_evidence(parity: Parity) -> str:
    """Return how many records differ from the batch, how many problems the log has, or both."""
    problems = f"{counted(parity.problems, 'problem')} of the log"
    if not parity.differing:
        return f"{problems} of {counted(parity.records, 'record')}"
    return f"{differing_text(parity)}; {problems}" if parity.problems else differing_text(parity)


def _drift(report: DriftReport, found: Drift) -> Cause:
    figures = tuple(Figure(_figure_name(name), each.value, highest=each.limit) for name, each in found.exceeded.items())
    is_score = found.name == SCORE
    evidence = f"{found.name}, compared with the training of {report.version}: {figures_text(figures)}"
    what = "the features that shifted it" if is_score else "the column with its source"
    step = f"Compare {what}: risk monitor {report.date}. If the change is real, train on recent outcomes: risk train {report.date}."
    return Cause("drift", MODEL_SCORE if is_score else _feature_subject(found.name), evidence, step, figures)


def _feature_subject(name: str) -> str:
    """Return the subject of a feature, which is not that of the model's score if the feature has the same name."""
    return f"feature {name}" if name == MODEL_SCORE else name


def _figure_name(statistic: str) -> str:
    return SHIFT if statistic == POINTS else statistic


def _performance_figure(model: ModelPerformance, name: str) -> Figure:
    if name == RANKING:
        assert model.ranking is not None
        return Figure(RANKING, model.ranking.roc_auc, lowest=model.ranking.lowest)
    part = next(part for part in (model.overall, *model.bands.shown) if part is not None and part.name == name)
    where = "" if part is model.overall else f" in band {name}"
    return Figure(f"{RATIO}{where}", part.ratio, part.lowest, part.highest)


def _performance_step(report: PerformanceReport, model: ModelPerformance, date: str, live: str | None) -> str:
    if model.role == "champion" and live is not None and live != model.version:
        return (
            f"{live} is live now: wait until outcomes of dates that it scored have matured, and see its holdouts: risk models show {live}."
        )
    if model.role == "champion":
        return f"Train on the outcomes that are known now: risk train {date}."
    return f"End the challenge: risk challenge --end --reason WHY. All figures: risk monitor {report.date}."
