"""Reads a YAML document into a typed, frozen model, with errors that name file, key and what is allowed."""

import hashlib
from collections.abc import Sequence
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from risk_assets.errors import ContractError


class Document(BaseModel):
    """Base of the files a team owns: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Return the document in `text`.

        Parameters
        ----------
        text : str
            YAML.
        name : str
            Where the text comes from, for messages.

        Raises
        ------
        ContractError
            When the text is no YAML mapping, or a key is unknown, missing, stands twice or has a value that is not allowed.
        """
        try:
            content: object = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
        except yaml.YAMLError as error:
            raise ContractError(f"{name} is no valid YAML: {_problem(error)}. Mend the file and run again.") from error
        if not isinstance(content, dict):
            raise ContractError(f"{name} holds no keys. Start from the one that comes with the project.")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ContractError(_explain(error, cls, name)) from error

    @property
    def canonical(self) -> bytes:
        """The document's meaning as JSON: independent of comments, layout and the order of known keys; features and bands keep theirs."""
        return self.model_dump_json().encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the document's meaning."""
        return hashlib.sha256(self.canonical).hexdigest()


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML would silently keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value} stands twice", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return node


def _problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"


def _explain(error: ValidationError, document: type[Document], name: str) -> str:
    lines = [f"{name} can't be used:"]
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the file"
        lines.append(f"  {key}: {_message(problem, document)}")
    return "\n".join(lines)


def _message(problem: ErrorDetails, document: type[Document]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"there is no such key; allowed here are {', '.join(_keys(document, problem['loc'][:-1]))}"
    return problem["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")


def _keys(document: type[Document], path: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys of the document to which the path leads, through documents and mappings of documents."""
    kind: Any = document
    for part in path:
        kind = kind.model_fields[part].annotation if hasattr(kind, "model_fields") else get_args(kind)[1]
    return tuple(kind.model_fields)
