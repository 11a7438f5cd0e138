"""Errors with a message for the user and a next step."""


class RiskError(Exception):
    """Base class of errors with a message for the user.

    The message names the place (file, column, date) and the next step. It never contains a value of a customer's row.
    """


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
