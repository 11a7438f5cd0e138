"""From a snapshot's text to checked, typed features: one row out for each row in, in order, with what is wrong said."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from risk_assets.domain.contract.field_rules import MISSING, UNREADABLE, above, below, id_tokens, missing_codes, missing_tokens, plain
from risk_assets.domain.contract.schema import ACCOUNT_ID, ISSUES, RAGGED, Contract, Feature

SEPARATOR = "; "


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


def checked(snapshot: pl.LazyFrame, contract: Contract, repeated: pl.Series, *, padded: bool = True) -> pl.LazyFrame:
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
    padded : bool
        Whether values may have blanks around them. Taking them off costs more than all the rest, so say no when it is known.
    """
    return snapshot.select(_checks(contract, repeated, strip=padded))


def feature_descriptions(contract: Contract) -> dict[str, str]:
    """Return what each column of a features table is, for people."""
    own = {ACCOUNT_ID: f"the account, as in the raw column {contract.id}", ISSUES: "why the row can't be scored; empty where it can"}
    return own | {name: _description(feature) for name, feature in contract.features.items()}


def feature_facts(contract: Contract) -> list[pl.Expr]:
    """Return the expressions that sum up a features table: rows, rows with issues, issues by kind, missing by feature."""
    kinds = pl.col(ISSUES).drop_nulls().value_counts(sort=True).implode()
    missing = [pl.col(name).null_count().alias(f"missing.{name}") for name in contract.features]
    return [pl.len().alias("rows"), pl.col(ISSUES).count().alias("with_issues"), kinds.alias("issue_counts"), *missing]


def count_issues(kinds: Mapping[str, int]) -> dict[str, int]:
    """Split joined issues and count each rule by itself, most frequent first."""
    counts: dict[str, int] = {}
    for joined, rows in kinds.items():
        for issue in joined.split(SEPARATOR):
            counts[issue] = counts.get(issue, 0) + rows
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _checks(contract: Contract, repeated: pl.Series, strip: bool) -> list[pl.Expr]:
    values, rules = [pl.col(contract.id).alias(ACCOUNT_ID)], [pl.col(RAGGED), *_id_rules(contract, repeated, strip)]
    for name, feature in contract.features.items():
        text = pl.col(name).str.strip_chars() if strip else pl.col(name)
        value, rule = _number(name, text, feature, contract) if feature.type == "number" else _category(name, text, feature, contract)
        values.append(value.alias(name))
        rules.extend(rule)
    issues = pl.concat_str(rules, separator=SEPARATOR, ignore_nulls=True)
    return [*values, pl.when(issues != "").then(issues).alias(ISSUES)]


def _id_rules(contract: Contract, repeated: pl.Series, strip: bool) -> list[pl.Expr]:
    ids = pl.col(contract.id)
    missing = _is_token(ids.str.strip_chars() if strip else ids, id_tokens(contract))
    rule = pl.when(missing).then(_issue(ACCOUNT_ID, MISSING))
    return [rule.when(ids.is_in(repeated.implode())).then(_issue(ACCOUNT_ID, "repeated")) if len(repeated) else rule]


def _number(name: str, text: pl.Expr, feature: Feature, contract: Contract) -> tuple[pl.Expr, list[pl.Expr]]:
    value = _decimal(text, contract).cast(pl.Float64, strict=False)
    codes = missing_codes(feature, contract)
    missing = _is_token(text, missing_tokens(feature, contract))
    if codes:
        missing = missing | value.is_in(codes).fill_null(False)
    known = pl.when(value.is_finite() & ~missing).then(value)
    rules: Any = pl.when(missing).then(_issue(name, MISSING) if feature.required else pl.lit(None, dtype=pl.String))
    rules = rules.when(~value.is_finite().fill_null(False)).then(_issue(name, UNREADABLE))
    if feature.min is not None:
        rules = rules.when(value < feature.min).then(_issue(name, below(feature.min)))
    if feature.max is not None:
        rules = rules.when(value > feature.max).then(_issue(name, above(feature.max)))
    return known, [rules]


def _category(name: str, text: pl.Expr, feature: Feature, contract: Contract) -> tuple[pl.Expr, list[pl.Expr]]:
    missing = _is_token(text, missing_tokens(feature, contract))
    return pl.when(~missing).then(text), [pl.when(missing).then(_issue(name, MISSING))] if feature.required else []


def _decimal(text: pl.Expr, contract: Contract) -> pl.Expr:
    """Turn a decimal comma into a point; a point in such a file may stand between thousands and is not read."""
    if contract.decimal == ".":
        return text
    grouped = text.str.contains(".", literal=True)
    return pl.when(~grouped).then(text.str.replace(",", ".", literal=True))


def _is_token(text: pl.Expr, tokens: tuple[str, ...]) -> pl.Expr:
    return text.is_in(list(dict.fromkeys(tokens)))


def _issue(name: str, rule: str) -> pl.Expr:
    return pl.lit(f"{name}: {rule}")


def _description(feature: Feature) -> str:
    bounds = [f"{word} {plain(bound)}" for word, bound in (("from", feature.min), ("to", feature.max)) if bound is not None]
    return " ".join([feature.type, *bounds, "(required)" if feature.required else "(may be missing)"])
