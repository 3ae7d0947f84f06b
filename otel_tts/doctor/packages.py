# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Does what is installed fit together? An engine may hold back a package that otel-tts needs newer, or one that only
OpenTelemetry's own exporters need (the extra ``otlp``): with descript-audiotools, which IndexTTS-2 needs, protobuf
stays below 3.20, and gRPC cannot be spoken."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final

from otel_tts.commands import pip
from otel_tts.doctor.check import FAIL, PASS, WARN, Check

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_OURS: Final = "otel-tts"
_THE_SDKS: Final = ("opentelemetry-exporter-otlp-proto-http", "opentelemetry-exporter-otlp-proto-grpc")
"""Exporters that are there beside ours, or not."""


@dataclass
class Need:
    """A package that is needed, directly or not: which versions, and who asks for which of them."""

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
    """Hold the installed packages against what otel-tts and its dependencies ask for.

    What only the SDK's exporters lack, where they are installed, is a warning: ours do without.
    """
    needs, theirs = _needs(_OURS), _needs(*filter(_version, _THE_SDKS))
    unmet = [need for need in needs.values() if need.unmet]
    for need in unmet:
        yield Check("dependencies", FAIL, _tell(need))
    apart = [need for name, need in theirs.items() if name not in needs and need.unmet]
    for need in apart:
        yield Check("dependencies", WARN, f"for OpenTelemetry's own exporters (gRPC) alone: {_tell(need)}")
    if not unmet and not apart:
        yield Check("dependencies", PASS, f"{len(needs)} packages are as otel-tts needs them")


def _needs(*distributions: str) -> dict[str, Need]:
    """Return by its plain name every package that these need, directly or not, with all that is asked of it."""
    needs: dict[str, Need] = {}
    waiting: list[tuple[str, str]] = [(name, "") for name in distributions]
    seen = set(waiting)
    while waiting:
        who, extra = waiting.pop()
        for asked in _requirements(who, extra):
            name = _plain(asked.name)
            needs.setdefault(name, Need(asked.name, _version(name))).asked[who] = asked
            for each in {(name, ""), *((name, extra) for extra in asked.extras)} - seen:
                seen.add(each)
                waiting.append(each)
    return needs


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


def _tell(need: Need) -> str:
    wanted = {part for asked in need.asked.values() for part in str(asked.specifier).split(",") if part}
    installing = f"{pip()} install {shlex.quote(need.name + ','.join(sorted(wanted)))}"
    askers = ", ".join(f"{who} {_version(who)} needs {asked.specifier or 'it'}" for who, asked in need.unmet.items())
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
