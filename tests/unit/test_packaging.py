# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""pyproject.toml, the locks, the Makefile and the sources agree with each other. All of it offline."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import otel_tts
from otel_tts.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def lines(lock: str) -> list[str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(lock: str, python: str) -> dict[str, str]:
    """Name and version of what `lock` installs on Linux under `python`."""
    environment = {
        "python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux", "os_name": "posix",
        "platform_system": "Linux", "implementation_name": "cpython", "platform_python_implementation": "CPython",
    }  # fmt: skip
    found: dict[str, str] = {}
    for line in lines(lock):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.name not in found, f"{lock} pins {requirement.name} twice for {python}"
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def group(name: str) -> list[str]:
    members: list[str] = []
    for member in PROJECT["dependency-groups"][name]:
        members += group(member["include-group"]) if isinstance(member, dict) else [member]
    return members


def asked(*extras: str, groups: tuple[str, ...] = ()) -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    return [Requirement(text) for text in [*texts, *(r for name in groups for r in group(name))]]


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE)) == set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("lock", "extras", "groups"), [("demo.lock", ("demo",), ()), ("dev.lock", ("demo", "config"), ("dev",))]
)
def test_a_lock_has_what_pyproject_asks_for(
    lock: str, extras: tuple[str, ...], groups: tuple[str, ...], python: str
) -> None:
    pinned = pins(lock, python)
    unmet = [
        str(requirement)
        for requirement in asked(*extras, groups=groups)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python})
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]
    assert unmet == [], "run `make lock`"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_demo_lock_is_a_part_of_the_dev_lock(python: str) -> None:
    assert pins("demo.lock", python).items() <= pins("dev.lock", python).items()


@pytest.mark.parametrize("lock", ["demo.lock", "dev.lock"])
def test_a_lock_is_pins_only(lock: str) -> None:
    """No address of an index, no path, no option: it installs the same from any mirror."""
    assert [line for line in lines(lock) if not re.fullmatch(r"[\w.-]+==[\w.!+]+( ; [^/:@]+)?", line)] == []


def test_one_train_of_opentelemetry() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for name, version in pins("dev.lock", "3.11").items():
        if name.startswith("opentelemetry-"):
            versions["beta" if "b" in version else "stable"].add(version)
    assert {kind: len(found) for kind, found in versions.items()} == {"stable": 1, "beta": 1}


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    project = PROJECT["project"]
    everything = asked(*(extra for extra in project["optional-dependencies"] if extra != "all"), groups=("dev",))
    for requirement in everything:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({">=", "<"}, {"=="}), requirement


def entry_points() -> dict[str, str]:
    project = PROJECT["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    return {f"{group}.{name}": target for group, targets in groups.items() for name, target in targets.items()}


@pytest.mark.parametrize("target", entry_points().values(), ids=entry_points())
def test_an_entry_point_leads_to_something(target: str) -> None:
    assert pkgutil.resolve_name(target) is not None


def test_the_version_is_stated_once() -> None:
    stated = PROJECT["project"]["version"]
    assert __version__ in (stated, "0+unknown")
    assert re.search(rf"^## {re.escape(stated)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(otel_tts.__file__).parent / "py.typed").is_file()


def sources() -> list[Path]:
    folders = ("otel_tts", "tests", "docs", "dashboards", "collector")
    found = [path for folder in folders for end in ("py", "sh") for path in (ROOT / folder).rglob(f"*.{end}")]
    return [*found, ROOT / "Makefile", ROOT / ".ci" / "run"]


def test_every_source_has_the_header() -> None:
    header = "# Copyright The otel-tts Authors\n# SPDX-License-Identifier: Apache-2.0\n"
    without = [
        str(path.relative_to(ROOT))
        for path in sources()
        if not re.sub(r"\A#!.*\n", "", path.read_text(encoding="utf-8")).startswith(header)
    ]
    assert without == []


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert set(re.findall(r"^([a-z-]+):.* ## .+$", text, re.MULTILINE)) == set(phony.split())


def test_pyright_and_ruff_are_aimed_at_the_oldest_python() -> None:
    tools: dict[str, Any] = PROJECT["tool"]
    assert PROJECT["project"]["requires-python"] == ">=3.10,<3.14"
    assert (tools["pyright"]["pythonVersion"], tools["ruff"]["target-version"]) == ("3.10", "py310")
