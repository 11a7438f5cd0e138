"""Recognise columns that are prohibited bases of a credit decision by their names.

Source: Equal Credit Opportunity Act, Regulation B: 12 CFR 1002.2(z) defines prohibited bases, 1002.6(b) limits their use.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from risk_assets.domain.contract.column_names import word_list

RULE = "ECOA, Regulation B, 12 CFR 1002.2(z) and 1002.6(b)"
AGE = "age"
_AGE_EXCEPTION = (
    "1002.6(b)(2) allows age in an empirically derived, demonstrably and statistically sound credit scoring system if the age "
    "of an elderly applicant gets no negative factor or value. If that holds, remove sensitive to use it in models."
)

_NAMES = {
    "race": ("race", "racial", "ethnicity", "ethnic", "ethnic group", "hispanic", "tribe", "caste"),
    "color": ("skin color", "skin colour", "skin tone"),
    "religion": ("religion", "religious", "creed", "denomination"),
    "national origin": (
        *("nationality", "national origin", "country of birth", "birth country", "country of origin", "birthplace", "place of birth"),
        *("ancestry", "native language", "mother tongue"),
    ),
    "sex": ("sex", "gender", "is male", "is female", "male", "female", "geschlecht"),
    "marital status": (
        *("marital", "marital status", "marriage", "married", "divorced", "widowed", "family status", "civil status"),
        *("personal status", "marstat", "familienstand"),
    ),
    "public assistance": ("public assistance", "welfare", "welfare recipient"),
    AGE: ("birth date", "date of birth", "birthdate", "birthday", "dob", "birth year", "year of birth", "days birth", "birth"),
}
_POSSIBLE = {
    "national origin": ("citizenship", "citizen", "foreign worker", "immigrant", "language"),
}
# "age" beside other words may be the age of an account or a vehicle
_PERSON_AGE = frozenset(
    {"age", "alter", "years", "yrs", "year", "group", "band", "range", "bucket", "cat", "category", "class", "bin", "in", "of", "at", "the"}
    | {"applicant", "borrower", "customer", "client", "person", "cust", "application", "app", "current", "num", "int"}
)
# "color" beside other words may be the color of a vehicle or a card
_COLOR = frozenset({"color", "colour"})
_PERSON_COLOR = _COLOR | {"applicant", "borrower", "customer", "client", "person", "cust", "code", "cd", "of", "the"}


@dataclass(frozen=True)
class Basis:
    """A prohibited basis, and whether the column's name names it clearly."""

    name: str
    is_certain: bool

    @property
    def note(self) -> str:
        """The comment for the contract."""
        if not self.is_certain:
            return f"If this is the {self.name} of a person, a prohibited basis, set sensitive: true ({RULE})."
        exception = f" {_AGE_EXCEPTION}" if self.name == AGE else ""
        return f"Prohibited basis ({self.name}): {RULE}. It stays out of models and is kept for fairness figures.{exception}"

    @property
    def note_if_left_out(self) -> str:
        """The comment for a column that is left out, for someone who adds it all the same."""
        return f"Prohibited basis ({self.name}): {RULE}. If you add it, set sensitive: true." if self.is_certain else self.note


def prohibited_basis(column: str) -> Basis | None:
    """Return the prohibited basis that a column's name suggests, or None."""
    words = word_list(column)
    found = _named(words, _NAMES, certain=True) or _age(frozenset(words)) or _color(frozenset(words))
    return found or _named(words, _POSSIBLE, certain=False)


def _named(words: tuple[str, ...], names: Mapping[str, tuple[str, ...]], *, certain: bool) -> Basis | None:
    text = f" {' '.join(words)} "
    return next((Basis(basis, certain) for basis, found in names.items() if any(f" {name} " in text for name in found)), None)


def _age(words: frozenset[str]) -> Basis | None:
    if not words & {"age", "alter"}:
        return None
    return Basis(AGE, words - _numbers(words) <= _PERSON_AGE)


def _color(words: frozenset[str]) -> Basis | None:
    return Basis("color", words - _numbers(words) <= _PERSON_COLOR) if words & _COLOR else None


def _numbers(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word for word in words if word.isdigit())
