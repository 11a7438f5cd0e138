"""Recognise what a text column contains: dates, codes, durations, flags."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from risk_assets.domain.contract.column_names import words
from risk_assets.domain.contract.notation import readable_date
from risk_assets.domain.contract.number_text import MAX_UNREADABLE_SHARE, MIN_SUPPORT, SAMPLE_VALUES
from risk_assets.domain.contract.parsing import CURRENCY, parse_date

MIN_DATE_SHARE = 0.8  # of the distinct values; a column with more other values is not named dates
MIN_DIGITS_DATE_SHARE = 0.99  # of dates without separators, which numbers can resemble
MIN_DIGITS_DATES = 4  # distinct values
FIRST_YEAR, LAST_YEAR = 1900, 2100
MIN_KIND_SHARE = 0.95
WIDE_CODE = 8  # digits from which whole numbers of equal width, different in nearly every row, are codes
SERIAL_DAYS = (10_000, 80_000)  # days since 1900 of the years 1927 to 2119, as spreadsheets count them
MIN_SECONDS = 10**8  # seconds since 1970, from 1973 on
MIN_FIXED_WIDTH = 5  # digits from which whole numbers of equal width are noted as possible codes

DATE_FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y"),
    *("%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y", "%d %m %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y"),
    *("%b-%y", "%b-%Y", "%b %Y", "%b %y", "%B %Y", "%B-%Y", "%y-%b", "%Y-%b"),
    *("%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d%b%Y", "%d.%b.%Y", "%d/%b/%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d. %B %Y"),
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00"),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M"),
)
DIGITS_DATE_FORMATS = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y")

_POSTAL_WORDS = frozenset({"zip", "zipcode", "postal", "postcode", "plz", "pincode", "postnummer", "postleitzahl"})
_CODE_WORDS = frozenset({"code", "codes", "sic", "naics", "mcc", "fips", "iban", "bic", "swift", "isin"})
_DATE_WORDS = frozenset({"date", "dt", "datum", "timestamp"})
_POSTAL_PATTERNS = (
    r"^[0-9]{5}-[0-9]{4}$",
    r"^[0-9]{3}[xX*]{2}$",
    r"^(?i)[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2}$",
    r"^(?i)[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]$",
    r"^[0-9]{4} [A-Z]{2}$",
    r"^[A-Z]{1,2}-[0-9]{4,5}$",
)
_UNIT = "(?i:days?|d|weeks?|wks?|w|months?|mths?|mons?|mos?|m|years?|yrs?|y|tage?n?|wochen?|monate?n?|jahre?n?)"
_DURATION = rf"^(?:[<>~\u2264\u2265]=? ?)?[0-9]+(?:[.,][0-9]+)? ?\+? ?{_UNIT}\.?(?:,? ?[0-9]+ ?{_UNIT}\.?)?$"
_FLAGS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"}, {"on", "off"}, {"ja", "nein"}, {"j", "n"})
_SIGNLESS = rf"^[(+-]?(?:{CURRENCY})?\s*[0-9][0-9.,' \u00a0\u202f]*(?:{CURRENCY})?"
_CREDIT_OR_DEBIT = rf"{_SIGNLESS}\s*(?i:CR|DR)\.?$"
_GROUP = "Group them at the source to use them as a category."
_LEADING_ZERO = r"^[+-]?0\d+$"
_DIGITS = r"^[0-9]+$"
_DECIMAL = r"^[+-]?[0-9]*[.,]?[0-9]*%?$"
_LIKE_A_DATE = r"^[0-9A-Za-z]{1,9}[-/., :].*[0-9]|^[0-9]{2}[A-Za-z]|^[0-9]{1,4}[-./ ].*[A-Za-z]"


@dataclass(frozen=True)
class Kind:
    """What a column contains, for the contract's comments.

    Attributes
    ----------
    name : str
        A noun phrase.
    note : str
        A sentence for a column that is used as a category, or "".
    advice : str
        A sentence for a column that is left out because it has too many levels.
    """

    name: str
    note: str
    advice: str


@dataclass(frozen=True)
class Dates:
    """The date formats that read the most values, and the share of the distinct values that they read."""

    formats: tuple[str, ...]
    share: float

    @property
    def reason(self) -> str:
        """Why the column is left out, and how to use it."""
        first, *others = self.formats
        also = f" (or {' or '.join(map(readable_date, others))})" if others else ""
        rest = "" if self.share == 1 else f", in {self.share:.1%} of its distinct values"
        return (
            f"it has dates written as {readable_date(first)}{also}{rest}. To use the days before the snapshot, add it with "
            f"type: number and format: date({first}), if the dates are known on the snapshot date."
        )


def find_dates(known: pl.Series) -> Dates | None:
    """Return the date formats of a column, or None if it has no dates."""
    values = known.unique(maintain_order=True)
    sample = values.gather_every(len(values) // SAMPLE_VALUES + 1)
    if _share(sample, _DIGITS) < MIN_DATE_SHARE:
        if _share(sample, _LIKE_A_DATE) < MIN_DATE_SHARE or _share(sample, _DECIMAL) > 1 - MIN_DATE_SHARE:
            return None
        return _best_dates(_date_shares(sample, DATE_FORMATS), MIN_DATE_SHARE)
    least = MIN_DIGITS_DATES if words(known.name) & _DATE_WORDS else MIN_SUPPORT
    return _best_dates(_date_shares(sample, DIGITS_DATE_FORMATS), MIN_DIGITS_DATE_SHARE) if len(values) >= least else None


def find_codes(known: pl.Series) -> Kind | None:
    """Return the kind of a column of codes, which must not be read as numbers; None for other columns."""
    by_name = words(known.name)
    is_whole = bool(known.str.contains(_DIGITS).all())
    if (by_name & _POSTAL_WORDS and _share(known, "[0-9]") >= MIN_KIND_SHARE) or _share(known, *_POSTAL_PATTERNS) >= MIN_KIND_SHARE:
        return Kind("postal codes", "", "Group them at the source, for example by their first digits, to use them as a category.")
    if known.str.contains(_LEADING_ZERO).any():
        return Kind("codes, because some values have leading zeros", "", _GROUP)
    if by_name & _CODE_WORDS and is_whole:
        return Kind("codes, as the column's name says", "", _GROUP)
    if is_whole and _fixed_width(known) >= WIDE_CODE and known.n_unique() >= MIN_KIND_SHARE * len(known) and len(known) >= MIN_SUPPORT:
        return Kind("codes of equal width, such as account or telephone numbers", "", _GROUP)
    return None


def find_accounting(known: pl.Series) -> str | None:
    """Return the reason to leave out amounts that are marked as credit or debit, such as 5.00CR and 7 DR; None for others."""
    if not _share(known, _CREDIT_OR_DEBIT) > MAX_UNREADABLE_SHARE or _share(known, _CREDIT_OR_DEBIT, f"{_SIGNLESS}$") < MIN_KIND_SHARE:
        return None
    return (
        "it has amounts in accounting notation, with CR for credit and DR for debit. Which of them is negative depends on the "
        "account: convert them to signed numbers at the source."
    )


def find_text_kind(known: pl.Series) -> Kind | None:
    """Return the kind of a column of text: durations or flags; None for other columns."""
    if _share(known, _DURATION) >= MIN_KIND_SHARE:
        months = "Convert them at the source to a number of months or years"
        return Kind("durations such as 36 months or 10+ years", f"A category does not keep their order. {months} to use it.", f"{months}.")
    if set(known.str.to_lowercase().unique().to_list()) in _FLAGS:
        return Kind("a flag such as TRUE and FALSE", "", "")
    return None


def find_serial_dates(known: pl.Series) -> str | None:
    """Return the reason to leave out whole numbers that, by the column's name, count days or seconds; None for others."""
    if known.is_empty() or not words(known.name) & _DATE_WORDS or not known.str.contains(_DIGITS).all():
        return None
    numbers = known.cast(pl.Float64)
    advice = "Export them as dates such as yyyy-mm-dd, and add the column with format: date(%Y-%m-%d)."
    if numbers.is_between(*SERIAL_DAYS).all():
        return f"it has dates as numbers of days, as spreadsheets store them. {advice}"
    return f"it has times as numbers of seconds or milliseconds. {advice}" if (numbers >= MIN_SECONDS).all() else None


def fixed_width_note(text: pl.Series) -> str | None:
    """Return a note about whole numbers of equal width, which may be codes; None for other columns."""
    known = text.filter(text.str.contains(_DIGITS))
    width = _fixed_width(known)
    if width < MIN_FIXED_WIDTH or known.n_unique() < MIN_SUPPORT or len(known) < len(text.drop_nulls()):
        return None
    return f"Every number has {width} digits. If they are codes, remove the column or set type: category."


def _fixed_width(known: pl.Series) -> int:
    """Return the number of characters of every value, 0 if it differs."""
    widths = known.str.len_chars().unique()
    return int(widths[0]) if len(widths) == 1 else 0


def _share(known: pl.Series, *patterns: str) -> float:
    found = known.str.contains("|".join(f"(?:{pattern})" for pattern in patterns)).mean()
    return found if isinstance(found, float) else 0.0


def _date_shares(sample: pl.Series, formats: tuple[str, ...]) -> dict[str, float]:
    frame = sample.to_frame("text")
    return dict(zip(formats, frame.select(_plausible(formats)).row(0), strict=True))


def _plausible(formats: tuple[str, ...]) -> Iterator[pl.Expr]:
    for name in formats:
        year = parse_date(pl.col("text"), name).dt.year()
        yield year.is_between(FIRST_YEAR, LAST_YEAR).fill_null(False).mean().alias(name)


def _best_dates(shares: dict[str, float], least: float) -> Dates | None:
    best = max(shares.values(), default=0.0)
    return Dates(tuple(name for name, share in shares.items() if share == best), best) if best >= least else None
