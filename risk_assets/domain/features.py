"""From a snapshot's text to checked, typed features: one row out for each row in, in order, with what is wrong said."""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import polars as pl

from risk_assets.domain.contract import ACCOUNT_ID, ISSUES, Contract, Feature

RAGGED = "\x1fragged"
SEPARATOR = "; "

Checked: TypeAlias = tuple[pl.Series, dict[str, pl.Series]]


def repeated_ids(snapshot: pl.LazyFrame, contract: Contract) -> pl.Series:
    """Return the ids that stand in more than one row, each once.

    Hashes are compared first, so this takes 16 bytes a row and one pass; ids are read again only where hashes repeat.

    Parameters
    ----------
    snapshot : pl.LazyFrame
        The raw columns, all text.
    contract : Contract
        Names the id column.
    """
    ids = snapshot.select(pl.col(contract.id).alias(ACCOUNT_ID)).filter(pl.col(ACCOUNT_ID) != "")
    hashes = ids.select(pl.col(ACCOUNT_ID).hash()).collect(engine="streaming").to_series().sort()
    twice = hashes.filter(hashes == hashes.shift()).unique()
    if twice.is_empty():
        return pl.Series(ACCOUNT_ID, [], dtype=pl.String)
    suspects = ids.filter(pl.col(ACCOUNT_ID).hash().is_in(twice.implode()))
    counts = suspects.group_by(ACCOUNT_ID).len().filter(pl.col("len") > 1)
    return counts.select(pl.col(ACCOUNT_ID).sort()).collect(engine="streaming").to_series()


def checked(snapshot: pl.LazyFrame, contract: Contract, repeated: pl.Series) -> pl.LazyFrame:
    """Return `account_id`, the contract's features (Float64 or String) and `issues`, row for row.

    `issues` is null where a row can be scored; otherwise it lists `column: rule`, joined by "; ". Values are never in it.

    Parameters
    ----------
    snapshot : pl.LazyFrame
        The raw columns, all text, and `RAGGED`: null, or what is wrong with the line.
    contract : Contract
        Names, types, ranges and tokens for missing.
    repeated : pl.Series
        The ids that stand in more than one row.
    """
    check = partial(_check, contract=contract, repeated=repeated)
    wanted = snapshot.select(*contract.columns, RAGGED)
    return wanted.map_batches(check, schema=feature_schema(contract), streamable=True)


def feature_schema(contract: Contract) -> dict[str, type[pl.DataType]]:
    """Return the columns of a features table and their polars types."""
    types = {name: pl.Float64 if f.type == "number" else pl.String for name, f in contract.features.items()}
    return {ACCOUNT_ID: pl.String, **types, ISSUES: pl.String}


def feature_descriptions(contract: Contract) -> dict[str, str]:
    """Return what each column of a features table is, for people."""
    own = {ACCOUNT_ID: f"the account, as in the raw column {contract.id}", ISSUES: "why the row can't be scored; empty where it can"}
    return own | {name: _description(feature) for name, feature in contract.features.items()}


def feature_facts(contract: Contract) -> list[pl.Expr]:
    """Return the expressions that sum up a features table: rows, rows with issues, issues by kind, missing by feature."""
    kinds = pl.col(ISSUES).drop_nulls().value_counts(sort=True).implode()
    missing = [pl.col(name).null_count().alias(f"missing.{name}") for name in contract.features]
    return [pl.len().alias("rows"), pl.col(ISSUES).count().alias("with_issues"), kinds.alias("kinds"), *missing]


def count_issues(kinds: Mapping[str, int]) -> dict[str, int]:
    """Split joined issues and count each rule by itself, most frequent first."""
    counts: dict[str, int] = {}
    for joined, rows in kinds.items():
        for issue in joined.split(SEPARATOR):
            counts[issue] = counts.get(issue, 0) + rows
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _description(feature: Feature) -> str:
    bounds = [f"{word} {bound:g}" for word, bound in (("from", feature.min), ("to", feature.max)) if bound is not None]
    return " ".join([feature.type, *bounds, "(required)" if feature.required else "(may be missing)"])


def _check(batch: pl.DataFrame, contract: Contract, repeated: pl.Series) -> pl.DataFrame:
    columns = [batch[contract.id].alias(ACCOUNT_ID)]
    problems = {f"{ACCOUNT_ID}: {rule}": rows for rule, rows in _id_problems(columns[0], contract, repeated).items()}
    for name, feature in contract.features.items():
        values, broken = _number(batch[name], feature, contract) if feature.type == "number" else _category(batch[name], feature, contract)
        columns.append(values)
        problems |= {f"{name}: {rule}": rows for rule, rows in broken.items()}
    return pl.DataFrame(columns).with_columns(_issues(batch[RAGGED], problems))


def _id_problems(ids: pl.Series, contract: Contract, repeated: pl.Series) -> dict[str, pl.Series]:
    missing = _is_token(ids.str.strip_chars(), contract.missing)
    rules = {"missing": missing}
    if len(repeated):
        rules["repeated"] = ids.is_in(repeated.implode()) & ~missing
    return _occurring(rules)


def _number(text: pl.Series, feature: Feature, contract: Contract) -> Checked:
    tokens = (*contract.missing, *feature.missing)
    if contract.decimal == ",":
        text = text.str.replace(",", ".", literal=True)
        tokens = tuple(token.replace(",", ".") for token in tokens)
    values = text.cast(pl.Float64, strict=False)
    unread = values.is_null() | ~values.is_finite()
    missing = pl.repeat(False, len(text), eager=True, dtype=pl.Boolean)
    if unread.any():
        stripped = text.str.strip_chars()
        values = stripped.cast(pl.Float64, strict=False)
        missing = _is_token(stripped, tokens)
        unread = (values.is_null() | ~values.is_finite()) & ~missing
    missing = missing | _is_code(values, tokens)
    values = values.set(missing | unread, None).alias(text.name)
    return values, _occurring({"unreadable": unread} | _required(missing, feature) | _range(values, feature))


def _category(text: pl.Series, feature: Feature, contract: Contract) -> Checked:
    stripped = text.str.strip_chars()
    missing = _is_token(stripped, (*contract.missing, *feature.missing))
    values = stripped.set(missing, None) if missing.any() else stripped
    return values.alias(text.name), _occurring(_required(missing, feature))


def _required(missing: pl.Series, feature: Feature) -> dict[str, pl.Series]:
    return {"missing": missing} if feature.required else {}


def _range(values: pl.Series, feature: Feature) -> dict[str, pl.Series]:
    rules: dict[str, pl.Series] = {}
    if feature.min is not None:
        rules[f"below {feature.min:g}"] = (values < feature.min).fill_null(False)
    if feature.max is not None:
        rules[f"above {feature.max:g}"] = (values > feature.max).fill_null(False)
    return rules


def _is_token(stripped: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    return stripped.is_in(list(dict.fromkeys(("", *tokens))))


def _is_code(values: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    codes = pl.Series(tokens, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls().drop_nans()
    return values.is_in(codes.implode()).fill_null(False) if len(codes) else values.is_null() & False


def _occurring(rules: dict[str, pl.Series]) -> dict[str, pl.Series]:
    return {rule: rows for rule, rows in rules.items() if rows.any()}


def _issues(ragged: pl.Series, problems: dict[str, pl.Series]) -> pl.Series:
    """Join what is wrong with each row; almost always nothing is, and no text is built."""
    if not problems:
        return ragged.alias(ISSUES)
    marks = [pl.select(pl.when(rows).then(pl.lit(issue)).alias(issue)).to_series() for issue, rows in problems.items()]
    joined = pl.DataFrame([ragged.alias(RAGGED), *marks]).select(
        pl.concat_str(pl.all(), separator=SEPARATOR, ignore_nulls=True).alias(ISSUES)
    )
    return joined.select(pl.when(pl.col(ISSUES) != "").then(pl.col(ISSUES))).to_series()
