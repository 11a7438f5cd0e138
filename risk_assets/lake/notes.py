"""Parts of a report that are left out, with the reason, if what they need cannot be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from risk_assets.errors import RiskError

T = TypeVar("T")


@dataclass(frozen=True)
class Notes:
    """The parts that were left out, each with the message of its error."""

    texts: list[str] = field(default_factory=list)

    def attempt(self, part: str, read: Callable[[], T]) -> T | None:
        """Return what a function returns; note the name of the part and return None if it raises a `RiskError`."""
        try:
            return read()
        except RiskError as error:
            self.texts.append(f"{part}: {' '.join(str(error).split())}")
            return None
