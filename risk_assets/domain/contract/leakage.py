"""Find columns that may be recorded after the outcome, and so reveal it."""

from collections.abc import Iterator

import polars as pl

from risk_assets.domain.contract.column_names import word_list
from risk_assets.domain.contract.number_text import MIN_SUPPORT

LEAKAGE_AUC = 0.97  # a column that separates bad from good better than this alone is excluded
MAX_RATED_VALUES = 100  # distinct values up to which the bad rate of each value is used as a score
MIN_ONE_CLASS_ROWS = 50
MIN_EXPECTED = 16  # rows of the other class expected by chance; none of 16 has a probability of 1e-7
MAX_OTHER_SHARE = 0.05  # "almost only": the other class has at most this share of the rows, and of its expected rows
AFTER_EVENT_NAMES = (
    *("recovery", "recoveries", "recovered", "settlement", "settled", "collection", "collections", "charge off", "charged off"),
    *("chargeoff", "charge offs", "write off", "written off", "writeoff", "total pymnt", "total payment", "total rec", "last pymnt"),
    *("last payment", "last fico", "out prncp", "outstanding principal", "hardship", "foreclosure", "repossession", "repossessed"),
    *("default date", "date of default", "lgd", "loss given default", "ead", "workout", "dunning", "closed date", "date closed"),
    *("loan status", "final status", "days to default", "inkasso", "mahnung", "ausbuchung"),
)


def univariate_auc(values: pl.Series, bad: pl.Series) -> float:
    """Return the AUC, from 0.5 to 1, with which one column alone separates bad from good.

    It is the highest AUC of three scores: the number itself; the bad rate of each distinct value, if there are at most
    `MAX_RATED_VALUES`; and whether the value is missing. With fewer than `MIN_SUPPORT` bad or good rows it is 0.5. A value
    with fewer than `MIN_SUPPORT` rows counts with the average bad rate.
    """
    rows = pl.DataFrame({"value": values, "bad": bad}).drop_nulls("bad")
    scores = [rows["value"].is_not_null().cast(pl.Float64)]
    if values.dtype == pl.Float64:
        scores.append(rows["value"])
    if values.n_unique() <= MAX_RATED_VALUES:
        rate = pl.when(pl.len().over("value") >= MIN_SUPPORT).then(pl.col("bad").mean().over("value"))
        scores.append(rows.select(rate.fill_null(pl.col("bad").mean())).to_series())
    return max(_auc(score, rows["bad"]) for score in scores)


def exclusion(values: pl.Series, bad: pl.Series) -> str | None:
    """Return why a column is left out as a leak, as a sentence; None if it is not."""
    if reason := filled_in_one_class(values.is_not_null(), bad):
        return reason
    auc = univariate_auc(values, bad)
    if auc <= LEAKAGE_AUC:
        return None
    return (
        f"it predicts the target almost perfectly (AUC {auc:.3f} alone), so it may be recorded after the outcome. "
        "Add it as a feature if it is known on the snapshot date."
    )


def filled_in_one_class(filled: pl.Series, bad: pl.Series) -> str | None:
    """Return why a column that is filled almost only for bad or for good accounts is left out; None for other columns."""
    found = _one_class(filled, bad)
    if found is None:
        return None
    return (
        f"it is filled almost only in {found} rows, so it may be recorded after the outcome. "
        "Add it as a feature if it is known on the snapshot date."
    )


def warnings(values: pl.Series, bad: pl.Series) -> Iterator[str]:
    """Yield the signs that a column that is kept may reveal the outcome, as sentences, without values."""
    if name := after_event_name(values.name):
        yield f'the name has "{name}", which is usually recorded after the outcome. Remove the column if it is.'
    for share, rows, label in _one_class_values(values, bad):
        yield f"a value in {rows} rows occurs almost only in {label} rows ({share:.1%}). Check when the value is recorded."
    if values.dtype == pl.Float64 and (kind := _one_class((values != 0).fill_null(False), bad)):
        yield f"the number is other than 0 almost only in {kind} rows. Check when it is recorded."


def after_event_name(column: str) -> str | None:
    """Return the words in a column's name that name something after the outcome; None if there are none."""
    name = f" {' '.join(word_list(column))} "
    return next((words for words in AFTER_EVENT_NAMES if f" {words} " in name), None)


def _one_class(rows: pl.Series, bad: pl.Series) -> str | None:
    """Return "bad" or "good" if the rows, and not all rows, belong almost only to that class; else None."""
    counts = pl.DataFrame({"value": rows, "bad": bad}).drop_nulls("bad")
    inside = counts.filter("value")["bad"]
    if len(inside) == len(counts):
        return None
    return _class(len(inside), int(inside.sum()), float(counts["bad"].mean() or 0))  # type: ignore[arg-type]


def _class(rows: int, bads: int, rate: float) -> str | None:
    for kind, other, expected in (("bad", rows - bads, rows * (1 - rate)), ("good", bads, rows * rate)):
        few = other <= MAX_OTHER_SHARE * min(rows, expected)
        if rows >= MIN_ONE_CLASS_ROWS and expected >= MIN_EXPECTED and few:
            return kind
    return None


def _one_class_values(values: pl.Series, bad: pl.Series) -> Iterator[tuple[float, int, str]]:
    """Yield the share of the class, the rows and the class of each value that occurs almost only in one."""
    frame = pl.DataFrame({"value": values, "bad": bad}).drop_nulls()
    rate = float(frame["bad"].mean() or 0)  # type: ignore[arg-type]
    counts = frame.group_by("value").agg(pl.len().alias("rows"), pl.col("bad").sum().alias("bads"))
    for rows, bads in counts.filter(pl.col("rows") >= MIN_ONE_CLASS_ROWS).sort("rows", "bads").select("rows", "bads").iter_rows():
        kind = _class(rows, bads, rate)
        if kind is not None:
            yield (bads if kind == "bad" else rows - bads) / rows, rows, kind


def _auc(score: pl.Series, bad: pl.Series) -> float:
    """Return the AUC by the Mann-Whitney statistic, mirrored so that it is at least 0.5."""
    rows = pl.DataFrame({"score": score, "bad": bad}).drop_nulls()
    bads = int(rows["bad"].sum())
    goods = len(rows) - bads
    if min(bads, goods) < MIN_SUPPORT:
        return 0.5
    ranks = float(rows["score"].rank("average").filter(rows["bad"]).sum())
    area = (ranks - bads * (bads + 1) / 2) / (bads * goods)
    return max(area, 1 - area)
