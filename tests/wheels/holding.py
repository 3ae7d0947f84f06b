# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds every table and draft against wheels; `make matrix` and the tests say the same of a version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from draft_seams import Draft

from otel_tts.engines.check.fit import Finding
from otel_tts.engines.check.names import FOUND, MISSING, UNREAD, find, takes
from otel_tts.engines.check.packages import Packages, Wheels


def opened(wheels: Mapping[str, Path]) -> Packages:
    """All wheels at once, as they would stand in one environment: engines name parts of each other."""
    return Wheels(*wheels.values())


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def moved(finding: Finding) -> bool:
    """Whether a name is not where it was. What may be inherited from a package that is not read (torch) has moved: the
    name stood in the package itself. Of a compiled module the names are all that can be read."""
    if finding.state == UNREAD:
        return finding.callable and not finding.optional and "is compiled; the names stand in it" not in finding.why
    return finding.lacking


def held_draft(lines: Iterable[str], packages: Packages) -> Iterator[Finding]:
    """Look up lines of a draft; another kind of callable than expected has moved too."""
    for line in lines:
        draft = Draft.read(line)
        name = f"{draft.module}.{draft.target}"
        found = find(packages, draft.module, draft.target)
        if found.state != FOUND:
            yield Finding(name, found.state, found.why)
        elif found.kind != draft.kind:
            yield Finding(name, MISSING, f"is now a {found.kind}, was a {draft.kind}", found.kind)
        else:
            yield Finding(name, FOUND, kind=found.kind)
        for parameter in draft.parameters if found.state == FOUND else ():
            taken = takes(packages, found, parameter)
            state = UNREAD if taken is None else FOUND if taken else MISSING
            yield Finding(f"{name}({parameter})", state, "" if taken else f"no parameter {parameter}", callable=False)
