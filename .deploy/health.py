"""Exit with 0 if the main process of this container answers, with 1 if it does not; its command decides how it is asked.

Docker runs it (HEALTHCHECK). Kubernetes and Container Apps do not read HEALTHCHECK: their probes run it as a command.
"""

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

SECONDS = 20
HTTP = {"dagster-webserver": (3000, "/server_info"), "risk_serving": (8000, "/health/live")}


def healthy(command: str) -> bool:
    """Return whether the process with this command line answers; a command that ends by itself, such as a run, is healthy."""
    for name, (port, path) in HTTP.items():
        if name in command:
            return _http(f"http://127.0.0.1:{_port(command, port)}{path}")
    if "api grpc" in command:
        return _succeeds("dagster", "api", "grpc-health-check", "--port", str(_port(command, 4000)))
    if "dagster-daemon" in command:
        return _succeeds("dagster-daemon", "liveness-check")
    return True


def _port(command: str, default: int) -> int:
    given = re.search(r" (?:-p|--port)[ =](\d+)", command)
    return int(given[1]) if given else default


def _http(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - http://127.0.0.1
            return bool(answer.status == 200)
    except OSError:
        return False


def _succeeds(*command: str) -> bool:
    program = Path(sys.executable).with_name(command[0])
    try:
        return subprocess.run([program, *command[1:]], timeout=SECONDS, capture_output=True, check=False).returncode == 0  # noqa: S603
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    cmdline = Path(f"/proc/{sys.argv[1] if len(sys.argv) > 1 else 1}/cmdline")
    sys.exit(0 if healthy(cmdline.read_text(encoding="utf-8").replace("\0", " ")) else 1)
