"""Write a draft policy for a book whose bad rate is known."""

import math

from risk_assets.domain.contract.draft import comment

# The odds of the cut-off and of the bounds of bands, as multiples of the odds of the bad rate. At a bad rate of 10 % they are about
# 0.25, and 0.03, 0.08, 0.14, 0.25 and 0.44: those of the default policy.
CUT_OFF = 3.0
BANDS = {"A": 0.25, "B": 0.75, "C": 1.5, "D": CUT_OFF, "E": 7.0}
LOWEST, HIGHEST = 0.001, 0.97  # of the bad rate: the bounds stay apart when they are rounded
DIGITS = 2

TEMPLATE = """\
# Draft policy for {name}, whose bad rate is {rate:.1%}. Someone who knows the book must review every line.
# All other keys have their defaults. They are documented in risk_assets/domain/contract/policy.py; the file data/policy.yml
# of the project has all of them.

# The cut-off and the bounds of bands are probabilities; with `points` they are points.
cut_by: probability

# The cut-off: an account is predicted bad (1) from this probability on. It is a guess: {multiple:g} times the odds of the bad rate.
threshold: {threshold}

# The upper bound of each band, from the safest to the riskiest; a probability at a bound is in the riskier band.
bands: {{{bands}}}

promotion:
  mode: manual             # a version goes live only by `risk promote`; auto: by itself if it passes all gates
  # The gates that `risk promote --override` may set aside if they failed or are undecided. With few bad accounts most of them are.
  override: [discrimination, calibration, calibration_by_band, brier_skill, not_worse_than_live, not_worse_than_best, stability, segments]
  second_name: never       # --approved-by: never, to override a gate (override), or always

monitoring:
  max_psi: 0.2             # drift: by convention, 0.1 is some change and 0.25 a large one; small books have higher limits
"""


def draft_policy(name: str, bad_rate: float) -> str:
    """Return the YAML of a policy; `name` is the file of accounts.

    Versions go live only by `risk promote`. Cut-off and bands are multiples of the odds of the bad rate.
    """
    rate = min(max(bad_rate, LOWEST), HIGHEST)
    bounds = {band: _at(rate, multiple) for band, multiple in BANDS.items()} | {"F": 1}
    bands = ", ".join(f"{band}: {bound:g}" for band, bound in bounds.items())
    return TEMPLATE.format(name=comment(name), rate=bad_rate, multiple=CUT_OFF, threshold=f"{_at(rate, CUT_OFF):g}", bands=bands)


def _at(rate: float, multiple: float) -> float:
    """Return the probability whose odds are a multiple of those of a rate, rounded in the digits of the smaller class."""
    odds = multiple * rate / (1 - rate)
    good = 1 / (1 + odds)
    return round(1 - _rounded(good), 6) if good < 0.5 else _rounded(1 - good)


def _rounded(share: float) -> float:
    return round(share, DIGITS - 1 - math.floor(math.log10(share)))
