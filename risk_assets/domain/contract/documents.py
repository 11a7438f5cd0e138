"""Base class of the YAML files that a team owns: typed, immutable, with errors that name the file and the key."""

import hashlib
from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from risk_assets.domain.contract.text import without_controls
from risk_assets.errors import ContractError


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write a number: YAML reads this as true or false")
    return value


def _name(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank: write the name of a column, or remove the key")
    return value


def _line(value: str) -> str:
    text = value.strip()
    if not text:
        raise ValueError("must not be blank")
    if without_controls(text) != text:
        raise ValueError("must be one line without control characters")
    return text


Number = Annotated[float, BeforeValidator(_number)]  # pydantic reads true as 1.0
ColumnName = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, AfterValidator(_line)]  # one line for people, without surrounding whitespace


class Document(BaseModel):
    """A YAML mapping with known keys. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Parse YAML text.

        Parameters
        ----------
        text : str
            The YAML.
        name : str
            The source of the text, for messages.

        Raises
        ------
        ContractError
            When the text is not a YAML mapping, or when a key is unknown, missing, repeated or has an invalid value.
        """
        try:
            content: object = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
        except yaml.YAMLError as error:
            raise ContractError(f"{name} is not valid YAML: {_problem(error)}. Fix the file and run again.") from error
        if not isinstance(content, dict):
            raise ContractError(f"{name} has no keys. Copy the sample file that comes with the project and edit it.")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ContractError(_explain(error, cls, name)) from error

    @property
    def canonical(self) -> bytes:
        """The parsed content as JSON.

        Comments, layout and the order of fixed keys do not change it. The order of features and of bands does.
        """
        return self.model_dump_json().encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()


class _Loader(yaml.SafeLoader):
    """Reject repeated keys in a mapping. PyYAML silently keeps the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value} appears twice", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return node


def _problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"


def _explain(error: ValidationError, document: type[Document], name: str) -> str:
    lines = [f"{name} is not valid. Fix these keys and run again:"]
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the file"
        lines.append(f"  {key}: {_message(problem, document)}")
    return "\n".join(lines)


def _message(problem: ErrorDetails, document: type[Document]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"unknown key; the allowed keys are {', '.join(_keys(document, problem['loc'][:-1]))}"
    return problem["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")


def _keys(document: type[Document], path: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys of the nested document at `path`, which passes through documents, mappings and lists of documents."""
    kind: Any = document
    for part in path:
        if hasattr(kind, "model_fields"):
            kind = _required(kind.model_fields[part].annotation)
        else:
            kind = get_args(kind)[0 if isinstance(part, int) else 1]
    return tuple(field.alias or name for name, field in kind.model_fields.items())


def _required(kind: Any) -> Any:
    """Return a type without None."""
    others = [other for other in get_args(kind) if other is not NoneType]
    return others[0] if NoneType in get_args(kind) else kind
