"""Errors with a message for the user and a next step."""

import re

_SENTENCE_END = re.compile(r"(?:(?<=[a-z0-9)\]\"'/])|(?<=[A-Za-z][A-Z]))\. (?=[A-Z])")


class RiskError(Exception):
    """Base class of errors with a message for the user.

    The message names the place (file, column, date) and the next step. It never contains a value of a customer's row. Its
    first sentence is the problem, the rest is the next step. In a message of one sentence, the next step follows the last colon.
    """

    @property
    def problem(self) -> str:
        """What failed, and where."""
        return self._parts[0]

    @property
    def next_step(self) -> str | None:
        """What to do, or None if the message has a single sentence without a colon."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str | None]:
        """The problem and the next step."""
        text = " ".join(str(self).split())
        problem, *steps = _SENTENCE_END.split(text, maxsplit=1)
        if not steps and ": " in text:
            problem, _, step = text.rpartition(": ")
            return problem, step
        return problem, steps[0] if steps else None


class ContractError(RiskError):
    """A contract, a policy or a setting is not valid, or data does not match the contract."""


class LandingError(RiskError):
    """A source file is missing, ambiguous or not a CSV."""


class RemovedError(LandingError):
    """A landed file was removed since it was found."""


class LakeError(RiskError):
    """Storage cannot be reached, the lake has another format, or a file of the lake is missing or damaged."""


class DamagedShardError(LakeError):
    """A shard of posted outcomes was changed or cut off. It stays unreadable until somebody restores or deletes it."""


class ModelError(RiskError):
    """A model cannot be trained, a version cannot be used, or no version is live."""


class MissingModelError(ModelError):
    """A model is not in the lake."""


class EngineError(RiskError):
    """Spark cannot be started or reached, or cannot do its work."""


class HistoryError(RiskError):
    """Dagster's run history cannot be read or written."""


class SelectionError(RiskError):
    """A selection of a work list that cannot be used."""
