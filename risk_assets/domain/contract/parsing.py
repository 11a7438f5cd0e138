"""Parse the text of numbers, amounts, percentages and dates as polars expressions.

Validation and `contract infer` share these expressions, so both read a column in the same way. A value that does not fit
its notation becomes null; it is never read as another number.
"""

import datetime

import polars as pl

from risk_assets.domain.contract.notation import MONEY, MONTHS, PERCENT, Notation, Thousands, date_pattern

FIRST_1900S_YEAR = 69  # two-digit years from 69 on belong to the 1900s, the others to the 2000s. Source: POSIX strptime, %y

# ISO 4217 codes that are not English words in capitals, such as ALL, TOP and CUP.
CURRENCY_CODES = (
    "USD EUR GBP JPY CHF CAD AUD NZD CNY CNH RMB HKD TWD KRW SGD INR PKR LKR BDT NPR IDR MYR THB PHP VND KZT UZS AED SAR QAR "
    "KWD BHD OMR JOD ILS EGP MAD TND DZD NGN KES GHS ZAR UGX TZS XOF XAF BRL MXN ARS CLP COP PEN UYU SEK NOK DKK ISK PLN CZK "
    "HUF RON BGN HRK RSD UAH RUB TRY GEL AMD AZN BYN"
)
_CURRENCY_SIGN = r"(?:US|AU|CA|NZ|HK|SG|NT|MX|[ACRS])?\p{Sc}"
_CURRENCY_WORD = r"(?i:kr|rs|\u0440\u0443\u0431)\.?|S?Fr\.?|zł|Kč|Ft|lei"
CURRENCY = f"(?:{_CURRENCY_SIGN}|{CURRENCY_CODES.replace(' ', '|')}|{_CURRENCY_WORD})"
_PERCENT_SIGN = "[%\uff05\ufe6a]"
_MARKS = {",": ",", ".": r"\.", " ": "[ \u00a0\u2007\u2009\u202f]", "'": "['\u2019]"}


def parse_number(text: pl.Expr, notation: Notation, snapshot: str | None = None) -> pl.Expr:
    """Return numbers as Float64, null where the text does not fit the notation.

    Parameters
    ----------
    text : Expr of String
        The values, without blanks around them.
    notation : Notation
        How the column writes its numbers.
    snapshot : str or None
        The date of the snapshot, as YYYY-MM-DD. Dates need it: they become days before it.
    """
    if dates := notation.date_format:
        return _days_before(parse_date(text, dates), snapshot)
    if notation.format == PERCENT:
        has_sign = text.str.count_matches(_PERCENT_SIGN) == 1
        return pl.when(has_sign).then(_amount(_without(text, _PERCENT_SIGN), notation))
    if notation.format == MONEY:
        return _amount(_without(text, CURRENCY), notation)
    return _plain(text, notation)


def parse_date(text: pl.Expr, dates: str) -> pl.Expr:
    """Return dates, null where the text does not fit the format. Without a day, the date is the first of the month."""
    pattern = date_pattern(dates)
    parts = text.str.extract_groups(pattern)
    year = parts.struct.field("year")
    short = year.cast(pl.Int32, strict=False)
    century = pl.when(short >= FIRST_1900S_YEAR).then(pl.lit("19")).otherwise(pl.lit("20"))
    full_year = pl.when(year.str.len_bytes() == 2).then(century + year).otherwise(year)
    day = parts.struct.field("day") if "<day>" in pattern else pl.lit("1")
    iso = pl.concat_str(full_year, _month(parts.struct.field("month")), day, separator="-")
    return iso.str.to_date("%Y-%m-%d", strict=False)


def _month(text: pl.Expr) -> pl.Expr:
    names = {name: str(number) for number, name in enumerate(MONTHS, start=1)}
    return text.str.to_lowercase().str.slice(0, 3).replace(names)


def _days_before(dates: pl.Expr, snapshot: str | None) -> pl.Expr:
    if snapshot is None:
        raise ValueError("dates are read as days before the snapshot, so its date is needed")
    return (pl.lit(datetime.date.fromisoformat(snapshot)) - dates).dt.total_days().cast(pl.Float64)


def _plain(text: pl.Expr, notation: Notation) -> pl.Expr:
    """Parse plain numbers, which may have an exponent."""
    plain = _with_point(text, notation).cast(pl.Float64, strict=False)
    if notation.thousands is None:
        return plain
    grouped = text.str.contains(f"^[+-]?(?:{_grouped(notation.thousands)})(?:{_fraction(notation)})?$")
    return pl.when(grouped).then(_without_marks(text, notation).cast(pl.Float64, strict=False)).otherwise(plain)


def _with_point(text: pl.Expr, notation: Notation) -> pl.Expr:
    """Replace a decimal comma by a point. Values with a point become null: it may be a thousands mark."""
    if notation.decimal == ".":
        return text
    has_point = text.str.contains(".", literal=True)
    return pl.when(~has_point).then(text.str.replace(",", ".", literal=True))


def _amount(text: pl.Expr, notation: Notation) -> pl.Expr:
    """Parse numbers with a sign before or after, or in parentheses, and without exponent."""
    signed = _signed(text)
    whole = "[0-9]+" if notation.thousands is None else f"{_grouped(notation.thousands)}|[0-9]+"
    fits = signed.str.contains(rf"^[+-]?(?:(?:{whole})(?:{_fraction(notation)})?|{_MARKS[notation.decimal]}[0-9]+)$")
    return pl.when(fits).then(_without_marks(signed, notation).cast(pl.Float64, strict=False))


def _without(text: pl.Expr, sign: str) -> pl.Expr:
    """Remove a percent sign or currency from the start and from the end, also inside a sign or parentheses."""
    minus = text.str.replace_all("[\u2212\u2013]", "-")
    before = minus.str.replace(rf"^([(+-]*)\s*{sign}\s*", "${1}")
    return before.str.replace(rf"\s*{sign}\s*([)-]*)$", "${1}")


def _signed(text: pl.Expr) -> pl.Expr:
    """Write "(5)" and "5-" as "-5"."""
    opened = text.str.replace(r"^\(\s*([^()+-]+?)\s*\)$", "-${1}")
    trailing = opened.str.replace(r"^([^()+-]+?)\s*-$", "-${1}")
    return trailing.str.replace(r"^([+-])\s+", "${1}")


def _grouped(thousands: Thousands) -> str:
    """Return the pattern of whole numbers in groups of three digits, or, as in India, of two and at last three."""
    mark = _MARKS[thousands]
    return f"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+|[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}"


def _fraction(notation: Notation) -> str:
    return f"{_MARKS[notation.decimal]}[0-9]*"


def _without_marks(text: pl.Expr, notation: Notation) -> pl.Expr:
    joined = text if notation.thousands is None else text.str.replace_all(_MARKS[notation.thousands], "")
    return joined if notation.decimal == "." else joined.str.replace(",", ".", literal=True)
