"""Errors with a message for the user and a next step."""

import re

_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\]\"'])\. (?=[A-Z])")


class RiskError(Exception):
    """Base class of errors with a message for the user.

    The message names the place (file, column, date) and the next step. It never contains a value of a customer's row. Its
    first sentence is the problem, the rest is the next step.
    """

    @property
    def problem(self) -> str:
        """What failed, and where."""
        return _SENTENCE_END.split(" ".join(str(self).split()), maxsplit=1)[0]

    @property
    def next_step(self) -> str | None:
        """What to do, or None if the message has a single sentence."""
        _, *rest = _SENTENCE_END.split(" ".join(str(self).split()), maxsplit=1)
        return rest[0] if rest else None


class ContractError(RiskError):
    """A contract, a policy or a setting is not valid, or data does not match the contract."""


class LandingError(RiskError):
    """A source file is missing, ambiguous or not a CSV."""


class LakeError(RiskError):
    """Storage cannot be reached, the lake has another format, or a file of the lake is missing or damaged."""


class ModelError(RiskError):
    """A model cannot be trained, a version cannot be used, or no version is live."""


class MissingModelError(ModelError):
    """A model is not in the lake."""


class HistoryError(RiskError):
    """Dagster's run history cannot be read or written."""
