"""Options of an export."""

import re
from dataclasses import dataclass

from risk_assets.errors import RiskError

MAX_MIRROR_PERCENT = 50
_ENDPOINT = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,30}[a-zA-Z0-9]")


@dataclass(frozen=True)
class Options:
    """Options of an export; raises `RiskError` if Azure ML does not accept the endpoint's name or the mirrored percentage.

    Attributes
    ----------
    endpoint
        Name of the endpoint, unique in its Azure region.
    instance_type, instances, workers
        Machine type, machines per deployment, and processes per machine: one per core.
    mirror
        Percentage of requests that are copied to a challenger in shadow, 1 to 50.
    sticky
        Whether one deployment serves the whole binding and assigns accounts to versions as batch does.
    max_records, max_body_bytes
        Limits of a request.
    """

    endpoint: str = "credit-default"
    instance_type: str = "Standard_DS3_v2"
    instances: int = 1
    workers: int = 4
    mirror: int = MAX_MIRROR_PERCENT
    sticky: bool = False
    max_records: int = 1000
    max_body_bytes: int = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        """Check the values that the command line does not check."""
        if not _ENDPOINT.fullmatch(self.endpoint):
            raise RiskError(
                f"{self.endpoint} cannot name an endpoint. Use 3 to 32 letters, digits and hyphens; begin with a letter and "
                "do not end with a hyphen."
            )
        if not 1 <= self.mirror <= MAX_MIRROR_PERCENT:
            raise RiskError(
                f"mirrored traffic must be between 1 and {MAX_MIRROR_PERCENT} %: Azure ML copies at most {MAX_MIRROR_PERCENT} %."
            )
