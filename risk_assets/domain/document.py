"""Reads a YAML document into a typed, frozen model, with errors that name file, key and what is allowed."""

import hashlib
import json
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from risk_assets.domain.errors import ContractError


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
            When the text is no YAML mapping, or a key is unknown, missing or has a value that is not allowed.
        """
        try:
            content: object = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ContractError(f"{name} is no valid YAML: {_position(error)}. Mend the file and run again.") from error
        if not isinstance(content, dict):
            raise ContractError(f"{name} holds no keys. Start from the one that comes with the project.")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ContractError(_explain(error, name)) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the document's meaning: independent of comments, order of keys and layout."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _position(error: yaml.YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else str(error)


def _explain(error: ValidationError, name: str) -> str:
    lines = [f"{name} can't be used:"]
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the file"
        lines.append(f"  {key}: {problem['msg']}")
    return "\n".join(lines)
