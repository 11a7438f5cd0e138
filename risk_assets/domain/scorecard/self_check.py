"""Verifies that a scorecard gives the same probabilities as the fitted pipeline it was compiled from."""

from risk_assets.domain.scorecard.scorecard import Example, Scorecard, VersionedScorecard
from risk_assets.domain.scorecard.single_row import contributions, sigmoid
from risk_assets.errors import ModelError

MAX_DIFFERENCE = 1e-9  # the largest |compiled - fitted| probability that is accepted


def require_reproduced(model: VersionedScorecard, example: Example) -> None:
    """Score the example record that was stored with a version.

    Raises
    ------
    ModelError
        If the probability differs from the stored one by more than `MAX_DIFFERENCE`.
    """
    if abs(_probability(model.scorecard, example) - example.probability) > MAX_DIFFERENCE:
        raise ModelError(
            f"{model.version} does not reproduce the probability stored with its example record, so it is not used. "
            "Restore the version's files from a backup, or promote another version."
        )


def _probability(card: Scorecard, example: Example) -> float:
    log_odds = card.intercept
    for part in contributions(card)([example.record.get(term.feature) for term in card.terms]):
        log_odds += part
    return sigmoid(log_odds)
