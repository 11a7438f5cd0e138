"""What the product says when it can't go on: what is wrong, where, and what to do next."""


class RiskError(Exception):
    """A failure with a message for the person who reads it.

    The message names the place (file, column, date) and the next step, and never holds a value from a customer's row.
    """


class ContractError(RiskError):
    """A contract or a policy that can't be used, or data that breaks the contract as a whole."""


class LandingError(RiskError):
    """A source file that is missing, ambiguous or no CSV."""


class LakeError(RiskError):
    """Storage that can't be reached, or a partition that is missing or not whole."""


class ModelError(RiskError):
    """Training that can't be done, a version that can't be used, or no version that is live."""


class MissingModelError(ModelError):
    """A model that is not in the lake."""
