"""Two locks: all that the project needs, and pyspark with what it adds. They agree, and `make test` installs only the first."""

import re
import tomllib

import pytest

from tests.conftest import ROOT

LOCKS = ("requirements.lock", "spark.lock")
PINNED = re.compile(r"^([\w.-]+)(\[[\w,-]+\])?==(\S+)(?: ; [^\\]+?)? \\$", re.MULTILINE)


def pinned(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock: most have one, some one for each series of Python."""
    found: dict[str, set[str]] = {}
    for name, _, version in PINNED.findall((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(name, set()).add(version)
    return found


def extra(name: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements: list[str] = project["optional-dependencies"][name]
    return requirements


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", (ROOT / lock).read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_of_a_lock_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if entry]
    assert entries and all("--hash=sha256:" in entry for entry in entries)
    assert len(entries) == sum(map(len, pinned(lock).values()))


def test_packages_in_both_locks_have_the_same_version() -> None:
    everything, spark = pinned("requirements.lock"), pinned("spark.lock")
    both = everything.keys() & spark.keys()
    assert {"pandas", "grpcio", "numpy"} <= both
    assert {name: spark[name] for name in both} == {name: everything[name] for name in both}


def test_pyspark_is_only_in_its_own_lock() -> None:
    assert "pyspark" in pinned("spark.lock").keys() - pinned("requirements.lock").keys()


def test_the_lock_of_spark_has_what_the_extra_pins() -> None:
    wanted = [re.sub(r"\[.*\]", "", requirement).split("==") for requirement in extra("spark")]
    assert all(pinned("spark.lock")[name] == {version} for name, version in wanted)
