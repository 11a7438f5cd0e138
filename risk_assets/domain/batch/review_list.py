"""The review list: the riskiest accounts, their scores, and what changed since each account's last snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest

import numpy as np
import polars as pl

from risk_assets.domain.batch.hold_out import held_out
from risk_assets.domain.batch.predictions import prediction_descriptions, prediction_schema
from risk_assets.domain.contract.field_rules import SEPARATOR, plain
from risk_assets.domain.contract.policy import Points, Policy, Review
from risk_assets.domain.contract.schema import ACCOUNT_ID, SNAPSHOT
from risk_assets.domain.scorecard.arrays import Floats, contributions
from risk_assets.domain.scorecard.expressions import encode
from risk_assets.domain.scorecard.scorecard import Scorecard
from risk_assets.domain.scorecard.scoring import feature_points, score
from risk_assets.domain.spreadsheet import FORMULA_STARTS
from risk_assets.errors import LakeError

MAX_CHANGES = 3
MAX_CANDIDATES = 1_000  # that are noted of a piece
NEW_ACCOUNT = "new account"
NO_CHANGE = "nothing"
LISTED, HELD_OUT, NOT_LISTED = "on the review list", "held out", "below the review list"
TREATMENTS = (LISTED, HELD_OUT, NOT_LISTED)  # of flagged accounts
_ROW = "row"
OMITTED_COLUMNS = frozenset({"status", "prediction", "arm", "challenger_probability", "excluded", "issues"})


def riskiest(predictions: pl.LazyFrame, review: Review) -> pl.DataFrame:
    """Return the rows with the highest probability, as many as the policy sets, riskiest first; ties in the order of the file.

    Rows that are not scored, and flagged accounts that the policy holds out, are left out. The table is streamed, so memory does not grow
    with its rows.
    """
    return _riskiest(predictions.with_row_index(_ROW), review).drop(_ROW).collect(engine="streaming")


def candidates(predictions: pl.DataFrame, review: Review) -> tuple[float, ...]:
    """Return the probabilities of the rows of a piece of the predictions that may be listed, riskiest first.

    There are as many as the list has, at most `MAX_CANDIDATES`.
    """
    found = pl.col("probability").filter(may_be_listed(review)).top_k(min(review.size, MAX_CANDIDATES)).sort(descending=True)
    return tuple(predictions.select(found).to_series().to_list())


def pieces_with_riskiest(found: Sequence[Sequence[float]], review: Review) -> list[int]:
    """Return the numbers of the pieces to read for the review list, given the `candidates` of all pieces in order.

    Each piece with a row of the list is among them; others are only if the list is longer than `MAX_CANDIDATES`.
    """
    ranked = ((-probability, number) for number, piece in enumerate(found) for probability in piece)
    return sorted({number for _, number in nsmallest(review.size, ranked)})


def riskiest_of(pieces: Iterable[pl.LazyFrame], review: Review) -> pl.DataFrame:
    """Return what `riskiest` returns of all pieces together, at least one; they are read one after the other."""
    return riskiest(pl.concat([riskiest(piece, review) for piece in pieces]).lazy(), review)


def may_be_listed(review: Review) -> pl.Expr:
    """Return whether a row of predictions may be on the review list: it is scored, and not held out."""
    return pl.col("probability").is_finite() & ~held_out(review.hold_out)


def treatment(predictions: pl.DataFrame, review: Review) -> pl.Series:
    """Return for each row of predictions whether its account is `LISTED`, `HELD_OUT` or `NOT_LISTED`; null if it is not flagged."""
    rows = predictions.with_row_index(_ROW)
    listed = _riskiest(rows.lazy(), review).collect()[_ROW]
    state = pl.when(held_out(review.hold_out)).then(pl.lit(HELD_OUT)).when(pl.col(_ROW).is_in(listed.implode())).then(pl.lit(LISTED))
    return rows.select(pl.when(pl.col("prediction") == 1).then(state.otherwise(pl.lit(NOT_LISTED)))).to_series()


def _riskiest(rows: pl.LazyFrame, review: Review) -> pl.LazyFrame:
    return rows.filter(may_be_listed(review)).sort("probability", _ROW, descending=[True, False]).head(review.size)


def review_list(
    listed: pl.DataFrame, now: pl.DataFrame, before: pl.DataFrame, cards: Mapping[str, Scorecard], policy: Policy
) -> pl.DataFrame:
    """Return the review list with the columns of `review_schema`; texts that a spreadsheet would run are escaped.

    The earlier features are scored by the row's current model and policy, so that a change of points comes from the account
    alone.

    Parameters
    ----------
    listed : pl.DataFrame
        The result of `riskiest`.
    now : pl.DataFrame
        `account_id` and the features of this date, in any order.
    before : pl.DataFrame
        `account_id`, `SNAPSHOT` (the date as text) and the features of each account's last earlier snapshot in which it could
        be scored; no row for new accounts.
    cards : mapping
        The scorecard of each model version in `listed`.

    Raises
    ------
    LakeError
        If `now` lacks an account of `listed`.
    """
    if not listed[ACCOUNT_ID].is_in(now[ACCOUNT_ID].implode()).all():
        raise LakeError("the features of this date lack accounts of its predictions. Run the date again: risk run DATE.")
    ranked = listed.with_row_index("rank", offset=1)
    versions = ranked.partition_by("model_version", as_dict=True, maintain_order=True)
    compared = [_compared(rows[ACCOUNT_ID], now, before, cards[version], policy) for (version,), rows in versions.items()]
    earlier = pl.concat([pl.DataFrame(schema=_earlier_schema()), *compared])
    whole = ranked.join(earlier, on=ACCOUNT_ID, how="left", maintain_order="left").with_columns(
        points_change=pl.col("points") - pl.col("points_before"), changes=pl.col("changes").fill_null(NEW_ACCOUNT)
    )
    return escape_formulas(whole.select(pl.col(name).cast(kind) for name, kind in review_schema(policy).items()))


def escape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with an apostrophe before each text that a spreadsheet would run as a formula; numbers are unchanged.

    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
    """
    text = pl.col(pl.String)
    is_formula = text.str.head(1).is_in(FORMULA_STARTS)
    return frame.with_columns(pl.when(is_formula).then(pl.lit("'") + text).otherwise(text).name.keep())


def review_schema(policy: Policy) -> dict[str, type[pl.DataType]]:
    """Return the columns of a review list and their polars types."""
    predicted = {name: kind for name, kind in prediction_schema(policy).items() if name not in OMITTED_COLUMNS}
    return {
        "rank": pl.Int64,
        **predicted,
        "last_snapshot": pl.String,
        "points_before": pl.Int64,
        "points_change": pl.Int64,
        "band_before": pl.String,
        "changes": pl.String,
    }


def review_descriptions(policy: Policy) -> dict[str, str]:
    """Return a description of each column of a review list."""
    predicted = {name: text for name, text in prediction_descriptions(policy).items() if name not in OMITTED_COLUMNS}
    return {
        "rank": "1 is the riskiest; ties in the order of the raw file",
        **predicted,
        ACCOUNT_ID: "id of the account",
        "last_snapshot": "the last earlier date on which the account could be scored; empty for a new account",
        "points_before": "points of the account's features on that date, by the same model and policy",
        "points_change": "points minus points_before; negative if the account has become riskier",
        "band_before": "risk band on that date, by the same model and policy",
        "changes": f"up to {MAX_CHANGES} features that changed the points most, each with its values and its change of points",
    }


def review_facts() -> list[pl.Expr]:
    """Return the expressions that summarise a review list: rows, new accounts, and the range of probabilities."""
    new = pl.col("last_snapshot").null_count().alias("new_accounts")
    return [pl.len().alias("rows"), new, pl.min("probability").alias("min_score"), pl.max("probability").alias("max_score")]


def _earlier_schema() -> dict[str, type[pl.DataType]]:
    return {ACCOUNT_ID: pl.String, "last_snapshot": pl.String, "points_before": pl.Int64, "band_before": pl.String, "changes": pl.String}


def _compared(accounts: pl.Series, now: pl.DataFrame, before: pl.DataFrame, card: Scorecard, policy: Policy) -> pl.DataFrame:
    """Return a card's points and band for the accounts' earlier features, and the changes; new accounts have no row."""
    earlier = accounts.to_frame().join(before, on=ACCOUNT_ID, maintain_order="left")
    current = earlier.select(ACCOUNT_ID).join(now, on=ACCOUNT_ID, maintain_order="left")
    x = encode(earlier, card)
    scores = score(card, policy, x)
    gained = (contributions(card, encode(current, card)) - contributions(card, x)).T
    rows = zip(earlier.rows(named=True), current.rows(named=True), gained, strict=True)
    changes = [_changes(card, *row, policy.points) for row in rows]
    bands = pl.Series(list(policy.bands), dtype=pl.String).gather(pl.Series(scores.band))
    columns = [earlier[ACCOUNT_ID], earlier[SNAPSHOT], pl.Series(scores.points), bands, pl.Series(changes, dtype=pl.String)]
    return pl.DataFrame(dict(zip(_earlier_schema(), columns, strict=True)))


def _changes(card: Scorecard, earlier: Mapping[str, object], current: Mapping[str, object], gained: Floats, scale: Points) -> str:
    """Return the features whose log-odds changed most, with their values and points; ties in the card's order."""
    largest = np.argsort(-np.abs(gained), kind="stable")[:MAX_CHANGES]
    changed = [(card.terms[at].feature, feature_points(gained[at], scale)) for at in largest if gained[at]]
    return SEPARATOR.join(_change(name, earlier[name], current[name], points) for name, points in changed) or NO_CHANGE


def _change(name: str, earlier: object, current: object, points: float) -> str:
    return f"{name} {_shown(earlier)} to {_shown(current)} ({_signed(points)} points)"


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    return plain(value) if isinstance(value, float) else str(value)


def _signed(points: float) -> str:
    whole = round(points)
    return f"{whole:+d}" if whole else "0"
