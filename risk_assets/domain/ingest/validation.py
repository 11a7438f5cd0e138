"""Validate a raw snapshot: parse text to typed features and list the issues of each row, without values of customers."""

from collections.abc import Iterable, Mapping

import polars as pl

from risk_assets.domain.contract.field_rules import (
    LINE_END_ISSUE,
    MISSING_ISSUE,
    REPEATED_ISSUE,
    SEPARATOR,
    UNREADABLE_ISSUE,
    above,
    below,
    id_tokens,
    missing_codes,
    missing_tokens,
    plain,
)
from risk_assets.domain.contract.notation import MONEY, PERCENT
from risk_assets.domain.contract.parsing import parse_number
from risk_assets.domain.contract.schema import ACCOUNT_ID, EXCLUDED, GROUP, ISSUES, RAGGED, Contract, Feature
from risk_assets.domain.ingest.population import excluded, group, is_eligible
from risk_assets.domain.ingest.row_ids import with_ids
from risk_assets.domain.ingest.text import normalize_levels, strip_cells
from risk_assets.errors import ContractError

ROW_ISSUE = "\x1frow_issue"  # the issue of the line or of the id
FEATURE_ISSUES = "\x1ffeature_issues"
NONE_REPEATED = pl.Series(ACCOUNT_ID, [], dtype=pl.String)


def repeated_ids(snapshot: pl.LazyFrame, contract: Contract) -> pl.Series:
    """Return the distinct ids, without surrounding whitespace, that occur in more than one row, sorted.

    The first pass compares hashes, which takes 16 bytes per row. A second pass reads ids only if hashes repeat.

    Parameters
    ----------
    snapshot : LazyFrame
        The raw columns, all text.
    contract : Contract
        Names the id column.
    """
    if contract.has_row_ids:
        return NONE_REPEATED
    ids = snapshot.select(strip_cells(pl.col(contract.id)).alias(ACCOUNT_ID)).filter(pl.col(ACCOUNT_ID) != "")
    hashes = ids.select(pl.col(ACCOUNT_ID).hash()).collect(engine="streaming").to_series().sort()
    twice = hashes.filter(hashes == hashes.shift()).unique()
    if twice.is_empty():
        return NONE_REPEATED
    suspects = ids.filter(pl.col(ACCOUNT_ID).hash().is_in(twice.implode()))
    counts = suspects.group_by(ACCOUNT_ID).len().filter(pl.col("len") > 1)
    return counts.select(pl.col(ACCOUNT_ID).sort()).collect(engine="streaming").to_series()


def validate(
    snapshot: pl.LazyFrame, contract: Contract, repeated: pl.Series, *, date: str | None = None, numbers: pl.Series | None = None
) -> pl.LazyFrame:
    """Return `account_id`, the features of the contract, `group`, `excluded` and `issues`: one row per raw row, in order.

    `excluded` is the reason of the first population rule that the row matches, else null. `issues` lists `column: rule`, joined
    by `SEPARATOR`, and never contains a value. It is null if the row can be scored or is excluded. A row whose line or id has an
    issue is not excluded, and a row whose line has an issue has no other. Surrounding whitespace of every cell is ignored, and
    levels are in normal form C: see `contract.text`.

    Parameters
    ----------
    snapshot : LazyFrame
        The raw columns, all text, and `RAGGED`: the issue of the line, or null.
    contract : Contract
        The columns, types, ranges and missing tokens.
    repeated : Series
        The ids that occur in more than one row, from `repeated_ids`.
    date : str or None
        The date of the snapshot, as YYYY-MM-DD. Features with `format: date(...)` need it.
    numbers : Series or None
        The numbers of the rows in the file, if the snapshot is not a whole file.

    Raises
    ------
    ContractError
        When the contract has dates and the date of the snapshot is not known.
    """
    require_date(contract, date)
    values = [pl.col(contract.id).alias(ACCOUNT_ID)]
    issues = []
    for name, feature in contract.features.items():
        text = pl.col(name)
        if feature.type == "number":
            value, issue = _number(name, parse_number(text, contract.notation(name), date), text, contract)
        else:
            value, issue = _category(name, text, contract)
        values.append(value.alias(name))
        issues.extend(issue)
    # The cells are a step of their own: polars would strip a column again for each expression that uses it.
    cells = with_ids(snapshot, contract, numbers).select(RAGGED, *_cells(contract))
    values.append(group(contract).alias(GROUP))
    if contract.exclude:
        return _with_exclusions(cells, contract, values, _id_issue(contract, repeated), issues)
    # the values of a line with an issue are not certain, so it has no other issue
    joined = pl.coalesce(RAGGED, _joined([_id_issue(contract, repeated), *issues]))
    return cells.select(*values, pl.lit(None, dtype=pl.String).alias(EXCLUDED), pl.when(joined != "").then(joined).alias(ISSUES))


def require_date(contract: Contract, date: str | None) -> None:
    """Raise `ContractError` if the contract has dates and the date of the snapshot is not known."""
    if contract.dates and date is None:
        raise ContractError(
            f"{', '.join(contract.dates)}: dates are read as days before the snapshot, and the date of this snapshot is not known. "
            "Land the file for a date (risk land FILE --date DATE), or remove these features from the contract."
        )


def _with_exclusions(
    cells: pl.LazyFrame, contract: Contract, values: list[pl.Expr], id_issue: pl.Expr, issues: list[pl.Expr]
) -> pl.LazyFrame:
    """Return the values, `excluded` and `issues`. The values are a step of their own, because the rules use them."""
    features = _joined(issues) if issues else pl.lit("")
    typed = cells.select(*values, RAGGED, id_issue.alias(ROW_ISSUE), features.alias(FEATURE_ISSUES))
    reason = pl.when(pl.col(RAGGED).is_null() & pl.col(ROW_ISSUE).is_null()).then(excluded(contract))
    found = typed.with_columns(reason.alias(EXCLUDED))
    others = pl.when(pl.col(FEATURE_ISSUES) != "").then(FEATURE_ISSUES)
    joined = pl.coalesce(RAGGED, _joined([pl.col(ROW_ISSUE), others]))
    named = pl.when((joined != "") & is_eligible()).then(joined).alias(ISSUES)
    return found.select(ACCOUNT_ID, *contract.features, GROUP, EXCLUDED, named)


def feature_schema(contract: Contract) -> dict[str, type[pl.DataType]]:
    """Return the columns of a features table and their polars types."""
    types = {name: pl.Float64 if feature.type == "number" else pl.String for name, feature in contract.features.items()}
    return {ACCOUNT_ID: pl.String, **types, GROUP: pl.String, EXCLUDED: pl.String, ISSUES: pl.String}


def feature_descriptions(contract: Contract) -> dict[str, str]:
    """Return a description of each column of a features table."""
    source = (
        "number of the row" if contract.has_row_ids else f"account id, from the raw column {contract.id}, without surrounding whitespace"
    )
    customer = (
        f"the customer, from the raw column {contract.group}; the account id after U+001F if it is missing"
        if contract.group
        else "the account id"
    )
    own = {
        ACCOUNT_ID: source,
        GROUP: customer,
        EXCLUDED: "why the account is not eligible; null if it is",
        ISSUES: "why the row cannot be scored; null if it can, or if the account is not eligible",
    }
    return own | {name: _description(feature) for name, feature in contract.features.items()}


def raw_descriptions(contract: Contract) -> dict[str, str]:
    """Return a description of each column of a raw file that the contract declares."""
    described = {name: _description(feature) for name, feature in contract.features.items()}
    customer = {contract.group: "the customer"} if contract.group else {}
    target = {contract.target.column: "the outcome"} if contract.target.column else {}
    known_at = {contract.target.known_at: "the date on which the outcome became known"} if contract.target.known_at else {}
    return {contract.id: "the account", **customer, **target, **known_at, **described}


def feature_facts(contract: Contract) -> list[pl.Expr]:
    """Return the aggregations of a features table: rows, and the fields of its facts."""
    issues, reasons = (pl.col(name).drop_nulls().value_counts(sort=True).implode() for name in (ISSUES, EXCLUDED))
    return [
        pl.len().alias("rows"),
        pl.col(ISSUES).count().alias("with_issues"),
        issues.alias("issue_counts"),
        pl.col(EXCLUDED).count().alias("not_eligible"),
        reasons.alias("excluded_counts"),
        *[_missing(name, contract).alias(f"missing.{name}") for name in contract.features],
    ]


def count_issues(kinds: Mapping[str, int]) -> dict[str, int]:
    """Return the rows of each issue, most frequent first, from the rows of each combination of joined issues."""
    counts: dict[str, int] = {}
    for joined, rows in kinds.items():
        for issue in joined.split(SEPARATOR):
            counts[issue] = counts.get(issue, 0) + rows
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _cells(contract: Contract) -> list[pl.Expr]:
    """Return the id, the group and the features as stripped text, levels in normal form C."""
    rules = {"number": strip_cells, "category": normalize_levels}
    ids = (contract.id, contract.group) if contract.group else (contract.id,)
    return [  # an expression for each column: polars needs twice the time for one over several columns
        *(strip_cells(pl.col(name)) for name in ids),
        *(rules[feature.type](pl.col(name)) for name, feature in contract.features.items()),
    ]


def _missing(name: str, contract: Contract) -> pl.Expr:
    """Return the number of eligible rows without a value."""
    missing = pl.col(name)
    return (missing.is_null() & is_eligible()).sum() if contract.exclude else missing.null_count()


def _joined(issues: list[pl.Expr]) -> pl.Expr:
    return pl.concat_str(issues, separator=SEPARATOR, ignore_nulls=True)


def _id_issue(contract: Contract, repeated: pl.Series) -> pl.Expr:
    account = pl.col(contract.id)
    cases = [(_is_token(normalize_levels(account), id_tokens(contract)), MISSING_ISSUE), (account.str.contains(r"[\r\n]"), LINE_END_ISSUE)]
    if len(repeated):
        cases.append((account.is_in(repeated.implode()), REPEATED_ISSUE))
    return _first_issue(ACCOUNT_ID, cases)


def _number(name: str, value: pl.Expr, text: pl.Expr, contract: Contract) -> tuple[pl.Expr, list[pl.Expr]]:
    feature = contract.features[name]
    missing = _is_token(text, missing_tokens(feature, contract))
    if codes := missing_codes(feature, contract):
        missing = missing | value.is_in(codes).fill_null(False)
    cases = [(missing, MISSING_ISSUE if feature.required else None), (~value.is_finite().fill_null(False), UNREADABLE_ISSUE)]
    if feature.min is not None:
        cases.append((value < feature.min, below(feature.min)))
    if feature.max is not None:
        cases.append((value > feature.max, above(feature.max)))
    return pl.when(value.is_finite() & ~missing).then(value), [_first_issue(name, cases)]


def _category(name: str, text: pl.Expr, contract: Contract) -> tuple[pl.Expr, list[pl.Expr]]:
    feature = contract.features[name]
    missing = _is_token(text, missing_tokens(feature, contract))
    return pl.when(~missing).then(text), [_first_issue(name, [(missing, MISSING_ISSUE)])] if feature.required else []


def _first_issue(name: str, cases: Iterable[tuple[pl.Expr, str | None]]) -> pl.Expr:
    """Return the issue of the first condition that is true, as `column: rule`; null if none is or its rule is None."""
    issue: pl.Expr = pl.lit(None, dtype=pl.String)
    for condition, rule in reversed(list(cases)):
        text = pl.lit(None if rule is None else f"{name}: {rule}", dtype=pl.String)
        issue = pl.when(condition).then(text).otherwise(issue)
    return issue


def _is_token(text: pl.Expr, tokens: tuple[str, ...]) -> pl.Expr:
    return text.is_in(list(dict.fromkeys(tokens)))


def _description(feature: Feature) -> str:
    bounds = [f"{word} {plain(bound)}" for word, bound in (("from", feature.min), ("to", feature.max)) if bound is not None]
    unit = {PERCENT: ["in percentage points"], None: [], MONEY: []}.get(feature.format, ["of days before the snapshot"])
    rules = ["(required)" if feature.required else "(may be missing)"]
    if feature.sensitive:
        rules.append("(sensitive: not an input of models)")
    elif not feature.input:
        rules.append("(not an input of models)")
    return " ".join([feature.type, *unit, *bounds, *rules])
