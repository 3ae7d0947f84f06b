# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Does what is installed fit together? An engine may hold a package back that the exporters need newer: with
descript-audiotools, which IndexTTS-2 needs, protobuf stays below 3.20, and nothing at all is exported."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final

from otel_tts.commands import pip
from otel_tts.doctor.check import FAIL, PASS, Check

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_OURS: Final = "otel-tts"


@dataclass
class Need:
    """A package that otel-tts needs, directly or not: which versions, and who asks for which of them."""

    name: str
    version: str | None
    asked: dict[str, Requirement] = field(default_factory=dict[str, "Requirement"])

    @property
    def unmet(self) -> dict[str, Requirement]:
        """Packages that ask for another version than the installed one, with what they ask for."""
        return {
            who: asked
            for who, asked in self.asked.items()
            if self.version is None or not asked.specifier.contains(self.version, prereleases=True)
        }


def fitting(environ: Mapping[str, str]) -> Iterator[Check]:
    """Hold the installed packages against what otel-tts and its dependencies ask for."""
    needs = list(_needs())
    for need in needs:
        if unmet := need.unmet:
            yield Check("dependencies", FAIL, _tell(need, unmet))
    if not any(need.unmet for need in needs):
        yield Check("dependencies", PASS, f"{len(needs)} packages are as otel-tts needs them")


def _needs() -> Iterator[Need]:
    """Yield every package that otel-tts needs, each once, with all that is asked of it."""
    needs: dict[str, Need] = {}
    waiting: list[tuple[str, str]] = [(_OURS, "")]
    seen = set(waiting)
    while waiting:
        who, extra = waiting.pop()
        for asked in _requirements(who, extra):
            name = _plain(asked.name)
            needs.setdefault(name, Need(asked.name, _version(name))).asked[who] = asked
            for each in {(name, ""), *((name, extra) for extra in asked.extras)} - seen:
                seen.add(each)
                waiting.append(each)
    return iter(needs.values())


def _requirements(distribution: str, extra: str = "") -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        try:
            asked = Requirement(line)
        except InvalidRequirement:
            continue
        if asked.marker is None or asked.marker.evaluate({"extra": extra}):
            yield asked


def _tell(need: Need, unmet: dict[str, Requirement]) -> str:
    wanted = {part for asked in need.asked.values() for part in str(asked.specifier).split(",") if part}
    installing = f"{pip()} install {shlex.quote(need.name + ','.join(sorted(wanted)))}"
    askers = ", ".join(f"{who} {_version(who)} needs {asked.specifier or 'it'}" for who, asked in unmet.items())
    if need.version is None:
        return f"{need.name} is not installed, {askers}: {installing}"
    holders = ", ".join(_holders(need.name, need.version))
    held = f". Held back by {holders}: see docs/known-issues.md" if holders else ""
    return f"{need.name} {need.version} is installed, {askers}: {installing}{held}"


_BOUNDS: Final = frozenset({"<", "<=", "==", "===", "~="})


def _holders(name: str, version: str) -> Iterator[str]:
    """Yield the installed packages that keep `name` at `version` or below."""
    for holder in metadata.distributions():
        for asked in _requirements(str(holder.metadata["Name"])):
            bound = any(part.operator in _BOUNDS for part in asked.specifier)
            if bound and _plain(asked.name) == _plain(name) and asked.specifier.contains(version, prereleases=True):
                yield f"{holder.metadata['Name']} {holder.version} ({asked.specifier})"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
