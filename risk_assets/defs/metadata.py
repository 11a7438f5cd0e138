"""How figures appear in the run history."""

from collections.abc import Mapping
from typing import Any

DIGITS = 6


def shown(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata whose floats have six significant digits."""
    return {name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for name, value in figures.items()}
