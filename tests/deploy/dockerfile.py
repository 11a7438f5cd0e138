"""Reads the Dockerfile."""

import re
import shlex

from tests.conftest import ROOT


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, such as `("USER", "risk")`."""
    lines = [line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def image_variables() -> dict[str, str]:
    """Return the variables of the image."""
    *_, last = [rest for name, rest in instructions() if name == "ENV"]
    return dict(pair.split("=", 1) for pair in shlex.split(last))
