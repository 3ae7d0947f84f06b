# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every table and draft against the source of the published packages, as `wheels.lock` has them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import wheel_cache
from draft_seams import DRAFTS, SERVERS
from holding import held_draft, moved, normal

from otel_tts.engines.check.fit import Finding, check
from otel_tts.engines.check.names import FOUND
from otel_tts.engines.check.packages import Packages, Wheels
from otel_tts.engines.known import ENGINES
from otel_tts.engines.table import Engine, Entry

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = ("tests/standins/*", "tests/standins/*/*")
"""Folders that tests put on the path."""
PUBLISHED = [engine for engine in ENGINES if normal(engine.distribution) in wheel_cache.pins()]


def name(engine: Engine) -> str:
    return f"{engine.name}-{engine.distribution}"


def lines(findings: list[Finding]) -> list[str]:
    return [f"{finding.name}: {finding.why}" for finding in findings]


@pytest.mark.parametrize("engine", PUBLISHED, ids=name)
def test_every_name_of_a_table_is_in_the_package(engine: Engine, packages: Packages) -> None:
    findings = check(engine, packages)
    assert sum(finding.callable for finding in findings) >= len(engine.entries)
    assert lines(list(filter(moved, findings))) == []


@pytest.mark.parametrize("distribution", [*DRAFTS, *SERVERS])
def test_every_seam_of_a_draft_is_in_the_package(distribution: str, packages: Packages) -> None:
    draft = (DRAFTS | SERVERS)[distribution]
    assert lines(list(filter(moved, held_draft(draft, packages)))) == []


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if not engine.distribution], ids=lambda e: e.module)
def test_every_name_of_a_table_without_a_package_is_in_its_stand_in(engine: Engine) -> None:
    found = [folder for pattern in STAND_INS for folder in sorted(ROOT.glob(pattern)) if folder.is_dir()]
    stand_ins = Wheels(*found)
    findings = check(engine, stand_ins)
    assert sum(finding.callable and finding.state == FOUND for finding in findings) >= len(engine.entries)
    assert lines([finding for finding in findings if finding.lacking]) == []


def test_a_seam_that_moved_is_named(packages: Packages) -> None:
    gone = "vocos:Vocos.unmade function", "vocos:Vocos.decode generator", "vocos:Vocos.from_hparams(sung) function"
    findings = list(filter(moved, held_draft(gone, packages)))
    assert [finding.name for finding in findings] == [
        "vocos.Vocos.unmade", "vocos.Vocos.decode", "vocos.Vocos.from_hparams(sung)",
    ]  # fmt: skip
    assert lines(findings)[1] == "vocos.Vocos.decode: is now a function, was a generator"


def test_a_table_whose_names_moved_says_which(packages: Packages) -> None:
    hibari = next(engine for engine in ENGINES if engine.name == "hibari")
    entry = replace(hibari.entries[1], text="words", voice="self.singer")
    table = replace(
        hibari, entries=(entry, Entry("Hibari.sing"), Entry("Hibari.hum", optional=True)), seams=(), load=()
    )
    assert [finding.name for finding in filter(moved, check(table, packages))] == [
        "hibari.tts.Hibari.__call__(words)", "hibari.tts.Hibari.__call__ self.singer", "hibari.tts.Hibari.sing",
    ]  # fmt: skip


def test_every_table_and_draft_has_its_package_or_a_reason() -> None:
    pinned = wheel_cache.pins()
    for engine in ENGINES:
        assert normal(engine.distribution) in pinned or engine.name in wheel_cache.NO_WHEEL, engine.name
    assert {*DRAFTS, *SERVERS} <= set(pinned)
    for what, reason in wheel_cache.NO_WHEEL.items():
        print(f"not read from a wheel: {what}: {reason}")


def test_the_lock_has_every_package_with_its_hashes() -> None:
    wanted = [line for line in wheel_cache.WANTED.read_text("utf-8").splitlines() if not line.startswith("#")]
    pinned = wheel_cache.pins()
    assert list(pinned) == wanted
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for pin in pinned.values() for each in pin.hashes)


def test_without_an_index_and_a_cache_the_reason_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_cache, "CACHE", tmp_path / "empty")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(wheel_cache.Unavailable, match="the package index gave no wheels"):
        wheel_cache.wheels()


def test_a_file_that_is_not_what_the_lock_says_does_not_count(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_cache, "CACHE", tmp_path)
    pin = wheel_cache.pins()["vocos"]
    wheel = tmp_path / f"vocos-{pin.version}-py3-none-any.whl"
    wheel.write_bytes(b"something else")
    assert wheel_cache._cached(pin) is None
    monkeypatch.setattr(wheel_cache, "_hash", lambda path: next(iter(pin.hashes)))
    assert wheel_cache._cached(pin) == wheel
