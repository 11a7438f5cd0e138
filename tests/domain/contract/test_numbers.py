"""Numbers in both documents: YAML's true and false are not numbers, wherever a number is meant."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from risk_assets.domain.contract.policy import Policy
from risk_assets.domain.contract.schema import BadWhen, Contract, Exclusion


def numbers(document: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key of a document, at any depth, whose value is a number or has numbers."""
    for name, field in document.model_fields.items():
        kinds = list(kinds_of(field.annotation))
        if int in kinds or float in kinds:
            yield f"{path}{name}", field
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from numbers(kind, f"{path}{name}.")


def kinds_of(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from kinds_of(part)


FIELDS = {document.__name__ + "." + path: field for document in (Contract, Policy) for path, field in numbers(document)}


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_not_a_number(path: str, value: bool) -> None:
    field = FIELDS[path]
    kind: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    given = {"A": value} if str(field.annotation).startswith("dict") else value
    with pytest.raises(ValidationError):
        kind.validate_python(given)


def test_all_numbers_are_found() -> None:
    assert len(FIELDS) > 40 and {"Policy.bands", "Policy.threshold", "Contract.features.min", "Contract.exclude.below"} <= FIELDS.keys()
    assert "Contract.target.derived.bad_when.at_least" in FIELDS


@pytest.mark.parametrize("kind", [Exclusion, BadWhen])
def test_the_message_says_why(kind: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="write a number: YAML reads this as true or false"):
        kind.model_validate({"reason": "late", "column": "days", "at_least": True})
