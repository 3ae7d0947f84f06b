# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every module that is linked into a server that we build is under a licence that anyone may use."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from otel_tts.stack import build, golang, servers
from otel_tts.stack.servers import Server

# By words that only that licence has; the names of others stand in many (the MPL names the AGPL).
PERMISSIVE = {
    "Apache-2.0": r"Apache License,?\s+Version 2\.0|http://www\.apache\.org/licenses/LICENSE-2\.0",
    "MIT": r"Permission is hereby granted, free of charge, to any person",
    "BSD": r"Redistribution and use in source and binary forms",
    "ISC": r"Permission to use, copy, modify, and(/or)? distribute this software for any\s+purpose",
    "MPL-2.0": r"Mozilla Public License,? [Vv]ersion 2\.0",
    "Unlicense": r"This is free and unencumbered software",
    "CC0-1.0": r"CC0 1\.0 Universal",
}
RECIPROCAL = r"(?i)^\W*(gnu affero|gnu general|gnu lesser|server side public|elastic license|business source license)"
TOOLS = (servers.SLOTH, servers.VERSITYGW)
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "License*", "license*", "UNLICENSE*")


@pytest.mark.parametrize("server", [*servers.SERVERS, *TOOLS], ids=lambda server: server.name)
def test_every_linked_module(stack: object, server: Server, record_property: pytest.RecordProperty) -> None:
    binaries = build.build_tool(server) if server in TOOLS else build.binaries()[server.name]
    found = {module: _licence(*module) for module in _linked(binaries)}
    assert len(found) > 10
    unclear = {module: kind for module, kind in found.items() if kind not in PERMISSIVE}
    record_property("licences", dict(Counter(found.values())))
    assert unclear == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3", "reciprocal"),
        ("Business Source License 1.1", "reciprocal"),
        ("Mozilla Public License Version 2.0 … GNU Affero General Public License", "MPL-2.0"),
        ("All rights reserved.", "unknown"),
    ],
)
def test_a_licence_is_told_by_its_text(text: str, kind: str) -> None:
    assert _kind(text) == kind


def _linked(binaries: Path) -> set[tuple[str, str]]:
    """Path and version of each module, as the binaries themselves say; of a replaced one, what replaces it."""
    modules: set[tuple[str, str]] = set()
    for binary in binaries.iterdir():
        last = None
        for line in _go("version", "-m", str(binary)).splitlines():
            match line.split("\t")[1:]:
                case ["dep", path, version, *_]:
                    last = (path, version)
                    modules.add(last)
                case ["=>", path, version, *_]:
                    assert last is not None
                    modules.discard(last)
                    modules.add((path, version))
                case _:
                    pass
    return modules


@cache
def _licence(path: str, version: str) -> str:
    folder = Path(_go("env", "GOMODCACHE").strip()) / re.sub("[A-Z]", lambda found: "!" + found[0].lower(), path)
    folder = folder.with_name(f"{folder.name}@{version}")
    if not folder.is_dir():
        _go("mod", "download", f"{path}@{version}")
    texts = {file for name in NAMES for file in folder.glob(name) if file.is_file()}
    kinds = {_kind(file.read_text(encoding="utf-8", errors="replace")) for file in texts}
    if "reciprocal" in kinds:
        return "reciprocal"
    return next(iter(sorted(kinds - {"unknown"})), "unknown")


def _kind(text: str) -> str:
    if re.search(RECIPROCAL, text):
        return "reciprocal"
    return next((kind for kind, words in PERMISSIVE.items() if re.search(words, text)), "unknown")


@cache
def _go(*arguments: str) -> str:
    command = [build.find_go().command, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=golang.environment(), cwd="/", timeout=300
    ).stdout
