# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which engines with a table are here, and what of their tables they lack, told from their source alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from otel_tts.engines.check.fit import check
from otel_tts.engines.check.names import FOUND, UNREAD, find
from otel_tts.engines.check.packages import Installed, Packages
from otel_tts.engines.table import Engine


@dataclass(frozen=True)
class Status:
    """What is known of one engine on this machine, from its source: no code of it has run.

    `module` is what its hooks wait for. `version` is None where there is no distribution: not `installed`, or a source
    checkout. Of the table's `seams`, `missing` are not there, `unread` could not be looked at, with the reason; `facts`
    are arguments and attributes that are not there. `error` says what is wrong with a table that is not used at all.
    """

    name: str
    distribution: str
    module: str
    installed: bool
    version: str | None
    seams: int
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    error: str | None = None

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the table names and the engine does not have."""
        return self.missing + self.facts


def survey(named: Iterable[metadata.EntryPoint] = ()) -> Iterator[Status]:
    """Look at every engine that has a table here, and at the tables that `named` lead to."""
    # Here, since the hooks bring OpenTelemetry with them and `otel-tts --help` should not wait for it.
    from otel_tts.engines.form import Wrong, load
    from otel_tts.engines.known import known

    if (here := str(Path.cwd())) not in sys.path:  # a command's is its own folder; `otel-tts run` adds this one too
        sys.path.append(here)
    packages = Installed()
    for table in (*known(), *map(load, named)):
        if isinstance(table, Wrong):
            yield Status(table.name, table.distribution, table.table, False, None, 0, error=table.error)
        else:
            yield look(table, packages)


def look(engine: Engine, packages: Packages) -> Status:
    """Hold one table against what is installed."""
    from otel_tts.engines.table import installed_version

    version = installed_version(engine.distribution)
    findings = check(engine, packages)
    seams = [finding for finding in findings if finding.callable and not finding.optional]
    if not (version is not None if engine.distribution else _checked_out(engine, packages)):
        return Status(engine.name, engine.distribution, engine.module, False, None, len(seams))
    return Status(
        engine.name,
        engine.distribution,
        engine.module,
        True,
        version,
        len(seams),
        tuple(finding.name for finding in seams if finding.lacking),
        tuple(f"{finding.name}: {finding.why}" for finding in seams if finding.state == UNREAD),
        tuple(f"{finding.name}: {finding.why}" for finding in findings if finding.lacking and not finding.callable),
    )


def _checked_out(engine: Engine, packages: Packages) -> bool:
    """Whether the modules of an engine without a distribution can be imported, as from a source checkout."""
    under = (engine.module, *(f"{prefix}.{engine.module}" for prefix in engine.prefixes))
    present = [name for name in under if packages.module(name) is not None]
    return bool(present) and (not engine.only_with or find(packages, present[0], engine.only_with).state == FOUND)
