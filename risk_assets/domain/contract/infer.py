"""Infer a draft contract from a CSV. Comments in the draft explain each guess."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import polars as pl

from risk_assets.domain.contract import leakage
from risk_assets.domain.contract.column_names import names_customer
from risk_assets.domain.contract.column_profile import ColumnProfile, ExcludedColumn, category_profile, profile_column
from risk_assets.domain.contract.draft import Column, Draft, Source, comment, feature_lines, group_line, id_line, write_draft
from risk_assets.domain.contract.header_check import is_without_header, names_like_values
from risk_assets.domain.contract.missing_values import NUMBER_TOKENS, known_values
from risk_assets.domain.contract.notation import Decimal
from risk_assets.domain.contract.number_text import decimal_mark
from risk_assets.domain.contract.outcome_labels import read_outcome
from risk_assets.domain.contract.prohibited_bases import prohibited_basis
from risk_assets.domain.contract.schema import DEFAULT_MISSING, RESERVED, ROW_ID
from risk_assets.domain.contract.text import WHITESPACE
from risk_assets.domain.wording import counted
from risk_assets.errors import ContractError

SAMPLE_ROWS = 200_000
MAX_COLUMNS_SHOWN = 100
MAX_ID_CANDIDATES = 5
MAX_ACCOUNTS = 10  # rows for each value, on average, up to which a column can be the customer's id
UNNAMED_ID = "unnamed_1"


def infer(frame: pl.LazyFrame, columns: Sequence[str], id: str | None, target: str, bad: str | None, name: str) -> Draft:
    """Return a draft contract as YAML with comments, and its warnings.

    Reads the first `SAMPLE_ROWS` rows. Comments contain only these values of the data: the lowest and highest number of
    a column, the labels of the target and the tokens and codes for "missing".

    Parameters
    ----------
    frame : LazyFrame
        All columns as text, with empty fields as empty strings.
    columns : sequence of str
        The columns of the file, in order.
    id : str or None
        The id column; "" means the first column, if that has no name; `ROW_ID` means that the row number names the account.
    target : str
        The outcome column. It must have two labels.
    bad : str or None
        The label that means bad; None derives it from customary pairs such as 0/1 or Good/Bad.
    name : str
        The file, for messages.

    Raises
    ------
    ContractError
        When the file has no header or no rows, `id` or `target` is not a column or is repeated, `id` is None, the bad label is
        not clear, or no column can be an input of a model. No message contains a row of the file.
    """
    texts = pl.col(*columns).fill_null("").str.strip_chars(WHITESPACE)
    sample = frame.select(texts).head(SAMPLE_ROWS + 1).collect(engine="streaming")
    rows = sample.head(SAMPLE_ROWS)
    if rows.is_empty():
        raise ContractError(f"{name} has a header and no rows. Pass a file that has rows of accounts with their outcomes.")
    id_column = UNNAMED_ID if id == "" else id
    _check_header(rows, None if id_column == ROW_ID else id_column, target, name)
    id_column = id_column or _missing_id(rows.drop(target), name)
    if id_column == target:
        raise ContractError(f"{name}: {target} cannot be both the id and the target. Pass another column as --target.")
    repeats = _repeated(rows.columns)
    if twice := [column for column in (id_column, target) if column in repeats]:
        raise ContractError(f"{name} has the column {' and '.join(twice)} more than once. Pass a file that has it once.")
    outcome = read_outcome(rows[target], bad, name)
    texts_of_features = rows.drop(target, *([] if id_column == ROW_ID else [id_column]), *chain.from_iterable(repeats.values()))
    decimal = decimal_mark(texts_of_features.iter_columns())
    found = [
        _repeated_column(text.name, len(repeats[text.name])) if text.name in repeats else _column(text, decimal, outcome.is_bad)
        for text in texts_of_features.iter_columns()
    ]
    _require_input(found, len(rows), decimal, name)
    first_line = id_line(id_column, 0 if id_column == ROW_ID else _repeats(rows[id_column]))
    source = Source(name, len(rows), len(sample) > SAMPLE_ROWS)
    text = write_draft(source, [first_line, *_groups(texts_of_features)], outcome, decimal, found)
    warnings = tuple(f"{comment(column.name)}: {warning}" for column in found for warning in column.warnings)
    return Draft(text, warnings, outcome.bad_share)


def _groups(texts: pl.DataFrame) -> list[str]:
    """Return a line for the column that looks like the customer's id: by its name, and because its values repeat; none without one."""
    known = {text.name: text.filter(~text.is_in(DEFAULT_MISSING)) for text in texts.iter_columns() if names_customer(text.name)}
    counts = {name: (text.n_unique(), len(text)) for name, text in known.items()}
    found = [(name, *sizes) for name, sizes in counts.items() if sizes[0] < sizes[1] <= MAX_ACCOUNTS * sizes[0]]
    return [group_line(*each) for each in found[:1]]


def _check_header(rows: pl.DataFrame, id_column: str | None, target: str, name: str) -> None:
    """Verify that the file has a header with the id, if there is one, and the target."""
    suspicious = names_like_values(rows)
    missing = [column for column in (id_column, target) if column is not None and column not in rows.columns]
    half = 2 * len(suspicious) >= len(rows.columns)
    is_label = target in suspicious and bool((rows[target] == target).any())
    # A word may be the name of the target and one of its labels, such as default.
    is_row = is_label and (half or id_column in suspicious or re.search(r"[0-9]", target) is not None)
    if is_without_header(rows.columns, suspicious) or (missing and half) or is_row:
        raise ContractError(
            f"{name} seems to have no header: its first line looks like a row of data. Add a line with the column names at the "
            "top of the file and run again."
        )
    if missing:
        raise ContractError(f"{name} has no column {' or '.join(missing)}. {_listing(rows.columns, suspicious)}")


def _repeated(columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the later columns of each repeated name. The dialect writes the second `score` of a header as `score#2`."""
    repeats: dict[str, list[str]] = {}
    for column in columns:
        name, _, number = column.rpartition("#")
        if name in columns and number.isdecimal():
            repeats.setdefault(name, []).append(column)
    return repeats


def _repeated_column(name: str, repeats: int) -> Column:
    reason = f"the header has this name {repeats + 1} times. Rename or remove the others at the source and run again"
    return Column(name, ExcludedColumn(f"{reason}."), (f"left out, because {reason}",))


def _listing(columns: Sequence[str], suspicious: Sequence[str]) -> str:
    """Return the columns to choose from; none if some look like a customer's values."""
    advice = "Pass one of its columns as --id and as --target, or --row-id instead of --id if accounts have no id"
    if suspicious:
        some = counted(len(suspicious), f"of {len(columns)} looks like a value", f"of {len(columns)} look like values")
        return f"{advice}. The columns are not listed, because {some}: check the header."
    shown = ", ".join(columns[:MAX_COLUMNS_SHOWN]) + (", …" if len(columns) > MAX_COLUMNS_SHOWN else "")
    return f"It has: {shown}. {advice}."


def _missing_id(rows: pl.DataFrame, name: str) -> str:
    """Raise an error with the columns that can be the id."""
    candidates = [text.name for text in rows.iter_columns() if (text != "").all() and text.n_unique() == len(text)]
    shown = [] if names_like_values(rows) else candidates[:MAX_ID_CANDIDATES]
    found = f"Columns with a different value in every row: {', '.join(shown)}. " if shown else ""
    raise ContractError(
        f"{name}: no id column is given. {found}Pass the column that names the account as --id, or --row-id to name accounts by "
        "their row number."
    )


def _column(text: pl.Series, decimal: Decimal, is_bad: pl.Series) -> Column:
    if text.name in RESERVED:
        return Column(text.name, ExcludedColumn("the name is reserved. Rename it at the source to use it."))
    profile, basis = profile_column(text, decimal), prohibited_basis(text.name)
    if isinstance(profile, ExcludedColumn):
        return _excluded(text, profile, is_bad)
    if basis and basis.is_certain:
        return Column(text.name, _noted(_grouped(text, profile), basis.note), sensitive=True)
    if reason := leakage.exclusion(profile.values, is_bad):
        return Column(text.name, ExcludedColumn(reason), (f"left out, because {reason}",))
    noted = _noted(profile, basis.note) if basis else profile
    return Column(text.name, noted, tuple(leakage.warnings(profile.values, is_bad)))


def _excluded(text: pl.Series, profile: ExcludedColumn, is_bad: pl.Series) -> Column:
    """Return a column that is left out, with the notes for someone who adds it all the same."""
    basis = prohibited_basis(text.name)
    leak = leakage.filled_in_one_class(known_values(text, NUMBER_TOKENS).is_not_null(), is_bad)
    notes = [profile.reason, *([basis.note_if_left_out] if basis else []), *([f"{leak[0].upper()}{leak[1:]}"] if leak else [])]
    return Column(text.name, ExcludedColumn(" ".join(notes)), (f"left out. {notes[-1]}",) if leak else ())


def _grouped(text: pl.Series, profile: ColumnProfile) -> ColumnProfile:
    """Return a few distinct numbers as levels: fairness figures compare groups."""
    groups = category_profile(text, None) if profile.has_few_numbers else profile
    return groups if isinstance(groups, ColumnProfile) else profile


def _noted(profile: ColumnProfile, note: str) -> ColumnProfile:
    return replace(profile, notes=(*profile.notes, note))


def _require_input(columns: Sequence[Column], rows: int, decimal: Decimal, name: str) -> None:
    if not any(column.is_input for column in columns):
        lines = "\n".join(feature_lines(columns, rows, decimal))
        raise ContractError(f"{name} has no column that can be a feature of a model:\n{lines}")


def _repeats(ids: pl.Series) -> int:
    """Return the number of rows that have no id or share one."""
    missing = ids.is_in(DEFAULT_MISSING)
    return int((missing | ids.is_duplicated()).sum())
